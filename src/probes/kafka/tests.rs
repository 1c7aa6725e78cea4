use super::Facts;
use crate::evidence::FactSchema;

#[test]
fn every_fact_has_a_type() {
    FactSchema::of::<Facts>().expect("a schema");
}
