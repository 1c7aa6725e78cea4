//! What the calls return, as owned values.

/// A broker.
#[derive(Debug, Clone)]
pub(in super::super) struct NodeView {
    pub(in super::super) id: i32,
    pub(in super::super) host: String,
    pub(in super::super) port: u16,
    pub(in super::super) rack: Option<String>,
}

/// A cluster.
#[derive(Debug, Clone)]
pub(in super::super) struct ClusterView {
    pub(in super::super) id: String,
    pub(in super::super) controller: Option<i32>,
    pub(in super::super) nodes: Vec<NodeView>,
}

/// An error of a broker, or of librdkafka (negative codes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Refused {
    pub(in super::super) code: i32,
    pub(in super::super) text: String,
}

/// Codes that decide what is unknown and what is absent.
pub(in super::super) mod code {
    use rdkafka::types::RDKafkaErrorCode as Code;

    pub(in super::super::super) const TIMED_OUT: i32 = Code::OperationTimedOut as i32;
    /// A broker waited for another node in vain.
    pub(in super::super::super) const BROKER_TIMED_OUT: i32 = Code::RequestTimedOut as i32;
    pub(in super::super::super) const NOT_CONTROLLER: i32 = Code::NotController as i32;
    pub(in super::super::super) const UNKNOWN_TOPIC: i32 = Code::UnknownTopicOrPartition as i32;
    pub(in super::super::super) const TOPIC_DENIED: i32 = Code::TopicAuthorizationFailed as i32;
    pub(in super::super::super) const GROUP_DENIED: i32 = Code::GroupAuthorizationFailed as i32;
    pub(in super::super::super) const CLUSTER_DENIED: i32 = Code::ClusterAuthorizationFailed as i32;
    pub(in super::super::super) const GROUP_NOT_FOUND: i32 = Code::GroupIdNotFound as i32;
    pub(in super::super::super) const COORDINATOR_NOT_AVAILABLE: i32 =
        Code::CoordinatorNotAvailable as i32;
    pub(in super::super::super) const NOT_COORDINATOR: i32 = Code::NotCoordinator as i32;
    /// No question that can be asked here.
    pub(in super::super::super) const UNSUPPORTED: i32 = Code::UnsupportedFeature as i32;
}

/// A partition, as the brokers' metadata has it.
#[derive(Debug, Clone)]
pub(in super::super) struct PartitionView {
    pub(in super::super) partition: i32,
    /// The leader; negative: none.
    pub(in super::super) leader: i32,
    pub(in super::super) replicas: Vec<i32>,
    pub(in super::super) isr: Vec<i32>,
}

/// A topic, as the brokers' metadata has it.
#[derive(Debug, Clone)]
pub(in super::super) struct TopicView {
    pub(in super::super) name: String,
    pub(in super::super) partitions: Result<Vec<PartitionView>, Refused>,
}

/// A topic's effective setting.
#[derive(Debug, Clone)]
pub(in super::super) struct ConfigView {
    pub(in super::super) name: String,
    pub(in super::super) value: Option<String>,
    pub(in super::super) source: i32,
}

/// A group in the list of all.
#[derive(Debug, Clone)]
pub(in super::super) struct GroupListing {
    pub(in super::super) name: String,
    /// As the broker calls it; empty where it is too old to tell.
    pub(in super::super) state: String,
    /// Its protocol, as the broker calls it; empty where it is too old to tell.
    pub(in super::super) kind: String,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Place {
    pub(in super::super) topic: String,
    pub(in super::super) partition: i32,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub(in super::super) struct MemberView {
    pub(in super::super) id: String,
    pub(in super::super) client_id: String,
    pub(in super::super) host: String,
    pub(in super::super) partitions: Vec<Place>,
}

/// A group.
#[derive(Debug, Clone)]
pub(in super::super) struct GroupView {
    /// As the broker calls it.
    pub(in super::super) state: String,
    /// Its protocol, as brokers call it in the list of groups.
    pub(in super::super) kind: String,
    pub(in super::super) members: Vec<MemberView>,
}

/// An offset in a partition; negative: none.
#[derive(Debug, Clone)]
pub(in super::super) struct OffsetView {
    pub(in super::super) place: Place,
    pub(in super::super) offset: Result<i64, Refused>,
}
