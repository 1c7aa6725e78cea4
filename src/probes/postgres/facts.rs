//! The facts of the `postgres` kind.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::activity::{Connections, Transactions, Wraparound};
use super::archiver::Archiver;
use super::audit::Audit;
use super::canary::Canary;
use super::columns::EncryptedColumn;
use super::hba::Hba;
use super::indexes::Indexes;
use super::migrations::Migrations;
use super::patroni::Patroni;
use super::pooler::Pooler;
use super::privileges::Reader;
use super::queries::Query;
use super::replication::{ExpectedStandby, Slot, Standby, Sync};
use super::server::Server;
use super::settings::Setting;
use crate::evidence::Observed;

/// What was seen of the servers. Facts without a server in their path are the primary's.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    // --- servers and replication ---
    /// The primary's version as a number, such as 150020 for 15.20.
    pub server_version_num: Observed<i64>,
    /// The primary's system identifier: the same on all servers of a cluster.
    pub system_identifier: Observed<String>,
    /// The primary's timeline.
    pub timeline: Observed<i64>,
    /// Every server of the probe, the one declared as primary first.
    pub servers: Vec<Server>,
    /// The servers that accept writes beside the first one that does, and are copies of the same
    /// database cluster: two histories of the same data.
    pub split_brain: Observed<Vec<String>>,
    /// Who streams from the primary, as it sees them, without backups and initial copies.
    pub standbys: Observed<Vec<Standby>>,
    /// Each name of `expect_standbys`.
    pub expected_standbys: Vec<ExpectedStandby>,
    /// Synchronous replication as the primary has it.
    pub sync: Sync,
    /// The replication slots of the primary.
    pub slots: Observed<Vec<Slot>>,
    /// The archiver of the primary.
    pub archiver: Archiver,
    /// Connections in use.
    pub connections: Connections,
    /// Transactions that are open for long.
    pub transactions: Transactions,
    /// How far the oldest rows are from the end of transaction numbers.
    pub wraparound: Wraparound,
    /// Every declared setting on every server.
    pub settings: Vec<Setting>,
    /// A connection pooler in front of the primary.
    pub pooler: Pooler,
    /// What the declared REST APIs of Patroni say.
    pub patroni: Vec<Patroni>,
    /// A commit of our own.
    pub canary: Canary,
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

/// Whether something is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}
