//! The facts of the `redis` kind.

use schemars::JsonSchema;
use serde::Serialize;

pub use super::node_facts::*;
use crate::evidence::Observed;

/// What was seen of an installation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Every data server: the one at `url` first, then the declared replicas, or the other nodes of
    /// the cluster. Where the cluster does not tell its nodes, one entry of which nothing is known stands
    /// for them.
    pub nodes: Vec<Node>,
    /// How many of the declared replicas that say to follow the server at `url` no server lists as its replica.
    pub replicas_missing: Observed<i64>,
    /// Whether the servers that answered are as many as are declared: none answers at two addresses.
    pub nodes_distinct: Observed<bool>,
    /// Seconds of writes that are lost if the servers that take writes die now; the worst of them.
    pub loss_seconds: Observed<f64>,
    /// Changes that are lost if the servers that take writes die now, all of them together. With
    /// the append-only file only its unsynced tail is, which no server counts: then unknown.
    pub loss_changes: Observed<i64>,
    /// Every declared sentinel, in their order.
    pub sentinels: Vec<Sentinel>,
    /// Whether the sentinels that answered are as many processes.
    pub sentinels_distinct: Observed<bool>,
    /// Whether all sentinels that answered name the same primary, by address; unknown where one of
    /// several answered alone, or one is there and does not tell.
    pub sentinels_agree: Observed<bool>,
    /// The cluster, as its nodes see it.
    pub cluster: Cluster,
    /// The canary, with `allow_writes = true`.
    pub canary: Canary,
    /// The declared `pool_size`.
    pub pool_size: Observed<i64>,
    /// What the plaintext ports beside TLS do: `open` when that of any server is.
    pub plaintext_port: Observed<PortState>,
    /// Whether an earlier run of this probe is known; never in a single run.
    pub has_earlier_run: bool,
    /// What happened since the last run.
    pub since_last_run: SinceLastRun,
}

/// A node's own view of its cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeCluster {
    /// `cluster_state`.
    pub state: Observed<ClusterState>,
    /// Slots that are assigned to a node that is up.
    pub slots_ok: Observed<i64>,
    /// Slots that are assigned at all.
    pub slots_assigned: Observed<i64>,
    /// Slots whose node is, or may be, down.
    pub slots_failing: Observed<i64>,
    /// The epoch that it knows.
    pub current_epoch: Observed<i64>,
    /// Nodes that it knows.
    pub known_nodes: Observed<i64>,
    /// With `cluster`: slots that it is giving to another node.
    pub migrating_slots: Observed<Vec<i64>>,
    /// With `cluster`: slots that it is taking from another node.
    pub importing_slots: Observed<Vec<i64>>,
}

/// Whether a cluster works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// It does.
    Ok,
    /// It does not.
    Fail,
}

/// The cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cluster {
    /// Whether the server at `url` is a node of one.
    pub enabled: Observed<bool>,
    /// Every primary that has slots, as the node at `url` sees it.
    pub shards: Observed<Vec<Shard>>,
    /// Whether all nodes know the same epoch.
    pub epochs_agree: Observed<bool>,
    /// Whether all nodes know the same number of nodes.
    pub members_agree: Observed<bool>,
    /// Whether two primaries claim their slots in the same epoch.
    pub epoch_collision: Observed<bool>,
    /// Slots that the node at `url` gives to another owner than the owner itself: clients are sent to and fro.
    pub disputed_slots: Observed<Vec<i64>>,
}

/// A primary with its slots.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Shard {
    /// The primary's address.
    pub primary: String,
    /// How many slots it has.
    pub slots: i64,
    /// Its replicas that are connected and not failing.
    pub replicas: i64,
    /// The epoch in which it took its slots.
    pub epoch: i64,
}

/// A sentinel.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sentinel {
    /// Host and port as declared.
    pub address: String,
    /// Whether it answered; unknown where it refused us or we had no way there.
    pub state: Observed<State>,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// What it answered to `SENTINEL CKQUORUM`.
    pub quorum: Observed<Quorum>,
    /// The same in its words.
    pub quorum_text: Observed<String>,
    /// The id that it took when it started.
    pub run_id: Observed<String>,
    /// The primary that it names, `host:port`.
    pub primary: Observed<String>,
    /// The run id of that primary, as the sentinel knows it.
    pub primary_run_id: Observed<String>,
    /// Whether that is the server at `url`, by run id; by address where the sentinel has not read the
    /// run id yet.
    pub names_url: Observed<bool>,
    /// Whether it holds the primary for down.
    pub primary_down: Observed<bool>,
    /// Whether a failover is going on.
    pub failover_in_progress: Observed<bool>,
    /// The epoch of the primary's configuration: it grows with every failover.
    pub config_epoch: Observed<i64>,
    /// Replicas of the primary that it knows, also those that are down.
    pub replicas: Observed<i64>,
    /// Other sentinels that it knows, also those that are down.
    pub other_sentinels: Observed<i64>,
    /// How many sentinels must agree that the primary is down.
    pub required: Observed<i64>,
    /// Whether its clock jumped, so that it does nothing for now.
    pub tilt: Observed<bool>,
}

/// Whether sentinels could agree on, and carry out, a failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quorum {
    /// They could.
    Ok,
    /// Too few of them are usable (`NOQUORUM`).
    NotReached,
    /// The sentinel knows no primary of that name.
    NoSuchMaster,
}

/// The canary: a key of its own, written, read on replicas and deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Canary {
    /// What became of each write: one on a single primary, one on each primary of a cluster.
    pub writes: Vec<CanaryWrite>,
    /// What became of it on each replica.
    pub reads: Vec<CanaryRead>,
    /// Whether all that was written was deleted again; else it expires within seconds.
    pub deleted: Observed<bool>,
}

/// A write of the canary.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CanaryWrite {
    /// The server.
    pub address: String,
    /// What became of it; unknown where the probe's user may not write.
    pub result: Observed<WriteResult>,
    /// The server's words where it was not written; empty otherwise.
    pub error: String,
    /// Milliseconds until it was acknowledged.
    pub write_ms: Observed<f64>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteResult {
    /// It is written.
    Written,
    /// Memory is full.
    Oom,
    /// The server cannot persist and refuses writes.
    Misconf,
    /// Too few replicas are connected.
    Noreplicas,
    /// The server is a replica.
    Readonly,
    /// The cluster is down.
    Clusterdown,
    /// The server loads or is busy.
    Unavailable,
    /// No answer came.
    Silent,
    /// The server could not be reached.
    Unreachable,
    /// Another error.
    Error,
}

/// A read of the canary on a replica.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CanaryRead {
    /// The replica.
    pub address: String,
    /// Whether the value was there in time; unknown where the probe's user may not read it.
    pub seen: Observed<bool>,
    /// Milliseconds from the write's acknowledgement until it was seen there.
    pub replicated_ms: Observed<f64>,
}

/// What a port does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortState {
    /// It answers.
    Open,
    /// It refuses or is silent, while the TLS port answered; or the server has none.
    Closed,
}

/// What happened since the last run of this probe. A server that restarted meanwhile counts from its start.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SinceLastRun {
    /// Keys evicted, on all servers.
    pub evicted_keys: Observed<i64>,
    /// Connections refused for want of room, on all servers.
    pub rejected_connections: Observed<i64>,
    /// Writes that waited for a slow disk, on all servers.
    pub delayed_fsyncs: Observed<i64>,
    /// Whether the server at `url` restarted.
    pub restarted: Observed<bool>,
    /// Failovers by the sentinels.
    pub failovers: Observed<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FactSchema;

    #[test]
    fn rules_can_be_checked_against_the_facts() {
        FactSchema::of::<Facts>().expect("a schema of facts");
    }
}
