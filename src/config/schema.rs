//! JSON Schemas: of one table, for the walk that checks shapes; of the whole file, for editors.

use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::history::HistoryTable;
use super::modules::of_module;
use super::tables::{
    AgentTable, AttestationTable, CategoryTable, DefaultsTable, GateTable, ItemTable,
    MaintenanceTable, ProbeTable, RiskTable, RuleTable, ScoreTable, ServerTable, WaiverTable,
};
use crate::probes::{ATTESTED, KINDS, KindEntry, TargetParams};

/// The schema of one table, everything inline.
pub(super) fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// The schema of a rule written as a table: there may be thousands, so it is made once.
pub(super) fn of_rule() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(of::<RuleTable>)
}

/// The schema of a `[[probe]]` of one kind: the keys that every probe has and the kind's own.
pub(super) fn of_probe(kind: &KindEntry) -> Value {
    let mut schema = with_params(of::<ProbeTable>(), kind);
    schema["properties"]["rules"] = json!(true);
    schema
}

/// The schema of an `[[attestation]]`: what is said, and the parameters of the kind that looks.
pub(super) fn of_attestation() -> Value {
    with_params(of::<AttestationTable>(), ATTESTED)
}

/// A schema with the parameters of a kind.
pub(super) fn with_params(mut common: Value, kind: &KindEntry) -> Value {
    let own = (kind.params)().to_value();
    merge(&mut common, &own, "properties");
    if let (Some(required), Some(more)) = (
        common.get_mut("required").and_then(Value::as_array_mut),
        own.get("required").and_then(Value::as_array),
    ) {
        required.extend(more.iter().cloned());
    }
    common
}

fn merge(into: &mut Value, from: &Value, key: &str) {
    let Some(from) = from.get(key).and_then(Value::as_object) else {
        return;
    };
    if let Some(into) = into.get_mut(key).and_then(Value::as_object_mut) {
        into.extend(from.clone());
    }
}

/// The JSON Schema of `probes.toml`, for editors.
pub fn config_schema() -> Value {
    let probes: Vec<Value> = KINDS
        .iter()
        .map(|kind| for_editors(kind, of_probe(kind)))
        .collect();
    let modules: Vec<Value> = KINDS
        .iter()
        .filter(|kind| kind.target != TargetParams::None)
        .map(|kind| for_editors(kind, of_module(kind)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "probes.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "include": {
                "description": "Files to read as well, `*` as wildcard; relative paths are relative to this file.",
                "type": ["string", "array"],
                "items": { "type": "string" },
            },
            "agent": closed(of::<AgentTable>()),
            "defaults": closed(of::<DefaultsTable>()),
            "history": closed(of::<HistoryTable>()),
            "vars": {
                "description": "Values for ${var:NAME}.",
                "type": "object",
                "additionalProperties": { "type": ["string", "number", "boolean"] },
            },
            "probe": { "type": "array", "items": { "oneOf": probes } },
            "item": { "type": "array", "items": closed(of::<ItemTable>()) },
            "category": { "type": "array", "items": closed(of::<CategoryTable>()) },
            "score": closed(of::<ScoreTable>()),
            "gate": { "type": "array", "items": closed(of::<GateTable>()) },
            "risk": { "type": "array", "items": closed(of::<RiskTable>()) },
            "attestation": { "type": "array", "items": closed(of_attestation()) },
            "maintenance": { "type": "array", "items": closed(of::<MaintenanceTable>()) },
            "server": closed(of::<ServerTable>()),
            "module": { "type": "array", "items": { "oneOf": modules } },
            "waiver": { "type": "array", "items": closed(of::<WaiverTable>()) },
        },
    })
}

fn for_editors(kind: &KindEntry, schema: Value) -> Value {
    let mut schema = closed(schema);
    schema["title"] = json!(kind.info.name);
    schema["description"] = json!(kind.info.summary);
    schema["properties"]["kind"] = json!({ "const": kind.info.name });
    schema["properties"]["rules"] = json!({
        "description": "Rules of one's own, and changes to built-in ones.",
        "type": "object",
        "properties": (kind.rules)()
            .iter()
            .map(|rule| (rule.name.to_owned(), json!({ "description": rule.why })))
            .collect::<Map<_, _>>(),
        "additionalProperties": {
            "anyOf": [{ "type": "string" }, { "type": "boolean" }, closed(of::<RuleTable>())],
        },
    });
    schema
}

fn closed(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}
