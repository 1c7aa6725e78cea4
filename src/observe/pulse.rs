//! Tells a slow target from a starved agent: a clock that ticks late means that this process did
//! not get to run, and a timeout then says nothing about the target.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How often the clock is looked at.
pub(super) const TICK: Duration = Duration::from_millis(25);

const GAP: Duration = Duration::from_millis(100);

/// Counts how long the agent did not get to run.
pub(super) struct Pulse {
    late_us: Arc<AtomicU64>,
    ticker: JoinHandle<()>,
}

impl Pulse {
    pub(super) fn start() -> Self {
        let late_us = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&late_us);
        let ticker = tokio::spawn(async move {
            loop {
                let due = Instant::now() + TICK;
                sleep_until(due).await;
                // On a busy machine every tick is a little late; only gaps mean that nothing ran.
                let late = due.elapsed();
                if late > GAP {
                    let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                    counter.fetch_add(late, Ordering::Relaxed);
                }
            }
        });
        Self { late_us, ticker }
    }

    /// How late the clock has been, all ticks together.
    pub(super) fn late(&self) -> Duration {
        Duration::from_micros(self.late_us.load(Ordering::Relaxed))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
