//! What a store keeps and gives back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pack::Row;
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
        Marks::of(self).slot()
    }

    pub(super) fn from_row(row: &Row, probe: &Arc<str>, agent: Arc<str>) -> Self {
        Self {
            probe: Arc::clone(probe),
            started_at: row.started_at(),
            duration: row.duration(),
            outcome: row.marks.outcome(),
            result: row.marks.result(),
            must: row.marks.must(),
            excluded: row.marks.excluded(),
            agent,
        }
    }
}

/// What came out of a run, in nine bits: outcome, result, must, excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Marks(pub(super) u16);

impl Marks {
    pub(super) fn of(run: &RunRecord) -> Self {
        let outcome = match run.outcome {
            Outcome::Observed => 0,
            Outcome::TargetError => 1,
            Outcome::Denied => 2,
            Outcome::ProbeError => 3,
        };
        let result = status_code(run.result) << 2;
        let must = status_code(run.must) << 5;
        Self(outcome | result | must | u16::from(run.excluded) << 8)
    }

    pub(super) const fn outcome(self) -> Outcome {
        match self.0 & 3 {
            0 => Outcome::Observed,
            1 => Outcome::TargetError,
            2 => Outcome::Denied,
            _ => Outcome::ProbeError,
        }
    }

    pub(super) const fn result(self) -> Status {
        status(self.0 >> 2)
    }

    pub(super) const fn must(self) -> Status {
        status(self.0 >> 5)
    }

    pub(super) const fn excluded(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    pub(super) fn slot(self) -> Slot {
        let looked = matches!(self.outcome(), Outcome::Observed | Outcome::TargetError);
        let bad = self.outcome() == Outcome::TargetError || self.must() == Status::Fail;
        match () {
            () if self.excluded() => Slot::Excluded,
            () if looked && bad => Slot::Bad,
            // What its must rules ask was not seen: that is no evidence of good.
            () if !looked || self.must() == Status::Unknown => Slot::Unmeasured,
            () => Slot::Good,
        }
    }
}

const fn status_code(status: Status) -> u16 {
    match status {
        Status::Na => 0,
        Status::Pass => 1,
        Status::Warn => 2,
        Status::Unknown => 3,
        Status::Fail => 4,
    }
}

const fn status(code: u16) -> Status {
    match code & 7 {
        0 => Status::Na,
        1 => Status::Pass,
        2 => Status::Warn,
        4 => Status::Fail,
        // Also what no version has written: it says nothing.
        _ => Status::Unknown,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_what_the_run_saw() {
        use Outcome::{Denied, Observed, ProbeError, TargetError};
        use Status::{Fail, Na, Pass, Unknown, Warn};
        for (outcome, must, excluded, slot) in [
            (Observed, Pass, false, Slot::Good),
            (Observed, Na, false, Slot::Good),
            (Observed, Warn, false, Slot::Good),
            (Observed, Fail, false, Slot::Bad),
            (Observed, Unknown, false, Slot::Unmeasured),
            (TargetError, Fail, false, Slot::Bad),
            (TargetError, Pass, false, Slot::Bad),
            (Denied, Unknown, false, Slot::Unmeasured),
            (ProbeError, Unknown, false, Slot::Unmeasured),
            // A rule that fails over nothing that was seen is no evidence against the target.
            (ProbeError, Fail, false, Slot::Unmeasured),
            (TargetError, Fail, true, Slot::Excluded),
        ] {
            let run = RunRecord {
                probe: "p".into(),
                started_at: Timestamp::UNIX_EPOCH,
                duration: Duration::ZERO,
                outcome,
                result: must,
                must,
                excluded,
                agent: "a".into(),
            };
            assert_eq!(run.slot(), slot, "{outcome:?} {must} {excluded}");
            let marks = Marks::of(&run);
            let back = (
                marks.outcome(),
                marks.result(),
                marks.must(),
                marks.excluded(),
            );
            assert_eq!(back, (outcome, must, must, excluded));
        }
    }
}
