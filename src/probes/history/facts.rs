//! What a window adds up to.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;

/// Facts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Slots in which the target was seen, and as the must rules of the probe want it.
    pub(super) good: u64,
    /// Slots in which the target erred or a must rule of the probe failed.
    pub(super) bad: u64,
    /// Slots in which nothing ran or the probe could not look: not good, and not bad.
    pub(super) unmeasured: u64,
    /// Slots in a declared maintenance window.
    pub(super) excluded: u64,
    /// good / (good + bad); unknown where nothing was measured.
    pub(super) point: Observed<f64>,
    /// good / (all − excluded), as if what was not measured had been bad; unknown where all is excluded.
    pub(super) lower_bound: Observed<f64>,
    /// (all − excluded − bad) / (all − excluded), as if what was not measured had been good.
    pub(super) upper_bound: Observed<f64>,
    /// The share of good slots, where every slot of the window was measured or excluded.
    pub(super) availability: Observed<f64>,
    /// When the objective can be decided at the earliest, if all is good from now on; the end of the window
    /// where it is decided.
    pub(super) decidable_at: Observed<Timestamp>,
    /// The declared objective.
    pub(super) objective: Observed<f64>,
    /// Where the window begins, UTC.
    pub(super) window_start: Timestamp,
    /// Where it ends, UTC: the end of the last slot that is over.
    pub(super) window_end: Timestamp,
    /// Its length.
    pub(super) window_seconds: f64,
    /// The length of a slot.
    pub(super) slot_seconds: f64,
    /// The digest that is deployed, where that is known.
    pub(super) deployed_digest: Observed<String>,
    /// Since when: slots before it are unmeasured.
    pub(super) deployed_since: Observed<Timestamp>,
    /// How fast the last hour uses up the budget of the window: its share of bad slots over 1 − objective.
    /// At 1 the budget lasts exactly one window.
    pub(super) burn_rate_1h: Observed<f64>,
    /// The same of the last six hours.
    pub(super) burn_rate_6h: Observed<f64>,
    /// The same of the last three days.
    pub(super) burn_rate_3d: Observed<f64>,
    /// The slots that say something: good and bad.
    pub(super) samples: u64,
    /// bad / (good + bad); where `max_error_rate` is declared, known only once the samples suffice to tell on
    /// which side of it the error rate is.
    pub(super) error_rate: Observed<f64>,
    /// The largest error rate that the samples do not rule out, at 95 %: without an error below 0.001 from
    /// 2,995 samples on.
    pub(super) error_rate_at_most: f64,
    /// The smallest error rate that the samples do not rule out, at 95 %.
    pub(super) error_rate_at_least: f64,
    /// The declared highest error rate.
    pub(super) max_error_rate: Observed<f64>,
    /// For how long, up to the end of the window, every slot was good or excluded.
    pub(super) good_seconds: f64,
    /// How long before the end of the window its last bad slot ended; the whole window where all of it was
    /// measured and nothing bad.
    pub(super) seconds_since_bad: Observed<f64>,
    /// The declared time without a bad slot.
    pub(super) stable_for_seconds: Observed<f64>,
}
