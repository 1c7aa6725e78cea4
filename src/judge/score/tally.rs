//! Weights added up.

use super::{Basis, ScoreItem, Shares};
use crate::judge::Status;

/// The sums of a set of items.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) applicable: usize,
    total: f64,
    unknown: f64,
    /// Unknown and not waived: what may still be reached.
    open: f64,
    derived: f64,
    attested: f64,
}

/// Keeps sums of weights finite.
const MAX_WEIGHT: f64 = 1e9;

impl Tally {
    pub(super) fn add(&mut self, item: &ScoreItem) {
        if item.status == Status::Na {
            return;
        }
        let weight = if item.weight >= 0.0 {
            item.weight.min(MAX_WEIGHT)
        } else {
            1.0
        };
        self.applicable += 1;
        self.total += weight;
        let value = match item.status {
            Status::Pass => 1.0,
            Status::Warn => 0.5,
            Status::Na | Status::Unknown | Status::Fail => 0.0,
        };
        if item.status == Status::Unknown {
            self.unknown += weight;
        }
        if item.waived {
            return;
        }
        if item.status == Status::Unknown {
            self.open += weight;
        }
        match item.basis {
            Basis::Derived => self.derived += weight * value,
            Basis::Attested => self.attested += weight * value,
        }
    }

    pub(super) fn shares(&self) -> Option<Shares> {
        if self.total <= 0.0 {
            return None;
        }
        let share = |part: f64| (part / self.total).clamp(0.0, 1.0);
        Some(Shares {
            low: share(self.derived + self.attested),
            high: share(self.derived + self.attested + self.open),
            coverage: share(self.total - self.unknown),
            derived: share(self.derived),
            attested: share(self.attested),
        })
    }
}
