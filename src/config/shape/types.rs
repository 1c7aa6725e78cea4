//! Types of JSON Schema, and the values of TOML that have them.

use serde_json::Value as Json;
use toml::de::DeValue;

/// A number or a boolean that came from a variable.
pub(super) fn number_from<'i>(text: String) -> DeValue<'i> {
    // The parsed number borrows its digits for as long as the document lives, which outlives this
    // call: a few bytes per variable, once per load.
    let digits: &'static str = Box::leak(text.into_boxed_str());
    match DeValue::parse(digits) {
        Ok(value) => value.into_inner(),
        Err(_) => DeValue::String(digits.into()),
    }
}

/// Of several alternatives, the one that has the type of the value.
pub(super) fn choose<'s>(schema: &'s Json, value: &DeValue<'_>) -> &'s Json {
    let alternatives = schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Json::as_array);
    let Some(alternatives) = alternatives else {
        return schema;
    };
    alternatives
        .iter()
        .find(|alternative| {
            let types = types_of(alternative);
            types.is_empty() || types.iter().any(|ty| matches_type(ty, value))
        })
        .unwrap_or(schema)
}

/// The types that a schema allows.
pub(super) fn types_of(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .flat_map(types_of)
            .collect(),
    }
}

/// Whether a value is of a type of JSON Schema.
pub(super) fn matches_type(ty: &str, value: &DeValue<'_>) -> bool {
    match ty {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        "boolean" => value.is_bool(),
        "array" => value.is_array(),
        "object" => value.is_table(),
        _ => false,
    }
}

/// A type of JSON Schema, for people.
pub(super) fn human(ty: &str) -> &'static str {
    match ty {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "something else",
    }
}

/// What a value is, for people.
pub(super) fn human_value(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
