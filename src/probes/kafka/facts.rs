//! What a `kafka` probe sees.

use schemars::JsonSchema;
use serde::Serialize;

use super::canary::CanaryFacts;
use super::controls::ControlFacts;
use super::registry::RegistryFacts;
use crate::evidence::Observed;

/// What one `kafka` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// The id of the cluster.
    pub cluster_id: Observed<String>,
    /// The broker that takes requests for the controller. Under `KRaft` any broker does, so this is
    /// not the leader of the controllers' quorum.
    pub controller_id: Observed<i32>,
    /// Whether the controller answered. Where it does not, brokers go on telling what they last knew,
    /// and nothing that they do not complain of is known to be sound.
    pub controller_answers: Observed<bool>,
    /// The leader of the controllers' quorum; the client library cannot ask for it.
    pub quorum_leader_id: Observed<i32>,
    /// Partitions that are being moved; the client library cannot ask for them.
    pub reassigning_partitions: Observed<Vec<String>>,
    /// Bytes of each broker's log directories; the client library cannot ask for them.
    pub log_dirs: Observed<Vec<String>>,
    /// Whether the probe's own client was served: the positive control of what others are refused.
    pub served: bool,
    /// The brokers that are registered with the controller; unknown where it is silent.
    pub brokers: Observed<Vec<Broker>>,
    /// How many of them are alive: registered, and not found out of reach.
    pub broker_count: Observed<usize>,
    /// How many brokers there must be, at least; 0: not declared.
    pub expected_brokers: u32,
    /// How many topics the probe may see.
    pub topic_count: Observed<usize>,
    /// How many partitions they have.
    pub partition_count: Observed<usize>,
    /// Partitions without a leader, as `TOPIC-PARTITION`.
    pub offline_partitions: Observed<Vec<String>>,
    /// Partitions with fewer in-sync replicas than replicas.
    pub under_replicated_partitions: Observed<Vec<String>>,
    /// Partitions with fewer in-sync replicas than their topic's `min.insync.replicas`.
    pub under_min_isr_partitions: Observed<Vec<String>>,
    /// Partitions with exactly as many in-sync replicas as their topic's `min.insync.replicas`, and
    /// fewer than replicas: one failure from refusing writes.
    pub at_min_isr_partitions: Observed<Vec<String>>,
    /// Topics in which a replica that is not in sync may become the leader.
    pub unclean_topics: Observed<Vec<String>>,
    /// The share of partitions that the broker with the most leads, over an equal share: 1 is even.
    pub leader_skew: Observed<f64>,
    /// The declared topics.
    pub topics: Vec<Topic>,
    /// The declared groups.
    pub groups: Vec<Group>,
    /// All groups that the probe may see.
    pub listed_groups: Observed<Vec<ListedGroup>>,
    /// Clients that may not be served.
    #[serde(flatten)]
    pub controls: ControlFacts,
    /// The schema registry.
    pub schema_registry: Observed<RegistryFacts>,
    /// The canary.
    pub canary: Observed<CanaryFacts>,
}

/// A broker that is registered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// The host that it advertises.
    pub host: String,
    /// The port that it advertises.
    pub port: i32,
    /// The rack that it is in.
    pub rack: Observed<String>,
    /// How many partitions it leads.
    pub leads: Observed<usize>,
    /// Whether it serves the probe at the address that it advertises: clients go there, whatever
    /// address they started from.
    pub reachable: Observed<bool>,
}

/// A declared topic.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether there is such a topic.
    pub exists: Observed<bool>,
    /// How many partitions it has.
    pub partition_count: Observed<usize>,
    /// How many it must have; 0: not declared.
    pub expected_partitions: u32,
    /// How many replicas each partition must have, at least; 0: not declared.
    pub expected_replication_factor: u32,
    /// What its `min.insync.replicas` must be, at least; 0: not declared.
    pub expected_min_insync_replicas: u32,
    /// Its partitions.
    pub partitions: Observed<Vec<Partition>>,
    /// Its effective `min.insync.replicas`.
    pub min_insync_replicas: Observed<i64>,
    /// Where that comes from.
    pub min_insync_replicas_source: Observed<ConfigSource>,
    /// Whether a replica that is not in sync may become the leader.
    pub unclean_leader_election: Observed<bool>,
    /// Where that comes from.
    pub unclean_leader_election_source: Observed<ConfigSource>,
    /// Its effective `cleanup.policy`: `delete`, `compact` or both.
    pub cleanup_policy: Observed<String>,
    /// Where that comes from.
    pub cleanup_policy_source: Observed<ConfigSource>,
    /// Its effective `retention.ms`; -1: for ever.
    pub retention_ms: Observed<i64>,
    /// Where that comes from.
    pub retention_ms_source: Observed<ConfigSource>,
    /// Its effective `retention.bytes` per partition; -1: no bound.
    pub retention_bytes: Observed<i64>,
    /// Where that comes from.
    pub retention_bytes_source: Observed<ConfigSource>,
}

/// A partition of a declared topic.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; unknown where it has none.
    pub leader: Observed<i32>,
    /// The brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

/// Where a topic's effective setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// The topic itself.
    Topic,
    /// A broker, set while it runs.
    DynamicBroker,
    /// All brokers, set while they run.
    DynamicDefaultBroker,
    /// The broker's file.
    StaticBroker,
    /// Kafka's own default.
    Default,
}

/// A declared group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whether there is such a group.
    pub exists: Observed<bool>,
    /// Its state.
    pub state: Observed<GroupState>,
    /// The protocol that its members speak.
    pub protocol: Observed<GroupProtocol>,
    /// How many members it has.
    pub member_count: Observed<usize>,
    /// How many it must have, at least.
    pub expected_members: u32,
    /// Its members.
    pub members: Observed<Vec<Member>>,
    /// Whether `max_lag` is declared.
    pub lag_bounded: bool,
    /// How many records it may be behind in each topic.
    pub max_lag_records: Observed<u64>,
    /// The topics that it must consume.
    pub topics: Vec<GroupTopic>,
}

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Members are joining.
    PreparingRebalance,
    /// Partitions are being handed out.
    CompletingRebalance,
    /// Partitions are being handed out by the broker.
    Assigning,
    /// Members let go of partitions and take others.
    Reconciling,
    /// Every member has its partitions.
    Stable,
    /// There is no such group, or it is being removed.
    Dead,
    /// It has no members.
    Empty,
}

/// The protocol that the members of a group speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// The first one, in which a member hands out the partitions.
    Classic,
    /// That of KIP-848, in which the broker does.
    Consumer,
    /// That of share groups, in which several members read the same partition.
    Share,
    /// That of Kafka Streams (KIP-1071).
    Streams,
}

/// A member of a group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Member {
    /// Its id, which the broker made.
    pub id: String,
    /// The name that it gives itself.
    pub client_id: String,
    /// The address that it connects from.
    pub host: String,
    /// The partitions that it has, as `TOPIC-PARTITION`.
    pub partitions: Vec<String>,
}

/// A topic that a group must consume.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupTopic {
    /// Its name.
    pub topic: String,
    /// How many records the group is behind, summed over all partitions.
    pub lag_records: Observed<u64>,
    /// The same over the partitions of which it is known, where there is one at least.
    pub known_lag_records: Observed<u64>,
    /// Partitions that hold records and in which the group has committed nothing.
    pub uncommitted_partitions: Observed<Vec<i32>>,
    /// Partitions in which the group's offset lies beyond the end of the log.
    pub beyond_end_partitions: Observed<Vec<i32>>,
    /// Partitions that no member of the group has.
    pub unassigned_partitions: Observed<Vec<i32>>,
    /// Records that were removed before the group had read them, summed over all partitions.
    pub removed_unread_records: Observed<u64>,
    /// Its partitions.
    pub partitions: Observed<Vec<GroupPartition>>,
}

/// How far a group is in one partition.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupPartition {
    /// Its number.
    pub partition: i32,
    /// The offset that the group goes on from.
    pub committed_offset: Observed<i64>,
    /// The offset of the oldest record that is left.
    pub log_start_offset: Observed<i64>,
    /// The offset that the next record will have.
    pub log_end_offset: Observed<i64>,
    /// Records between what the group has read and the end, without those that are removed.
    pub lag_records: Observed<u64>,
    /// Records that were removed before the group had read them.
    pub removed_unread_records: Observed<u64>,
    /// How the group moves; unknown from a single look.
    pub lag_state: Observed<LagState>,
}

/// How a group moves in a partition, over a window of looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LagState {
    /// It reads, or there is nothing to read.
    Ok,
    /// It reads, and falls further behind with every look.
    FallingBehind,
    /// It commits nothing though there are records to read.
    Stalled,
    /// Its offset went back.
    Rewound,
}

/// A group that the probe may see.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListedGroup {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: Observed<GroupState>,
    /// The protocol that its members speak.
    pub protocol: Observed<GroupProtocol>,
}
