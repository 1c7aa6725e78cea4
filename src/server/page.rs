//! The verdict as a page that stays true while it is open, and gates as badges.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use jiff::Timestamp;

use super::App;
use super::error::ApiError;
use super::query::{Id, Query, shown};
use crate::agent::Snapshot;
use crate::report::Language;
use crate::report::html::{Live, write, write_fragment};
use crate::report::{Style, badge};

/// A page whose verdict is older says so, unless probes run less often.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// What was rendered last, by language and part: several who look at one verdict cost one rendering.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Part, Rendered>>);

/// A language, and whether only what changes.
type Part = (&'static str, bool);
/// The version of the snapshot, and the text.
type Rendered = (u64, Bytes);

/// `GET /`: the page; with `?fragment=true` what of it changes with a new verdict.
pub async fn page(State(app): State<Arc<App>>, query: Query) -> Result<Response, ApiError> {
    let query = query.only(&["lang", "fragment"])?;
    let language = match query.one("lang")? {
        None | Some("en") => Language::En,
        Some("zh") => Language::Zh,
        Some(_) => return Err(ApiError::bad_parameter("`lang` is en or zh")),
    };
    let fragment = query.flag("fragment")?;
    let rendered = tokio::task::spawn_blocking(move || render(&app, language, fragment)).await;
    let Ok(Ok(text)) = rendered else {
        return Err(ApiError::internal("cannot write the page"));
    };
    let mut response = text.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        // What else it may do stands in the page itself, with the digests of its script and style.
        (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn render(app: &App, language: Language, fragment: bool) -> io::Result<Bytes> {
    let snapshot = app.handle.snapshot();
    let key = (language.code(), fragment);
    let mut cached = app.pages.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((version, text)) = cached.get(&key)
        && *version == snapshot.version
    {
        return Ok(text.clone());
    }
    let text = Bytes::from(write_page(&snapshot, language, fragment)?);
    cached.insert(key, (snapshot.version, text.clone()));
    Ok(text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page says how old its verdict is"
)]
fn write_page(snapshot: &Snapshot, language: Language, fragment: bool) -> io::Result<Vec<u8>> {
    let verdict = snapshot.verdict().map_err(io::Error::other)?;
    let intervals = snapshot.plan.probes.iter().map(|probe| probe.interval);
    let shortest = intervals.min().unwrap_or_default();
    let now = Timestamp::now();
    let items = snapshot.plan.items.iter().zip(&snapshot.items);
    let history = items
        .map(|(item, state)| (item.id.clone(), state.lately(now)))
        .collect();
    let live = Live {
        events: "/api/v1/events",
        fragment: match language {
            Language::Zh => "/?fragment=true&lang=zh",
            Language::En => "/?fragment=true",
        },
        now,
        stale_after: STALE_AFTER.max(shortest * 3),
        history: &history,
    };
    let style = Style {
        colour: false,
        width: None,
        language,
        root: None,
    };
    let mut out = Vec::new();
    if fragment {
        write_fragment(&verdict, style, &live, &mut out)?;
    } else {
        write(&verdict, style, Some(&live), &mut out)?;
    }
    Ok(out)
}

/// `GET /badge/{gate}.svg`.
pub async fn badge(
    State(app): State<Arc<App>>,
    Id(name): Id,
    query: Query,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let snapshot = app.handle.snapshot();
    let gate = name
        .strip_suffix(".svg")
        .and_then(|name| snapshot.gate(name));
    let gate = gate.ok_or_else(|| {
        ApiError::not_found(
            "unknown_gate",
            format!("there is no badge `{}`", shown(&name)),
        )
    })?;
    let svg = badge::svg(&gate.id, gate.result, Language::En);
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, svg).into_response())
}
