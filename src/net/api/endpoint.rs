//! Where an API is and how to speak to it: checked once, before any attempt.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::auth::{Auth, Credentials};
use super::body::{DEFAULT_MAX_BODY_BYTES, MAX_MAX_BODY_BYTES};
use crate::net::{Alpn, Roots, TlsProfile, load_roots};
use crate::params::{FilePath, UrlText};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A parameter of an endpoint that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParam {
    /// The parameter, as a dotted path.
    pub param: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl BadParam {
    pub(super) fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            message: message.into(),
        }
    }

    /// The same for an endpoint that is a table within the parameters: `registry` makes `url`
    /// `registry.url`.
    #[must_use]
    pub fn below(self, table: &str) -> Self {
        Self {
            param: format!("{table}.{}", self.param),
            ..self
        }
    }
}

/// The parameters that every API has.
#[derive(Clone, Copy)]
pub struct EndpointParams<'a> {
    /// The base URL; a path in it counts, with or without a slash at its end.
    pub url: &'a UrlText,
    /// Credentials.
    pub auth: Option<&'a Auth>,
    /// CA certificates to verify the target against; the system's unless given.
    pub ca_file: Option<&'a FilePath>,
    /// The cap on answers; [`DEFAULT_MAX_BODY_BYTES`] unless given.
    pub max_body_bytes: Option<u64>,
}

/// An HTTP API: base URL, credentials, TLS, caps.
pub struct Endpoint {
    pub(super) base: Url,
    /// What is sent to the origin of the base URL alone.
    pub(super) origin_headers: HeaderMap,
    pub(super) origin_tls: TlsProfile,
    /// For everywhere else.
    pub(super) plain_tls: TlsProfile,
    pub(super) max_body_bytes: u64,
    secrets: Vec<String>,
}

impl Endpoint {
    /// Checks the parameters and reads the files they name.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn new(params: &EndpointParams<'_>) -> Result<Self, Vec<BadParam>> {
        let mut problems = Vec::new();
        let url = parse_url(params.url.expose())
            .map_err(|message| problems.push(BadParam::new("url", message)))
            .ok();
        let credentials = Credentials::new(params.auth, url.as_ref(), &mut problems);
        let roots = match params.ca_file.map(|file| load_roots(file.as_path())) {
            None => Roots::System,
            Some(Ok(roots)) => roots,
            Some(Err(message)) => {
                problems.push(BadParam::new("ca_file", message));
                Roots::System
            }
        };
        let max_body_bytes = params.max_body_bytes.unwrap_or(DEFAULT_MAX_BODY_BYTES);
        if max_body_bytes == 0 || max_body_bytes > MAX_MAX_BODY_BYTES {
            let message = format!("write a number from 1 to {MAX_MAX_BODY_BYTES} (64 MiB)");
            problems.push(BadParam::new("max_body_bytes", message));
        }
        let Some(url) = url.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let plain_tls = TlsProfile {
            roots,
            alpn: Alpn::Http1,
            ..TlsProfile::default()
        };
        let mut origin_headers = HeaderMap::new();
        if let Some(authorization) = credentials.authorization {
            origin_headers.insert(header::AUTHORIZATION, authorization);
        }
        Ok(Self {
            base: base_of(url),
            origin_headers,
            origin_tls: TlsProfile {
                identity: credentials.identity.map(Arc::new),
                ..plain_tls.clone()
            },
            plain_tls,
            max_body_bytes,
            secrets: credentials.secrets,
        })
    }

    /// A single document: its URL is taken as it is, where that of an API is what paths are put behind.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn document(params: &EndpointParams<'_>) -> Result<Self, Vec<BadParam>> {
        let mut endpoint = Self::new(params)?;
        if let Ok(url) = parse_url(params.url.expose()) {
            endpoint.base.set_path(url.path());
        }
        Ok(endpoint)
    }

    /// The same without its `Authorization`; a client certificate stays.
    #[must_use]
    pub fn without_login(&self) -> Self {
        let mut origin_headers = self.origin_headers.clone();
        origin_headers.remove(header::AUTHORIZATION);
        Self {
            base: self.base.clone(),
            origin_headers,
            origin_tls: self.origin_tls.clone(),
            plain_tls: self.plain_tls.clone(),
            max_body_bytes: self.max_body_bytes,
            secrets: self.secrets.clone(),
        }
    }

    /// Sends one more header, to the origin alone: a tenant, for one.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.origin_headers.insert(name, value);
        self
    }

    /// Another place that this API named: no credentials, the same roots, a cap of a mebibyte. None where
    /// `url` is not one.
    pub fn elsewhere(&self, url: &str) -> Option<Self> {
        Some(Self {
            base: base_of(parse_url(url).ok()?),
            origin_headers: HeaderMap::new(),
            origin_tls: self.plain_tls.clone(),
            plain_tls: self.plain_tls.clone(),
            max_body_bytes: self.max_body_bytes.min(1 << 20),
            secrets: Vec::new(),
        })
    }

    /// The base URL for people: without user info and query.
    pub fn target(&self) -> String {
        let mut url = self.base.clone();
        url.set_query(None);
        url.to_string()
    }

    /// Credentials in the form in which they are sent, for the redactor.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

/// A path of these segments, each percent-encoded: a name may hold a slash.
pub fn path(segments: &[&str]) -> String {
    let encoded: Vec<String> = segments
        .iter()
        .map(|segment| utf8_percent_encode(segment, UNRESERVED).to_string())
        .collect();
    encoded.join("/")
}

/// The messages never quote the URL: it may hold a password.
fn parse_url(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "write one such as \"https://monitoring.example.com/base\"";
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL has no spaces or control characters: percent-encode them".to_owned());
    }
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some(s) if s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https") => {}
        Some(_) => return Err(format!("only http and https are spoken here: {EXAMPLE}")),
        None => return Err(format!("not an absolute URL: {EXAMPLE}")),
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}): {EXAMPLE}"))?;
    if url.port() == Some(0) {
        return Err("port 0 cannot be connected to: write the port of the service".to_owned());
    }
    Ok(url)
}

/// Without user info and fragment, and with a slash at the end of its path.
fn base_of(mut url: Url) -> Url {
    // Neither fails on a URL that has a host.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_fragment(None);
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}
