//! What waits to be written: bounded, and never waited for by those who record.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use super::run::{Latest, RunRecord};
use super::{HistoryStatus, Problem};

/// The most runs that wait: an hour of 1,000 probes every 30 s, about 20 MB.
const MAX_QUEUED: usize = 120_000;
/// The most envelopes that wait for being kept with the runs that changed a result.
const MAX_CHANGES: usize = 2_000;

/// What is written in one go.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) runs: Vec<RunRecord>,
    /// The newest of each probe.
    pub(super) latest: HashMap<Arc<str>, Latest>,
    /// Of runs that changed a result.
    pub(super) changes: Vec<Latest>,
    pub(super) kept: BTreeMap<String, Value>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.latest.is_empty()
            && self.changes.is_empty()
            && self.kept.is_empty()
    }
}

#[derive(Default)]
struct State {
    runs: VecDeque<RunRecord>,
    latest: HashMap<Arc<str>, Latest>,
    changes: VecDeque<Latest>,
    kept: BTreeMap<String, Value>,
    /// Runs of the batch that is being written.
    writing: usize,
    /// What that batch keeps.
    writing_kept: BTreeMap<String, Value>,
    closing: bool,
    hurry: bool,
    status: HistoryStatus,
}

impl State {
    fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.latest.is_empty()
            && self.changes.is_empty()
            && self.kept.is_empty()
    }
}

/// Between those who record and the one who writes.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes a writer that is a thread.
    thread: Condvar,
    /// Wakes a writer that is a task.
    task: Notify,
    /// Wakes who waits for the writer.
    written: Notify,
}

impl Queue {
    pub(super) fn new(store: &'static str) -> Self {
        let queue = Self::default();
        queue.lock().status.store = store;
        queue
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, run: RunRecord, latest: Option<Latest>, keep_facts: bool) {
        let mut state = self.lock();
        if let Some(latest) = latest {
            if keep_facts {
                if state.changes.len() >= MAX_CHANGES {
                    state.changes.pop_front();
                }
                state.changes.push_back(latest.clone());
            }
            state.latest.insert(Arc::clone(&latest.probe), latest);
        }
        if state.runs.len() >= MAX_QUEUED {
            state.runs.pop_front();
            state.status.dropped += 1;
        }
        state.runs.push_back(run);
    }

    pub(super) fn keep(&self, key: &str, value: Value) {
        self.lock().kept.insert(key.to_owned(), value);
    }

    pub(super) fn status(&self) -> HistoryStatus {
        let state = self.lock();
        HistoryStatus {
            queued: state.runs.len() + state.writing,
            ..state.status.clone()
        }
    }

    /// What waits, at most so many runs.
    pub(super) fn take(&self, most: usize) -> Batch {
        let mut state = self.lock();
        state.hurry = false;
        let count = state.runs.len().min(most);
        state.writing = count;
        state.writing_kept = state.kept.clone();
        Batch {
            runs: state.runs.drain(..count).collect(),
            latest: std::mem::take(&mut state.latest),
            changes: std::mem::take(&mut state.changes).into(),
            kept: std::mem::take(&mut state.kept),
        }
    }

    /// A batch was written.
    pub(super) fn done(&self, runs: usize) {
        let mut state = self.lock();
        state.writing = 0;
        state.writing_kept.clear();
        state.status.written += runs as u64;
        state.status.error = None;
        drop(state);
        self.written.notify_waiters();
    }

    /// What is kept and not yet written.
    pub(super) fn unwritten(&self) -> BTreeMap<String, Value> {
        let state = self.lock();
        let mut unwritten = state.writing_kept.clone();
        unwritten.extend(state.kept.clone());
        unwritten
    }

    /// A batch was not written: it waits again, in front.
    pub(super) fn put_back(&self, batch: Batch, problem: &str, now: Timestamp) {
        let mut state = self.lock();
        state.writing = 0;
        state.writing_kept.clear();
        for run in batch.runs.into_iter().rev() {
            if state.runs.len() >= MAX_QUEUED {
                state.status.dropped += 1;
            } else {
                state.runs.push_front(run);
            }
        }
        for (probe, latest) in batch.latest {
            state.latest.entry(probe).or_insert(latest);
        }
        for change in batch.changes.into_iter().rev() {
            if state.changes.len() < MAX_CHANGES {
                state.changes.push_front(change);
            }
        }
        for (key, value) in batch.kept {
            state.kept.entry(key).or_insert(value);
        }
        let since = state.status.error.as_ref().map_or(now, |error| error.since);
        state.status.error = Some(Problem {
            text: problem.to_owned(),
            since,
        });
    }

    /// The store cannot be kept in order, though nothing waits.
    pub(super) fn fail(&self, problem: &str, now: Timestamp) {
        let mut state = self.lock();
        let since = state.status.error.as_ref().map_or(now, |error| error.since);
        state.status.error = Some(Problem {
            text: problem.to_owned(),
            since,
        });
    }

    /// Whether so much waits that the writer has to leave what else it does.
    pub(super) fn is_long_waiting(&self) -> bool {
        const MANY: usize = 500;
        let state = self.lock();
        state.runs.len() >= MANY || state.hurry || state.closing
    }

    /// Says what is not a failure to write, such as the size of the store.
    pub(super) fn note(&self, change: impl FnOnce(&mut HistoryStatus)) {
        change(&mut self.lock().status);
    }

    /// The store is to be left once all is written.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Has what waits written now.
    pub(super) fn hurry(&self) {
        self.lock().hurry = true;
        self.wake();
    }

    fn wake(&self) {
        self.thread.notify_all();
        self.task.notify_one();
    }

    /// Whether nothing waits and nothing is being written.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.is_empty() && state.writing == 0
    }

    pub(super) fn has_error(&self) -> bool {
        self.lock().status.error.is_some()
    }

    /// Waits as a thread: for the time, or until somebody is in a hurry.
    pub(super) fn wait_thread(&self, longest: Duration) {
        let state = self.lock();
        let waited = self
            .thread
            .wait_timeout_while(state, longest, |state| !state.hurry && !state.closing);
        drop(waited);
    }

    /// Waits as a task.
    pub(super) async fn wait_task(&self, longest: Duration) {
        if self.lock().closing {
            return;
        }
        tokio::time::timeout(longest, self.task.notified())
            .await
            .ok();
    }

    /// Waits until something was written.
    pub(super) async fn until_written(&self, deadline: tokio::time::Instant) -> bool {
        loop {
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if self.is_idle() {
                return true;
            }
            self.hurry();
            let next = deadline.min(tokio::time::Instant::now() + Duration::from_millis(100));
            tokio::time::timeout_at(next, written).await.ok();
            if tokio::time::Instant::now() >= deadline {
                return self.is_idle();
            }
        }
    }
}
