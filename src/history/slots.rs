//! Slots: time on a fixed grid that begins with the epoch, each slot good, bad, unmeasured or excluded.
//! Pure; a slot is a set of what was seen in it, so that neither order nor repetition counts.

use std::time::Duration;

use jiff::Timestamp;

/// What a slot is. The order is the order of the fold: what was seen in a slot twice is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Nothing ran, or the probe could not look.
    Unmeasured,
    /// Everything in it ran in a maintenance window.
    Excluded,
    /// The target was seen, and as its must rules want it.
    Good,
    /// The target erred, or a must rule of the probe failed.
    Bad,
}

impl Slot {
    const fn code(self) -> u8 {
        match self {
            Self::Unmeasured => 0,
            Self::Excluded => 1,
            Self::Good => 2,
            Self::Bad => 3,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => Self::Unmeasured,
            1 => Self::Excluded,
            2 => Self::Good,
            _ => Self::Bad,
        }
    }
}

/// A row of slots on the grid, all unmeasured to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    begin_us: i64,
    slot_us: i64,
    slots: Vec<Slot>,
}

impl Grid {
    /// From `from` up to, without, `to`. A part of a slot at either end is no slot.
    pub(super) fn new(from: Timestamp, to: Timestamp, slot: Duration) -> Self {
        let slot_us = i64::try_from(slot.as_micros()).unwrap_or(i64::MAX).max(1);
        let begin = from.as_microsecond().div_euclid(slot_us)
            + i64::from(from.as_microsecond().rem_euclid(slot_us) != 0);
        let end = to.as_microsecond().div_euclid(slot_us);
        let count = usize::try_from(end.saturating_sub(begin)).unwrap_or(0);
        Self {
            begin_us: begin.saturating_mul(slot_us),
            slot_us,
            slots: vec![Slot::Unmeasured; count],
        }
    }

    /// Adds what was seen at a moment; one outside of the row is left out.
    pub(super) fn add(&mut self, at_us: i64, seen: Slot) {
        let at = at_us.saturating_sub(self.begin_us).div_euclid(self.slot_us);
        if let Some(slot) = usize::try_from(at)
            .ok()
            .and_then(|at| self.slots.get_mut(at))
        {
            *slot = (*slot).max(seen);
        }
    }

    /// From its begin to its end, in microseconds.
    pub(super) fn span_us(&self) -> (i64, i64) {
        let count = i64::try_from(self.slots.len()).unwrap_or(i64::MAX);
        let end = self
            .begin_us
            .saturating_add(count.saturating_mul(self.slot_us));
        (self.begin_us, end)
    }

    /// Whether its slots are made of whole minutes.
    pub(super) const fn is_of_minutes(&self) -> bool {
        self.slot_us % MINUTE_US == 0
    }

    pub(super) fn into_slots(self) -> Vec<Slot> {
        self.slots
    }
}

/// Minutes of a day.
const MINUTES: usize = 1_440;
/// Microseconds of a minute.
pub(super) const MINUTE_US: i64 = 60_000_000;
/// Microseconds of a day.
pub(super) const DAY_US: i64 = 86_400_000_000;

/// The minutes of one day, two bits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackedDay(Vec<u8>);

impl Default for PackedDay {
    fn default() -> Self {
        Self(vec![0; MINUTES / 4])
    }
}

impl PackedDay {
    /// As it was stored; what is too short is unmeasured.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut day = Self::default();
        day.0
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        day
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds what was seen in a minute of the day.
    pub(super) fn add(&mut self, minute: usize, seen: Slot) {
        if let Some(byte) = self.0.get_mut(minute / 4) {
            let shift = minute % 4 * 2;
            let slot = Slot::from_code(*byte >> shift).max(seen);
            *byte = *byte & !(3 << shift) | slot.code() << shift;
        }
    }

    /// Adds what was seen of the same day elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        for minute in 0..MINUTES {
            self.add(minute, other.slot(minute));
        }
    }

    fn slot(&self, minute: usize) -> Slot {
        let byte = self.0.get(minute / 4).copied().unwrap_or(0);
        Slot::from_code(byte >> (minute % 4 * 2))
    }

    /// Adds the minutes of the day that begins at `day_us` to a row whose slots are whole minutes.
    pub(super) fn add_to(&self, day_us: i64, grid: &mut Grid) {
        let minutes_per_slot = usize::try_from(grid.slot_us / MINUTE_US)
            .unwrap_or(1)
            .max(1);
        // Where the row begins within this day, or this day within the row, in minutes.
        let offset = (day_us - grid.begin_us).div_euclid(MINUTE_US);
        let skip = usize::try_from(-offset).unwrap_or(0).min(MINUTES);
        let at = usize::try_from(offset).unwrap_or(0);
        for (at, minute) in (at..).zip(skip..MINUTES) {
            let Some(slot) = grid.slots.get_mut(at / minutes_per_slot) else {
                return;
            };
            let code = self
                .0
                .get(minute / 4)
                .map_or(0, |byte| byte >> (minute % 4 * 2));
            *slot = (*slot).max(Slot::from_code(code));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot() -> impl Strategy<Value = Slot> {
        prop::sample::select(vec![
            Slot::Unmeasured,
            Slot::Excluded,
            Slot::Good,
            Slot::Bad,
        ])
    }

    /// Runs of two days around a midnight, in microseconds from the midnight before.
    fn seen() -> impl Strategy<Value = Vec<(i64, Slot)>> {
        prop::collection::vec((0..2 * DAY_US, slot()), 0..80)
    }

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(20_000 * DAY_US + us).expect("a timestamp")
    }

    fn grid(from_us: i64, to_us: i64, minutes: u64) -> Grid {
        Grid::new(at(from_us), at(to_us), Duration::from_secs(60 * minutes))
    }

    fn direct(seen: &[(i64, Slot)], mut grid: Grid) -> Vec<Slot> {
        for (us, slot) in seen {
            grid.add(20_000 * DAY_US + us, *slot);
        }
        grid.into_slots()
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_counts(
            seen in seen(), from in 0..DAY_US, minutes in 1..90_u64
        ) {
            let grid = grid(from, 2 * DAY_US, minutes);
            let once = direct(&seen, grid.clone());
            let mut again: Vec<_> = seen.iter().rev().copied().collect();
            again.extend(&seen);
            prop_assert_eq!(direct(&again, grid), once);
        }

        #[test]
        fn packed_days_say_what_the_runs_say(
            seen in seen(), from in 0..DAY_US, to in DAY_US..2 * DAY_US, minutes in 1..90_u64
        ) {
            let mut days = [PackedDay::default(), PackedDay::default()];
            for (us, slot) in &seen {
                let day = usize::try_from(us / DAY_US).expect("a day");
                let minute = usize::try_from(us % DAY_US / MINUTE_US).expect("a minute");
                days[day].add(minute, *slot);
                days[day] = PackedDay::from_bytes(days[day].as_bytes());
            }
            let mut packed = grid(from, to, minutes);
            for (day, of_day) in (20_000..).zip(&days) {
                of_day.add_to(day * DAY_US, &mut packed);
            }
            prop_assert_eq!(packed.into_slots(), direct(&seen, grid(from, to, minutes)));
        }

        #[test]
        fn a_grid_is_the_same_wherever_it_is_cut(
            seen in seen(), from in 0..DAY_US, cut in DAY_US..2 * DAY_US, minutes in 1..90_u64
        ) {
            let whole = direct(&seen, grid(from, 2 * DAY_US, minutes));
            let first = direct(&seen, grid(from, cut, minutes));
            prop_assert_eq!(&whole[..first.len()], &first[..]);
        }
    }

    #[test]
    fn the_worst_that_was_seen_is_what_a_slot_is() {
        use Slot::{Bad, Excluded, Good, Unmeasured};
        let add = |seen: &[Slot]| {
            let runs: Vec<_> = seen.iter().map(|slot| (30, *slot)).collect();
            direct(&runs, grid(0, MINUTE_US, 1))[0]
        };
        assert_eq!(add(&[]), Unmeasured);
        assert_eq!(add(&[Good, Bad]), Bad);
        assert_eq!(add(&[Good, Unmeasured]), Good);
        assert_eq!(add(&[Excluded, Unmeasured]), Excluded);
        // What ran outside of the maintenance counts, at its edges too.
        assert_eq!(add(&[Excluded, Bad]), Bad);
    }

    #[test]
    fn days_of_23_hours_are_none_of_its_business() {
        // The night of a change of the clock, in UTC as any other.
        let from: Timestamp = "2026-03-29T00:00:00Z".parse().expect("a timestamp");
        let to: Timestamp = "2026-03-30T00:00:00Z".parse().expect("a timestamp");
        let grid = Grid::new(from, to, Duration::from_secs(60));
        assert_eq!(grid.into_slots().len(), MINUTES);
    }
}
