//! The facts of the `postgres` kind.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::audit::Audit;
use super::columns::EncryptedColumn;
use super::hba::Hba;
use super::indexes::Indexes;
use super::migrations::Migrations;
use super::privileges::Reader;
use super::queries::Query;
use crate::evidence::Observed;

/// What was seen of the servers. Facts without a server in their path are the primary's.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    // --- servers and replication ---
    /// The primary's version as a number, such as 150020 for 15.20.
    pub server_version_num: Observed<i64>,
    /// Every server of the probe, the one declared as primary first.
    pub servers: Vec<Server>,
    // --- roles, columns, migrations, indexes, queries ---
    /// The roles that `readers` names, and what they could write.
    pub readers: Observed<Vec<Reader>>,
    /// With `audit = "pgaudit"`: what pgaudit does.
    pub audit: Observed<Audit>,
    /// The columns that `encrypted_columns` names, and what their values look like.
    pub encrypted_columns: Observed<Vec<EncryptedColumn>>,
    /// With `migrations`: the heads of the directory and the revisions of the database.
    pub migrations: Observed<Migrations>,
    /// The indexes of the database of the connection string.
    pub indexes: Observed<Indexes>,
    /// What the SQL of `queries` gave, by name.
    pub queries: BTreeMap<String, Query>,
    /// With `hba = "restricted"`: `pg_hba.conf` of every server.
    pub hba: Observed<Vec<Hba>>,
}

/// What a server is, or is declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It accepts writes.
    Primary,
    /// It replays the WAL of another server.
    Standby,
}

/// One server.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Server {
    /// Host and port as configured.
    pub name: String,
    /// What it is declared as.
    pub declared: Role,
    /// Why it could not be asked: refused, silent, not trusted; empty where it could. Unknown
    /// where the login was refused, with the SQLSTATE, or where we could not look.
    pub connect_error: Observed<String>,
    /// Whether our connection to it has TLS.
    pub encrypted: Observed<bool>,
    /// Its version as a number, such as 150020 for 15.20.
    pub server_version_num: Observed<i64>,
    /// What it is: whether it is in recovery.
    pub role: Observed<Role>,
}
