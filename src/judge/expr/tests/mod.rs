//! Tests of expressions: what is refused, what things come to, and what always holds.

mod compile;
mod hostile;
mod properties;
mod reasons;
mod semantics;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Evaluation, Program};
use crate::evidence::{FactSchema, Observed};

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum State {
    Open,
    Refused,
    Filtered,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Endpoint {
    address: String,
    state: State,
    lag_bytes: Observed<u64>,
    up: Observed<bool>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Facts {
    status: u16,
    total_ms: f64,
    trusted: bool,
    up: Observed<bool>,
    lag: Observed<u64>,
    body: Observed<String>,
    state: State,
    not_after: Timestamp,
    seen_at: Observed<Timestamp>,
    answers: Observed<Vec<String>>,
    numbers: Vec<Observed<i64>>,
    addresses: Vec<Endpoint>,
    headers: BTreeMap<String, String>,
    first: Observed<Endpoint>,
    json: Observed<Value>,
}

fn schema() -> FactSchema {
    FactSchema::of::<Facts>().expect("the facts have a schema")
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

fn facts() -> Value {
    json!({
        "status": 200,
        "total_ms": 12.5,
        "trusted": true,
        "up": true,
        "lag": {"unknown": "denied", "detail": "grant pg_monitor to probe"},
        "body": "hello, Wörld",
        "state": "open",
        "not_after": "2026-06-04T12:00:00Z",
        "seen_at": "2026-05-31T23:59:00Z",
        "answers": ["203.0.113.10", "203.0.113.11"],
        "numbers": [1, 2, 3],
        "addresses": [
            {"address": "127.0.0.1:80", "state": "open", "lag_bytes": 10, "up": true},
            {"address": "127.0.0.2:80", "state": "refused",
             "lag_bytes": {"unknown": "timed_out", "detail": ""}, "up": false},
        ],
        "headers": {"content-type": "text/html", "server": "nginx"},
        "first": {"address": "127.0.0.1:80", "state": "open", "lag_bytes": 10, "up": true},
        "json": {
            "ok": true, "n": 7, "big": 18_446_744_073_709_551_615_u64, "f": 1.5, "nil": null,
            "list": [1, 2, 3], "mixed": [1, "a", null], "empty": [],
            "map": {"a": 1}, "text": "12", "when": "2026-06-01T00:00:00Z",
            "fake": {"unknown": "denied", "detail": "nothing of the sort"},
        },
    })
}

fn evaluate(source: &str) -> Evaluation {
    evaluate_over(source, &facts())
}

fn evaluate_over(source: &str, facts: &Value) -> Evaluation {
    let program = match Program::compile(source, &schema()) {
        Ok(program) => program,
        Err(errors) => panic!("{source}: {errors:?}"),
    };
    let facts = facts.as_object().expect("facts are an object");
    program.evaluate(facts, now())
}
