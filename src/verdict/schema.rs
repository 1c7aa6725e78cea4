//! The JSON Schema of the verdict.

use serde_json::Value;

use super::{SCHEMA, Verdict};

/// The schema that every verdict validates against.
pub fn verdict_schema() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Verdict>()
        .to_value();
    schema["title"] = SCHEMA.into();
    schema["properties"]["schema"]["const"] = SCHEMA.into();
    schema
}
