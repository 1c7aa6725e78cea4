//! Parameters of `http`, and what is prepared from them once, before any attempt.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::headers::{authorization, default_headers, parse_headers};
use super::location::Location;
use crate::net::{Alpn, Roots, TlsProfile, load_identity, load_roots};
use crate::params::{FilePath, Guarded, Secret, UrlText};
use crate::probes::ParamError;

const DEFAULT_MAX_BODY_BYTES: u64 = 1024 * 1024;
const MAX_MAX_BODY_BYTES: u64 = 64 * 1024 * 1024;

/// Parameters of an `http` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The URL, `http` or `https`. User and password in it become basic authentication.
    url: UrlText,
    /// The method; `GET` unless given.
    #[serde(default = "default_method")]
    method: String,
    /// Headers to send. Like every credential they go to the scheme, host and port of `url`
    /// alone, never to where a redirect leads.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Guarded>,
    /// The body of the request. Set a `content-type` header with it.
    body: Option<Guarded>,
    /// Whether redirects are followed, ten at most; otherwise the first response is judged.
    #[serde(default = "default_follow")]
    follow_redirects: bool,
    /// The largest body that is read, in bytes, after decompression; 1 MiB unless given, 64 MiB
    /// at most. A larger one is unknown, never cut.
    #[serde(default = "default_max_body_bytes")]
    max_body_bytes: u64,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The name to send as SNI and to verify the certificate against; the host of `url` unless
    /// given.
    server_name: Option<String>,
    /// The address to connect to in place of what the host of `url` resolves to: `10.0.0.5`,
    /// `10.0.0.5:8443` or `[::1]:8443`. Name, certificate and `Host` header stay those of `url`.
    address: Option<String>,
    /// The protocol: `auto` (HTTP/2 where TLS negotiates it, HTTP/1.1 otherwise), `1.1` or `2`
    /// (over `http` with prior knowledge).
    #[serde(default)]
    http_version: HttpVersionWanted,
    /// Basic authentication.
    pub(super) basic_auth: Option<BasicAuth>,
    /// A token to send as `Authorization: Bearer …`.
    pub(super) bearer_token: Option<Secret>,
    /// The client certificate chain (PEM, leaf first), with `client_key_file`.
    client_cert_file: Option<FilePath>,
    /// The private key (PEM) of `client_cert_file`.
    client_key_file: Option<FilePath>,
}

/// Basic authentication.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BasicAuth {
    /// The user.
    pub(super) username: String,
    /// The password.
    pub(super) password: Secret,
}

/// Which protocol to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum HttpVersionWanted {
    /// What TLS negotiates, HTTP/1.1 without TLS.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2.
    #[serde(rename = "2")]
    Http2,
}

fn default_method() -> String {
    "GET".to_owned()
}

const fn default_follow() -> bool {
    true
}

const fn default_max_body_bytes() -> u64 {
    DEFAULT_MAX_BODY_BYTES
}

/// Everything an attempt needs, made once.
pub struct Prepared {
    pub start: Arc<Location>,
    pub method: Method,
    /// What is sent to the origin of `url`: the defaults, the configured headers, credentials.
    pub origin_headers: HeaderMap,
    /// What is sent everywhere else.
    pub plain_headers: HeaderMap,
    pub body: Bytes,
    pub follow_redirects: bool,
    pub max_body_bytes: usize,
    pub pin: Option<SocketAddr>,
    pub server_name: Option<ServerName<'static>>,
    pub version: HttpVersionWanted,
    /// For the origin, with the client certificate.
    pub origin_tls: TlsProfile,
    /// For everywhere else.
    pub plain_tls: TlsProfile,
    /// The credentials in the form in which they are sent.
    pub secrets: Vec<String>,
}

/// Collects what is wrong while the rest is still checked.
#[derive(Default)]
pub struct Problems(Vec<ParamError>);

impl Problems {
    pub fn add(&mut self, param: &str, message: impl Into<String>) {
        self.0.push(ParamError::new(param, message));
    }

    pub fn keep<T>(&mut self, param: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(param, message)).ok()
    }
}

impl Prepared {
    /// Checks all parameters and reads the files they name.
    pub fn new(config: &Config) -> Result<Self, Vec<ParamError>> {
        let mut problems = Problems::default();
        let url = problems.keep("url", parse_url(config.url.expose()));
        let method = problems.keep("method", parse_method(&config.method));
        let headers = parse_headers(&config.headers, &mut problems);
        let authorization = authorization(config, url.as_ref(), &headers, &mut problems);
        let start = url.and_then(|url| problems.keep("url", Location::new(url)));
        let server_name = config.server_name.as_ref().and_then(|name| {
            let parsed = ServerName::try_from(name.clone());
            let message =
                |_| format!("`{name}` is not a host name: write one such as \"api.example.com\"");
            problems.keep("server_name", parsed.map_err(message))
        });
        let pin = pin(
            config,
            start.as_ref().map(|start| start.port),
            &mut problems,
        );
        let (origin_tls, plain_tls) = tls_profiles(config, &mut problems);
        check_sizes(config, &mut problems);
        let (Some(start), Some(method)) = (start, method) else {
            return Err(problems.0);
        };
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let plain_headers = default_headers();
        let mut origin_headers = plain_headers.clone();
        let mut secrets = Vec::new();
        for (name, value) in headers {
            origin_headers.insert(name, value);
        }
        if let Some(authorization) = authorization {
            if let Some((_, credentials)) = authorization.split_once(' ') {
                secrets.push(credentials.to_owned());
            }
            if let Ok(mut value) = HeaderValue::from_str(&authorization) {
                value.set_sensitive(true);
                origin_headers.insert(header::AUTHORIZATION, value);
            }
        }
        Ok(Self {
            start: Arc::new(start),
            method,
            origin_headers,
            plain_headers,
            body: config.body.as_ref().map_or_else(Bytes::new, |body| {
                Bytes::copy_from_slice(body.expose().as_bytes())
            }),
            follow_redirects: config.follow_redirects,
            max_body_bytes: usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX),
            pin,
            server_name,
            version: config.http_version,
            origin_tls,
            plain_tls,
            secrets,
        })
    }
}

/// The messages never quote the URL: it may hold a password.
fn parse_url(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "write one such as \"https://api.example.com/health\"";
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL has no spaces or control characters: percent-encode them".to_owned());
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
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

fn parse_method(text: &str) -> Result<Method, String> {
    let method = Method::from_bytes(text.as_bytes())
        .map_err(|_| format!("`{text}` is not a method: write one such as \"GET\" or \"POST\""))?;
    if method == Method::CONNECT {
        return Err(
            "CONNECT opens a tunnel and has no response to judge: use a `tcp` probe".into(),
        );
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(format!(
            "methods are case-sensitive: write \"{}\"",
            text.to_ascii_uppercase()
        ));
    }
    Ok(method)
}

fn pin(config: &Config, port: Option<u16>, problems: &mut Problems) -> Option<SocketAddr> {
    let text = config.address.as_deref()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(address), _) => Some(address),
        (_, Ok(ip)) => port.map(|port| SocketAddr::new(ip, port)),
        _ => {
            let message =
                format!("`{text}` is not an address: write \"10.0.0.5\" or \"10.0.0.5:8443\"");
            problems.add("address", message);
            None
        }
    };
    if address.is_some_and(|address| address.port() == 0) {
        problems.add("address", "port 0 cannot be connected to");
    }
    address
}

fn tls_profiles(config: &Config, problems: &mut Problems) -> (TlsProfile, TlsProfile) {
    let roots = config
        .ca_file
        .as_ref()
        .and_then(|file| problems.keep("ca_file", load_roots(file.as_path())))
        .unwrap_or(Roots::System);
    let identity = match (&config.client_cert_file, &config.client_key_file) {
        (Some(chain), Some(key)) => problems
            .keep(
                "client_cert_file",
                load_identity(chain.as_path(), key.as_path()),
            )
            .map(Arc::new),
        (Some(_), None) => {
            problems.add(
                "client_key_file",
                "`client_cert_file` needs its private key",
            );
            None
        }
        (None, Some(_)) => {
            problems.add(
                "client_cert_file",
                "`client_key_file` needs its certificate",
            );
            None
        }
        (None, None) => None,
    };
    let alpn = match config.http_version {
        HttpVersionWanted::Auto => Alpn::Http2Or1,
        HttpVersionWanted::Http1 => Alpn::Http1,
        HttpVersionWanted::Http2 => Alpn::Http2,
    };
    let plain = TlsProfile {
        roots,
        alpn,
        ..TlsProfile::default()
    };
    let origin = TlsProfile {
        identity,
        ..plain.clone()
    };
    (origin, plain)
}

fn check_sizes(config: &Config, problems: &mut Problems) {
    if config.max_body_bytes > MAX_MAX_BODY_BYTES {
        problems.add(
            "max_body_bytes",
            format!("the most that is read is {MAX_MAX_BODY_BYTES} (64 MiB)"),
        );
    }
}
