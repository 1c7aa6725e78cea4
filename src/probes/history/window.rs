//! What the slots of a window add up to. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::history::Slot;

/// A moment in microseconds of the epoch, and back.
pub(super) fn at(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::MAX)
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The slots of a window, the oldest first, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) slots: Vec<Slot>,
    pub(super) end_us: i64,
    pub(super) slot_us: i64,
}

impl Window {
    /// The last `count` of `slots`, which end at `end_us`. Slots that ended after `settled_us` and in which
    /// nothing was recorded yet are awaited: the window ends before them.
    pub(super) fn settled(
        mut slots: Vec<Slot>,
        mut end_us: i64,
        slot_us: i64,
        count: usize,
        settled_us: i64,
    ) -> Self {
        while end_us > settled_us && slots.len() > count && slots.last() == Some(&Slot::Unmeasured)
        {
            slots.pop();
            end_us -= slot_us;
        }
        let surplus = slots.len().saturating_sub(count);
        slots.drain(..surplus);
        Self {
            slots,
            end_us,
            slot_us,
        }
    }

    /// Where a slot begins.
    fn begin_of(&self, index: usize) -> i64 {
        let behind = i64::try_from(self.slots.len() - index).unwrap_or(i64::MAX);
        self.end_us - behind.saturating_mul(self.slot_us)
    }

    pub(super) fn begin_us(&self) -> i64 {
        self.begin_of(0)
    }

    /// What began before the deployment tells nothing of what is deployed.
    pub(super) fn forget_before(&mut self, since_us: i64) {
        for index in 0..self.slots.len() {
            if self.begin_of(index) >= since_us {
                return;
            }
            self.slots[index] = Slot::Unmeasured;
        }
    }

    /// Where nothing ran and maintenance was declared for all of the slot, it is excluded.
    pub(super) fn exclude(&mut self, from_us: i64, to_us: i64) {
        for index in 0..self.slots.len() {
            let begin = self.begin_of(index);
            if begin >= from_us
                && begin + self.slot_us <= to_us
                && self.slots[index] == Slot::Unmeasured
            {
                self.slots[index] = Slot::Excluded;
            }
        }
    }

    /// How many there are of each.
    pub(super) fn tally(&self) -> Tally {
        Tally::of(&self.slots)
    }

    /// The same of the last so long; `None`: the window is shorter.
    pub(super) fn tally_of_last(&self, part: Duration) -> Option<Tally> {
        let count = usize::try_from(micros(part) / self.slot_us).ok()?;
        let begin = self.slots.len().checked_sub(count)?;
        Some(Tally::of(&self.slots[begin..]))
    }

    /// For how long, up to the end, no slot was anything but good or excluded.
    pub(super) fn good_for(&self) -> Duration {
        let good = self.slots.iter().rev();
        let good = good.take_while(|slot| matches!(slot, Slot::Good | Slot::Excluded));
        self.long(good.count())
    }

    /// How long ago the last bad slot ended; `None`: there is none.
    pub(super) fn since_bad(&self) -> Option<Duration> {
        let after = self.slots.iter().rev().position(|slot| *slot == Slot::Bad);
        after.map(|count| self.long(count))
    }

    pub(super) fn long(&self, slots: usize) -> Duration {
        let us = i64::try_from(slots)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.slot_us);
        Duration::from_micros(u64::try_from(us).unwrap_or(0))
    }

    /// The earliest end of a window of this length that is decided, if all slots to come are good: now,
    /// where this one is.
    pub(super) fn decidable_at(&self, objective: f64) -> i64 {
        let tally = self.tally();
        if tally.upper_bound().is_some_and(|upper| upper < objective) {
            return self.end_us;
        }
        let mut sliding = tally;
        let mut end_us = self.end_us;
        let mut leaving = self.slots.iter();
        loop {
            if sliding
                .lower_bound()
                .is_some_and(|lower| lower >= objective)
            {
                return end_us;
            }
            let Some(slot) = leaving.next() else {
                return end_us;
            };
            sliding.remove(*slot);
            sliding.good += 1;
            end_us += self.slot_us;
        }
    }
}

/// Slots by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) unmeasured: u64,
    pub(super) excluded: u64,
}

impl Tally {
    fn of(slots: &[Slot]) -> Self {
        let mut tally = Self::default();
        for slot in slots {
            *tally.count(*slot) += 1;
        }
        tally
    }

    fn count(&mut self, slot: Slot) -> &mut u64 {
        match slot {
            Slot::Good => &mut self.good,
            Slot::Bad => &mut self.bad,
            Slot::Unmeasured => &mut self.unmeasured,
            Slot::Excluded => &mut self.excluded,
        }
    }

    fn remove(&mut self, slot: Slot) {
        *self.count(slot) -= 1;
    }

    const fn all(&self) -> u64 {
        self.good + self.bad + self.unmeasured
    }

    /// good / (good + bad)
    pub(super) fn point(&self) -> Option<f64> {
        share(self.good, self.good + self.bad)
    }

    /// good / (all − excluded): as if all that was not measured had been bad.
    pub(super) fn lower_bound(&self) -> Option<f64> {
        share(self.good, self.all())
    }

    /// As if all that was not measured had been good.
    pub(super) fn upper_bound(&self) -> Option<f64> {
        share(self.all() - self.bad, self.all())
    }

    /// bad / (good + bad)
    pub(super) fn error_rate(&self) -> Option<f64> {
        share(self.bad, self.good + self.bad)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a window has far fewer slots than 2^52"
)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The chance that a claim about an error rate is wrong.
const RISK: f64 = 0.05;

/// The largest error rate under which so few errors in so many samples are not surprising (one-sided,
/// exact): zero errors prove less than 0.1 % at 95 % only from 2,995 samples on.
pub(super) fn at_most(errors: u64, samples: u64) -> f64 {
    if errors >= samples {
        return 1.0;
    }
    bisect(|rate| at_most_so_many(errors, samples, rate) > RISK)
}

/// The smallest error rate under which so many errors are not surprising.
pub(super) fn at_least(errors: u64, samples: u64) -> f64 {
    if errors == 0 {
        return 0.0;
    }
    bisect(|rate| 1.0 - at_most_so_many(errors - 1, samples, rate) < RISK)
}

/// The rate at which `is_below` turns false.
fn bisect(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability of at most `errors` in `samples` at this rate, term by term in logarithms: the first
/// is too small for a number where samples are many.
#[expect(
    clippy::cast_precision_loss,
    reason = "a window has far fewer slots than 2^52"
)]
fn at_most_so_many(errors: u64, samples: u64, rate: f64) -> f64 {
    let n = samples as f64;
    let odds = rate.ln() - (-rate).ln_1p();
    let mut term = n * (-rate).ln_1p();
    let mut sum = term.exp();
    for k in 1..=errors {
        let k = k as f64;
        term += odds + ((n - k + 1.0) / k).ln();
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Slot::{Bad, Excluded, Good, Unmeasured};

    fn window(slots: &[Slot]) -> Window {
        Window {
            slots: slots.to_vec(),
            end_us: 1_000,
            slot_us: 10,
        }
    }

    fn slot() -> impl Strategy<Value = Slot> {
        prop::sample::select(vec![Good, Bad, Unmeasured, Excluded])
    }

    #[test]
    fn what_was_not_measured_is_not_good() {
        let tally = window(&[Good, Good, Good, Bad, Unmeasured, Excluded]).tally();
        assert_eq!(tally.point(), Some(0.75));
        assert_eq!(tally.lower_bound(), Some(0.6));
        assert_eq!(tally.upper_bound(), Some(0.8));
        assert_eq!(window(&[Excluded]).tally().lower_bound(), None);
        assert_eq!(window(&[Unmeasured]).tally().point(), None);
    }

    #[test]
    fn it_is_decided_when_enough_of_what_is_not_good_has_left() {
        // Ten slots, nine must be good: the second unmeasured one must leave.
        let mut slots = [Good; 10];
        slots[2] = Unmeasured;
        slots[5] = Unmeasured;
        assert_eq!(window(&slots).decidable_at(0.9), 1_000 + 3 * 10);
        assert_eq!(window(&[Good; 10]).decidable_at(0.9), 1_000);
        assert_eq!(window(&[Bad; 10]).decidable_at(0.9), 1_000, "it has failed");
        assert_eq!(window(&[Unmeasured; 10]).decidable_at(1.0), 1_000 + 100);
    }

    #[test]
    fn a_slot_that_may_still_be_recorded_is_awaited() {
        let slots = vec![Good, Good, Good, Unmeasured];
        let awaited = Window::settled(slots.clone(), 40, 10, 3, 35);
        assert_eq!(
            (awaited.slots.as_slice(), awaited.end_us),
            (&[Good; 3][..], 30)
        );
        let settled = Window::settled(slots, 40, 10, 3, 45);
        assert_eq!(settled.slots, [Good, Good, Unmeasured]);
    }

    #[test]
    fn a_deployment_begins_the_window_anew() {
        let mut window = window(&[Good, Bad, Good, Good]);
        window.forget_before(975);
        // They begin at 960, 970, 980 and 990.
        assert_eq!(window.slots, [Unmeasured, Unmeasured, Good, Good]);
    }

    #[test]
    fn maintenance_excludes_whole_slots_in_which_nothing_ran() {
        let mut window = window(&[Unmeasured, Unmeasured, Bad, Unmeasured]);
        window.exclude(965, 995);
        assert_eq!(window.slots, [Unmeasured, Excluded, Bad, Unmeasured]);
    }

    #[test]
    fn stability_is_counted_from_the_end() {
        let seen = window(&[Good, Bad, Good, Excluded, Good]);
        assert_eq!(seen.good_for(), Duration::from_micros(30));
        assert_eq!(seen.since_bad(), Some(Duration::from_micros(30)));
        assert_eq!(window(&[Good, Unmeasured, Good]).since_bad(), None);
        assert_eq!(
            window(&[Good, Unmeasured, Good]).good_for(),
            Duration::from_micros(10)
        );
    }

    #[test]
    fn an_error_rate_needs_enough_samples() {
        assert!(at_most(0, 2_995) < 0.001);
        assert!(at_most(0, 2_994) > 0.001);
        assert!((at_most(1, 100) - 0.0466).abs() < 1e-3);
        assert!((at_least(10, 100) - 0.0552).abs() < 1e-3);
        assert!((at_most(0, 0) - 1.0).abs() < f64::EPSILON);
        assert!(at_most(100, 1_000_000) < 0.000_13);
    }

    proptest! {
        #[test]
        fn the_bounds_hold_the_point(slots in prop::collection::vec(slot(), 1..100)) {
            let tally = window(&slots).tally();
            prop_assert_eq!(tally.all() + tally.excluded, slots.len() as u64);
            if let (Some(lower), Some(upper)) = (tally.lower_bound(), tally.upper_bound()) {
                prop_assert!(lower <= upper);
                if let Some(point) = tally.point() {
                    prop_assert!(lower <= point && point <= upper);
                }
            }
        }

        #[test]
        fn what_is_decided_is_decided_now(
            slots in prop::collection::vec(slot(), 1..100), objective in 0.5..1.0_f64
        ) {
            let window = window(&slots);
            let tally = window.tally();
            let decided = tally.lower_bound().is_some_and(|lower| lower >= objective)
                || tally.upper_bound().is_some_and(|upper| upper < objective);
            prop_assert_eq!(window.decidable_at(objective) == window.end_us, decided);
            let count = i64::try_from(slots.len()).expect("a count");
            let longest = window.end_us + count * window.slot_us;
            prop_assert!(window.decidable_at(objective) <= longest);
        }
    }
}
