//! What an item was like lately: its worst result in each period of its schedule.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::judge::Status;

/// So many periods are remembered.
const MOST: usize = 60;

/// The worst results of an item by period, the oldest first. A period in which nobody looked is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strip {
    period_us: i64,
    /// The period of the newest result, counted from the epoch.
    newest: i64,
    results: Vec<Status>,
}

impl Strip {
    /// Adds what an item is at a moment. Another period begins the strip anew.
    pub(super) fn add(&mut self, at: Timestamp, period: Duration, result: Status) {
        let period_us = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
        let now = at.as_microsecond().div_euclid(period_us);
        // Also where a clock was set back, or what is remembered makes no sense.
        if self.period_us != period_us || self.newest > now {
            *self = Self {
                period_us,
                newest: now,
                results: vec![result],
            };
            return;
        }
        self.fill(now);
        if let Some(newest) = self.results.last_mut().filter(|_| self.newest == now) {
            *newest = newest.and(result);
            return;
        }
        self.newest = now;
        self.results.push(result);
        self.cut();
    }

    /// The results up to a moment; whether the period in which it lies is over is not known yet.
    pub(super) fn until(&self, at: Timestamp) -> Vec<Status> {
        let mut shown = self.clone();
        if self.period_us > 0 {
            shown.fill(at.as_microsecond().div_euclid(self.period_us));
        }
        shown.results
    }

    /// Nobody looked between the newest result and a period.
    fn fill(&mut self, period: i64) {
        let missed = period.saturating_sub(self.newest).saturating_sub(1);
        let missed = usize::try_from(missed).unwrap_or(0).min(MOST);
        if missed > 0 {
            self.results.extend(vec![Status::Unknown; missed]);
            self.newest = period - 1;
            self.cut();
        }
    }

    fn cut(&mut self) {
        let surplus = self.results.len().saturating_sub(MOST);
        self.results.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Fail, Pass, Unknown};

    const PERIOD: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + seconds).expect("a timestamp")
    }

    fn strip(seen: &[(i64, Status)]) -> Strip {
        let mut strip = Strip::default();
        for (seconds, result) in seen {
            strip.add(at(*seconds), PERIOD, *result);
        }
        strip
    }

    #[test]
    fn a_period_is_as_its_worst_moment() {
        let strip = strip(&[(0, Pass), (3, Fail), (9, Pass), (10, Pass)]);
        assert_eq!(strip.until(at(12)), [Fail, Pass]);
    }

    #[test]
    fn what_nobody_looked_at_is_unknown() {
        let strip = strip(&[(0, Pass), (35, Pass)]);
        assert_eq!(strip.until(at(36)), [Pass, Unknown, Unknown, Pass]);
        assert_eq!(
            strip.until(at(61)),
            [Pass, Unknown, Unknown, Pass, Unknown, Unknown]
        );
    }

    #[test]
    fn it_is_bounded_and_survives_any_clock() {
        let many: Vec<_> = (0..200).map(|period| (period * 10, Pass)).collect();
        let mut strip = strip(&many);
        assert_eq!(strip.until(at(1_995)), [Pass; MOST]);
        assert_eq!(strip.until(at(1_000_000)), [Unknown; MOST]);
        strip.add(at(5), PERIOD, Fail);
        assert_eq!(strip.until(at(5)), [Fail]);
        strip.add(at(5), PERIOD * 2, Pass);
        assert_eq!(strip.until(at(5)), [Pass]);
        assert!(Strip::default().until(at(0)).is_empty());
    }
}
