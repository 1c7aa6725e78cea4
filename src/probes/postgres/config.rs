//! The parameters of the `postgres` kind, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::patroni::Declared;
use crate::net::api::{Endpoint, EndpointParams};
use crate::net::load_roots;
use crate::net::postgres::Target;
use crate::params::{DsnText, FilePath, UrlText};
use crate::probes::ParamError;

/// The most standbys of one probe.
const MAX_STANDBYS: usize = 32;

/// What is declared about connections without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plaintext {
    /// An unencrypted startup must be refused by every server.
    Refused,
}

/// How what roles do is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// The pgaudit extension: preloaded, created and switched on for every role that logs in.
    Pgaudit,
}

/// What `pg_hba.conf` is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hba {
    /// No `trust`, no password over plaintext, not open to the whole world.
    Restricted,
}

/// The value of a setting, as it is written in `postgresql.conf`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// `on` or `off`.
    Bool(bool),
    /// A number without a unit.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text, such as `"4GB"` or `"replica"`.
    Text(String),
}

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The primary, or the only server: a libpq connection string (`host=… port=… user=… dbname=…
    /// sslmode=verify-full`) or a `postgresql://` URL.
    pub(super) primary: DsnText,
    /// Its standbys, as connection strings; each is asked itself, and compared with the primary.
    #[serde(default)]
    pub(super) standbys: Vec<DsnText>,
    /// The `application_name` of each standby that must be streaming from the primary.
    #[serde(default)]
    pub(super) expect_standbys: Vec<String>,
    /// A PEM file with the roots to trust; without it `sslrootcert` of the connection string, else
    /// the system's. Where it is set and `sslmode` is not written, `verify-full` is meant.
    pub(super) ca_file: Option<FilePath>,
    /// What is declared about connections without TLS.
    pub(super) plaintext: Option<Plaintext>,
    /// Whether the primary must archive its WAL, with progress.
    #[serde(default)]
    pub(super) archiving: bool,
    /// Roles that must not be able to write, by any path.
    #[serde(default)]
    pub(super) readers: Vec<String>,
    /// How what roles do is to be recorded.
    pub(super) audit: Option<Audit>,
    /// Columns that must hold ciphertext only, as `schema.table.column` or `table.column`; they are
    /// sampled on the server, and their values never leave it.
    #[serde(default)]
    pub(super) encrypted_columns: Vec<String>,
    /// An Alembic `versions` directory whose heads must be those of the database.
    pub(super) migrations: Option<FilePath>,
    /// The version table of Alembic, as `schema.table` or `table`. Without it `alembic_version`.
    pub(super) migrations_table: Option<String>,
    /// Whether foreign keys are to have an index on their columns.
    #[serde(default)]
    pub(super) foreign_key_indexes: bool,
    /// Settings and the values they must have on every server; units are normalised.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, SettingValue>,
    /// Read-only SQL by name, run on the primary; the rows become the facts `queries.NAME.rows`.
    #[serde(default)]
    pub(super) queries: BTreeMap<String, String>,
    /// The most rows of one query; one with more is unknown. Without it 1,000.
    pub(super) max_rows: Option<u32>,
    /// The most bytes of one query's rows; one with more is unknown. Without it 1 MiB.
    pub(super) max_bytes: Option<u32>,
    /// What `pg_hba.conf` of every server is to be.
    pub(super) hba: Option<Hba>,
    /// The REST API of each Patroni member, such as `http://10.0.0.5:8008`.
    #[serde(default)]
    pub(super) patroni: Vec<UrlText>,
    /// Whether the probe may commit a row to a table of its own, in a schema of its own that it
    /// makes and removes (needs `CREATE` on the database), to see that commits work.
    #[serde(default)]
    pub(super) allow_writes: bool,
}

/// The servers, the primary first.
pub(super) fn targets(config: &Config, errors: &mut Vec<ParamError>) -> Vec<Arc<Target>> {
    let roots = config.ca_file.as_ref().and_then(|file| {
        load_roots(file.as_path())
            .map_err(|message| errors.push(ParamError::new("ca_file", message)))
            .ok()
    });
    let named = std::iter::once(("primary".to_owned(), &config.primary)).chain(
        config
            .standbys
            .iter()
            .enumerate()
            .map(|(at, dsn)| (format!("standbys.{at}"), dsn)),
    );
    let mut targets = Vec::new();
    for (param, text) in named {
        match Target::new(text.expose(), roots.as_ref()) {
            Ok(target) => targets.push(Arc::new(target)),
            Err(message) => errors.push(ParamError::new(param, message)),
        }
    }
    if config.standbys.len() > MAX_STANDBYS {
        let message = format!(
            "has {} entries: write at most {MAX_STANDBYS}",
            config.standbys.len()
        );
        errors.push(ParamError::new("standbys", message));
    }
    targets
}

/// The REST APIs of Patroni.
pub(super) fn patroni(config: &Config, errors: &mut Vec<ParamError>) -> Vec<Declared> {
    let mut declared = Vec::new();
    for (at, url) in config.patroni.iter().enumerate() {
        let endpoint = Endpoint::new(&EndpointParams {
            url,
            auth: None,
            ca_file: config.ca_file.as_ref(),
            max_body_bytes: Some(1 << 20),
        });
        match endpoint {
            Ok(endpoint) => declared.push(Declared {
                url: endpoint.target(),
                endpoint,
            }),
            // A bad `ca_file` is told of once, where it stands.
            Err(problems) => errors.extend(
                problems
                    .into_iter()
                    .filter(|problem| problem.param == "url")
                    .map(|problem| ParamError::new(format!("patroni.{at}"), problem.message)),
            ),
        }
    }
    declared
}

/// The parameters that need no server and no file.
pub(super) fn check(config: &Config, errors: &mut Vec<ParamError>) {
    let mut names = std::collections::BTreeSet::new();
    for (at, name) in config.expect_standbys.iter().enumerate() {
        let problem = if name.trim().is_empty() {
            "is empty: write the application_name of a standby"
        } else if !names.insert(name) {
            "is there twice: every standby has an application_name of its own"
        } else {
            continue;
        };
        errors.push(ParamError::new(format!("expect_standbys.{at}"), problem));
    }
}
