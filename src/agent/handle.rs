//! What others may ask of the running agent. Nothing here waits for a probe, except a run that is
//! asked for.

use std::sync::{Arc, Mutex, PoisonError};

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::lag::{Lag, LagSummary};
use super::snapshot::Snapshot;
use super::supervise::{TaskHealth, Tasks};
use crate::evidence::Outcome;
use crate::history::{History, HistoryStatus, Latest};
use crate::judge::Status;
use crate::plan::Plan;

/// The agent, for those who ask it. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) history: History,
}

/// What is asked of the core.
pub(super) enum Command {
    /// Run these probes now; none: all.
    Run {
        probes: Option<Vec<String>>,
        done: oneshot::Sender<Result<Arc<Snapshot>, RunNowError>>,
    },
    /// Go on with this plan.
    Reload(Arc<Plan>, oneshot::Sender<()>),
    /// Another agent saw these.
    Foreign(Vec<Latest>),
    /// These slots are this agent's.
    Leased(Vec<(String, Timestamp, Instant)>),
}

/// What the agent knows of itself, written by its tasks.
pub(super) struct Vitals {
    pub(super) started_at: Timestamp,
    pub(super) began: Instant,
    /// When the core last went on, milliseconds after `began`.
    pub(super) beat_ms: AtomicU64,
    pub(super) lag: Lag,
    pub(super) tasks: Tasks,
    pub(super) config_error: Mutex<Option<ConfigError>>,
    pub(super) counts: Mutex<Counts>,
}

/// Runs by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Facts were gathered.
    pub observed: u64,
    /// The target is broken.
    pub target_error: u64,
    /// The target refused us.
    pub denied: u64,
    /// The agent could not look.
    pub probe_error: u64,
}

impl Outcomes {
    pub(super) fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Observed => &mut self.observed,
            Outcome::TargetError => &mut self.target_error,
            Outcome::Denied => &mut self.denied,
            Outcome::ProbeError => &mut self.probe_error,
        };
        *count += 1;
    }
}

/// Numbers about the schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Runs that have ended.
    pub runs: u64,
    /// Of them: whether they could look.
    pub outcomes: Outcomes,
    /// Slots in which a probe was not run because its last run had not ended.
    pub missed_slots: u64,
    /// Runs that ended by a defect of a kind.
    pub panics: u64,
    /// Probes that run now.
    pub running: u64,
    /// Reloads that were taken over.
    pub reloads: u64,
    /// Reloads that were refused: the old configuration was kept.
    pub failed_reloads: u64,
}

/// A reload that was refused; the configuration before it is still in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// What is wrong, rendered with its places, without secrets.
    pub text: String,
    /// Since when, UTC.
    pub since: Timestamp,
}

/// How the agent itself is.
#[derive(Debug, Clone)]
pub struct AgentHealth {
    /// When it was started, UTC.
    pub started_at: Timestamp,
    /// SHA-256 over the configuration in use.
    pub config_digest: String,
    /// Why the last reload was refused.
    pub config_error: Option<ConfigError>,
    /// Its long-running tasks.
    pub tasks: Vec<TaskHealth>,
    /// How late probes began.
    pub lag: LagSummary,
    /// Numbers about the schedule.
    pub counts: Counts,
    /// How the store of runs is doing.
    pub history: HistoryStatus,
    /// How long ago the task that owns the schedule was last seen to go on.
    pub silence: Duration,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A probe's result changed.
    Probe,
    /// An item's result changed.
    Item,
    /// A gate's result changed.
    Gate,
    /// The configuration was taken over, or refused.
    Config,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// The id of the probe, item or gate; the digest of the configuration in use.
    pub id: String,
    /// The result before; none at the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Status>,
    /// The result now; for a configuration pass (taken over) or fail (refused).
    pub to: Status,
    /// When, UTC.
    pub at: Timestamp,
}

/// Why a run that was asked for did not take place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunNowError {
    /// These ids are none.
    #[error("no probe has the id {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// Too many wait for one already.
    #[error("too many runs are waited for already")]
    Busy,
    /// The agent is about to end.
    #[error("the agent is shutting down")]
    ShuttingDown,
}

impl Handle {
    /// The plan in use.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.snapshots.borrow().plan)
    }

    /// The current verdict.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Each snapshot as it is published; a slow reader sees the latest.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Changes of results from now on; a slow reader is told how many it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Runs these probes (none: all) and answers with the verdict in which all of them have ended. A run
    /// in flight counts only if it began after the request.
    ///
    /// # Errors
    /// Ids that are none, too many who wait, or an agent that ends.
    pub async fn run_now(&self, probes: Option<&[String]>) -> Result<Arc<Snapshot>, RunNowError> {
        let (done, answer) = oneshot::channel();
        let probes = probes.map(<[String]>::to_vec);
        self.commands
            .send(Command::Run { probes, done })
            .await
            .map_err(|_| RunNowError::ShuttingDown)?;
        answer.await.map_err(|_| RunNowError::ShuttingDown)?
    }

    /// Why the last reload was refused; none when it was not.
    pub fn config_error(&self) -> Option<ConfigError> {
        lock(&self.vitals.config_error).clone()
    }

    /// Where runs are kept.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// How the agent itself is.
    pub fn health(&self) -> AgentHealth {
        AgentHealth {
            started_at: self.vitals.started_at,
            config_digest: self.plan().config_digest.clone(),
            config_error: self.config_error(),
            tasks: self.vitals.tasks.health(),
            lag: self.vitals.lag.summary(),
            counts: *lock(&self.vitals.counts),
            history: self.history.status(),
            silence: self.vitals.silence(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
