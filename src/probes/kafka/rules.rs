//! The built-in rules of the `kafka` kind. Every threshold stands here, none in the code.

use super::config::Config;
use crate::probes::{RuleSpec, Severity};

/// In the order in which they are printed.
pub(super) const RULES: &[RuleSpec<Config>] = &[RuleSpec {
    name: "offline-partitions",
    expr: "offline_partitions == []",
    applies: None,
    severity: Severity::Must,
    why: "a partition without a leader can neither be written nor read",
    source: "Kafka: OfflinePartitionsCount",
    when: None,
}];
