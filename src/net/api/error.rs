//! Why an API gave no answer, and whose fault that is.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::net::NetError;

/// A request that gave no answer that could be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// There was no way to the target, or it broke the connection or the protocol.
    #[error("{0}")]
    Connection(Failure),
    /// Its certificate is not trusted here, or it did not trust ours: others may get further.
    #[error("{0}")]
    Untrusted(String),
    /// The target refused us: 401 or 403.
    #[error("{0}")]
    Denied(String),
    /// Another status that is no success.
    #[error("{0}")]
    Status(Refusal),
    /// It did not end before its deadline.
    #[error("{0}")]
    TimedOut(String),
    /// More came than the cap allows.
    #[error("{0}")]
    TooLarge(String),
    /// What came is not what this API answers.
    #[error("{0}")]
    Unparseable(String),
}

/// A response whose status is no success.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: HTTP {status}{detail}", detail = self.detail())]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The path that was asked.
    pub path: String,
    /// The body, cut at 64 KiB.
    pub body: Vec<u8>,
}

impl Refusal {
    /// The body as JSON of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What the body says: an `error` or `message` in JSON, or a line of text; nothing of a page.
    fn detail(&self) -> String {
        #[derive(Deserialize)]
        struct Said {
            #[serde(alias = "message")]
            error: String,
        }
        let text = match self.json::<Said>() {
            Some(said) => said.error,
            None => String::from_utf8_lossy(&self.body).trim().to_owned(),
        };
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() || line.starts_with('<') {
            return String::new();
        }
        format!(": {}", short(line, 200))
    }
}

/// Text of somebody else for a reason: at most `max_chars`, with `…` where it was cut.
pub fn short(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Text of somebody else without what URLs in it may keep secret: user info, and the values of a query.
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\')
        };
        let end = after.find(ends).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        show_url(url, &mut shown);
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// What follows the scheme.
fn show_url(url: &str, shown: &mut String) {
    let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let (place, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    // A password may hold a slash that nobody encoded, and the path an `@`: what is left of the last goes.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    shown.push_str(place);
    let pairs = query.strip_prefix('?').unwrap_or_default();
    for (at, pair) in pairs.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if at == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) => {
                shown.push_str(name);
                shown.push_str("=…");
            }
            // It may be a bare token.
            None => shown.push('…'),
        }
    }
    // Errors are punctuated: `Get "…": …` is, and so is `…: connection refused`.
    if let Some(mark) = [':', ',', ')', '.']
        .into_iter()
        .find(|mark| !query.is_empty() && query.ends_with(*mark))
    {
        shown.push(mark);
    }
    if !fragment.is_empty() {
        shown.push_str("#…");
    }
}

impl ApiError {
    /// Why a fact that this answer would have told is unknown.
    pub fn unknown(&self) -> Unknown {
        let why = match self {
            Self::Connection(failure) if failure.outcome() == Outcome::Denied => UnknownWhy::Denied,
            Self::Connection(_) | Self::Untrusted(_) | Self::Status(_) => UnknownWhy::NotObserved,
            Self::Denied(_) => UnknownWhy::Denied,
            Self::TimedOut(_) => UnknownWhy::TimedOut,
            Self::TooLarge(_) => UnknownWhy::TooLarge,
            Self::Unparseable(_) => UnknownWhy::Unparseable,
        };
        Unknown {
            why,
            detail: self.to_string(),
        }
    }

    /// The status of a response that is no success.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(refusal) => Some(refusal.status),
            _ => None,
        }
    }
}

impl<T> From<ApiError> for Observed<T> {
    fn from(error: ApiError) -> Self {
        Self::Unknown(error.unknown())
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let detail = error.to_string();
        match error {
            ApiError::Connection(failure) => failure,
            ApiError::Denied(_) => Self::denied(detail),
            // Our own cap says nothing about the target.
            ApiError::TooLarge(_) => Self::probe(detail),
            ApiError::Untrusted(_)
            | ApiError::Status(_)
            | ApiError::TimedOut(_)
            | ApiError::Unparseable(_) => Self::target(detail),
        }
    }
}

/// Classifies what the client library says; its own text names the URL, which may hold secrets.
pub(super) fn classify(error: &reqwest::Error, path: &str, addresses: &[SocketAddr]) -> ApiError {
    if let Some(resolve) = in_chain::<NetError>(error) {
        return ApiError::Connection(Failure::probe(resolve.to_string()));
    }
    let io = in_chain::<io::Error>(error).map(innermost);
    if let Some(io) = io.filter(|io| is_trust(io)) {
        return ApiError::Untrusted(NetError::from_io(TLS, io).to_string());
    }
    if error.is_connect() {
        return ApiError::Connection(connect_failure(error, io, addresses).into());
    }
    // The library says `decode` of whatever happens while a body is read.
    if error.is_decode() && in_chain::<hyper::Error>(error).is_none() {
        let detail = format!("{path}: the body is not what its content-encoding says");
        return ApiError::Unparseable(detail);
    }
    let detail = match io {
        Some(io) if io.kind() != io::ErrorKind::Other => NetError::from_io("read", io).to_string(),
        _ => deepest(error),
    };
    ApiError::Connection(Failure::target(format!("{path}: {detail}")))
}

const TLS: &str = "tls handshake";

/// Whether one side did not accept the other, as opposed to a handshake that broke.
fn is_trust(io: &io::Error) -> bool {
    let tls = io.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        tls,
        Some(
            rustls::Error::InvalidCertificate(_)
                | rustls::Error::AlertReceived(_)
                | rustls::Error::NoCertificatesPresented
        )
    )
}

fn connect_failure(
    error: &reqwest::Error,
    io: Option<&io::Error>,
    addresses: &[SocketAddr],
) -> NetError {
    let Some(io) = io else {
        if error.is_timeout() {
            return NetError::Silent { step: "connect" };
        }
        return NetError::Broken {
            step: "connect",
            detail: deepest(error),
        };
    };
    let is_tls = io
        .get_ref()
        .is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some());
    if is_tls || io.kind() == io::ErrorKind::UnexpectedEof {
        return NetError::from_io(TLS, io);
    }
    if io.kind() == io::ErrorKind::TimedOut {
        return NetError::Silent { step: "connect" };
    }
    let Some(address) = addresses.first() else {
        return NetError::from_io("connect", io);
    };
    let copy = io.raw_os_error().map_or_else(
        || io::Error::new(io.kind(), io.to_string()),
        io::Error::from_raw_os_error,
    );
    NetError::from_connect(*address, copy, Duration::ZERO)
}

/// The first error of type `E` among the causes. What an I/O error wraps is no cause of its own.
pub(super) fn in_chain<E: StdError + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

/// What connectors wrap in one another.
fn innermost(error: &io::Error) -> &io::Error {
    let mut current = error;
    while let Some(inner) = current.get_ref().and_then(|inner| inner.downcast_ref()) {
        current = inner;
    }
    current
}

fn deepest(error: &reqwest::Error) -> String {
    let mut current: &dyn StdError = error;
    while let Some(cause) = current.source() {
        current = cause;
    }
    short(&current.to_string(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_urls_keep_secret_is_not_shown() {
        for (text, shown) in [
            ("no URL: a@b?c=d", "no URL: a@b?c=d"),
            ("http://h:1/p", "http://h:1/p"),
            (
                "http://u:word@h:1/p?token=word&a=b#word",
                "http://h:1/p?token=…&a=…#…",
            ),
            ("http://h/?word", "http://h/?…"),
            (
                "Get \"https://u:word@h/m?t=word\": dial tcp: refused",
                "Get \"https://h/m?t=…\": dial tcp: refused",
            ),
            (
                "http://u:wo/rd@h and https://x:word@y",
                "http://h and https://y",
            ),
            ("http://h/m?t=word: refused", "http://h/m?t=…: refused"),
            ("://", "://"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
