//! The facts of the `postgres` kind.

use schemars::JsonSchema;
use serde::Serialize;

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
