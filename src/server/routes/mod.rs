//! What is answered, and by whom.

mod health;
mod history;
mod runs;
mod verdict;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::CONTENT_TYPE;

pub use runs::MAX_RUNS;

use super::App;
use super::error::ApiError;
use super::guard::guard;
use super::{events, metrics, module_probe, openapi, page};

/// All routes, behind the guard.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/badge/{file}", get(page::badge))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/gates/{name}/argo", get(health::argo))
        .route("/metrics", get(metrics::metrics))
        .route("/probe", get(module_probe::probe))
        .route("/api/v1/verdict", get(verdict::verdict))
        .route("/api/v1/items/{id}", get(verdict::item))
        .route("/api/v1/probes/{id}", get(verdict::probe))
        .route("/api/v1/probes/{id}/history", get(history::history))
        .route("/api/v1/runs", post(runs::run))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/agent", get(health::agent))
        .route("/api/v1/openapi.json", get(document))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn nothing_here() -> ApiError {
    let message = "there is nothing here: GET /api/v1/openapi.json lists what there is";
    ApiError::not_found("not_found", message)
}

async fn wrong_method() -> ApiError {
    let message = "this method is not for this path";
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

async fn document(State(_): State<Arc<App>>) -> Response {
    json(openapi::text().to_owned())
}

/// A JSON answer.
fn json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
