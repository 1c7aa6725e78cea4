//! The verdict, whole and in parts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::super::App;
use super::super::error::ApiError;
use super::super::negotiate::{Form, form};
use super::super::query::{Id, Query, shown};
use super::super::verdict_body::VerdictBody;
use crate::agent::Snapshot;
use crate::report::Language;
use crate::report::{Format, Style, write};

/// `GET /api/v1/verdict`.
pub async fn verdict(
    State(app): State<Arc<App>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = query.only(&["format"])?;
    let form = form(query.one("format")?, &headers)?;
    let snapshot = app.handle.snapshot();
    let tag = tag(&snapshot, form);
    if is_known(&headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        mark(&mut response, &tag);
        return Ok(response);
    }
    render(snapshot, form).await
}

/// A verdict in a form, with its tag.
pub async fn render(snapshot: Arc<Snapshot>, form: &'static Form) -> Result<Response, ApiError> {
    let tag = tag(&snapshot, form);
    let body = match form.format {
        Format::Json => Body::new(VerdictBody::of(&snapshot)),
        _ => report(snapshot, form).await?,
    };
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(form.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    mark(&mut response, &tag);
    Ok(response)
}

/// Other forms are rendered when somebody asks, apart from what answers everybody else.
async fn report(snapshot: Arc<Snapshot>, form: &'static Form) -> Result<Body, ApiError> {
    const STYLE: Style<'_> = Style {
        colour: false,
        width: None,
        language: Language::En,
        root: None,
    };
    let rendered = tokio::task::spawn_blocking(move || {
        let verdict = snapshot.verdict().map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        write(&verdict, None, form.format, STYLE, &mut out).map_err(|error| error.to_string())?;
        Ok::<_, String>(out)
    });
    match rendered.await {
        Ok(Ok(text)) => Ok(Body::from(text)),
        Ok(Err(error)) => Err(ApiError::internal(format!(
            "cannot write this report: {error}"
        ))),
        Err(_) => Err(ApiError::internal("cannot write this report")),
    }
}

/// Each form has a tag of its own: equal tags, equal bytes.
fn tag(snapshot: &Snapshot, form: &Form) -> String {
    match form.format {
        Format::Json => snapshot.etag.clone(),
        _ => format!("\"{}-{}\"", snapshot.etag.trim_matches('"'), form.name),
    }
}

fn mark(response: &mut Response, tag: &str) {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
}

/// Whether the client has this one already; tags are compared weakly, as RFC 9110 has it.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// `GET /api/v1/items/{id}`: as it stands in the verdict.
pub async fn item(
    State(app): State<Arc<App>>,
    Id(id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let snapshot = app.handle.snapshot();
    let item = snapshot.item(&id).ok_or_else(|| {
        ApiError::not_found("unknown_item", format!("there is no item `{}`", shown(&id)))
    })?;
    Ok(part(item.json.clone()))
}

/// `GET /api/v1/probes/{id}`: as it stands in the verdict.
pub async fn probe(
    State(app): State<Arc<App>>,
    Id(id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let snapshot = app.handle.snapshot();
    let probe = snapshot.probe(&id).ok_or_else(|| unknown_probe(&id))?;
    Ok(part(probe.json.clone()))
}

/// There is no probe of that id.
pub fn unknown_probe(id: &str) -> ApiError {
    ApiError::not_found(
        "unknown_probe",
        format!("there is no probe `{}`", shown(id)),
    )
}

fn part(json: bytes::Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_one_by_one_and_weakly() {
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, "\"a\"")
        };
        assert!(known("\"a\"") && known("\"b\", \"a\"") && known("W/\"a\"") && known("*"));
        assert!(!known("\"b\"") && !known("a") && !known(""));
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }
}
