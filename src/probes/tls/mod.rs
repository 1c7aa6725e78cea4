//! `tls`: what every address of a name shows in a handshake: its chain, whom it is for, how long it
//! lasts, and which protocol versions are accepted.

mod algorithms;
mod certificate;
mod examine;
mod facts;
mod handshake;
mod hello;
mod problem;
mod rules;
mod samples;
mod smtp;
mod starttls;
mod summary;
mod verify;
mod versions;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Sample, TargetParams};
use crate::evidence::Failure;
use crate::net::{Roots, TlsProfile, load_identity, load_roots};
use crate::params::FilePath;
use examine::{Deadlines, Report, examine};
pub use facts::Facts;
use handshake::Client;
pub use starttls::Starttls;

/// Addresses of one name that are examined; the others are listed as not examined.
const MAX_ADDRESSES: usize = 16;
/// Connections of one attempt that are open at the same time.
const MAX_CONNECTIONS: usize = 24;
/// Connections to one address that are open at the same time.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 3;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The host: a name, of which every address is examined, or an address.
    host: String,
    /// The port; without it 443, with `starttls = "postgres"` 5432, with `starttls = "smtp"` 25.
    port: Option<u16>,
    /// The name or address to ask for (SNI) and to verify; without it the host.
    server_name: Option<String>,
    /// A PEM file with the roots to trust; without it the system's.
    ca_file: Option<FilePath>,
    /// A PEM file with the client certificate to present, followed by its chain.
    client_cert_file: Option<FilePath>,
    /// A PEM file with the key of that certificate.
    client_key_file: Option<FilePath>,
    /// What has to be said before TLS begins.
    starttls: Option<Starttls>,
    /// What to offer by ALPN, in order, such as `["h2", "http/1.1"]`; without it none.
    #[serde(default)]
    alpn: Vec<String>,
}

/// The kind.
pub struct Tls {
    config: Config,
    host: String,
    port: u16,
    name: ServerName<'static>,
    profile: TlsProfile,
}

impl ProbeKind for Tls {
    const INFO: KindInfo = KindInfo {
        name: "tls",
        summary: "certificates, trust, expiry and protocol versions of every address of a name",
        privileges: "none; a client certificate where the server demands one",
        effect: Effect::Read,
        side_effects: "up to four connections per address, which end after the handshake; servers may log the refused old versions",
        example: "host = \"example.com\"\nport = 443\n",
        init: &[],
    };
    const TARGET: TargetParams = TargetParams::HostPort {
        host: "host",
        port: "port",
        default_port: Some(443),
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        let host = host(&config, &mut errors);
        let name = server_name(&config, &host, &mut errors);
        let profile = profile(&config, &mut errors);
        check_alpn(&config.alpn, &mut errors);
        let port = config.port.unwrap_or(match config.starttls {
            None => 443,
            Some(Starttls::Postgres) => 5432,
            Some(Starttls::Smtp) => 25,
        });
        if port == 0 {
            let message = "0 is not a port: write one from 1 to 65535";
            errors.push(ParamError::new("port", message));
        }
        match name {
            Some(name) if errors.is_empty() => Ok(Self {
                config,
                host,
                port,
                name,
                profile,
            }),
            _ => Err(errors),
        }
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    fn descriptors(&self) -> usize {
        if self.host.parse::<IpAddr>().is_ok() {
            MAX_CONNECTIONS_PER_ADDRESS
        } else {
            MAX_CONNECTIONS
        }
    }

    fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
        samples::samples(facts)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let begun = Instant::now();
        let addresses = ctx.net().resolve(&self.host, ctx.share(3)).await?;
        ctx.phase("dns", begun.elapsed());
        let reports = self.examine_all(ctx, addresses).await?;
        let telling = reports
            .iter()
            .find(|report| report.seen.is_some())
            .or(reports.first());
        for (name, took) in telling.map_or(&[][..], |report| &report.phases) {
            ctx.phase(name, *took);
        }
        summary::summarise(&reports)
    }
}

impl Tls {
    /// All addresses at once: one that hangs takes no time from another.
    async fn examine_all(
        &self,
        ctx: &Context,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<Report>, Failure> {
        let permits = Semaphore::new(MAX_CONNECTIONS);
        let client = Client {
            ctx,
            name: &self.name,
            profile: &self.profile,
            alpn: &self.config.alpn,
            starttls: self.config.starttls,
            permits: &permits,
        };
        let deadlines = deadlines(ctx.remaining());
        let mut known = BTreeSet::new();
        let addresses: Vec<SocketAddr> = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, self.port))
            .filter(|address| known.insert(*address))
            .collect();
        let (examined, beyond) = addresses.split_at(addresses.len().min(MAX_ADDRESSES));
        let examinations = examined
            .iter()
            .map(|address| examine(&client, *address, deadlines));
        let mut reports = join_all(examinations)
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let why = format!(
            "the name has {} addresses, the first {MAX_ADDRESSES} are examined",
            addresses.len()
        );
        let others = beyond
            .iter()
            .map(|address| Report::not_examined(*address, &why));
        reports.extend(others);
        Ok(reports)
    }
}

/// The handshake may take nearly all of the time, so that a slow server is not called silent; the
/// questions about versions have what it leaves, and a little is kept to return what was seen.
fn deadlines(left: Duration) -> Deadlines {
    let now = Instant::now();
    Deadlines {
        handshake: now + left * 17 / 20,
        versions: now + left * 19 / 20,
    }
}

fn host(config: &Config, errors: &mut Vec<ParamError>) -> String {
    let host = config.host.trim();
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let is_address = bare.parse::<IpAddr>().is_ok();
    let problem = if bare.is_empty() {
        Some("is empty: write a name or an address".to_owned())
    } else if bare.contains("//") || bare.contains('/') {
        Some(format!(
            "`{bare}` is not a name: write the host alone, without a scheme or a path"
        ))
    } else if !is_address && bare.contains(':') {
        Some(format!("`{bare}` is not a name: write the port as `port`"))
    } else {
        None
    };
    errors.extend(problem.map(|message| ParamError::new("host", message)));
    bare.to_owned()
}

/// The name to verify; a trailing dot is for resolvers only.
fn server_name(
    config: &Config,
    host: &str,
    errors: &mut Vec<ParamError>,
) -> Option<ServerName<'static>> {
    let (param, text) = match &config.server_name {
        Some(name) => ("server_name", name.trim()),
        None => ("host", host),
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if let Ok(name) = ServerName::try_from(name.to_owned()) {
        return Some(name);
    }
    if !errors.iter().any(|error| error.param == param) {
        let hint = if name.is_ascii() {
            "write a DNS name or an address"
        } else {
            "write it in its ASCII form (xn--…)"
        };
        let message = format!("`{text}` is not a name that a certificate can be for: {hint}");
        errors.push(ParamError::new(param, message));
    }
    None
}

fn profile(config: &Config, errors: &mut Vec<ParamError>) -> TlsProfile {
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

fn check_alpn(alpn: &[String], errors: &mut Vec<ParamError>) {
    const MAX_PROTOCOLS: usize = 32;
    if alpn.len() > MAX_PROTOCOLS {
        let message = format!("has {} entries: write at most {MAX_PROTOCOLS}", alpn.len());
        errors.push(ParamError::new("alpn", message));
    }
    for (index, name) in alpn.iter().enumerate() {
        if !(1..=255).contains(&name.len()) {
            let message = "must have 1 to 255 bytes, such as \"h2\"";
            errors.push(ParamError::new(format!("alpn.{index}"), message));
        }
    }
}
