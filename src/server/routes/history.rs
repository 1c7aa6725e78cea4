//! The runs of a probe.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::App;
use super::super::error::ApiError;
use super::super::query::{Id, Query};
use super::verdict::unknown_probe;
use crate::evidence::millis;
use crate::history::{HistoryError, RunQuery, RunRecord};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
const MAX_CURSOR_BYTES: usize = 512;

/// `GET /api/v1/probes/{id}/history?from=&to=&limit=&cursor=`.
pub async fn history(
    State(app): State<Arc<App>>,
    Id(id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    let query = query.only(&["from", "to", "limit", "cursor"])?;
    if app.handle.snapshot().probe(&id).is_none() {
        return Err(unknown_probe(&id));
    }
    let (from, to) = (query.time("from")?, query.time("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(ApiError::bad_parameter("`from` is after `to`"));
    }
    let cursor = query.one("cursor")?.map(str::to_owned);
    if cursor
        .as_ref()
        .is_some_and(|cursor| cursor.len() > MAX_CURSOR_BYTES)
    {
        return Err(bad_cursor());
    }
    let wanted = RunQuery {
        probe: id.clone(),
        from,
        to,
        limit: query
            .number("limit", 1, MAX_LIMIT)?
            .unwrap_or(DEFAULT_LIMIT),
        cursor,
    };
    let page = app
        .handle
        .history()
        .runs(&wanted)
        .await
        .map_err(|error| match error {
            HistoryError::BadCursor => bad_cursor(),
            error => {
                tracing::warn!("history: {error}");
                let message = "the history cannot be read now";
                ApiError::new(
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    "history_unavailable",
                    message,
                )
            }
        })?;
    let runs: Vec<Value> = page.runs.iter().map(run).collect();
    let body = json!({ "probe": id, "runs": runs, "next": page.next });
    Ok(super::json(body.to_string()))
}

fn bad_cursor() -> ApiError {
    ApiError::bad_parameter("`cursor` is `next` of the page before, as it is")
}

fn run(run: &RunRecord) -> Value {
    json!({
        "started_at": run.started_at,
        "duration_ms": millis(run.duration),
        "outcome": run.outcome,
        "result": run.result,
        "agent": run.agent,
    })
}
