//! What a run of `prometheus` observes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;

/// Facts of a `prometheus` probe.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// The server's version; empty where it was built without one.
    pub version: Observed<String>,
    /// The server's clock, by its own `time()`.
    pub server_time: Observed<Timestamp>,
    /// When the server started.
    pub started_at: Observed<Timestamp>,
    /// Whether the last load of the configuration succeeded. `/-/healthy` says yes either way.
    pub reload_ok: Observed<bool>,
    /// When the configuration that is in force was loaded.
    pub config_loaded_at: Observed<Timestamp>,
    /// Alerting and recording rules together.
    pub rule_count: Observed<u64>,
    /// Alerting rules.
    pub alert_count: Observed<u64>,
    /// The declared `min_rules`.
    pub min_rules: Observed<u64>,
    /// The declared `min_alerts`.
    pub min_alerts: Observed<u64>,
    /// The declared `min_alertmanagers`.
    pub min_alertmanagers: Observed<u64>,
    /// The rule groups.
    pub groups: Observed<Vec<GroupFacts>>,
    /// All rules.
    pub rules: Observed<Vec<RuleFacts>>,
    /// What the rules select, each once; alternatives of an `or` are one. Not among them is what may be
    /// absent: arguments of `absent()`, the right side of `unless`, what has `or vector(0)` beside it.
    pub selectors: Observed<Vec<SelectorFacts>>,
    /// Active targets.
    pub target_count: Observed<u64>,
    /// Active targets whose last scrape failed; at most a thousand, else unknown.
    pub targets_down: Observed<Vec<TargetFacts>>,
    /// Active targets that have not been scraped yet.
    pub targets_unscraped: Observed<u64>,
    /// The declared `jobs`.
    pub jobs: Observed<Vec<JobFacts>>,
    /// The declared `targets`.
    pub inventory: Observed<Vec<InventoryFacts>>,
    /// The retention that is in force, as the server writes it: `15d`, `15d or 1GiB`.
    pub retention_configured: Observed<String>,
    /// The retention by time, seconds; not applicable where size alone limits it.
    pub retention_seconds: Observed<f64>,
    /// The oldest sample that the server has.
    pub oldest_sample_at: Observed<Timestamp>,
    /// The age of the oldest sample by the server's clock, seconds.
    pub oldest_sample_age_seconds: Observed<f64>,
    /// Blocks that were deleted because of size since the server started.
    pub size_retentions: Observed<u64>,
    /// Whether the configured retention reaches the declared `retention`.
    pub retention_flag_reaches: Observed<bool>,
    /// Whether the oldest sample reaches the declared `retention`; of a server that is younger it is unknown,
    /// and the reason says from when on it can be known.
    pub retention_data_reaches: Observed<bool>,
    /// The Alertmanagers that the server lists.
    pub alertmanagers: Observed<Vec<AlertmanagerFacts>>,
    /// Alertmanagers that were discovered and dropped by relabelling.
    pub alertmanagers_dropped: Observed<u64>,
    /// Whether the server scrapes itself, and so knows what it did in the last ten minutes.
    pub scrapes_itself: Observed<bool>,
    /// What the notification facts are counted over, of the Alertmanagers that are still listed.
    pub notifications_over: Observed<NotificationsOver>,
    /// Alerts that were sent to Alertmanagers, or tried to.
    pub notifications_tried: Observed<f64>,
    /// The share of notifications that failed, 0 to 1.
    pub notification_error_ratio: Observed<f64>,
    /// Alerts that were dropped since the server started; some at its start are normal.
    pub notifications_dropped: Observed<f64>,
    /// Alerts of the last ten minutes that were dropped, because no Alertmanager took them; unknown where some
    /// were dropped since the start and the server does not scrape itself.
    pub notifications_dropped_recently: Observed<f64>,
    /// Series in the head of the database.
    pub head_series: Observed<u64>,
    /// Corruptions of the database since the server started.
    pub corruption_count: Observed<u64>,
    /// Compactions, reloads, truncations and log writes of the database that failed since the server started.
    pub tsdb_failures: Observed<u64>,
    /// The declared queries: a number where the result is a scalar or exactly one series; otherwise unknown,
    /// with the reason.
    pub queries: BTreeMap<String, Observed<f64>>,
    /// All series of the declared queries that give a vector; at most a thousand each, else unknown.
    pub series: BTreeMap<String, Observed<Vec<SeriesFacts>>>,
}

/// What notifications are counted over.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationsOver {
    /// The last ten minutes: the server scrapes itself.
    TenMinutes,
    /// All the time since the server started.
    SinceStart,
}

/// One rule group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupFacts {
    /// The group's name.
    pub name: String,
    /// The file that holds it.
    pub file: String,
    /// The rules in it.
    pub rules: u64,
    /// Its interval, seconds.
    pub interval_seconds: f64,
    /// How long its last evaluation took, seconds.
    pub evaluation_seconds: Observed<f64>,
    /// When it was last evaluated.
    pub last_evaluation_at: Observed<Timestamp>,
    /// How long ago that was by the server's clock, seconds, at the least.
    pub lag_seconds: Observed<f64>,
}

/// One rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RuleFacts {
    /// The alert's name, or the metric that is recorded.
    pub name: String,
    /// Its group.
    pub group: String,
    /// What it makes.
    pub kind: RuleKind,
    /// How its last evaluation went; unknown before its first.
    pub health: Observed<RuleHealth>,
    /// What went wrong in the last evaluation; empty: nothing.
    pub last_error: String,
}

/// What a rule makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Alerts.
    Alerting,
    /// Series.
    Recording,
}

/// How the last evaluation of a rule went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleHealth {
    /// Well.
    Ok,
    /// With an error.
    Err,
}

/// A selector of rules, or alternatives of which one is enough.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SelectorFacts {
    /// The selector: `errors_total{code="500"}`; alternatives are joined by ` or `.
    pub name: String,
    /// Rules that use it, ten at most.
    pub rules: Vec<String>,
    /// Whether it selects any series.
    pub state: Observed<SelectorState>,
}

/// Whether a selector selects any series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SelectorState {
    /// No series, now or in the last hour (or its own range where that is longer).
    Missing,
    /// None now, but a recording rule of that name is evaluated and has no output: what that rule selects
    /// is judged for itself.
    Recorded,
    /// None now, some in the last hour or its own range.
    Recent,
    /// There are series now.
    Present,
}

/// A target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetFacts {
    /// The `instance` label.
    pub name: String,
    /// The `job` label.
    pub job: String,
    /// The URL that is scraped, without user info and what its query holds.
    pub url: String,
    /// What went wrong.
    pub last_error: String,
}

/// A declared job.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobFacts {
    /// The job.
    pub name: String,
    /// How it is; unknown while a target has not been scraped, or not for a while, and none is down.
    pub state: Observed<JobState>,
    /// Its active targets.
    pub targets: u64,
    /// Those whose last scrape succeeded, and was not long ago.
    pub up: u64,
    /// Those whose last scrape failed.
    pub down: u64,
    /// Those that were last scraped more than three of their intervals ago by the server's clock.
    pub stale: Observed<u64>,
    /// Targets that were discovered and dropped by relabelling; asked for where there is no other.
    pub dropped: Observed<u64>,
    /// What went wrong, of the first target that is down.
    pub last_error: String,
}

/// How a declared job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It has targets and all are up.
    Up,
    /// A target is down.
    Down,
    /// There is no target: it is not configured, or its discovery finds nothing.
    Absent,
    /// Its discovery finds targets, and relabelling drops them all.
    Dropped,
}

/// A declared target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InventoryFacts {
    /// As declared.
    pub name: String,
    /// How it is; unknown while it has not been scraped, or not for a while.
    pub state: Observed<InventoryState>,
    /// What went wrong; empty: nothing.
    pub last_error: String,
}

/// How a declared target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InventoryState {
    /// Its last scrape succeeded.
    Up,
    /// Its last scrape failed.
    Down,
    /// It is not scraped.
    Absent,
}

/// An Alertmanager that the server lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertmanagerFacts {
    /// Where alerts are sent, without user info and what a query holds.
    pub url: String,
    /// Whether it answers. It is asked from here; where that cannot be (its name does not resolve here, there is
    /// no route, it is on the server's own loopback, it wants a login, its certificate is not trusted here), the
    /// server's word counts that it took all notifications of the last ten minutes.
    pub answers: Observed<bool>,
    /// Alerts sent since the server started; version 2 counts those that failed too.
    pub sent: Observed<f64>,
    /// Errors since the server started: failed batches, from version 3 on failed alerts.
    pub errors: Observed<f64>,
}

/// A series of a query's result.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SeriesFacts {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; unknown where that is no finite number.
    pub value: Observed<f64>,
}
