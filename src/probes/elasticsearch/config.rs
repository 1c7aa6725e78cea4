//! Parameters of `elasticsearch`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::api::{Auth, Endpoint, EndpointParams};
use crate::params::{DurationText, FilePath, UrlText};
use crate::probes::ParamError;
use crate::probes::newest_line::{check_names, default_max_age};

/// Parameters of an `elasticsearch` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The base URL of an Elasticsearch or `OpenSearch`.
    url: UrlText,
    /// Each application with where its lines are: the name or pattern of indices and data streams
    /// (`logs-api-*`), or a table `{ index = "logs-*", query = "app:api", time_field = "@timestamp" }`.
    pub(super) apps: BTreeMap<String, Lines>,
    /// How old the newest line of each may be; `5m` unless given.
    #[serde(default = "default_max_age")]
    pub(super) max_age: DurationText,
    /// Credentials: `bearer`, `basic`, `client_cert`.
    auth: Option<Auth>,
    /// CA certificates (PEM) to verify the target against; the system's unless given.
    ca_file: Option<FilePath>,
    /// The cap on the decompressed answers in flight, together, in bytes; 32 MiB unless given. Past
    /// it the facts are unknown.
    max_body_bytes: Option<u64>,
}

/// Where the lines of an application are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Lines {
    /// All lines of these indices.
    Index(String),
    /// Some of them.
    Query(Query),
}

/// Which lines of some indices.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Query {
    /// The name or pattern of indices and data streams; several between commas.
    index: String,
    /// Which of their lines, in the syntax of query strings, such as `app:api AND level:*`; all
    /// unless given.
    query: Option<String>,
    /// The field with the time of a line; `@timestamp` unless given.
    time_field: Option<String>,
}

impl Lines {
    pub(super) fn index(&self) -> &str {
        match self {
            Self::Index(index) => index,
            Self::Query(query) => &query.index,
        }
    }

    pub(super) fn query(&self) -> Option<&str> {
        match self {
            Self::Index(_) => None,
            Self::Query(query) => query.query.as_deref(),
        }
    }

    pub(super) fn time_field(&self) -> &str {
        match self {
            Self::Index(_) => None,
            Self::Query(query) => query.time_field.as_deref(),
        }
        .unwrap_or("@timestamp")
    }
}

impl Config {
    pub(super) fn endpoint(&self) -> Result<Endpoint, Vec<ParamError>> {
        let mut problems = Vec::new();
        check_names(&self.apps, &mut problems);
        for (name, lines) in &self.apps {
            if !is_index(lines.index()) {
                let message = "not the name or pattern of an index: write one such as \"logs-api-*\", or { index = \"logs-*\", query = \"app:api\" }";
                problems.push(ParamError::new(format!("apps.{name}"), message));
            }
            if lines.query().is_some_and(|query| query.trim().is_empty()) {
                let message = "an empty query selects nothing: leave it out for all lines";
                problems.push(ParamError::new(format!("apps.{name}.query"), message));
            }
        }
        let endpoint = Endpoint::new(&EndpointParams {
            url: &self.url,
            auth: self.auth.as_ref(),
            ca_file: self.ca_file.as_ref(),
            max_body_bytes: self.max_body_bytes,
        });
        match endpoint {
            Ok(endpoint) if problems.is_empty() => Ok(endpoint),
            Ok(_) => Err(problems),
            Err(bad) => {
                problems.extend(bad.into_iter().map(ParamError::from));
                Err(problems)
            }
        }
    }
}

/// An underscore begins the name of an endpoint, and these characters are in no name of an index.
fn is_index(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('_')
        && !text.contains(|char: char| char.is_whitespace() || r#"/\?"<>|#{}="#.contains(char))
}
