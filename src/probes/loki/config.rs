//! Parameters of `loki`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{DurationText, FilePath, UrlText};
use crate::probes::ParamError;
use crate::probes::newest_line::{check_names, default_max_age};

/// Lines are looked for so far back unless declared otherwise.
const LOOKBACK: Duration = Duration::from_secs(24 * 3_600);
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Parameters of a `loki` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The base URL, without `/loki`.
    url: UrlText,
    /// Each application with a log query (`LogQL`) that selects its lines, such as `{app="api"}`.
    pub(super) apps: BTreeMap<String, String>,
    /// How old the newest line of each may be; `5m` unless given.
    #[serde(default = "default_max_age")]
    pub(super) max_age: DurationText,
    /// How far back lines are looked for, to tell how old the newest is; a day, or twice `max_age`
    /// where that is more, unless given.
    lookback: Option<DurationText>,
    /// The tenant, sent as `X-Scope-OrgID`.
    tenant: Option<String>,
    /// Credentials: `bearer`, `basic`, `client_cert`.
    auth: Option<Auth>,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The cap on the decompressed answers in flight, together, in bytes; 32 MiB unless given. Past
    /// it the facts are unknown.
    max_body_bytes: Option<u64>,
}

impl Config {
    pub(super) fn lookback(&self) -> Duration {
        self.lookback
            .map_or_else(|| LOOKBACK.max(self.max_age.0 * 2), |lookback| lookback.0)
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, Vec<ParamError>> {
        let mut problems = Vec::new();
        check_names(&self.apps, &mut problems);
        for (name, query) in &self.apps {
            if query.trim().is_empty() {
                let message = "an empty query selects nothing: write one such as '{app=\"api\"}'";
                problems.push(ParamError::new(format!("apps.{name}"), message));
            }
        }
        if self.lookback() < self.max_age.0 {
            let message = "lines as old as `max_age` must be found: write at least as much";
            problems.push(ParamError::new("lookback", message));
        }
        let tenant = self
            .tenant
            .as_ref()
            .map(|tenant| HeaderValue::from_str(tenant));
        if matches!(tenant, Some(Err(_))) {
            problems.push(ParamError::new(
                "tenant",
                "a tenant is visible ASCII text in one line",
            ));
        }
        let endpoint = Endpoint::new(&EndpointParams {
            url: &self.url,
            auth: self.auth.as_ref(),
            ca_file: self.ca_file.as_ref(),
            max_body_bytes: self.max_body_bytes,
        });
        match endpoint {
            Ok(endpoint) if problems.is_empty() => Ok(match tenant {
                Some(Ok(tenant)) => endpoint.with_header(TENANT, tenant),
                _ => endpoint,
            }),
            Ok(_) => Err(problems),
            Err(bad) => {
                problems.extend(bad.into_iter().map(ParamError::from));
                Err(problems)
            }
        }
    }
}
