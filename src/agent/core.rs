//! The one task that owns the schedule and the verdict. Probes run in tasks of their own and hand in what they
//! saw; everything else asks by messages, so that nothing here waits and nothing is locked.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::clock::Grid;
use super::evidence::{Judged, unseen};
use super::handle::{Command, Event, RunNowError, Vitals, lock};
use super::memory::Kept;
use super::snapshot::{Index, ItemState, ProbeState, Snapshot};
use crate::history::History;
use crate::judge::{Past, Status};
use crate::observe::Runner;
use crate::plan::Plan;
use crate::probes::Earlier;

/// Staleness, the edges of maintenance windows and the heartbeat are looked at this often.
const TICK: Duration = Duration::from_millis(250);
/// What items were lately is kept this often: a process that is killed loses no more of it.
const KEEP_STRIPS_EVERY: Duration = Duration::from_secs(60);
/// A verdict in which a result changed is published at most this often,
const URGENT: Duration = Duration::from_millis(50);
/// and one in which none did, this often.
const ORDINARY: Duration = Duration::from_millis(300);
/// First runs are spread over this time, and over more of it where there are thousands; over their interval
/// where that is shorter.
const FIRST_RUNS_WITHIN: Duration = Duration::from_secs(3);
const FIRST_RUNS_WITHIN_AT_MOST: Duration = Duration::from_secs(10);
/// Whoever waits for a run holds memory here.
const MOST_REQUESTS: usize = 256;

/// What the core needs from outside; it outlives a core that panics.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) runner: Runner,
    pub(super) history: History,
    /// The name of this vantage point.
    pub(super) host: String,
    pub(super) run_id: String,
    pub(super) vitals: Arc<Vitals>,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) stop: CancellationToken,
    /// How long running probes may go on once the agent is told to stop.
    pub(super) drain: Duration,
}

/// A probe and where it stands.
pub(super) struct Watched {
    pub(super) state: Arc<ProbeState>,
    pub(super) past: Past,
    pub(super) earlier: Arc<[Earlier]>,
    pub(super) grid: Grid,
    /// The slot that is due next.
    pub(super) slot: Timestamp,
    pub(super) due: Instant,
    /// When the run in flight began.
    pub(super) running: Option<Instant>,
    /// To be run again as soon as the run in flight has ended.
    pub(super) again: bool,
    /// Due, and waiting for the first run of a probe that it depends on.
    pub(super) waits: bool,
}

/// What the task of a probe hands in.
pub(super) struct Ended {
    pub(super) judged: Judged,
    /// The plan that it ran under.
    pub(super) plan: Arc<Plan>,
    pub(super) index: usize,
}

/// Somebody waits until these probes have run.
pub(super) struct Request {
    pub(super) asked: Instant,
    pub(super) open: Vec<usize>,
    pub(super) done: oneshot::Sender<Result<Arc<Snapshot>, RunNowError>>,
}

pub(super) struct Core {
    pub(super) around: Surroundings,
    pub(super) plan: Arc<Plan>,
    pub(super) index: Arc<Index>,
    pub(super) probes: Vec<Watched>,
    pub(super) items: Vec<Arc<ItemState>>,
    /// The items that need a probe, and the probes that depend on one.
    pub(super) needed_by: Vec<Vec<usize>>,
    pub(super) dependents: Vec<Vec<usize>>,
    pub(super) due: BinaryHeap<Reverse<(Instant, usize)>>,
    pub(super) tasks: JoinSet<Ended>,
    pub(super) by_task: HashMap<Id, (Arc<Plan>, usize)>,
    pub(super) requests: Vec<Request>,
    /// Requests whose probes have all run: answered with the next snapshot.
    pub(super) answered: Vec<Request>,
    pub(super) kept: Kept,
    /// Items to be folded anew.
    pub(super) dirty: Vec<bool>,
    pub(super) changed: bool,
    pub(super) urgent: bool,
    pub(super) version: u64,
    pub(super) published: Instant,
    pub(super) next_edge: Option<Timestamp>,
    pub(super) today: Date,
    pub(super) next_tick: Instant,
    strips_kept: Instant,
}

impl Core {
    /// One that knows what history remembers.
    pub(super) async fn new(around: Surroundings, plan: Arc<Plan>) -> Self {
        let now = now();
        let version = around.snapshots.borrow().version;
        let mut core = Self {
            index: Arc::new(Index::of(&plan)),
            probes: Vec::new(),
            items: Vec::new(),
            needed_by: Vec::new(),
            dependents: Vec::new(),
            due: BinaryHeap::new(),
            tasks: JoinSet::new(),
            by_task: HashMap::new(),
            requests: Vec::new(),
            answered: Vec::new(),
            kept: Kept::default(),
            dirty: Vec::new(),
            changed: true,
            urgent: true,
            version,
            published: Instant::now() - ORDINARY,
            next_edge: None,
            today: today(now),
            next_tick: Instant::now(),
            strips_kept: Instant::now(),
            around,
            plan,
        };
        core.kept = Kept::load(&core.around.history).await;
        core.lay_out();
        core.probes = (0..core.plan.probes.len())
            .map(|index| core.watched(index, now))
            .collect();
        core.remember_maintenance(now);
        core.remember_digests(&core.plan.agent.digests.clone(), now);
        core.restore().await;
        core.schedule_all();
        core.publish();
        core
    }

    /// Makes anew what follows from the plan alone.
    pub(super) fn lay_out(&mut self) {
        let plan = &self.plan;
        self.index = Arc::new(Index::of(plan));
        self.needed_by = vec![Vec::new(); plan.probes.len()];
        for (at, item) in plan.items.iter().enumerate() {
            for probe in item.probes() {
                let needed_by = &mut self.needed_by[probe];
                if needed_by.last() != Some(&at) {
                    needed_by.push(at);
                }
            }
        }
        self.dependents = vec![Vec::new(); plan.probes.len()];
        for (at, probe) in plan.probes.iter().enumerate() {
            for dependency in &probe.depends_on {
                self.dependents[*dependency].push(at);
            }
        }
        self.dirty = vec![true; plan.items.len()];
        self.items.clear();
        self.changed = true;
        self.urgent = true;
    }

    pub(super) fn watched(&self, index: usize, now: Timestamp) -> Watched {
        let probe = &self.plan.probes[index];
        Watched {
            state: Arc::new(unseen(&self.plan, index, now)),
            past: Past::default(),
            earlier: Arc::default(),
            grid: Grid::new(&probe.id, probe.interval),
            slot: now,
            due: Instant::now(),
            running: None,
            again: false,
            waits: false,
        }
    }

    /// Every probe gets a first slot soon.
    fn schedule_all(&mut self) {
        for index in 0..self.probes.len() {
            self.schedule_first(index);
        }
    }

    pub(super) fn schedule_first(&mut self, index: usize) {
        let thousands = self.plan.probes.len() as u64 / 1_000;
        let window =
            Duration::from_secs(thousands).clamp(FIRST_RUNS_WITHIN, FIRST_RUNS_WITHIN_AT_MOST);
        let wait = self.probes[index].grid.first_within(window);
        let watched = &mut self.probes[index];
        watched.slot = now() + wait;
        watched.due = Instant::now() + wait;
        self.due.push(Reverse((watched.due, index)));
    }

    /// Runs until it is told to stop, and then until what runs has ended or the time for that is over.
    pub(super) async fn run(mut self, commands: &mut mpsc::Receiver<Command>) {
        let stop = self.around.stop.clone();
        loop {
            let wake = self.wake();
            tokio::select! {
                ended = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.handed_in(ended);
                }
                command = commands.recv() => {
                    if let Some(command) = command {
                        self.obey(command);
                    }
                }
                () = sleep_until(wake) => {}
                () = stop.cancelled() => break,
            }
            self.drain_ended();
            self.fire();
            self.tick();
            self.publish_if_due();
        }
        self.drain().await;
    }

    /// Takes in what else has ended: one wake-up serves many.
    fn drain_ended(&mut self) {
        const AT_ONCE: usize = 256;
        for _ in 0..AT_ONCE {
            let Some(ended) = self.tasks.try_join_next_with_id() else {
                return;
            };
            self.handed_in(Some(ended));
        }
    }

    fn wake(&self) -> Instant {
        let mut wake = self.next_tick;
        if let Some(Reverse((due, _))) = self.due.peek() {
            wake = wake.min(*due);
        }
        self.publish_at().map_or(wake, |at| wake.min(at))
    }

    fn publish_at(&self) -> Option<Instant> {
        let urgent = self.urgent || !self.answered.is_empty();
        match (urgent, self.changed) {
            (true, _) => Some(self.published + URGENT),
            (false, true) => Some(self.published + ORDINARY),
            (false, false) => None,
        }
    }

    fn publish_if_due(&mut self) {
        if self.publish_at().is_some_and(|at| at <= Instant::now()) {
            self.publish();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Run { probes, done } => self.run_now(probes, done),
            Command::Reload(plan, done) => {
                self.take_over(plan);
                done.send(()).ok();
            }
            Command::Foreign(latest) => self.take_foreign(latest),
            Command::Leased(leased) => {
                for (id, slot, due) in leased {
                    if let Some(index) = self.index.probe(&id) {
                        self.begin(index, Some((slot, due)));
                    }
                }
            }
        }
    }

    /// Looks at what changes by the clock alone.
    fn tick(&mut self) {
        if Instant::now() < self.next_tick {
            return;
        }
        self.next_tick = Instant::now() + TICK;
        let now = now();
        self.beat();
        for (at, item) in self.items.iter().enumerate() {
            if item.stale_at.is_some_and(|stale_at| stale_at < now) {
                self.dirty[at] = true;
                self.urgent = true;
            }
        }
        if today(now) != self.today || self.next_edge.is_some_and(|edge| edge <= now) {
            self.today = today(now);
            self.next_edge = self.edge_after(now);
            self.dirty.fill(true);
            self.urgent = true;
        }
        if self.strips_kept.elapsed() >= KEEP_STRIPS_EVERY {
            self.strips_kept = Instant::now();
            self.keep_strips();
        }
        let mut counts = lock(&self.around.vitals.counts);
        counts.running = self.tasks.len() as u64;
    }

    /// The watchdog is fed only while this goes on.
    fn beat(&self) {
        self.around.vitals.beat(Instant::now());
    }

    pub(super) fn edge_after(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = self.plan.maintenance.iter();
        let edges = windows.flat_map(|window| [window.start, window.end]);
        edges.filter(|edge| *edge > now).min()
    }

    /// Lets what runs end, up to the deadline; nothing begins any more.
    async fn drain(&mut self) {
        for request in self.requests.drain(..).chain(self.answered.drain(..)) {
            request.done.send(Err(RunNowError::ShuttingDown)).ok();
        }
        let end = Instant::now() + self.around.drain;
        while !self.tasks.is_empty() {
            self.beat();
            tokio::select! {
                ended = self.tasks.join_next_with_id() => self.handed_in(ended),
                () = sleep_until(end) => {
                    tracing::warn!(probes = self.tasks.len(), "ended while probes were running");
                    break;
                }
            }
        }
        self.publish();
        self.keep_strips();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.around.stop.is_cancelled()
    }

    pub(super) fn can_take_request(&self) -> bool {
        self.requests.len() + self.answered.len() < MOST_REQUESTS
    }

    pub(super) fn emit(&self, event: Event) {
        // Nobody may be listening.
        self.around.events.send(event).ok();
    }
}

impl Vitals {
    pub(super) fn beat(&self, at: Instant) {
        let ms = u64::try_from(at.duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(ms, Ordering::Relaxed);
    }

    /// How long ago the core was last seen to go on.
    pub(super) fn silence(&self) -> Duration {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(beat)
    }
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the agent gets the time"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

pub(super) fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

/// Three intervals: how old evidence may be where an item says nothing else. A kind that watches for longer than
/// its interval is due as often as it can be.
pub(super) fn default_ttl(plan: &Plan, index: usize) -> Duration {
    let probe = &plan.probes[index];
    probe.interval.max(probe.probe.extra_time()) * 3
}

/// The fold of a probe's rules lets what depends on it run.
pub(super) const fn lets_run(result: Status) -> bool {
    matches!(result, Status::Pass | Status::Warn)
}
