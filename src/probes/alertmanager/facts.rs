//! What an `alertmanager` probe observes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Observed;

/// What one `alertmanager` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Every member that is declared; the first is `url`.
    pub nodes: Vec<Node>,
    /// The distinct configurations that the members run with, as SHA-256 of what each prints, in
    /// which secrets are blanked; unknown unless every member told.
    pub config_hashes: Observed<Vec<String>>,
    /// Every receiver of the running configuration.
    pub receivers: Observed<Vec<Receiver>>,
    /// The receivers that are declared.
    pub declared_receivers: Vec<Receiver>,
    /// The silences that are in force.
    pub silences_active: Observed<u64>,
    /// The alerts that fire, hidden ones included.
    pub alerts_firing: Observed<u64>,
    /// The alerts that fire and are hidden by a silence, an inhibition or a time interval.
    pub alerts_suppressed: Observed<u64>,
    /// The alerts that are declared.
    pub declared_alerts: Vec<DeclaredAlert>,
    /// The delivery canary.
    pub canary: CanaryFacts,
}

/// One member.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Node {
    /// Its base URL.
    pub url: String,
    /// Whether it says that it is ready; false too where nothing answers there.
    pub ready: Observed<bool>,
    /// Its version.
    pub version: Observed<String>,
    /// When it was started.
    pub started_at: Observed<Timestamp>,
    /// Whether its last reload of the configuration file worked; with false it runs on with the
    /// one before.
    pub reload_successful: Observed<bool>,
    /// SHA-256 of the configuration that it runs with, as it prints it: secrets blanked.
    pub config_hash: Observed<String>,
    /// What it says of its cluster: `ready`, `settling` or `disabled`.
    pub cluster_status: Observed<String>,
    /// How many members it knows, itself included.
    pub cluster_members: Observed<u64>,
    /// How many members it has lost and still tries to reach.
    pub cluster_failed_peers: Observed<u64>,
    /// How often it has tried to notify somebody since it was started, by all integrations.
    pub notification_requests: Observed<u64>,
    /// How often that failed; it tries again.
    pub notification_requests_failed: Observed<u64>,
}

/// A receiver.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// How many ways of notifying it has; 0: what reaches it is dropped.
    pub integrations: Observed<u64>,
    /// Whether an alert can reach it by some route, at this time of day or another within eight
    /// days; unknown where the patterns of routes do not allow to tell.
    pub reachable: Observed<bool>,
    /// What keeps all alerts from it; empty where one can reach it.
    pub obstacle: Observed<String>,
    /// How: the labels of an alert that reaches it, or which route takes all that it could get.
    pub why: String,
    /// Whether time intervals mute every such route at this moment; false where none is reached.
    pub muted_now: Observed<bool>,
}

/// A declared alert.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeclaredAlert {
    /// Its `alertname`.
    pub name: String,
    /// The silences in force that hide all such alerts, by their id.
    pub silenced_by: Observed<Vec<String>>,
    /// The silences in force that hide those whose further labels fit, by their id.
    pub partly_silenced_by: Observed<Vec<String>>,
    /// The alerts that fire and inhibit all such alerts.
    pub inhibited_by: Observed<Vec<String>>,
    /// The alerts that fire and inhibit those whose further labels fit.
    pub partly_inhibited_by: Observed<Vec<String>>,
    /// How many such alerts fire.
    pub firing: Observed<u64>,
    /// How many of these are hidden.
    pub suppressed: Observed<u64>,
    /// The receivers of an alert with the declared labels alone.
    pub receivers: Observed<Vec<String>>,
    /// Those of them that would notify somebody at this moment: with an integration, not muted.
    pub notifying_receivers: Observed<Vec<String>>,
}

/// What Alertmanager says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It is notified about.
    Active,
    /// It is hidden.
    Suppressed,
    /// It was not looked at yet.
    Unprocessed,
}

/// The delivery canary.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CanaryFacts {
    /// Whether its notification arrived at this probe. False where it cannot: it is silenced or
    /// inhibited, or the group wait is over. Unknown where it might still arrive.
    pub delivered: Observed<bool>,
    /// What kept the notification from arriving: the silences or alerts that hide it, the receivers that it went to
    /// instead, or the wait that is over; empty where it arrived.
    pub obstacle: Observed<String>,
    /// When it was posted, by the clock of this host.
    pub posted_at: Observed<Timestamp>,
    /// When its notification arrived, by the clock of this host.
    pub received_at: Observed<Timestamp>,
    /// From the one to the other, milliseconds.
    pub delivery_ms: Observed<f64>,
    /// The receiver that the notification names.
    pub received_from: Observed<String>,
    /// What Alertmanager said of it.
    pub state: Observed<AlertState>,
    /// The silences that hide it, by their id.
    pub silenced_by: Observed<Vec<String>>,
    /// The alerts that inhibit it, by their fingerprint.
    pub inhibited_by: Observed<Vec<String>>,
    /// The receivers that Alertmanager routes it to.
    pub receivers: Observed<Vec<String>>,
    /// Whether it was resolved in the end; where not, it ends by itself a minute after it was
    /// waited for.
    pub resolved: Observed<bool>,
    /// When that was accepted, by the clock of this host.
    pub resolved_at: Observed<Timestamp>,
    /// Whether the notification that it is resolved arrived too. It is waited for only where the route's
    /// `group_interval` lets it come in time; otherwise Alertmanager finds nobody listening, and logs that.
    pub resolved_received: Observed<bool>,
    /// Notifications about other alerts, and other requests, that arrived meanwhile: they do not count.
    pub others_received: Observed<u64>,
}
