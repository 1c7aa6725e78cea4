//! What an attempt has to take back at its target even when it is cut in the middle.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::kind::BoxFuture;

/// The clean-ups of all attempts of an engine: those that stand by, and those under way.
#[derive(Debug, Default)]
pub struct CleanUps {
    pending: watch::Sender<usize>,
}

impl CleanUps {
    /// How long one may take.
    pub const LONGEST: Duration = Duration::from_secs(2);

    /// Waits until none stands by or is under way, or until the deadline; whether none is left. To be
    /// called when the attempts have ended or were cut.
    pub async fn ended(&self, deadline: Instant) -> bool {
        let mut pending = self.pending.subscribe();
        let none = pending.wait_for(|count| *count == 0);
        matches!(timeout_at(deadline, none).await, Ok(Ok(_)))
    }
}

/// Counts for as long as it lives.
struct Pending(Arc<CleanUps>);

impl Pending {
    fn new(all: &Arc<CleanUps>) -> Self {
        all.pending.send_modify(|count| *count += 1);
        Self(Arc::clone(all))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0
            .pending
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

type Job = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send + Sync>;

/// A clean-up that stands by: dropping it, because the attempt was cut or gave up, starts it on its
/// own; [`disarm`](Self::disarm) says that nothing is left to clean up.
#[must_use = "dropping it starts the clean-up"]
pub struct CleanUp {
    armed: Option<(Job, Pending)>,
}

impl CleanUp {
    pub(super) fn new<F>(
        all: &Arc<CleanUps>,
        job: impl FnOnce() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let job: Job = Box::new(move || Box::pin(job()));
        Self {
            armed: Some((job, Pending::new(all))),
        }
    }

    /// Nothing is left behind.
    pub fn disarm(mut self) {
        self.armed = None;
    }
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        let Some((job, pending)) = self.armed.take() else {
            return;
        };
        // Where the runtime is gone, nothing can be asked of anybody any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            timeout(CleanUps::LONGEST, job()).await.ok();
            drop(pending);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn flag(all: &Arc<CleanUps>, takes: Duration) -> (CleanUp, Arc<AtomicBool>) {
        let ran = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&ran);
        let clean_up = CleanUp::new(all, move || async move {
            tokio::time::sleep(takes).await;
            set.store(true, Ordering::Release);
        });
        (clean_up, ran)
    }

    #[tokio::test]
    async fn a_cut_attempt_is_cleaned_up_after_and_waited_for() {
        let all = Arc::new(CleanUps::default());
        let (clean_up, ran) = flag(&all, SOON);
        let attempt = tokio::spawn(async move {
            let _standing_by = clean_up;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        attempt.abort();
        assert!(all.ended(Instant::now() + CleanUps::LONGEST).await);
        assert!(ran.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn nothing_runs_when_nothing_is_left() {
        let all = Arc::new(CleanUps::default());
        let (clean_up, ran) = flag(&all, SOON);
        clean_up.disarm();
        assert!(all.ended(Instant::now() + SOON).await);
        tokio::time::sleep(SOON * 2).await;
        assert!(!ran.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn one_that_hangs_is_not_waited_for_longer_than_its_bound() {
        let all = Arc::new(CleanUps::default());
        let (clean_up, ran) = flag(&all, CleanUps::LONGEST * 10);
        drop(clean_up);
        assert!(!all.ended(Instant::now() + SOON).await);
        assert!(all.ended(Instant::now() + CleanUps::LONGEST * 2).await);
        assert!(!ran.load(Ordering::Acquire));
    }
}
