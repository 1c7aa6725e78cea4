//! The numbers that `blackbox_exporter` knows, under its names.

use serde_json::{Map, Value};

use crate::probes::Sample;

pub(super) fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(answers) = facts.get("answers").and_then(Value::as_array) {
        #[expect(clippy::cast_precision_loss, reason = "as many as fit into one answer")]
        let count = answers.len() as f64;
        samples.push(Sample::new(
            "probe_dns_answer_rrs",
            "The number of records of the asked type in the answer",
            count,
        ));
    }
    if let Some(rcode) = facts.get("rcode").and_then(Value::as_str) {
        samples.push(Sample::new(
            "probe_dns_query_succeeded",
            "Whether the resolver answered without an error",
            f64::from(u8::from(rcode == "NOERROR")),
        ));
    }
    samples
}
