//! The agent's own health, and gates as others ask for them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::App;
use super::super::error::ApiError;
use super::super::query::{Id, Query, shown};
use crate::agent::Snapshot;
use crate::judge::Status;
use crate::verdict::GateReport;

/// A schedule that has not gone on for this long hangs.
const SILENT: Duration = Duration::from_secs(30);

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = super::json(body.to_string());
    *response.status_mut() = status;
    response
}

/// `GET /healthz`: whether this agent works, whatever it sees.
pub async fn healthz(State(app): State<Arc<App>>, query: Query) -> Result<Response, ApiError> {
    query.only(&[])?;
    let health = app.handle.health();
    let dead: Vec<&str> = health
        .tasks
        .iter()
        .filter(|task| !task.alive)
        .map(|task| task.name)
        .collect();
    let is_well = dead.is_empty() && health.silence < SILENT;
    let body = json!({
        "status": if is_well { "ok" } else { "failing" },
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": health.started_at,
        "stopped_tasks": dead,
        "config": if health.config_error.is_none() { "ok" } else { "error" },
    });
    let status = if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(answer(status, &body))
}

/// `GET /api/v1/agent`: all that the agent knows of itself.
pub async fn agent(State(app): State<Arc<App>>, query: Query) -> Result<Response, ApiError> {
    query.only(&[])?;
    let health = app.handle.health();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": health.started_at,
        "config_digest": health.config_digest,
        "config_error": health.config_error,
        "tasks": health.tasks,
        "schedule": health.counts,
        "history": {
            "store": health.history.store,
            "queued": health.history.queued,
            "dropped": health.history.dropped,
            "written": health.history.written,
            "error": health.history.error.as_ref().map(|problem| {
                json!({ "text": problem.text, "since": problem.since })
            }),
            "notice": health.history.notice,
            "bytes": health.history.bytes,
            "oldest": health.history.oldest,
        },
        "schedule_lag": {
            "count": health.lag.count,
            "p99_seconds": health.lag.p99_seconds,
            "max_seconds": health.lag.max_seconds,
        },
    });
    Ok(answer(StatusCode::OK, &body))
}

/// The gate of that name, or the fold of all.
fn gate<'s>(snapshot: &'s Snapshot, name: Option<&str>) -> Result<&'s GateReport, ApiError> {
    match name {
        None => Ok(&snapshot.gate),
        Some(name) => snapshot.gate(name).ok_or_else(|| {
            let message = format!("there is no gate `{}`", shown(name));
            ApiError::not_found("unknown_gate", message)
        }),
    }
}

const fn passes(result: Status) -> bool {
    matches!(result, Status::Pass | Status::Warn)
}

/// `GET /readyz?gate=…`: 200 when the gate passes, warnings included, else 503 and what blocks.
pub async fn readyz(State(app): State<Arc<App>>, query: Query) -> Result<Response, ApiError> {
    let query = query.only(&["gate"])?;
    let snapshot = app.handle.snapshot();
    let gate = gate(&snapshot, query.one("gate")?)?;
    let body = json!({
        "id": gate.id,
        "result": gate.result,
        "blocking": gate.blocking,
        "finished_at": snapshot.finished_at,
    });
    let status = if passes(gate.result) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(answer(status, &body))
}

/// `GET /gates/{name}/argo`: always 200, for the web metric of Argo Rollouts, which takes any other status
/// for an error of its own.
pub async fn argo(
    State(app): State<Arc<App>>,
    Id(name): Id,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let snapshot = app.handle.snapshot();
    let gate = gate(&snapshot, Some(&name))?;
    let passed = passes(gate.result);
    let body = json!({
        "gate": gate.id,
        "result": gate.result,
        "passed": passed,
        "value": u8::from(passed),
        "blocking": gate.blocking,
        "finished_at": snapshot.finished_at,
    });
    Ok(answer(StatusCode::OK, &body))
}
