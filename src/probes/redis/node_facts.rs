//! The facts of one data server.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::facts::{NodeCluster, PortState};
use crate::evidence::Observed;

/// One data server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Node {
    /// Host and port as declared, or as the cluster names them.
    pub address: String,
    /// Why it was asked.
    pub declared_as: DeclaredAs,
    /// Whether it answered; unknown where it refused us or we had no way there.
    pub state: Observed<State>,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// Whether it was reached over a loopback address, which only this host can do.
    pub is_loopback: Observed<bool>,
    /// What it made of our credentials.
    pub login: Observed<Login>,
    /// Whether the database that its URL names exists, as `SELECT` says; the first one always does.
    pub database_exists: Observed<bool>,
    /// What it answered to `PING`: a server that loads, is busy or refuses writes says so here.
    pub ping: Observed<Ping>,
    /// Milliseconds until the first of our commands was answered, connection not included.
    pub command_ms: Observed<f64>,
    /// Which server it is.
    pub flavour: Observed<Flavour>,
    /// Its version.
    pub version: Observed<String>,
    /// The id that it took when it started.
    pub run_id: Observed<String>,
    /// Whether it takes writes or copies another.
    pub role: Observed<Role>,
    /// Seconds since it started.
    pub uptime_seconds: Observed<i64>,
    /// Keys in all databases.
    pub keys: Observed<i64>,
    /// Why it refuses writes now, as its own figures say; empty when nothing speaks against them.
    pub writes_refused: Observed<Vec<Refusal>>,
    /// Its clients.
    pub clients: Clients,
    /// Its memory.
    pub memory: Memory,
    /// How its data survives a restart.
    pub persistence: Persistence,
    /// What is lost if it dies now.
    pub loss: Loss,
    /// Its place in replication.
    pub replication: Replication,
    /// Who gets in.
    pub security: Security,
    /// What its plaintext port beside TLS does; `open` where it is asked without TLS itself.
    pub plaintext_port: Observed<PortState>,
    /// Its slow log.
    pub slow_log: SlowLog,
    /// Its own view of the cluster.
    pub cluster: NodeCluster,
}

/// Why a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredAs {
    /// It is at `url`.
    Url,
    /// It is one of `replicas`.
    Replica,
    /// The node at `url` names it.
    ClusterNode,
}

/// What was met at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It answered at least one command.
    Answered,
    /// It refused the connection.
    Refused,
    /// Nothing came back to our connection attempt.
    Filtered,
    /// It accepted and then said nothing.
    Silent,
    /// It broke the connection, TLS or the protocol.
    Broken,
}

/// What a server made of our credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// It took them.
    Accepted,
    /// None are declared, and it asked for none.
    NotNeeded,
    /// It has no password at all: clients that send one are refused.
    NoPasswordSet,
}

/// What a server answers to `PING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ping {
    /// All is well, as far as `PING` knows.
    Pong,
    /// It still reads its data.
    Loading,
    /// A script or a module keeps it.
    Busy,
    /// It cannot save and refuses to go on.
    Misconf,
    /// A replica without its primary that serves nothing stale.
    Masterdown,
    /// Another error.
    Error,
}

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// A server's part in replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It copies another server.
    Replica,
}

/// Why writes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Memory is full and nothing may be evicted.
    Oom,
    /// The last snapshot or the last write of the append-only file failed.
    Misconf,
    /// Fewer good replicas than `min-replicas-to-write`.
    Noreplicas,
    /// The cluster is down.
    Clusterdown,
    /// It still reads its data.
    Loading,
}

/// The clients of a server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Clients {
    /// Connections of clients, ours included.
    pub connected: Observed<i64>,
    /// The most it takes.
    pub max: Observed<i64>,
    /// The share of that in use, from 0 to 1.
    pub used_ratio: Observed<f64>,
    /// Clients that wait in a blocking command.
    pub blocked: Observed<i64>,
    /// With `pool_size`: connections of ordinary clients, ours left out.
    pub pooled: Observed<i64>,
    /// Connections refused for want of room, since the server started.
    pub rejected_connections: Observed<i64>,
}

/// The memory of a server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Memory {
    /// Bytes in use, without the buffers that do not count against `maxmemory`.
    pub used_bytes: Observed<i64>,
    /// Bytes that the process holds.
    pub rss_bytes: Observed<i64>,
    /// `maxmemory`; 0 is none.
    pub maxmemory_bytes: Observed<i64>,
    /// The memory of its host.
    pub system_bytes: Observed<i64>,
    /// Used of `maxmemory`; without one, what the process holds of the host's memory.
    pub used_ratio: Observed<f64>,
    /// `maxmemory-policy`.
    pub policy: Observed<String>,
    /// Whether the policy finds anything to evict: never with `noeviction` or without keys, and with
    /// `volatile-…` only keys that expire.
    pub can_evict: Observed<bool>,
    /// The share of its keys that the policy may evict, from 0 to 1.
    pub evictable_ratio: Observed<f64>,
    /// What the process holds over what is in use.
    pub fragmentation_ratio: Observed<f64>,
    /// The same as a difference in bytes.
    pub fragmentation_bytes: Observed<i64>,
    /// Keys evicted since the server started.
    pub evicted_keys: Observed<i64>,
}

/// How data survives a restart.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Persistence {
    /// Whether the server reads its data still.
    pub loading: Observed<bool>,
    /// Snapshots.
    pub rdb: Rdb,
    /// The append-only file.
    pub aof: Aof,
}

/// Snapshots.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rdb {
    /// Whether any save point is set.
    pub enabled: Observed<bool>,
    /// The save points: after so many seconds, if so many changes.
    pub save_points: Observed<Vec<SavePoint>>,
    /// How the last one ended: `ok` alone is no proof that there was one.
    pub last_status: Observed<SaveStatus>,
    /// When the last one was taken, or read at the start; unknown where there is none.
    pub last_save_at: Observed<Timestamp>,
    /// Seconds since then; where none was ever taken, since the server started.
    pub last_save_age_seconds: Observed<i64>,
    /// Changes since then.
    pub changes_since: Observed<i64>,
    /// By how many seconds the most overdue save point has passed; 0 when none is due.
    pub overdue_seconds: Observed<i64>,
    /// Whether one is being taken.
    pub in_progress: Observed<bool>,
    /// Whether a failed one stops writes.
    pub failure_stops_writes: Observed<bool>,
}

/// A save point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SavePoint {
    /// After so many seconds.
    pub seconds: i64,
    /// If there were at least so many changes.
    pub changes: i64,
}

/// How the last snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaveStatus {
    /// It was written, or the data was read from one at the start.
    Ok,
    /// It failed.
    Err,
    /// There was none since the server started.
    Never,
}

/// The append-only file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Aof {
    /// Whether it is on.
    pub enabled: Observed<bool>,
    /// How the last write to it ended.
    pub last_write_status: Observed<AofStatus>,
    /// How its last rewrite ended.
    pub last_rewrite_status: Observed<AofStatus>,
    /// `appendfsync`.
    pub fsync: Observed<Fsync>,
    /// Writes that waited for a slow disk, since the server started.
    pub delayed_fsyncs: Observed<i64>,
    /// Whether it is being rewritten.
    pub rewrite_in_progress: Observed<bool>,
}

/// How something with the append-only file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AofStatus {
    /// Well.
    Ok,
    /// It failed.
    Err,
    /// The file is off, whatever the server says.
    Off,
}

/// When the append-only file is forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// With every write.
    Always,
    /// Every second.
    Everysec,
    /// When the system likes to.
    No,
}

/// What is lost if a server dies now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Loss {
    /// Whether all of its data is: nothing of it was ever written to disk.
    pub everything: Observed<bool>,
    /// Seconds since the last durable point; 0 when nothing changed since.
    pub seconds: Observed<f64>,
    /// Changes since then.
    pub changes: Observed<i64>,
}

/// A server's place in replication.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replication {
    /// The id of the history of data that it holds: equal on a primary and its replicas.
    pub replid: Observed<String>,
    /// How far it is in that history, bytes.
    pub offset: Observed<i64>,
    /// The offset at which it took over from another primary since it started; -1: it did not.
    pub promoted_at_offset: Observed<i64>,
    /// Of a replica: whether it is linked to its primary.
    pub link: Observed<Link>,
    /// Of a replica: its primary, `host:port`.
    pub primary: Observed<String>,
    /// Of a replica: seconds since the link broke; -1: it was never up.
    pub link_down_seconds: Observed<i64>,
    /// Of a replica: seconds since it heard from its primary; -1: never.
    pub last_io_seconds: Observed<i64>,
    /// Of a replica: whether it is copying all data.
    pub sync_in_progress: Observed<bool>,
    /// Of a replica: whether its data is of the primary at `url`, or in a cluster of one of the
    /// nodes asked.
    pub follows_primary: Observed<bool>,
    /// Of a replica: bytes behind its primary, as both ends say themselves.
    pub gap_bytes: Observed<i64>,
    /// The replicas that it feeds, as it sees them.
    pub replicas: Observed<Vec<Replica>>,
    /// Replicas needed before it takes writes (`min-replicas-to-write`).
    pub min_replicas_to_write: Observed<i64>,
}

/// A replica's link to its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It is there.
    Up,
    /// It is not.
    Down,
}

/// A replica as its primary sees it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Replica {
    /// Its address as the primary knows it.
    pub address: String,
    /// `online`, or how far its first copy is.
    pub state: Observed<String>,
    /// Whether it announces no port of its own: a tool that reads the stream, such as a backup, and
    /// no server. It acknowledges nothing.
    pub is_consumer: bool,
    /// The offset that it has acknowledged.
    pub offset: Observed<i64>,
    /// Bytes that it has not acknowledged.
    pub gap_bytes: Observed<i64>,
    /// Seconds since it acknowledged anything; a frozen one stays `online` and this grows.
    pub lag_seconds: Observed<i64>,
}

/// Who gets in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Security {
    /// What happens to a connection without credentials.
    pub anonymous: Observed<Anonymous>,
    /// Whether the ACL user `default` is on.
    pub default_user_enabled: Observed<bool>,
    /// Whether the ACL user `default` needs no password.
    pub default_user_nopass: Observed<bool>,
    /// Where connections without credentials are accepted: those of `FLUSHALL` and `CONFIG SET`
    /// that they may send.
    pub open_commands: Observed<Vec<String>>,
}

/// What happens to a connection without credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anonymous {
    /// It is answered.
    Accepted,
    /// It is refused in words.
    Refused,
}

/// The slow log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SlowLog {
    /// Its newest entries, at most 16, without the arguments of the commands.
    pub newest: Observed<Vec<SlowCommand>>,
    /// The slowest of them, milliseconds; 0 when there is none.
    pub slowest_ms: Observed<f64>,
}

/// A command that was slow.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SlowCommand {
    /// Its name.
    pub command: String,
    /// When it ran.
    pub at: Observed<Timestamp>,
    /// How long, milliseconds.
    pub ms: f64,
}
