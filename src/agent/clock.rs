//! When probes are due: a grid of the wall clock with a phase per probe, so that slots are the same from run
//! to run, after a restart, and for every agent that shares a history.

use std::time::Duration;

use jiff::Timestamp;

/// The slots of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    interval_ns: i128,
    phase_ns: i128,
}

impl Grid {
    pub(super) fn new(id: &str, interval: Duration) -> Self {
        let interval_ns = i128::try_from(interval.as_nanos())
            .unwrap_or(i128::MAX)
            .max(1);
        Self {
            interval_ns,
            phase_ns: i128::from(spread(id)) % interval_ns,
        }
    }

    /// The first slot after that moment.
    pub(super) fn next_after(self, at: Timestamp) -> Timestamp {
        let since_phase = at.as_nanosecond() - self.phase_ns;
        let slots = since_phase.div_euclid(self.interval_ns) + 1;
        let next = slots * self.interval_ns + self.phase_ns;
        Timestamp::from_nanosecond(next).unwrap_or(Timestamp::MAX)
    }

    /// How far into `window` the first run is: in the order of the phases.
    pub(super) fn first_within(self, window: Duration) -> Duration {
        let window_ns = i128::try_from(window.as_nanos()).unwrap_or(self.interval_ns);
        let wait = self.phase_ns * window_ns.min(self.interval_ns) / self.interval_ns;
        Duration::from_nanos(u64::try_from(wait).unwrap_or(0))
    }

    /// How many slots lie after `from`, up to and with `to`.
    pub(super) fn slots_between(self, from: Timestamp, to: Timestamp) -> u64 {
        let number =
            |at: Timestamp| (at.as_nanosecond() - self.phase_ns).div_euclid(self.interval_ns);
        u64::try_from(number(to) - number(from)).unwrap_or(0)
    }
}

/// A hash that is the same in every process and version: FNV-1a with its bits mixed.
fn spread(id: &str) -> u64 {
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_an_interval_apart_and_the_same_in_every_process() {
        let grid = Grid::new("api", Duration::from_secs(30));
        let now: Timestamp = "2026-11-24T03:00:00.5Z".parse().expect("a time");
        let first = grid.next_after(now);
        let second = grid.next_after(first);
        assert!(first > now);
        assert_eq!(second.duration_since(first).as_secs(), 30);
        assert_eq!(grid.slots_between(first, second), 1);
        assert_eq!(grid.slots_between(now, second), 2);
        // Fixed for ever: what another version computes must be the same.
        assert_eq!(spread("api"), 0xef7e_592e_1942_ca4f);
        assert_eq!(Grid::new("api", Duration::from_secs(30)), grid);
    }

    #[test]
    fn phases_spread() {
        let mut tenths = [0; 10];
        for index in 0..10_000 {
            let grid = Grid::new(&format!("p{index}"), Duration::from_secs(10));
            let tenth = usize::try_from(grid.phase_ns / 1_000_000_000).expect("small");
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|count| (800..1_200).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn first_runs_come_within_their_window() {
        let window = Duration::from_secs(3);
        for id in ["a", "b", "c"] {
            assert!(Grid::new(id, Duration::from_secs(30)).first_within(window) < window);
            let often = Duration::from_millis(200);
            assert!(Grid::new(id, often).first_within(window) < often);
        }
    }
}
