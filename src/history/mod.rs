//! What probes saw over time: one store, embedded SQLite or one PostgreSQL that several agents share,
//! behind one type. Nothing here judges; windows are counted by the kind `history`.
//!
//! Recording never waits for a disk or a server: what is recorded goes to a bounded queue, and one
//! writer commits it in batches. A store that cannot be written is told of by [`History::status`],
//! and probing goes on.

mod error;
mod queue;
mod run;
mod settings;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

pub use error::HistoryError;
pub use run::{Latest, RunPage, RunQuery, RunRecord};
pub use settings::{HistorySettings, Server, StoreSettings};
pub use slots::Slot;

/// What is done with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is read and written; a store that is not there is made.
    Write,
    /// It is read alone; one that is not there is an error.
    Read,
}

/// Why a store cannot be written now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, for people.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

/// How a store is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryStatus {
    /// `memory`, `sqlite` or `postgres`.
    pub store: &'static str,
    /// Runs that wait to be written.
    pub queued: usize,
    /// Runs that were lost because the store could not be written for too long.
    pub dropped: u64,
    /// Runs written since the start.
    pub written: u64,
    /// Why it cannot be written now.
    pub error: Option<Problem>,
    /// What is worth knowing for as long as the agent lives, such as a corrupt file that was set aside.
    pub notice: Option<String>,
    /// Its size, where it is known.
    pub bytes: Option<u64>,
    /// The oldest run that it keeps, where it is known.
    pub oldest: Option<Timestamp>,
}

/// A store of runs. Cheap to clone.
#[derive(Clone)]
pub struct History {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<queue::Queue>,
    agent: Arc<str>,
    settings: HistorySettings,
}

impl History {
    /// Opens a store. `agent` is the name under which this process leases probes and records runs.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    pub async fn open(
        settings: &HistorySettings,
        agent: &str,
        access: Access,
    ) -> Result<Self, HistoryError> {
        let _ = access;
        Ok(Self {
            inner: Arc::new(Inner {
                queue: Arc::default(),
                agent: agent.into(),
                settings: settings.clone(),
            }),
        })
    }

    /// Records a run, and what must be known of its probe after a restart. `keep_facts`: the run
    /// changed the probe's result, and its facts stay with it. Never waits.
    pub fn record(&self, run: RunRecord, latest: Option<Latest>, keep_facts: bool) {
        self.inner.queue.push(run, latest, keep_facts);
    }

    /// Keeps a small value under a key: it is there again after a restart. Never waits.
    ///
    /// The key `deployment` holds `{"digest": text, "since": timestamp}`: windows begin anew there. The
    /// key `maintenance` holds `[{"probes": [id], "start": timestamp, "end": timestamp}]`: slots in which
    /// nothing ran are excluded there.
    pub fn keep(&self, key: &str, value: Value) {
        self.inner.queue.keep(key, value);
    }

    /// All that is kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn kept(&self) -> Result<BTreeMap<String, Value>, HistoryError> {
        Ok(BTreeMap::new())
    }

    /// What was last seen of each probe, as far as it is newer than `after_version`; 0 for all. In a
    /// shared store: by whichever agent. Ordered by version.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn latest(&self, after_version: i64) -> Result<Vec<Latest>, HistoryError> {
        let _ = after_version;
        Ok(Vec::new())
    }

    /// The runs of a probe, newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is none of ours.
    pub async fn runs(&self, query: &RunQuery) -> Result<RunPage, HistoryError> {
        let _ = query;
        Ok(RunPage::default())
    }

    /// The slots of a probe from `from` up to, without, `to`; both on the grid of `slot`, which begins
    /// with the epoch.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn slots(
        &self,
        probe: &str,
        from: Timestamp,
        to: Timestamp,
        slot: Duration,
    ) -> Result<Vec<Slot>, HistoryError> {
        let _ = (probe, from, to, slot);
        Ok(Vec::new())
    }

    /// How the store is doing.
    pub fn status(&self) -> HistoryStatus {
        self.inner.queue.status()
    }

    /// Waits until what was recorded is written, at most until `deadline`. Whether it is.
    pub async fn flush(&self, deadline: Instant) -> bool {
        let _ = deadline;
        true
    }

    /// Whether several agents share this store, so that probes are to be leased.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.settings.store, StoreSettings::Postgres(_))
    }

    /// Which of these probes this agent is to run, for the slot of its schedule that is due: each slot
    /// is given to one agent. Of a store that is not shared: all. An error means that nobody can tell;
    /// an agent then runs its probes alone, because evidence twice is better than none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn lease(&self, due: &[(&str, Timestamp)]) -> Result<Vec<bool>, HistoryError> {
        Ok(vec![true; due.len()])
    }

    /// The name of this agent in the store.
    pub fn agent(&self) -> &str {
        &self.inner.agent
    }

    /// How it was configured.
    pub fn settings(&self) -> &HistorySettings {
        &self.inner.settings
    }
}
