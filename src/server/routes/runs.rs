//! Runs that are asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use super::super::App;
use super::super::error::ApiError;
use super::super::negotiate::form;
use super::super::query::{Query, shown};
use super::verdict::render;
use crate::agent::RunNowError;
use crate::params::DurationText;

/// How many may wait for a run at a time.
pub const MAX_RUNS: usize = 16;
/// The longest wait, and the wait without `timeout`.
const LONGEST: Duration = Duration::from_secs(3_600);
const DEFAULT: Duration = Duration::from_secs(300);
/// Ids in one request.
const MAX_IDS: usize = 1_000;

/// `POST /api/v1/runs?probe=ID&timeout=…`: runs now, waits for it, answers with the verdict.
pub async fn run(
    State(app): State<Arc<App>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = query.only(&["probe", "timeout", "format"])?;
    let form = form(query.one("format")?, &headers)?;
    let longest = longest(&query)?;
    let probes = query.all("probe");
    if probes.len() > MAX_IDS {
        return Err(ApiError::bad_parameter(format!(
            "`probe` is given more than {MAX_IDS} times"
        )));
    }
    let _permit = app
        .runs
        .try_acquire()
        .map_err(|_| ApiError::busy("too many wait for a run already"))?;
    let wanted = (!probes.is_empty()).then_some(probes.as_slice());
    let ended = tokio::select! {
        ended = timeout(longest, app.handle.run_now(wanted)) => ended,
        () = app.shutdown.cancelled() => return Err(ApiError::busy("the agent is shutting down")),
    };
    let Ok(ended) = ended else {
        let message = "the run has not ended in time; its result will be in the verdict";
        return Err(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            message,
        ));
    };
    let snapshot = ended.map_err(|error| match error {
        RunNowError::Unknown(ids) => {
            let names: Vec<String> = ids.iter().map(|id| format!("`{}`", shown(id))).collect();
            ApiError::not_found(
                "unknown_probe",
                format!("there is no probe {}", names.join(", ")),
            )
        }
        other => ApiError::busy(other.to_string()),
    })?;
    render(snapshot, form).await
}

fn longest(query: &Query) -> Result<Duration, ApiError> {
    let Some(text) = query.one("timeout")? else {
        return Ok(DEFAULT);
    };
    match text.parse::<DurationText>() {
        Ok(DurationText(longest)) if longest <= LONGEST => Ok(longest),
        _ => Err(ApiError::bad_parameter(
            "`timeout` is a duration such as 30s, at most 1h",
        )),
    }
}
