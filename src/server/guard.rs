//! What every request passes before it is answered: whose page asks, how often, with which token, and
//! how much at a time.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HOST, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::App;
use super::error::ApiError;
use super::origin::{acts, is_cross_origin, names_this_host};
use super::rate::{Buckets, Rate};
use crate::plan::{PUBLIC, ServerSettings, TokenHash};

/// Nothing that is asked here has a body worth reading.
const MAX_BODY_BYTES: usize = 64 * 1024;
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// How often one address is told that its token is wrong.
const WRONG_TOKENS: Rate = Rate {
    per_second: 2.0,
    burst: 20.0,
};

/// The address at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// What is counted across requests.
pub struct Guard {
    requests: Buckets,
    wrong_tokens: Buckets,
    at_once: Semaphore,
    /// Whether nobody but this host can connect, by the address that is really listened on.
    is_loopback: bool,
}

impl Guard {
    /// For a listener.
    pub fn new(is_loopback: bool, max_requests: usize) -> Self {
        Self {
            requests: Buckets::new(),
            wrong_tokens: Buckets::new(),
            at_once: Semaphore::new(max_requests),
            is_loopback,
        }
    }

    fn admit(
        &self,
        settings: &ServerSettings,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<(), ApiError> {
        let path = uri.path();
        if self.is_loopback
            && !PUBLIC.contains(&path)
            && !names_this_host(uri, headers, &settings.hosts)
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "foreign_host",
                "the Host header names another host: ask by address or as localhost, or list the name in [server] hosts",
            ));
        }
        let now = Instant::now();
        let rate = f64::from(settings.requests_per_second);
        let rate = Rate {
            per_second: rate,
            burst: rate * 2.0,
        };
        if !self.requests.take(peer, rate, now) {
            return Err(too_many("too many requests from this address"));
        }
        if acts(method, path) && is_cross_origin(headers) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "cross_origin",
                "a page of another origin may not ask for this",
            ));
        }
        if is_public(settings, method, path) {
            return Ok(());
        }
        self.authorise(settings, headers, peer, now)
    }

    fn authorise(
        &self,
        settings: &ServerSettings,
        headers: &HeaderMap,
        peer: IpAddr,
        now: Instant,
    ) -> Result<(), ApiError> {
        // A reload may take the tokens away, but not make a daemon that others can reach open.
        if settings.tokens.is_empty() && self.is_loopback {
            return Ok(());
        }
        match bearer(headers) {
            None => Err(unauthorised("this needs a token: Authorization: Bearer …")),
            // Whatever others behind the same address present: they must not be able to keep a deploy from
            // its gate. What a token is worth is its length.
            Some(token) if is_known(&settings.tokens, token) => Ok(()),
            Some(_) if self.wrong_tokens.take(peer, WRONG_TOKENS, now) => {
                Err(unauthorised("this token is not known"))
            }
            Some(_) => Err(too_many("too many wrong tokens from this address")),
        }
    }
}

fn unauthorised(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

fn too_many(message: &str) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
}

/// Paths that have something below them, each of which is as public as they are.
const WITH_MORE_BELOW: [&str; 4] = ["/badge", "/gates", "/api/v1/items", "/api/v1/probes"];

/// Whether a path needs no token. What changes something always does.
fn is_public(settings: &ServerSettings, method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && settings.public.iter().any(|public| {
            let rest = path.strip_prefix(public.as_str());
            let below = WITH_MORE_BELOW.contains(&public.as_str());
            rest.is_some_and(|rest| rest.is_empty() || (below && rest.starts_with('/')))
        })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// All are compared, each in constant time.
fn is_known(tokens: &[TokenHash], presented: &str) -> bool {
    let presented = TokenHash::of(presented);
    let equal = tokens
        .iter()
        .map(|token| token.0.ct_eq(&presented.0))
        .fold(subtle::Choice::from(0), |all, one| all | one);
    equal.into()
}

/// The one way to the handlers.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let is_health = request.uri().path() == "/healthz";
    let mut response = match admit(&app, request).await {
        Err(refused) => refused.into_response(),
        Ok(request) => {
            // The agent's own health must be seen also when it is busy.
            let permit = app.guard.at_once.try_acquire();
            if permit.is_err() && !is_health {
                ApiError::busy("too many requests at a time").into_response()
            } else {
                let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
                answer.unwrap_or_else(|_| {
                    ApiError::internal("a defect of this agent, please report it").into_response()
                })
            }
        }
    };
    harden(response.headers_mut());
    app.http.count(&method, response.status());
    response
}

async fn admit(app: &App, request: Request) -> Result<Request, ApiError> {
    let peer = request.extensions().get::<Peer>().copied();
    let Some(Peer(peer)) = peer else {
        return Err(ApiError::internal("a connection without an address"));
    };
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
        let message = "a request of HTTP/1.1 names its host";
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            message,
        ));
    }
    let plan = app.handle.plan();
    app.guard.admit(
        &plan.server,
        request.method(),
        request.uri(),
        request.headers(),
        peer,
    )?;
    without_body(request).await
}

/// Reads a body to its end, within bounds, and drops it.
async fn without_body(request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let mut body = Limited::new(body, MAX_BODY_BYTES);
    let drain = async {
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| broken(error.as_ref()))?;
        }
        Ok(())
    };
    match timeout(BODY_TIMEOUT, drain).await {
        Ok(drained) => drained?,
        Err(_) => {
            let message = "the body of the request did not arrive in time";
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                message,
            ));
        }
    }
    Ok(Request::from_parts(parts, Body::empty()))
}

fn too_large() -> ApiError {
    let message = format!("a body of more than {MAX_BODY_BYTES} bytes: nothing here needs one");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

/// Why a body could not be read.
fn broken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<LengthLimitError>() {
            return too_large();
        }
        cause = one.source();
    }
    let message = "the body of the request is not what its head announces";
    ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message)
}

/// What every answer says to browsers, unless it says something else itself.
fn harden(headers: &mut HeaderMap) {
    const POLICY: HeaderName = HeaderName::from_static("content-security-policy");
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_is_so_by_whole_segments_and_only_to_read() {
        let settings = ServerSettings {
            public: vec!["/gates".into(), "/".into()],
            ..ServerSettings::default()
        };
        let public = |path: &str| is_public(&settings, &Method::GET, path);
        assert!(public("/gates") && public("/gates/a/argo") && public("/"));
        assert!(!public("/gatesx") && !public("/healthz") && !public("//gates"));
        assert!(!is_public(
            &ServerSettings::default(),
            &Method::GET,
            "/healthz/"
        ));
        assert!(!is_public(&settings, &Method::POST, "/gates"));
    }

    #[test]
    fn only_a_known_token_is_known() {
        let tokens = [TokenHash::of("one"), TokenHash::of("two")];
        assert!(is_known(&tokens, "one") && is_known(&tokens, "two"));
        assert!(!is_known(&tokens, "three") && !is_known(&tokens, "") && !is_known(&[], ""));
    }

    #[test]
    fn a_token_comes_once_and_as_a_bearer() {
        let headers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            headers
        };
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["Basic abc"])), None);
        assert_eq!(bearer(&headers(&["Bearer abc", "Bearer def"])), None);
        assert_eq!(bearer(&headers(&["abc"])), None);
    }
}
