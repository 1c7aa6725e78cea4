//! Parameters of `grafana`.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{FilePath, UrlText};
use crate::probes::ParamError;

/// Parameters of a `grafana` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The base URL, with the path below which Grafana is served.
    url: UrlText,
    /// How many dashboards there must be at least, as far as the credentials see them.
    pub(super) min_dashboards: Option<u64>,
    /// Data sources, by name, that must exist and be healthy.
    #[serde(default)]
    pub(super) datasources: Vec<String>,
    /// Contact points, by name, that must exist.
    #[serde(default)]
    pub(super) contact_points: Vec<String>,
    /// Whether to run the queries of every panel of every dashboard, over the last hour, to find
    /// those that return nothing. It asks the data sources as much as opening all dashboards does.
    #[serde(default)]
    pub(super) check_panels: bool,
    /// Whether to try the login `admin` with the password `admin`. Each try counts as a failed login
    /// of `admin`, and Grafana locks a user for a while after five in five minutes; in the daemon it
    /// is therefore tried every ten minutes at most.
    #[serde(default = "yes")]
    pub(super) check_default_login: bool,
    /// Credentials: `bearer` (the token of a service account with the role Viewer), `basic`, `client_cert`.
    pub(super) auth: Option<Auth>,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The cap on the decompressed answers in flight, together, in bytes; 32 MiB unless given. Past
    /// it the facts are unknown.
    max_body_bytes: Option<u64>,
}

const fn yes() -> bool {
    true
}

/// The endpoint with the credentials of the probe, with none, and with those of a fresh installation.
pub(super) struct Endpoints {
    pub(super) own: Endpoint,
    pub(super) anonymous: Endpoint,
    pub(super) default_login: Endpoint,
}

impl Config {
    /// Whether its own credentials are a password.
    pub(super) fn logs_in_with_basic(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.basic.is_some())
    }

    pub(super) fn prepare(&self) -> Result<Endpoints, Vec<ParamError>> {
        let mut problems = Vec::new();
        for (param, names) in [
            ("datasources", &self.datasources),
            ("contact_points", &self.contact_points),
        ] {
            if names.iter().any(String::is_empty) {
                problems.push(ParamError::new(param, "an empty name names nothing"));
            }
        }
        let endpoint = Endpoint::new(&EndpointParams {
            url: &self.url,
            auth: self.auth.as_ref(),
            ca_file: self.ca_file.as_ref(),
            max_body_bytes: self.max_body_bytes,
        });
        match endpoint {
            Ok(own) if problems.is_empty() => {
                let anonymous = own.without_login();
                // admin:admin
                let login = HeaderValue::from_static("Basic YWRtaW46YWRtaW4=");
                let default_login = own.without_login().with_header(AUTHORIZATION, login);
                Ok(Endpoints {
                    own,
                    anonymous,
                    default_login,
                })
            }
            Ok(_) => Err(problems),
            Err(bad) => {
                problems.extend(bad.into_iter().map(ParamError::from));
                Err(problems)
            }
        }
    }
}
