//! Starts the agent's tasks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::core::{Core, Surroundings, now};
use super::handle::{Command, Handle, Vitals};
use super::lag::Lag;
use super::notify::{self, Notify};
use super::reload::{self, Watch};
use super::snapshot::Snapshot;
use super::supervise::Tasks;
use crate::history::History;
use crate::net::Dialler;
use crate::observe::{Budget, Engine, Runner, raise_open_files};
use crate::plan::Plan;
use crate::probes::CleanUps;

/// How long running probes may go on once the agent is told to stop.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Descriptors that are not for probes: whoever asks the agent, and its store.
const FILES_FOR_OTHERS: usize = 256;
const EVENTS: usize = 4096;
/// How often an agent looks at what the others saw.
const FOREIGN_EVERY: Duration = Duration::from_secs(1);

/// A running agent.
pub struct Agent {
    handle: Handle,
    stop: CancellationToken,
    core: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
    clean_ups: Arc<CleanUps>,
}

/// What an agent is started with.
pub struct Settings {
    /// What runs.
    pub plan: Arc<Plan>,
    /// Where runs are kept.
    pub history: History,
    /// The name of this vantage point.
    pub host: String,
    /// The files whose change is a reload; none: none is.
    pub watch: Option<Watch>,
    /// Whoever manages this process.
    pub notify: Notify,
}

impl Agent {
    /// Starts it, within a runtime; the first snapshot is published when this returns.
    pub async fn start(settings: Settings) -> Self {
        let Settings {
            plan,
            history,
            host,
            watch: files,
            notify,
        } = settings;
        let started_at = now();
        let tasks = Tasks::default();
        let clean_ups = Arc::<CleanUps>::default();
        let vitals = Arc::new(Vitals {
            started_at,
            began: Instant::now(),
            beat_ms: AtomicU64::new(0),
            lag: Lag::default(),
            tasks: tasks.clone(),
            config_error: std::sync::Mutex::default(),
            counts: std::sync::Mutex::default(),
        });
        let (commands, inbox) = mpsc::channel(1024);
        let (events, _) = broadcast::channel(EVENTS);
        let empty = Snapshot::empty(Arc::clone(&plan), started_at);
        let (snapshots, mut first) = watch::channel(Arc::new(empty));
        let stop = CancellationToken::new();
        let around = Surroundings {
            runner: Runner::new(Engine {
                dialler: Arc::new(Dialler::new()),
                clean_ups: Arc::clone(&clean_ups),
                budget: probe_budget(plan.agent.max_per_target),
                history: Some(history.clone()),
            }),
            history: history.clone(),
            host,
            run_id: run_id(started_at),
            vitals: Arc::clone(&vitals),
            snapshots,
            events: events.clone(),
            commands: commands.clone(),
            stop: stop.clone(),
            drain: DRAIN,
        };
        let core = spawn_core(&tasks, around, plan, inbox);
        let mut others = Vec::new();
        if let Some(files) = files {
            let (vitals, commands) = (Arc::clone(&vitals), commands.clone());
            let (watched, notify) = (watch::Sender::new(files), notify.clone());
            others.push(tasks.spawn("reload", move || {
                let commands = commands.clone();
                reload::watch_files(
                    watched.clone(),
                    Arc::clone(&vitals),
                    commands,
                    notify.clone(),
                )
            }));
        }
        if notify.has_watchdog() {
            let vitals = Arc::clone(&vitals);
            others.push(tasks.spawn("watchdog", move || {
                notify::feed(notify.clone(), Arc::clone(&vitals))
            }));
        }
        if history.is_shared() {
            let (history, commands) = (history.clone(), commands.clone());
            others.push(tasks.spawn("others", move || {
                follow_others(history.clone(), commands.clone())
            }));
        }
        // The core has published once before it first waits.
        first.changed().await.ok();
        let handle = Handle {
            snapshots: first,
            events,
            commands,
            vitals,
            history,
        };
        Self {
            handle,
            stop,
            core,
            others,
            clean_ups,
        }
    }

    /// For those who ask it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends when the core has: it was told to stop.
    pub async fn ended(&mut self) {
        (&mut self.core).await.ok();
    }

    /// Begins no run any more, lets those that run end for at most [`DRAIN`], and what was cut take back what it left
    /// at its targets.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for other in &self.others {
            other.abort();
        }
        self.ended().await;
        let deadline = Instant::now() + CleanUps::LONGEST;
        if !self.clean_ups.ended(deadline).await {
            tracing::warn!("a target did not let a clean-up end: something may be left there");
        }
    }
}

/// What probes may have open, and what remains for everything else.
pub(super) fn probe_budget(max_per_target: Option<usize>) -> Budget {
    let files = raise_open_files();
    // Where there are few, those who ask get a share and not a fixed number.
    let for_probes = files.saturating_sub(FILES_FOR_OTHERS).max(files / 2);
    Budget::new(for_probes, max_per_target)
}

/// The core is made anew after a panic, with the plan that was in use and what history remembers.
fn spawn_core(
    tasks: &Tasks,
    around: Surroundings,
    plan: Arc<Plan>,
    inbox: mpsc::Receiver<Command>,
) -> JoinHandle<()> {
    let inbox = Arc::new(Mutex::new(inbox));
    let mut first = Some(plan);
    tasks.spawn("core", move || {
        let (around, inbox) = (around.clone(), Arc::clone(&inbox));
        let in_use = Arc::clone(&around.snapshots.borrow().plan);
        let plan = first.take().unwrap_or(in_use);
        async move {
            let mut inbox = inbox.lock().await;
            Core::new(around, plan).await.run(&mut inbox).await;
        }
    })
}

/// Takes in what the other agents of a shared history saw.
async fn follow_others(history: History, commands: mpsc::Sender<Command>) {
    let mut version = 0;
    loop {
        sleep(FOREIGN_EVERY).await;
        match history.latest(version).await {
            Ok(latest) if latest.is_empty() => {}
            Ok(latest) => {
                version = latest.iter().map(|one| one.version).fold(version, i64::max);
                if commands.send(Command::Foreign(latest)).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "cannot read what other agents saw"),
        }
    }
}

/// Unique enough to tell agents apart in a store, and sorted by time.
fn run_id(started_at: Timestamp) -> String {
    format!(
        "{}-{:x}",
        started_at.strftime("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id()
    )
}
