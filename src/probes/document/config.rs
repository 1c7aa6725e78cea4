//! Parameters of `document`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{FilePath, UrlText};
use crate::probes::ParamError;

const DEFAULT_MAX_BODY_BYTES: u64 = 10 << 20;

/// Parameters of a `document` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The document, `http` or `https`. At most five redirects are followed; credentials stay with their host.
    url: UrlText,
    /// Credentials: `bearer`, `basic`, `client_cert`.
    auth: Option<Auth>,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The largest document that is fetched, in bytes; 10 MiB unless given, at most 64 MiB. A larger one
    /// is unknown.
    max_body_bytes: Option<u64>,
}

impl Config {
    pub(super) fn endpoint(&self) -> Result<Endpoint, Vec<ParamError>> {
        let endpoint = Endpoint::document(&EndpointParams {
            url: &self.url,
            auth: self.auth.as_ref(),
            ca_file: self.ca_file.as_ref(),
            max_body_bytes: self.max_body_bytes.or(Some(DEFAULT_MAX_BODY_BYTES)),
        });
        endpoint.map_err(|bad| bad.into_iter().map(ParamError::from).collect())
    }
}
