//! Tasks that must not end: one that panics is started again, after a pause that grows, and counted.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::handle::lock;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that ran for this long is started again as if for the first time.
const STEADY: Duration = Duration::from_secs(60);

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskHealth {
    /// What it does.
    pub name: &'static str,
    /// Whether it runs.
    pub alive: bool,
    /// How often it panicked and was started again.
    pub restarts: u64,
}

/// The tasks of an agent.
#[derive(Clone, Default)]
pub struct Tasks {
    list: Arc<Mutex<Vec<TaskHealth>>>,
}

impl Tasks {
    /// How they are.
    pub fn health(&self) -> Vec<TaskHealth> {
        lock(&self.list).clone()
    }

    /// Runs what `task` makes until it ends by itself; after a panic it is made anew.
    pub fn spawn<F, T>(&self, name: &'static str, mut task: F) -> JoinHandle<()>
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let at = {
            let mut list = lock(&self.list);
            list.push(TaskHealth {
                name,
                alive: true,
                restarts: 0,
            });
            list.len() - 1
        };
        let list = Arc::clone(&self.list);
        let change = move |f: &dyn Fn(&mut TaskHealth)| {
            if let Some(health) = lock(&list).get_mut(at) {
                f(health);
            }
        };
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let begun = Instant::now();
                let mut running = Aborted(tokio::spawn(task()));
                let ended = (&mut running.0).await;
                change(&|health| health.alive = false);
                match ended {
                    Err(error) if error.is_panic() => {
                        tracing::error!(task = name, "a task panicked, please report it");
                    }
                    _ => return,
                }
                if begun.elapsed() > STEADY {
                    pause = FIRST_PAUSE;
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                change(&|health| {
                    health.alive = true;
                    health.restarts += 1;
                });
            }
        })
    }
}

/// Ends with whoever supervises it.
struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_and_counted() {
        let tasks = Tasks::default();
        let runs = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&runs);
        let ended = tasks.spawn("clumsy", move || {
            let run = counter.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run > 1, "it falls twice") }
        });
        ended.await.expect("the supervisor does not panic");
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        let health = tasks.health();
        assert_eq!((health[0].restarts, health[0].alive), (2, false));
    }
}
