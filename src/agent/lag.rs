//! How late probes begin: the distance between a slot and the moment in which its run began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, seconds; the last bucket has none.
pub const LAG_BOUNDS_SECONDS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// Counts delays; cheap enough for every run of every probe.
#[derive(Default)]
pub(super) struct Lag {
    buckets: [AtomicU64; LAG_BOUNDS_SECONDS.len() + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// A schedule's lag so far.
#[derive(Debug, Clone, PartialEq)]
pub struct LagSummary {
    /// Runs per bucket of [`LAG_BOUNDS_SECONDS`]; the last counts what is beyond all of them.
    pub buckets: Vec<u64>,
    /// All runs.
    pub count: u64,
    /// All delays together, seconds.
    pub sum_seconds: f64,
    /// The upper bound of the bucket below which 99 of 100 runs began, seconds; none before the first.
    pub p99_seconds: Option<f64>,
    /// The longest delay, seconds.
    pub max_seconds: f64,
}

impl Lag {
    pub(super) fn observe(&self, late: Duration) {
        let seconds = late.as_secs_f64();
        let bucket = LAG_BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(late_us, Ordering::Relaxed);
        self.max_us.fetch_max(late_us, Ordering::Relaxed);
    }

    pub(super) fn summary(&self) -> LagSummary {
        let buckets: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let count: u64 = buckets.iter().sum();
        let seconds =
            |us: &AtomicU64| Duration::from_micros(us.load(Ordering::Relaxed)).as_secs_f64();
        let max_seconds = seconds(&self.max_us);
        // The run of that rank: 99 of 100 are not later than it.
        let rank = (count * 99).div_ceil(100);
        let mut below = 0;
        let reached = buckets.iter().position(|bucket| {
            below += bucket;
            below >= rank
        });
        let p99_seconds = reached.filter(|_| count > 0).map(|bucket| {
            LAG_BOUNDS_SECONDS
                .get(bucket)
                .copied()
                .unwrap_or(max_seconds)
        });
        LagSummary {
            buckets,
            count,
            sum_seconds: seconds(&self.sum_us),
            p99_seconds,
            max_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_of_a_hundred_decides() {
        let lag = Lag::default();
        assert_eq!(lag.summary().p99_seconds, None);
        for _ in 0..99 {
            lag.observe(Duration::from_millis(3));
        }
        lag.observe(Duration::from_secs(90));
        let summary = lag.summary();
        assert_eq!(summary.p99_seconds, Some(0.005));
        assert_eq!((summary.count, summary.max_seconds), (100, 90.0));
        lag.observe(Duration::from_secs(90));
        assert_eq!(lag.summary().p99_seconds, Some(90.0));
    }
}
