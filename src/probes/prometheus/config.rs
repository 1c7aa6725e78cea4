//! Parameters of `prometheus`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{DurationText, FilePath, UrlText};
use crate::probes::ParamError;

/// So many queries are room enough for a probe, and keep it within its timeout.
const MAX_QUERIES: usize = 100;

/// Parameters of a `prometheus` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The base URL, `http` or `https`; a path in it (`--web.route-prefix`) counts.
    url: UrlText,
    /// Credentials: `{ bearer = "…" }`, `{ basic = { username = "…", password = "…" } }`, or a client
    /// certificate `{ client_cert = "cert.pem", client_key = "key.pem" }`, which goes with either. They go to
    /// the scheme, host and port of `url` alone.
    auth: Option<Auth>,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The most that is read, in bytes after decompression, of all answers in flight together; 32 MiB
    /// unless given, 64 MiB at most. The first answer past it ends the others: what they would tell is unknown.
    max_body_bytes: Option<u64>,
    /// Jobs that must have at least one target, with every target up. A name is that of the `job`
    /// label or of the scrape configuration.
    #[serde(default)]
    pub(super) jobs: Vec<String>,
    /// Targets that must be scraped and up, by their `instance` label or their address, such as
    /// `10.0.0.5:9100`.
    #[serde(default)]
    pub(super) targets: Vec<String>,
    /// The least number of alerting and recording rules together.
    pub(super) min_rules: Option<u64>,
    /// The least number of alerting rules.
    pub(super) min_alerts: Option<u64>,
    /// The least number of Alertmanagers that alerts are sent to.
    pub(super) min_alertmanagers: Option<u64>,
    /// How far back samples must be kept: `15d`. The configured retention and the oldest sample must
    /// both reach it.
    pub(super) retention: Option<DurationText>,
    /// PromQL expressions by name, evaluated now: the facts `queries.NAME` and `series.NAME`.
    #[serde(default)]
    pub(super) queries: BTreeMap<String, String>,
    /// Metrics that rules may name although they do not exist yet, such as a counter of errors that
    /// never happened.
    #[serde(default)]
    pub(super) may_be_absent: Vec<String>,
}

impl Config {
    /// Checks everything.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Vec<ParamError>> {
        let endpoint = Endpoint::new(&EndpointParams {
            url: &self.url,
            auth: self.auth.as_ref(),
            ca_file: self.ca_file.as_ref(),
            max_body_bytes: self.max_body_bytes,
        });
        let mut problems = self.problems();
        match endpoint {
            Ok(endpoint) if problems.is_empty() => Ok(endpoint),
            Ok(_) => Err(problems),
            Err(bad) => {
                problems.splice(0..0, bad.into_iter().map(ParamError::from));
                Err(problems)
            }
        }
    }

    fn problems(&self) -> Vec<ParamError> {
        let mut problems = Vec::new();
        for (param, names) in [
            ("jobs", &self.jobs),
            ("targets", &self.targets),
            ("may_be_absent", &self.may_be_absent),
        ] {
            for (at, name) in names.iter().enumerate() {
                let param = format!("{param}.{at}");
                if name.trim().is_empty() {
                    problems.push(ParamError::new(param, "empty: write a name, or remove it"));
                } else if names[..at].contains(name) {
                    problems.push(ParamError::new(param, format!("`{name}` is given twice")));
                }
            }
        }
        if self.queries.len() > MAX_QUERIES {
            let message =
                format!("more than {MAX_QUERIES} queries: split them over several probes");
            problems.push(ParamError::new("queries", message));
        }
        for (name, promql) in &self.queries {
            let param = format!("queries.{name}");
            if !is_identifier(name) {
                let message = format!(
                    "`{name}` cannot be written in a rule: use letters, digits and `_`, such as `error_ratio`"
                );
                problems.push(ParamError::new(&param, message));
            }
            if promql.trim().is_empty() {
                problems.push(ParamError::new(&param, "empty: write a PromQL expression"));
            }
        }
        problems
    }
}

fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
