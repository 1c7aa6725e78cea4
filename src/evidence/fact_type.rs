//! The types of a kind's facts, read from the JSON Schema that its facts struct derives, so that
//! rules can be checked before anything is probed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::observed::OBSERVED_MARK;

/// The type of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum FactType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// Text; `values` names the only ones possible, empty when any is.
    String {
        /// The only values this fact can take; empty: any text.
        values: Vec<String>,
    },
    /// RFC 3339 text in JSON, a timestamp in CEL.
    Timestamp,
    /// A list of one type.
    List(Box<FactType>),
    /// Named fields that are always present.
    Record(BTreeMap<String, Fact>),
    /// Keys that are only known at run time.
    Map(Box<FactType>),
    /// Anything: parsed JSON of somebody else.
    Dyn,
    /// A value or the reason why there is none.
    Observed(Box<FactType>),
}

/// One field of a record of facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its type.
    pub ty: FactType,
    /// Its documentation, from the rustdoc of the field.
    pub doc: String,
}

/// All facts of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct FactSchema {
    /// The facts by name.
    pub facts: BTreeMap<String, Fact>,
}

/// A facts struct that no rule could be checked against.
#[derive(Debug, thiserror::Error)]
#[error("fact `{path}`: {problem}")]
pub struct SchemaError {
    path: String,
    problem: String,
}

impl FactSchema {
    /// Reads the schema of a facts struct.
    ///
    /// # Errors
    /// When a field has a type that facts may not have, such as `Option`, which would make a
    /// missing value look like one that was seen.
    pub fn of<F: JsonSchema>() -> Result<Self, SchemaError> {
        let schema = SchemaSettings::draft2020_12()
            .for_serialize()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator()
            .into_root_schema_for::<F>();
        match convert(schema.as_value(), "")? {
            FactType::Record(facts) => Ok(Self { facts }),
            _ => Err(problem("", "the facts of a kind are a struct")),
        }
    }
}

fn problem(path: &str, problem: impl Into<String>) -> SchemaError {
    SchemaError {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn convert(schema: &Value, path: &str) -> Result<FactType, SchemaError> {
    let Value::Object(object) = schema else {
        return Ok(FactType::Dyn);
    };
    if object.get(OBSERVED_MARK).is_some() {
        let inner = object
            .get("anyOf")
            .and_then(|any| any.get(0))
            .ok_or_else(|| problem(path, "an observed fact without a type"))?;
        return Ok(FactType::Observed(Box::new(convert(inner, path)?)));
    }
    if let Some(values) = string_values(schema) {
        return Ok(FactType::String { values });
    }
    match object.get("type").and_then(Value::as_str) {
        Some("boolean") => Ok(FactType::Bool),
        Some("integer") => Ok(FactType::Int),
        Some("number") => Ok(FactType::Double),
        Some("string") if object.get("format").and_then(Value::as_str) == Some("date-time") => {
            Ok(FactType::Timestamp)
        }
        Some("string") => Ok(FactType::String { values: Vec::new() }),
        Some("array") => {
            let items = object.get("items").unwrap_or(&Value::Bool(true));
            Ok(FactType::List(Box::new(convert(
                items,
                &format!("{path}[]"),
            )?)))
        }
        Some("object") => convert_object(object, path),
        Some(other) => Err(problem(path, format!("facts have no type `{other}`"))),
        None if object.contains_key("type") || object.contains_key("anyOf") => Err(problem(
            path,
            "a fact has one type; where there may be no value, use Observed",
        )),
        None => Ok(FactType::Dyn),
    }
}

fn convert_object(
    object: &serde_json::Map<String, Value>,
    path: &str,
) -> Result<FactType, SchemaError> {
    let Some(Value::Object(properties)) = object.get("properties") else {
        let values = object
            .get("additionalProperties")
            .unwrap_or(&Value::Bool(true));
        return Ok(FactType::Map(Box::new(convert(
            values,
            &format!("{path}.*"),
        )?)));
    };
    let mut fields = BTreeMap::new();
    for (name, property) in properties {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let doc = property
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let ty = convert(property, &path)?;
        fields.insert(name.clone(), Fact { ty, doc });
    }
    Ok(FactType::Record(fields))
}

/// The values of an enum of unit variants: schemars writes `enum` when the variants have no
/// documentation and `oneOf` with `const` when they have.
fn string_values(schema: &Value) -> Option<Vec<String>> {
    let list = match (schema.get("enum"), schema.get("oneOf")) {
        (Some(Value::Array(values)), _) => values.iter().collect::<Vec<_>>(),
        (None, Some(Value::Array(variants))) => {
            let mut values = Vec::new();
            for variant in variants {
                match (variant.get("const"), variant.get("enum")) {
                    (Some(value), _) => values.push(value),
                    (None, Some(Value::Array(more))) => values.extend(more),
                    _ => return None,
                }
            }
            values
        }
        _ => return None,
    };
    list.into_iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect()
}
