//! Threads for librdkafka's blocking calls: apart from the runtime's, so that a hung cluster takes
//! time from nobody else, and bounded.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout_at;

use crate::evidence::Failure;

/// Calls that block at the same time, over all probes.
const MAX_THREADS: usize = 64;
/// Calls of one thread that look at [`Work::is_over`] do so at least this often.
pub(super) const PULSE: Duration = Duration::from_millis(20);

/// What is kept of the time to return what was seen.
const RESERVE: Duration = Duration::from_millis(250);

static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MAX_THREADS)));

/// What a job on a thread must know: when to end.
#[derive(Clone)]
pub(super) struct Work {
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    /// What is left, capped by `most`.
    pub(super) fn left(&self, most: Duration) -> Duration {
        if self.cancelled.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.deadline
            .saturating_duration_since(Instant::now())
            .min(most)
    }

    /// Whether nobody waits any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether the time is up, or nobody waits any more.
    pub(super) fn is_over(&self) -> bool {
        self.left(Duration::MAX).is_zero()
    }

    /// The same with an end that much earlier.
    pub(super) fn earlier(&self, by: Duration) -> Self {
        Self {
            deadline: Instant::now() + self.left(Duration::MAX).saturating_sub(by),
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    /// The same with a part of what is left, from 0 to 1.
    pub(super) fn part(&self, part: f64) -> Self {
        Self {
            deadline: Instant::now() + self.left(Duration::MAX).mul_f64(part),
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    /// The same with an earlier end: a share of what is left, for the first of `parts` steps.
    pub(super) fn share(&self, parts: u32) -> Self {
        Self {
            deadline: Instant::now() + self.left(Duration::MAX) / parts.max(1),
            cancelled: Arc::clone(&self.cancelled),
        }
    }
}

/// Tells the job that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a blocking job on a thread of its own. Waiting for one counts against the deadline, and the
/// job is told the deadline too; what it returns after that is dropped.
///
/// # Errors
/// When no thread was free in time, or the job did not end in time.
pub(super) async fn run<T: Send + 'static>(
    deadline: tokio::time::Instant,
    job: impl FnOnce(&Work) -> T + Send + 'static,
) -> Result<T, Failure> {
    let permit = timeout_at(deadline, Arc::clone(&PERMITS).acquire_owned())
        .await
        .map_err(|_| Failure::probe(format!("all {MAX_THREADS} threads for Kafka were busy")))?
        .map_err(|_| Failure::probe("the threads for Kafka are gone"))?;
    // What was seen must come back before the deadline, or it would be lost.
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let work = Work {
        deadline: Instant::now() + left.saturating_sub((left / 10).min(RESERVE)),
        cancelled: Arc::default(),
    };
    let cancel = Cancel(Arc::clone(&work.cancelled));
    let receiver = start(permit, work, job)?;
    let result = timeout_at(deadline, receiver).await;
    drop(cancel);
    match result {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(panic))) => Err(Failure::probe(format!("a defect of this probe: {panic}"))),
        Ok(Err(_)) => Err(Failure::probe("a thread for Kafka ended early")),
        Err(_) => Err(Failure::probe(
            "a call to the Kafka client did not end in time",
        )),
    }
}

type Outcome<T> = Result<T, String>;

fn start<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: Work,
    job: impl FnOnce(&Work) -> T + Send + 'static,
) -> Result<oneshot::Receiver<Outcome<T>>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| job(&work))).map_err(|panic| text(&*panic));
        // Who waited may be gone.
        sender.send(outcome).ok();
        drop(permit);
    };
    std::thread::Builder::new()
        .name("kafka-probe".to_owned())
        .spawn(body)
        .map_err(|error| Failure::probe(format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::evidence::Outcome;

    fn after(wait: Duration) -> tokio::time::Instant {
        tokio::time::Instant::now() + wait
    }

    #[tokio::test]
    async fn what_a_job_returns_comes_back() {
        let value = run(after(Duration::from_secs(5)), |_| 7).await;
        assert_eq!(value, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_that_jobs_error() {
        let failure = run(after(Duration::from_secs(5)), |_| panic!("oh")).await;
        let failure: Failure = failure.map(|(): ()| ()).expect_err("a failure");
        assert_eq!(failure.outcome(), Outcome::ProbeError);
        assert!(failure.detail().contains("oh"), "{failure}");
    }

    #[tokio::test]
    async fn a_job_is_told_to_end_before_its_result_would_be_lost() {
        let wait = Duration::from_millis(500);
        let over = |work: &Work| {
            while !work.is_over() {
                sleep(Duration::from_millis(5));
            }
            "seen"
        };
        assert_eq!(run(after(wait), over).await, Ok("seen"));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_told_so() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let job = run(after(Duration::from_secs(60)), move |work| {
            while !work.is_over() {
                sleep(Duration::from_millis(5));
            }
            sender.send(()).ok();
        });
        tokio::time::timeout(Duration::from_millis(50), job)
            .await
            .expect_err("it waits");
        assert_eq!(receiver.recv_timeout(Duration::from_secs(5)), Ok(()));
    }
}
