//! What probes saw over time: one store, embedded SQLite or one PostgreSQL that several agents share,
//! behind one type. Nothing here judges; windows are counted by the kind `history`.
//!
//! Recording never waits for a disk or a server: what is recorded goes to a bounded queue, and one
//! writer commits it in batches. A store that cannot be written is told of by [`History::status`],
//! and probing goes on.

mod error;
mod pack;
mod page;
mod postgres;
mod queue;
mod run;
mod settings;
mod slots;
mod sqlite;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

pub use error::HistoryError;
pub use run::{Latest, RunPage, RunQuery, RunRecord};
pub use settings::{HistorySettings, Server, StoreSettings};
pub use slots::Slot;

use crate::evidence::Envelope;

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
    store: Store,
}

enum Store {
    Embedded(Arc<sqlite::Embedded>),
    Shared(postgres::Shared),
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Who asks for what was just recorded waits this long for it to be written.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);

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
        let agent: Arc<str> = agent.into();
        let queue = Arc::new(queue::Queue::new(settings.store.name()));
        if access == Access::Write {
            survive_file_limits();
        }
        let store = match &settings.store {
            StoreSettings::Postgres(server) => {
                let target = &server.0;
                let shared =
                    postgres::Shared::open(target, settings, &agent, access, &queue).await?;
                Store::Shared(shared)
            }
            StoreSettings::Memory | StoreSettings::Sqlite(_) => {
                let (settings, queue) = (settings.clone(), Arc::clone(&queue));
                let opened =
                    blocking(move || sqlite::Embedded::open(&settings, access, &queue, now()));
                Store::Embedded(Arc::new(opened.await?))
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                queue,
                agent,
                settings: settings.clone(),
                store,
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
        // Before the store is asked: what is written meanwhile is then in one of both.
        let unwritten = self.inner.queue.unwritten();
        let mut kept = match &self.inner.store {
            Store::Embedded(store) => ask(store, sqlite::kept).await,
            Store::Shared(store) => postgres::kept(&*store.session().await?).await,
        }?;
        kept.extend(unwritten);
        Ok(kept)
    }

    /// What was last seen of each probe, as far as it is newer than `after_version`; 0 for all. In a
    /// shared store: by whichever agent. Ordered by version.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn latest(&self, after_version: i64) -> Result<Vec<Latest>, HistoryError> {
        match &self.inner.store {
            Store::Embedded(store) => {
                ask(store, move |conn| sqlite::latest(conn, after_version)).await
            }
            Store::Shared(store) => postgres::latest(&*store.session().await?, after_version).await,
        }
    }

    /// The runs of a probe, newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is none of ours.
    pub async fn runs(&self, query: &RunQuery) -> Result<RunPage, HistoryError> {
        self.settle().await;
        let kept = self.inner.settings.runs_retention;
        let oldest = now().checked_sub(kept).unwrap_or(Timestamp::MIN);
        match &self.inner.store {
            Store::Embedded(store) => {
                let query = query.clone();
                ask(store, move |conn| sqlite::runs(conn, &query, oldest)).await
            }
            Store::Shared(store) => postgres::runs(&*store.session().await?, query, oldest).await,
        }
    }

    /// What was seen of a probe when its result changed, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn changes(&self, probe: &str, limit: usize) -> Result<Vec<Envelope>, HistoryError> {
        self.settle().await;
        match &self.inner.store {
            Store::Embedded(store) => {
                let probe = probe.to_owned();
                ask(store, move |conn| sqlite::changes(conn, &probe, limit)).await
            }
            Store::Shared(store) => postgres::changes(&*store.session().await?, probe, limit).await,
        }
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
        match &self.inner.store {
            Store::Embedded(store) => {
                let probe = probe.to_owned();
                ask(store, move |conn| {
                    sqlite::slots(conn, &probe, from, to, slot)
                })
                .await
            }
            Store::Shared(store) => {
                postgres::slots(&*store.session().await?, probe, from, to, slot).await
            }
        }
    }

    /// How the store is doing.
    pub fn status(&self) -> HistoryStatus {
        self.inner.queue.status()
    }

    /// Waits until what was recorded is written, at most until `deadline`. Whether it is.
    pub async fn flush(&self, deadline: Instant) -> bool {
        self.inner.queue.until_written(deadline).await
    }

    /// Has what was recorded written, unless that is known not to work.
    async fn settle(&self) {
        if !self.inner.queue.has_error() {
            self.flush(Instant::now() + SETTLE_WITHIN).await;
        }
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
        match &self.inner.store {
            Store::Embedded(_) => Ok(vec![true; due.len()]),
            Store::Shared(store) => store.lease(due).await,
        }
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

#[expect(
    clippy::disallowed_methods,
    reason = "what is too old to be shown is so by the wall clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

async fn ask<T: Send + 'static>(
    store: &Arc<sqlite::Embedded>,
    question: impl Fn(&mut rusqlite::Connection) -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    let store = Arc::clone(store);
    blocking(move || store.ask(question)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(HistoryError::Unavailable(error.to_string())))
}

/// A limit on the size of files ends a process that does not listen to the signal for it; one that does
/// gets an error, as from a full disk.
fn survive_file_limits() {
    const SIGXFSZ: i32 = 25;
    // The handler stays when the stream is dropped.
    drop(signal(SignalKind::from_raw(SIGXFSZ)));
}
