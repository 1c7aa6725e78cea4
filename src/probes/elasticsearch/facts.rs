//! What an `elasticsearch` probe observes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;
use crate::probes::newest_line::App;

/// What one `elasticsearch` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// What it is: `elasticsearch` or `opensearch`.
    pub product: Observed<String>,
    /// Its version.
    pub version: Observed<String>,
    /// The state of the cluster.
    pub cluster_status: Observed<ClusterStatus>,
    /// How many nodes the cluster has.
    pub nodes: Observed<u64>,
    /// How many shards are not assigned to a node.
    pub unassigned_shards: Observed<u64>,
    /// The newest line of each application, by its name.
    pub apps: BTreeMap<String, App>,
    /// How old the newest line may be, in seconds, as declared.
    pub max_age_seconds: f64,
}

/// The state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClusterStatus {
    /// Every shard and every replica is there.
    Green,
    /// A replica is missing.
    Yellow,
    /// A primary shard is missing.
    Red,
}
