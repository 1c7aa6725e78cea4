//! The built-in rules of the `kafka` kind. Every threshold stands here, none in the code.

use super::config::Config;
use super::{canary, controls, registry};
use crate::probes::{Condition, RuleSpec, Severity};

const fn rule(
    name: &'static str,
    severity: Severity,
    expr: &'static str,
    why: &'static str,
    source: &'static str,
    when: Option<Condition<Config>>,
) -> RuleSpec<Config> {
    RuleSpec {
        name,
        expr,
        applies: None,
        severity,
        why,
        source,
        when,
    }
}

const TOPICS: Option<Condition<Config>> = Some(Condition {
    text: "`topics` are declared",
    holds: |config| !config.topics.is_empty(),
});
const GROUPS: Option<Condition<Config>> = Some(Condition {
    text: "`groups` are declared",
    holds: |config| !config.groups.is_empty(),
});
const WATCHED: Option<Condition<Config>> = Some(Condition {
    text: "`groups` and `observe_for` are declared",
    holds: |config| !config.groups.is_empty() && config.observe_for.is_some(),
});

use Severity::{Must, Should};

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[
    rule(
        "brokers",
        Must,
        "broker_count >= expected_brokers",
        "dead brokers vanish from the cluster's metadata; only the declared number shows that they are missed",
        "definition",
        Some(Condition {
            text: "`expect_brokers` is declared",
            holds: |config| config.expect_brokers.is_some(),
        }),
    ),
    rule(
        "brokers-reachable",
        Must,
        "brokers.all(b, b.reachable)",
        "clients are sent to the address that a broker advertises: one that does not serve there is lost to them, however alive it looks to the others",
        "Apache Kafka documentation: advertised.listeners",
        None,
    ),
    rule(
        "controller",
        Must,
        "controller_answers",
        "without a controller no leader is elected, and brokers go on telling what they last knew",
        "Kafka documentation, monitoring: ActiveControllerCount",
        None,
    ),
    rule(
        "offline-partitions",
        Must,
        "offline_partitions == []",
        "a partition without a leader can neither be written nor read",
        "Kafka documentation, monitoring: OfflinePartitionsCount",
        None,
    ),
    rule(
        "under-min-isr",
        Must,
        "under_min_isr_partitions == []",
        "acks=all no longer means what min.insync.replicas says: such writes are refused, or, where a topic has fewer replicas than that, taken by fewer",
        "Kafka documentation, monitoring: UnderMinIsrPartitionCount",
        None,
    ),
    rule(
        "under-replicated",
        Should,
        "under_replicated_partitions == []",
        "a replica that lags or is gone protects nothing",
        "Kafka documentation, monitoring: UnderReplicatedPartitions",
        None,
    ),
    rule(
        "topics-exist",
        Must,
        "topics.all(t, t.exists)",
        "a declared topic that is missing has no data",
        "definition",
        TOPICS,
    ),
    rule(
        "partitions",
        Must,
        "topics.all(t, t.expected_partitions == 0 || t.partition_count == t.expected_partitions)",
        "another number of partitions sends keys elsewhere and bounds the number of consumers",
        "definition",
        Some(Condition {
            text: "a topic declares `partitions`",
            holds: |config| config.topics.iter().any(|topic| topic.partitions.is_some()),
        }),
    ),
    rule(
        "replication-factor",
        Must,
        "topics.all(t, t.expected_replication_factor == 0 || t.partitions.all(p, p.replicas.size() >= t.expected_replication_factor))",
        "every partition must survive the declared number of brokers lost, not only the first one",
        "definition",
        Some(Condition {
            text: "a topic declares `replication_factor`",
            holds: |config| {
                config
                    .topics
                    .iter()
                    .any(|topic| topic.replication_factor.is_some())
            },
        }),
    ),
    rule(
        "min-insync-replicas",
        Must,
        "topics.all(t, t.expected_min_insync_replicas == 0 || t.min_insync_replicas >= t.expected_min_insync_replicas)",
        "below it acks=all acknowledges a write that too few brokers hold",
        "definition",
        Some(Condition {
            text: "a topic declares `min_insync_replicas`",
            holds: |config| {
                config
                    .topics
                    .iter()
                    .any(|topic| topic.min_insync_replicas.is_some())
            },
        }),
    ),
    rule(
        "declared-topics-in-sync",
        Must,
        "topics.all(t, t.partitions.all(p, p.isr.size() == p.replicas.size()))",
        "a declared topic must have all of its replicas in sync",
        "definition",
        TOPICS,
    ),
    rule(
        "unclean-leader-election",
        Must,
        "topics.all(t, !t.unclean_leader_election)",
        "a replica that is behind and becomes the leader loses acknowledged records",
        "Kafka documentation, topic configuration: unclean.leader.election.enable",
        TOPICS,
    ),
    rule(
        "groups-exist",
        Must,
        "groups.all(g, g.exists)",
        "a declared group that is missing consumes nothing",
        "definition",
        GROUPS,
    ),
    rule(
        "members",
        Must,
        "groups.all(g, g.member_count >= g.expected_members)",
        "a group without members consumes nothing",
        "definition",
        GROUPS,
    ),
    rule(
        "assigned",
        Should,
        "groups.all(g, g.member_count == 0 || g.topics.all(t, t.unassigned_partitions == []))",
        "a partition that no member has is not consumed; while a group rebalances that is so for a moment",
        "definition",
        GROUPS,
    ),
    rule(
        "committed",
        Must,
        "groups.all(g, g.topics.all(t, t.uncommitted_partitions == []))",
        "a group that has committed nothing where there are records may never have read them",
        "definition",
        GROUPS,
    ),
    rule(
        "within-log",
        Must,
        "groups.all(g, g.topics.all(t, t.beyond_end_partitions == []))",
        "an offset beyond the end of the log is that of another log: the topic was made anew, or lost its end",
        "definition",
        GROUPS,
    ),
    rule(
        "lag",
        Must,
        "groups.all(g, !g.lag_bounded || g.topics.all(t, t.lag_records <= g.max_lag_records && t.known_lag_records <= g.max_lag_records))",
        "what is not read in time is late for whom it is for",
        "the declared `max_lag`",
        Some(Condition {
            text: "a group declares `max_lag`",
            holds: |config| config.groups.iter().any(|group| group.max_lag.is_some()),
        }),
    ),
    rule(
        "removed-unread",
        Must,
        "groups.all(g, g.topics.all(t, t.removed_unread_records == 0))",
        "retention removed records before the group had read them: to the group they are lost",
        "definition",
        GROUPS,
    ),
    rule(
        "stalled",
        Must,
        "groups.all(g, g.topics.all(t, t.partitions.all(p, p.lag_state != 'stalled')))",
        "a group that commits nothing while there are records to read stands still, however small its lag",
        "Burrow: consumer lag evaluation rules",
        WATCHED,
    ),
    rule(
        "rewound",
        Must,
        "groups.all(g, g.topics.all(t, t.partitions.all(p, p.lag_state != 'rewound')))",
        "an offset that goes back has records processed twice",
        "Burrow: consumer lag evaluation rules",
        WATCHED,
    ),
    rule(
        "keeps-up",
        Should,
        "groups.all(g, g.topics.all(t, t.partitions.all(p, p.lag_state != 'falling_behind')))",
        "a group whose lag grows with every look reads more slowly than records come",
        "Burrow: consumer lag evaluation rules",
        WATCHED,
    ),
    controls::ANONYMOUS,
    controls::WRONG_PASSWORD,
    controls::UNAUTHORISED,
    registry::ANSWERS,
    registry::SUBJECTS,
    registry::COMPATIBILITY,
    registry::NEWEST_RECORD,
    canary::RETURNS,
    canary::PRODUCE_TIME,
    canary::ROUND_TRIP_TIME,
];
