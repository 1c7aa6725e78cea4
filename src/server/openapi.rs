//! The `OpenAPI` document, from the same schemas as the verdict.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::negotiate::FORMS;
use crate::verdict::verdict_schema;

const HISTORY: &str = "the runs of a probe, newest first";

/// The document as it is answered, and checked in under docs/schema.
pub(super) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

/// The document.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "probe",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the running agent knows. What it could not see is unknown, and unknown never passes.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, {}],
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of `[server] tokens`; needed as soon as there are any.",
                },
            },
            "schemas": schemas(),
            "responses": {
                "Error": {
                    "description": "Why the request was not answered as it was meant.",
                    "content": { "application/json": { "schema": schema("Error") } },
                },
            },
        },
    })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    let mut verdict = verdict_schema();
    if let Some(object) = verdict.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(definitions)) = object.remove("$defs") {
            schemas.extend(definitions);
        }
    }
    schemas.insert("Verdict".to_owned(), verdict);
    for schema in schemas.values_mut() {
        relocate(schema);
    }
    schemas.insert(
        "Error".to_owned(),
        json!({
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": { "type": "string", "description": "A stable word for programs." },
                        "message": { "type": "string", "description": "What is wrong and what to do instead." },
                    },
                },
            },
        }),
    );
    schemas.insert("Gate".to_owned(), gate());
    schemas.insert("ArgoGate".to_owned(), argo_gate());
    schemas.insert("Runs".to_owned(), runs());
    Value::Object(schemas)
}

/// Definitions stand elsewhere in this document than in a schema of their own.
fn relocate(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(text) if key == "$ref" => {
                        *text = text.replace("#/$defs/", "#/components/schemas/");
                    }
                    value => relocate(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(relocate),
        _ => {}
    }
}

fn gate() -> Value {
    json!({
        "type": "object",
        "required": ["id", "result", "blocking", "finished_at"],
        "properties": {
            "id": { "type": "string", "description": "The gate; `all` for the fold of several." },
            "result": schema("Status"),
            "blocking": { "type": "array", "items": { "type": "string" }, "description": "The items that fail or are unknown." },
            "finished_at": { "type": "string", "format": "date-time", "description": "When the latest evidence was observed." },
        },
    })
}

fn argo_gate() -> Value {
    json!({
        "type": "object",
        "required": ["gate", "result", "passed", "value", "blocking", "finished_at"],
        "properties": {
            "gate": { "type": "string" },
            "result": schema("Status"),
            "passed": { "type": "boolean", "description": "Whether the gate passes, warnings included." },
            "value": { "type": "integer", "enum": [0, 1], "description": "`passed` as a number." },
            "blocking": { "type": "array", "items": { "type": "string" } },
            "finished_at": { "type": "string", "format": "date-time" },
        },
    })
}

fn runs() -> Value {
    json!({
        "type": "object",
        "required": ["probe", "runs", "next"],
        "properties": {
            "probe": { "type": "string" },
            "runs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["started_at", "duration_ms", "outcome", "result", "agent"],
                    "properties": {
                        "started_at": { "type": "string", "format": "date-time" },
                        "duration_ms": { "type": "number" },
                        "outcome": schema("Outcome"),
                        "result": schema("Status"),
                        "agent": { "type": "string", "description": "The agent that ran it." },
                    },
                },
            },
            "next": { "type": ["string", "null"], "description": "Given back as `cursor`: the page after this one." },
        },
    })
}

/// A parameter after the `?`.
fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn id(description: &str) -> Value {
    json!({ "name": "id", "in": "path", "required": true, "description": description, "schema": { "type": "string" } })
}

fn operation(summary: &str, parameters: &[Value], answers: Value, errors: &[u16]) -> Value {
    let mut responses = match answers {
        Value::Object(answers) => answers,
        _ => Map::new(),
    };
    for status in errors.iter().chain(&[401, 403, 429]) {
        let error = json!({ "$ref": "#/components/responses/Error" });
        responses.entry(status.to_string()).or_insert(error);
    }
    json!({ "summary": summary, "parameters": parameters, "responses": responses })
}

fn answer(description: &str, media: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(media.to_owned(), json!({ "schema": schema }));
    json!({ "description": description, "content": content })
}

fn verdict() -> Value {
    let mut content = Map::new();
    for form in FORMS {
        let schema = match form.name {
            "json" => schema("Verdict"),
            _ => json!({ "type": "string" }),
        };
        let media = form.content_type.split(';').next().unwrap_or_default();
        content.insert(media.to_owned(), json!({ "schema": schema }));
    }
    json!({
        "description": "The verdict, as `probe --once` prints it.",
        "headers": { "ETag": { "schema": { "type": "string" } } },
        "content": content,
    })
}

fn format() -> Value {
    let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
    query(
        "format",
        "The form, in place of the Accept header.",
        &json!({ "type": "string", "enum": names }),
    )
}

fn paths() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let any = json!({ "type": "object" });
    let gate = schema("Gate");
    let prometheus = |summary: &str| answer(summary, "text/plain", &text);
    json!({
        "/": { "get": operation("the verdict as a page, which stays true while it is open", &[
            query("lang", "The language.", &json!({ "type": "string", "enum": ["en", "zh"] })),
            query("fragment", "Only what changes with a new verdict.", &json!({ "type": "boolean" })),
        ], json!({ "200": answer("The page.", "text/html", &text) }), &[400]) },
        "/badge/{id}.svg": { "get": operation("a gate as a picture", &[id("The gate.")], json!({
            "200": answer("The badge.", "image/svg+xml", &text),
        }), &[400, 404]) },
        "/healthz": { "get": operation("whether the agent itself works", &[], json!({
            "200": answer("It does.", "application/json", &any),
            "503": answer("One of its tasks does not.", "application/json", &any),
        }), &[400]) },
        "/readyz": { "get": operation("whether a gate passes", &[
            query("gate", "The gate; without it all gates fold.", &text),
        ], json!({
            "200": answer("It passes, warnings included.", "application/json", &gate),
            "503": answer("It does not, or there is no evidence yet.", "application/json", &gate),
        }), &[400, 404]) },
        "/gates/{id}/argo": { "get": operation("a gate for the web metric of Argo Rollouts", &[id("The gate.")], json!({
            "200": answer("Whatever the result is.", "application/json", &schema("ArgoGate")),
        }), &[400, 404]) },
        "/metrics": { "get": operation("metrics for Prometheus", &[], json!({
            "200": prometheus("`readiness_…` and `probe_agent_…`, as text or OpenMetrics."),
        }), &[400]) },
        "/probe": { "get": operation("one run of a module against a target, as blackbox_exporter answers", &[
            query("target", "The target.", &text),
            query("module", "The id of a `[[module]]`; `http_2xx` without it.", &text),
            query("debug", "Show rules and facts as well.", &json!({ "type": "boolean" })),
        ], json!({
            "200": prometheus("`probe_success` and what was measured; also when the probe fails."),
        }), &[400]) },
        "/api/v1/verdict": { "get": operation("the verdict", &[format()], json!({
            "200": verdict(),
            "304": { "description": "The one that If-None-Match names is the current one." },
        }), &[400, 406]) },
        "/api/v1/items/{id}": { "get": operation("an item of the verdict", &[id("The item.")], json!({
            "200": answer("As in the verdict.", "application/json", &schema("ItemReport")),
        }), &[400, 404]) },
        "/api/v1/probes/{id}": { "get": operation("a probe of the verdict", &[id("The probe.")], json!({
            "200": answer("As in the verdict.", "application/json", &schema("ProbeReport")),
        }), &[400, 404]) },
        "/api/v1/probes/{id}/history": { "get": operation(HISTORY, &[
            id("The probe."),
            query("from", "The earliest start.", &time),
            query("to", "The start before which they are.", &time),
            query("limit", "The most runs of a page; 100 without it.", &json!({ "type": "integer", "minimum": 1, "maximum": 1000 })),
            query("cursor", "`next` of the page before.", &text),
        ], json!({
            "200": answer("A page.", "application/json", &schema("Runs")),
        }), &[400, 404, 503]) },
        "/api/v1/runs": { "post": operation("run now, wait for it, and answer with the verdict", &[
            json!({ "name": "probe", "in": "query", "description": "The probes, repeatable; all without it.", "explode": true, "schema": { "type": "array", "items": text } }),
            query("timeout", "The longest wait, such as 30s; 5m without it.", &text),
            format(),
        ], json!({ "200": verdict() }), &[400, 404, 406, 413, 503, 504]) },
        "/api/v1/events": { "get": operation("changes as server-sent events: `probe`, `item`, `gate`, `config`; `verdict` when there is a new one, at most every two seconds; `reset` when some were missed", &[
            json!({ "name": "Last-Event-ID", "in": "header", "description": "The last one that was seen.", "schema": text }),
        ], json!({
            "200": answer("As long as the client listens.", "text/event-stream", &text),
        }), &[400, 503]) },
        "/api/v1/agent": { "get": operation("what the agent knows of itself", &[], json!({
            "200": answer("Its tasks, its schedule, its configuration.", "application/json", &any),
        }), &[400]) },
        "/api/v1/openapi.json": { "get": operation("this document", &[], json!({
            "200": answer("OpenAPI 3.1.", "application/json", &any),
        }), &[]) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value.as_str() {
                        Some(text) if key == "$ref" => into.push(text),
                        _ => references(value, into),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut all = Vec::new();
        references(&document, &mut all);
        assert!(all.len() > 20);
        for reference in all {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
