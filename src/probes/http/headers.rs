//! What a request says beside its target: the default headers, the configured ones, credentials.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::config::{Config, Problems};
use crate::params::Guarded;

/// What is sent with every request.
pub fn default_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("probe/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers
}

/// The configured headers.
pub fn parse_headers(
    headers: &BTreeMap<String, Guarded>,
    problems: &mut Problems,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut parsed: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let param = format!("headers.{name}");
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            problems.add(&param, format!("`{name}` is not a header name"));
            continue;
        };
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&name) {
            problems.add(
                &param,
                "the length of the body is computed: remove this header",
            );
            continue;
        }
        if parsed.iter().any(|(known, _)| *known == name) {
            problems.add(
                &param,
                "this header is given twice: names are case-insensitive",
            );
            continue;
        }
        let Ok(mut value) = HeaderValue::from_str(value.expose()) else {
            problems.add(
                &param,
                "a header value is visible ASCII text in one line: encode the rest",
            );
            continue;
        };
        if name == header::HOST && value.to_str().ok().and_then(authority_of).is_none() {
            problems.add(
                &param,
                "not a host: write \"api.example.com\" or \"api.example.com:8443\"",
            );
            continue;
        }
        value.set_sensitive(true);
        parsed.push((name, value));
    }
    parsed
}

fn authority_of(host: &str) -> Option<http::uri::Authority> {
    let authority: http::uri::Authority = host.parse().ok()?;
    (!authority.host().is_empty() && !host.contains('@')).then_some(authority)
}

/// The value of the `Authorization` header, from the one place that gives it.
pub fn authorization(
    config: &Config,
    url: Option<&Url>,
    headers: &[(HeaderName, HeaderValue)],
    problems: &mut Problems,
) -> Option<String> {
    let in_url = url.filter(|url| !url.username().is_empty() || url.password().is_some());
    let basic = |user: &str, password: &str| {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let mut given: Vec<(&str, String)> = Vec::new();
    if let Some(url) = in_url {
        let user = percent_decode_str(url.username()).decode_utf8_lossy();
        let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
        given.push(("url", basic(&user, &password)));
    }
    if let Some(auth) = &config.basic_auth {
        if auth.username.contains(':') {
            problems.add("basic_auth.username", "a user name cannot contain a colon");
        }
        given.push(("basic_auth", basic(&auth.username, auth.password.expose())));
    }
    if let Some(token) = &config.bearer_token {
        let value = format!("Bearer {}", token.expose());
        if HeaderValue::from_str(&value).is_err() || token.expose().is_empty() {
            problems.add("bearer_token", "a token is visible ASCII text in one line");
        }
        given.push(("bearer_token", value));
    }
    let in_headers = headers
        .iter()
        .any(|(name, _)| name == header::AUTHORIZATION);
    let mut places: Vec<&str> = given.iter().map(|(place, _)| *place).collect();
    if in_headers {
        places.push("headers.authorization");
    }
    if let [_, second, ..] = places.as_slice() {
        problems.add(
            second,
            format!(
                "credentials are given more than once ({}): keep one",
                places.join(", ")
            ),
        );
    }
    given.pop().map(|(_, value)| value)
}
