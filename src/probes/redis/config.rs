//! Parameters of `redis`, and what is prepared from them once, before any attempt.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use crate::net::{Roots, TlsProfile, load_identity, load_roots};
use crate::params::{FilePath, Secret, UrlText};
use crate::probes::ParamError;

/// More declared servers than this are not one installation.
const MAX_SERVERS: usize = 64;
const EXAMPLE: &str = "write one such as \"rediss://:${env:REDIS_PW}@cache.example.com:6379/0\"";

/// Parameters of a `redis` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The server, `redis` or `rediss` (TLS): `rediss://user:password@host:6379/0`. With
    /// `replicas` it must be the primary, with `cluster` it is any node. A query is not read:
    /// certificates are always verified.
    url: UrlText,
    /// The replicas of the server at `url`, as URLs; each is asked itself. A URL without a database
    /// has that of `url`.
    #[serde(default)]
    pub(super) replicas: Vec<UrlText>,
    /// The sentinels that watch it, as URLs, with their own credentials where they have some.
    #[serde(default)]
    pub(super) sentinels: Vec<UrlText>,
    /// The name under which the sentinels know the primary.
    master_name: Option<String>,
    /// Whether it is a cluster: then every node that the one at `url` names is asked, over the
    /// same scheme and with the same credentials.
    #[serde(default)]
    pub(super) cluster: bool,
    /// What it is for: it decides what persistence, eviction and access must be. Without it only
    /// what is never right is judged.
    pub(super) role: Option<Purpose>,
    /// The persistence that it must have; with `none` it must have none.
    pub(super) persistence: Option<Durability>,
    /// The most connections that its clients may hold together: the sum of their pools.
    pub(super) pool_size: Option<u32>,
    /// CA certificates (PEM) to verify the servers against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The name to verify certificates against; the host of each URL unless given.
    server_name: Option<String>,
    /// The client certificate chain (PEM, leaf first), with `client_key_file`.
    client_cert_file: Option<FilePath>,
    /// The private key (PEM) of `client_cert_file`.
    client_key_file: Option<FilePath>,
    /// A plaintext port that must not answer where `url` is `rediss`, on any server; the one that each
    /// server itself names must not either.
    pub(super) plaintext_port: Option<u16>,
    /// Whether a canary may be written: a key of its own, `probe:canary:…`, that expires.
    #[serde(default)]
    pub(super) allow_writes: bool,
}

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// What is lost can be fetched again: bounded memory, and the least used keys go.
    Cache,
    /// It carries messages: nothing may be evicted, and a restart must lose little.
    Broker,
    /// It is where the data lives: the same.
    Store,
}

/// How data survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Snapshots.
    Rdb,
    /// The append-only file.
    Aof,
    /// Snapshots and the append-only file.
    Both,
    /// Not at all.
    None,
}

impl Config {
    /// Whether losing or evicting data is never right for what it is for.
    pub(super) fn keeps_data(&self) -> bool {
        matches!(self.role, Some(Purpose::Broker | Purpose::Store))
    }

    /// Whether snapshots must be taken.
    pub(super) fn wants_rdb(&self) -> bool {
        matches!(self.persistence, Some(Durability::Rdb | Durability::Both))
    }

    /// Whether the append-only file must be on.
    pub(super) fn wants_aof(&self) -> bool {
        matches!(self.persistence, Some(Durability::Aof | Durability::Both))
    }

    /// Whether connections to the server at `url` are encrypted.
    pub(super) fn is_tls(&self) -> bool {
        let scheme = self.url.expose().split("://").next().unwrap_or_default();
        matches!(scheme.to_ascii_lowercase().as_str(), "rediss" | "valkeys")
    }
}

/// A server and how to log in to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub db: u32,
    /// Whether the URL names that database, or it is the first for want of a number.
    pub names_db: bool,
    /// Whether our client certificate, where there is one, is shown to it.
    pub shows_certificate: bool,
}

impl Endpoint {
    /// For people: `host:port`.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The same server without credentials.
    pub fn anonymous(&self) -> Self {
        Self {
            user: None,
            password: None,
            db: 0,
            shows_certificate: false,
            ..self.clone()
        }
    }

    /// Another server with the same scheme and credentials.
    pub fn sibling(&self, host: String, port: u16) -> Self {
        Self {
            host,
            port,
            ..self.clone()
        }
    }
}

/// Everything an attempt needs, made once.
pub struct Prepared {
    pub url: Endpoint,
    pub replicas: Vec<Endpoint>,
    pub sentinels: Vec<Endpoint>,
    pub master_name: String,
    pub tls: TlsProfile,
    pub server_name: Option<ServerName<'static>>,
}

impl Prepared {
    /// Checks all parameters and reads the files they name.
    pub fn new(config: &Config) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        let url = endpoint(&config.url, "url", &mut errors);
        let mut replicas = endpoints(&config.replicas, "replicas", &mut errors);
        let sentinels = endpoints(&config.sentinels, "sentinels", &mut errors);
        check_twice("replicas", &replicas, &mut errors);
        check_twice("sentinels", &sentinels, &mut errors);
        let tls = tls_profile(config, &mut errors);
        let server_name = server_name(config, &mut errors);
        check_combination(config, &mut errors);
        if let Some(url) = &url {
            check_distinct(url, &replicas, &mut errors);
            inherit_database(url, &mut replicas, &mut errors);
            if config.cluster && url.db != 0 {
                errors.push(ParamError::new("url", "a cluster has database 0 alone"));
            }
        }
        match url {
            Some(url) if errors.is_empty() => Ok(Self {
                url,
                replicas,
                sentinels,
                master_name: config.master_name.clone().unwrap_or_default(),
                tls,
                server_name,
            }),
            _ => Err(errors),
        }
    }
}

fn check_combination(config: &Config, errors: &mut Vec<ParamError>) {
    let mut wrong = |param: &str, message: &str| errors.push(ParamError::new(param, message));
    if config.cluster && !config.replicas.is_empty() {
        wrong(
            "replicas",
            "a cluster names its own nodes: leave `replicas` out, or `cluster`",
        );
    }
    if config.cluster && !config.sentinels.is_empty() {
        wrong(
            "sentinels",
            "a cluster has no sentinels: leave `sentinels` out, or `cluster`",
        );
    }
    let named = config
        .master_name
        .as_ref()
        .is_some_and(|name| !name.trim().is_empty());
    if !config.sentinels.is_empty() && !named {
        wrong(
            "master_name",
            "is missing: write the name under which the sentinels know the primary, such as \"mymaster\"",
        );
    }
    if config.pool_size == Some(0) {
        wrong("pool_size", "is at least 1");
    }
    if config.plaintext_port == Some(0) {
        wrong(
            "plaintext_port",
            "0 is not a port: write one from 1 to 65535",
        );
    }
    if config.plaintext_port.is_some() && !config.is_tls() {
        wrong(
            "plaintext_port",
            "is what must not answer beside TLS: `url` must be `rediss://…`",
        );
    }
    for (param, list) in [
        ("replicas", &config.replicas),
        ("sentinels", &config.sentinels),
    ] {
        if list.len() > MAX_SERVERS {
            wrong(param, &format!("has more than {MAX_SERVERS} entries"));
        }
    }
}

fn check_distinct(url: &Endpoint, replicas: &[Endpoint], errors: &mut Vec<ParamError>) {
    for (index, replica) in replicas.iter().enumerate() {
        if is_same(replica, url) {
            let message = "is the server at `url`: a replica is another one";
            errors.push(ParamError::new(format!("replicas.{index}"), message));
        }
    }
}

/// What is written to a database is read from the same one.
fn inherit_database(url: &Endpoint, replicas: &mut [Endpoint], errors: &mut Vec<ParamError>) {
    for (index, replica) in replicas.iter_mut().enumerate() {
        if !replica.names_db {
            replica.db = url.db;
        } else if replica.db != url.db {
            let message = format!(
                "names database {}, and `url` {}: a replica has the databases of its primary, so name the same or none",
                replica.db, url.db
            );
            errors.push(ParamError::new(format!("replicas.{index}"), message));
        }
    }
}

fn check_twice(param: &str, list: &[Endpoint], errors: &mut Vec<ParamError>) {
    for (index, one) in list.iter().enumerate() {
        let earlier = list.iter().take(index);
        let twin = earlier.into_iter().position(|known| is_same(known, one));
        if let Some(twin) = twin {
            let message = format!("is `{param}.{twin}` once more: name each server once");
            errors.push(ParamError::new(format!("{param}.{index}"), message));
        }
    }
}

fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}

fn endpoints(urls: &[UrlText], param: &str, errors: &mut Vec<ParamError>) -> Vec<Endpoint> {
    urls.iter()
        .enumerate()
        .filter_map(|(index, url)| endpoint(url, &format!("{param}.{index}"), errors))
        .collect()
}

fn endpoint(url: &UrlText, param: &str, errors: &mut Vec<ParamError>) -> Option<Endpoint> {
    parse(url.expose())
        .map_err(|message| errors.push(ParamError::new(param, message)))
        .ok()
}

/// The messages never quote the URL: it may hold a password.
fn parse(text: &str) -> Result<Endpoint, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL has no spaces or control characters: percent-encode them".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}): {EXAMPLE}"))?;
    let tls = match url.scheme() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" | "redis+unix" | "redis-socket" => {
            return Err(format!("unix sockets are not spoken here: {EXAMPLE}"));
        }
        _ => return Err(format!("only redis and rediss are spoken here: {EXAMPLE}")),
    };
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Domain(name)) if !name.is_empty() => decode(name)?,
        _ => return Err(format!("has no host: {EXAMPLE}")),
    };
    let port = url.port().unwrap_or(6379);
    if port == 0 {
        return Err("port 0 cannot be connected to: write the port of the server".to_owned());
    }
    let path = url.path().trim_matches('/');
    let names_db = !path.is_empty();
    let db = if path.is_empty() {
        0
    } else {
        path.parse().map_err(|_| {
            "the path is the number of a database: write such as \"…:6379/0\"".to_owned()
        })?
    };
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let password = url.password().filter(|password| !password.is_empty());
    if user.is_some() && password.is_none() {
        return Err("has a user and no password: write user:password@host, or :password@host for the default user".to_owned());
    }
    Ok(Endpoint {
        host,
        port,
        tls,
        user: user.map(decode).transpose()?,
        password: password.map(decode).transpose()?.map(Secret::from),
        db,
        names_db,
        shows_certificate: true,
    })
}

fn decode(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "is not UTF-8 once its percent-encoding is undone".to_owned())
}

fn server_name(config: &Config, errors: &mut Vec<ParamError>) -> Option<ServerName<'static>> {
    let name = config.server_name.as_ref()?;
    let parsed = ServerName::try_from(name.clone());
    if parsed.is_err() {
        let message =
            format!("`{name}` is not a host name: write one such as \"redis.example.com\"");
        errors.push(ParamError::new("server_name", message));
    }
    parsed.ok()
}

fn tls_profile(config: &Config, errors: &mut Vec<ParamError>) -> TlsProfile {
    let mut profile = TlsProfile::default();
    if let Some(file) = &config.ca_file {
        match load_roots(file.as_path()) {
            Ok(roots) => profile.roots = roots,
            Err(message) => {
                profile.roots = Roots::default();
                errors.push(ParamError::new("ca_file", message));
            }
        }
    }
    match (&config.client_cert_file, &config.client_key_file) {
        (None, None) => {}
        (Some(chain), Some(key)) => match load_identity(chain.as_path(), key.as_path()) {
            Ok(identity) => profile.identity = Some(Arc::new(identity)),
            Err(message) => errors.push(ParamError::new("client_cert_file", message)),
        },
        (Some(_), None) => errors.push(ParamError::new(
            "client_key_file",
            "is missing: a client certificate needs its key",
        )),
        (None, Some(_)) => errors.push(ParamError::new(
            "client_cert_file",
            "is missing: a client key needs its certificate",
        )),
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_all_their_parts() {
        let endpoint = parse("rediss://app:p%40ss@[::1]:7000/3").expect("a URL");
        assert_eq!(endpoint.address(), "[::1]:7000");
        assert!(endpoint.tls);
        assert_eq!(endpoint.user.as_deref(), Some("app"));
        assert_eq!(endpoint.password.as_ref().map(Secret::expose), Some("p@ss"));
        assert_eq!(endpoint.db, 3);
        let plain = parse("redis://cache").expect("a URL");
        assert_eq!((plain.address().as_str(), plain.tls), ("cache:6379", false));
        assert!(plain.password.is_none());
        let default_user = parse("redis://:secret@cache:1/").expect("a URL");
        assert!(default_user.user.is_none() && default_user.password.is_some());
    }

    #[test]
    fn wrong_urls_are_told_without_their_password() {
        for wrong in [
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://:hunter2@cache:0",
            "redis://:hunter2@cache/db",
            "redis://hunter2@cache",
            "unix:///run/redis.sock",
            "redis://:hunter2@ca che",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
