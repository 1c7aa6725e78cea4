//! Parameters of `alertmanager`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{DurationText, FilePath, UrlText};
use crate::probes::ParamError;

/// The label that makes a canary one of this very run.
pub(super) const NONCE_LABEL: &str = "probe_nonce";

/// Parameters of an `alertmanager` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The base URL, as `--web.external-url` or a proxy makes it.
    url: UrlText,
    /// The base URLs of the other members of its cluster. Each must be ready, know all others and
    /// run the same configuration. The same credentials are sent to them.
    #[serde(default)]
    peers: Vec<UrlText>,
    /// Receivers that alerts must be able to reach by some route.
    #[serde(default)]
    pub(super) receivers: Vec<String>,
    /// Alerts that nothing may hide: the `alertname`, and the other labels that such an alert is
    /// known to have. A label that is not declared may have any value; `""`: it has none.
    #[serde(default)]
    pub(super) alerts: BTreeMap<String, BTreeMap<String, String>>,
    /// An alert to post, and where its notification must arrive. Needs `allow_writes = true`.
    pub(super) canary: Option<Canary>,
    /// Whether the canary may be posted.
    #[serde(default)]
    allow_writes: bool,
    /// Credentials: `bearer`, `basic`, `client_cert`.
    auth: Option<Auth>,
    /// CA certificates (PEM) to verify the targets against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The cap on the decompressed answers in flight, together, in bytes; 32 MiB unless given. Past
    /// it the facts are unknown.
    max_body_bytes: Option<u64>,
}

/// The delivery canary.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Canary {
    /// Its labels; they decide how it is routed. `alertname` is `ProbeCanary` unless given;
    /// `probe_nonce` is added. Where its route groups by `probe_nonce` or `'...'`, it never waits
    /// for the group interval of a canary before it.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// The address and port on which this probe listens for the notification, such as
    /// `127.0.0.1:9099`; a webhook of the receiver must point there.
    pub(super) listen: String,
    /// How long the notification is waited for, in addition to the timeout; the group wait of its
    /// route (30 s in Alertmanager's defaults) has to fit. Unless given: what is left of the timeout.
    pub(super) wait: Option<DurationText>,
}

/// What is prepared once.
pub(super) struct Prepared {
    /// The first is `url`.
    pub(super) nodes: Vec<Arc<Endpoint>>,
    pub(super) listen: Option<SocketAddr>,
}

impl Config {
    pub(super) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    pub(super) fn has_canary(&self) -> bool {
        self.canary.is_some() && self.allow_writes
    }

    /// Checks all parameters and reads the files they name.
    pub(super) fn prepare(&self) -> Result<Prepared, Vec<ParamError>> {
        let mut problems = Vec::new();
        let mut nodes = Vec::new();
        for (at, url) in std::iter::once(&self.url).chain(&self.peers).enumerate() {
            let endpoint = Endpoint::new(&EndpointParams {
                url,
                auth: self.auth.as_ref(),
                ca_file: self.ca_file.as_ref(),
                max_body_bytes: self.max_body_bytes,
            });
            match endpoint {
                Ok(endpoint) => nodes.push(Arc::new(endpoint)),
                Err(bad) if at == 0 => problems.extend(bad.into_iter().map(ParamError::from)),
                // What is wrong with the shared parameters was said once.
                Err(bad) => problems.extend(
                    bad.into_iter()
                        .filter(|bad| bad.param == "url")
                        .map(|bad| ParamError::new("peers", bad.message)),
                ),
            }
        }
        self.check_names(&mut problems);
        let listen = self
            .canary
            .as_ref()
            .and_then(|canary| self.check_canary(canary, &mut problems));
        if problems.is_empty() {
            Ok(Prepared { nodes, listen })
        } else {
            Err(problems)
        }
    }

    fn check_names(&self, problems: &mut Vec<ParamError>) {
        if self.receivers.iter().any(String::is_empty) {
            let message = "an empty name is no receiver: write the `name` of one";
            problems.push(ParamError::new("receivers", message));
        }
        for (name, labels) in &self.alerts {
            let param = format!("alerts.{name}");
            if name.is_empty() {
                problems.push(ParamError::new("alerts", "an alert has a name"));
            }
            if labels.contains_key("alertname") {
                let message = "the key is its `alertname`: leave the label out";
                problems.push(ParamError::new(&param, message));
            }
            check_labels(&param, labels, problems);
        }
    }

    fn check_canary(&self, canary: &Canary, problems: &mut Vec<ParamError>) -> Option<SocketAddr> {
        if !self.allow_writes {
            let message =
                "the canary posts an alert: write `allow_writes = true` beside it, or remove it";
            problems.push(ParamError::new("canary", message));
        }
        check_labels("canary.labels", &canary.labels, problems);
        if canary.labels.contains_key(NONCE_LABEL) {
            let message = format!("`{NONCE_LABEL}` is set by the probe: leave it out");
            problems.push(ParamError::new("canary.labels", message));
        }
        if canary.labels.values().any(String::is_empty) {
            let message = "a label with an empty value is none: leave it out";
            problems.push(ParamError::new("canary.labels", message));
        }
        let listen = canary
            .listen
            .parse()
            .ok()
            .filter(|at: &SocketAddr| at.port() != 0);
        if listen.is_none() {
            let message = "not an address and a port: write one such as \"127.0.0.1:9099\", to which a webhook of the receiver points";
            problems.push(ParamError::new("canary.listen", message));
        }
        listen
    }
}

fn check_labels(param: &str, labels: &BTreeMap<String, String>, problems: &mut Vec<ParamError>) {
    for name in labels.keys().filter(|name| !is_label_name(name)) {
        let message = format!(
            "`{name}` is not the name of a label: it begins with a letter or `_`, and goes on with letters, digits and `_`"
        );
        problems.push(ParamError::new(param, message));
    }
}

fn is_label_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
