//! What a store keeps and gives back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::slots::Slot;
use crate::evidence::{Envelope, Outcome};
use crate::judge::Status;

/// One run of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The probe's id.
    pub probe: Arc<str>,
    /// When it began, UTC; kept to the microsecond.
    pub started_at: Timestamp,
    /// All its attempts together; kept to the microsecond.
    pub duration: Duration,
    /// Whether it could look.
    pub outcome: Outcome,
    /// The fold of its enabled rules.
    pub result: Status,
    /// The fold of its must rules: it decides whether a slot is bad.
    pub must: Status,
    /// Whether it ran in a maintenance window.
    pub excluded: bool,
    /// The agent that ran it.
    pub agent: Arc<str>,
}

impl RunRecord {
    /// What this run alone makes of its slot.
    pub fn slot(&self) -> Slot {
        let looked = matches!(self.outcome, Outcome::Observed | Outcome::TargetError);
        let bad = self.outcome == Outcome::TargetError || self.must == Status::Fail;
        match () {
            () if self.excluded => Slot::Excluded,
            () if looked && bad => Slot::Bad,
            // What its must rules ask was not seen: that is no evidence of good.
            () if !looked || self.must == Status::Unknown => Slot::Unmeasured,
            () => Slot::Good,
        }
    }
}

/// What must be known of a probe after a restart, and what the other agents of a shared store see of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// The probe's id.
    pub probe: Arc<str>,
    /// The parameters that it ran with: evidence of others is none.
    pub params_digest: String,
    /// What its last run saw, already redacted.
    pub envelope: Arc<Envelope>,
    /// What the agent wants to know again.
    pub state: serde_json::Value,
    /// Given by the store, growing; what a caller records here is ignored.
    pub version: i64,
}

/// Which runs of a probe are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// The probe's id.
    pub probe: String,
    /// The earliest start.
    pub from: Option<Timestamp>,
    /// The start before which they are, itself not included.
    pub to: Option<Timestamp>,
    /// The most runs of a page.
    pub limit: usize,
    /// [`RunPage::next`] of the page before.
    pub cursor: Option<String>,
}

/// Runs, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunRecord>,
    /// Where there are more: the cursor of the next page.
    pub next: Option<String>,
}
