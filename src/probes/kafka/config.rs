//! The parameters of a `kafka` probe.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::controls::{Expected, Outsider};
use super::registry::RegistryParams;
use super::security::Security;
use crate::params::{DurationText, Guarded};

/// Parameters of a `kafka` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Brokers to start from, `host:port` each; the others of the cluster are learnt from them.
    pub(super) brokers: Vec<String>,
    /// How many brokers the cluster must have, at least.
    #[schemars(range(min = 1))]
    pub(super) expect_brokers: Option<u32>,
    /// Topics that must exist, and what they must be like.
    #[serde(default)]
    pub(super) topics: Vec<TopicParams>,
    /// Consumer groups that must exist, what they must consume and how far behind they may be.
    #[serde(default)]
    pub(super) groups: Vec<GroupParams>,
    /// How to connect and log in; without it PLAINTEXT.
    pub(super) security: Option<Security>,
    /// `refused`: a client without credentials must be turned away while the probe's own is served.
    pub(super) anonymous: Option<Expected>,
    /// `refused`: a client with the probe's user name and a wrong password must be turned away while
    /// the probe's own is served.
    pub(super) wrong_password: Option<Expected>,
    /// Another login, with the mechanism of `security`, that has no right to the declared topics: it
    /// must not see them, while the probe's own is served.
    pub(super) unauthorised: Option<Outsider>,
    /// A schema registry with Confluent's REST interface.
    pub(super) schema_registry: Option<RegistryParams>,
    /// Settings of librdkafka that have no parameter of their own, by the names of its
    /// CONFIGURATION.md.
    #[serde(default)]
    pub(super) librdkafka: BTreeMap<String, Setting>,
    /// How long to watch the groups, so that one that stands still or goes back is told from one
    /// that is busy. It is added to the timeout, and should be longer than the groups' interval of
    /// commits, which is 5 s by default.
    pub(super) observe_for: Option<DurationText>,
    /// Whether a canary may be written to and read from a topic of the probe's own.
    #[serde(default)]
    pub(super) allow_writes: bool,
}

/// A topic that must exist.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TopicParams {
    /// Its name.
    pub(super) name: String,
    /// How many partitions it has, exactly.
    #[schemars(range(min = 1))]
    pub(super) partitions: Option<u32>,
    /// How many replicas each of its partitions has, at least.
    #[schemars(range(min = 1))]
    pub(super) replication_factor: Option<u32>,
    /// Its `min.insync.replicas`, at least.
    #[schemars(range(min = 1))]
    pub(super) min_insync_replicas: Option<u32>,
}

/// A consumer group that must exist.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GroupParams {
    /// Its name (`group.id`).
    pub(super) name: String,
    /// The topics that it must consume.
    #[serde(default)]
    pub(super) topics: Vec<String>,
    /// How many records it may be behind, summed over the partitions of each topic.
    pub(super) max_lag: Option<u64>,
    /// How many members it must have, at least; without it one.
    #[schemars(range(min = 1))]
    pub(super) min_members: Option<u32>,
}

/// A value of a setting of librdkafka.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Setting {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Number(f64),
    /// Text.
    Text(Guarded),
}

impl Setting {
    /// As librdkafka reads it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => value.expose().to_owned(),
        }
    }
}
