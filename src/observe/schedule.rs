//! Runs the probes of a plan concurrently, each after the probes it depends on.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::task::{Id, JoinError, JoinSet};

use super::attempt::{Shared, not_observed, run_probe, take};
use super::budget::Budget;
use super::pulse::Pulse;
use crate::evidence::{Envelope, Try};
use crate::history::History;
use crate::judge::{RuleVerdict, is_met};
use crate::net::Dialler;
use crate::plan::Plan;
use crate::probes::{CleanUps, Earlier};

/// Why a run ends before its probes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// `--deadline` has passed.
    Deadline,
    /// The user, or whoever started us, wants an end.
    Signal,
}

impl Interrupt {
    const fn cause(self) -> &'static str {
        match self {
            Self::Deadline => "not finished before the deadline of the whole run",
            Self::Signal => "the run was interrupted before this probe had finished",
        }
    }
}

/// What an engine needs.
pub struct Engine {
    /// Shared by all probes.
    pub dialler: Arc<Dialler>,
    /// What cut attempts still have to take back at their targets: to be waited for before the
    /// process ends.
    pub clean_ups: Arc<CleanUps>,
    /// What may run at a time.
    pub budget: Budget,
    /// The store of runs, for the kinds that read it.
    pub history: Option<History>,
}

/// One probe's result.
pub struct Seen {
    /// What was seen.
    pub envelope: Envelope,
    /// What its rules made of it.
    pub verdicts: Vec<RuleVerdict>,
}

/// Runs probes, one at a time or many: what all drivers share.
#[derive(Clone)]
pub struct Runner(Arc<Shared>);

impl Runner {
    /// One that runs until it is dropped; within a runtime.
    pub fn new(engine: Engine) -> Self {
        Self(Arc::new(Shared {
            dialler: engine.dialler,
            clean_ups: engine.clean_ups,
            budget: engine.budget,
            history: engine.history,
            pulse: Pulse::start(),
        }))
    }

    /// The same with other bounds; what runs now keeps its own.
    #[must_use]
    pub fn with_budget(&self, budget: Budget) -> Self {
        Self::new(Engine {
            dialler: Arc::clone(&self.0.dialler),
            clean_ups: Arc::clone(&self.0.clean_ups),
            budget,
            history: self.0.history.clone(),
        })
    }

    /// Runs one probe of `plan` with its retries. A kind that panics panics here: whoever drives it runs
    /// it in a task of its own. Attempts that have ended are in `tries` meanwhile.
    pub async fn run(
        &self,
        plan: &Plan,
        index: usize,
        earlier: Arc<[Earlier]>,
        tries: &Mutex<Vec<Try>>,
        judge: impl Fn(&mut Envelope) -> Vec<RuleVerdict>,
    ) -> Seen {
        let (probe, redactor) = (&plan.probes[index], &plan.redactor);
        let (envelope, verdicts) =
            run_probe(probe, redactor, &earlier, &self.0, tries, judge).await;
        Seen { envelope, verdicts }
    }
}

/// Runs every selected probe of `plan` and returns one result per probe, in order. `judge` is called
/// with a probe's index, and redacts what it judged; `progress` as each ends; `interrupt` ends the run at once, keeping what is done.
pub async fn run(
    plan: &Arc<Plan>,
    selected: &[bool],
    engine: Engine,
    judge: impl Fn(&Plan, usize, &mut Envelope) -> Vec<RuleVerdict> + Clone + Send + Sync + 'static,
    mut progress: impl FnMut(usize),
    interrupt: impl Future<Output = Interrupt>,
) -> (Vec<Seen>, Option<Interrupt>) {
    let mut run = Running::new(plan, selected, Runner::new(engine), judge);
    let mut interrupt = pin!(interrupt);
    run.start();
    let mut cut = None;
    loop {
        tokio::select! {
            biased;
            ended = run.tasks.join_next_with_id() => match ended {
                None => break,
                Some(ended) => progress(run.ended(ended)),
            },
            why = &mut interrupt => {
                cut = Some(why);
                break;
            }
        }
    }
    (run.finish(cut), cut)
}

type Ended = Result<(Id, Seen), JoinError>;

struct Running<J> {
    plan: Arc<Plan>,
    selected: Vec<bool>,
    runner: Runner,
    judge: J,
    tasks: JoinSet<Seen>,
    by_task: HashMap<Id, usize>,
    seen: Vec<Option<Seen>>,
    /// The attempts of each probe that have ended, kept also when the run is cut.
    tries: Vec<Arc<Mutex<Vec<Try>>>>,
    /// How many dependencies of each probe have not ended.
    waiting: Vec<usize>,
    dependents: Vec<Vec<usize>>,
}

impl<J> Running<J>
where
    J: Fn(&Plan, usize, &mut Envelope) -> Vec<RuleVerdict> + Clone + Send + Sync + 'static,
{
    fn new(plan: &Arc<Plan>, selected: &[bool], runner: Runner, judge: J) -> Self {
        let count = plan.probes.len();
        let mut dependents = vec![Vec::new(); count];
        let mut waiting = vec![0; count];
        for (index, probe) in plan.probes.iter().enumerate() {
            for dependency in &probe.depends_on {
                dependents[*dependency].push(index);
                waiting[index] += 1;
            }
        }
        Self {
            plan: Arc::clone(plan),
            selected: selected.to_vec(),
            runner,
            judge,
            tasks: JoinSet::new(),
            by_task: HashMap::with_capacity(count),
            seen: (0..count).map(|_| None).collect(),
            tries: (0..count).map(|_| Arc::default()).collect(),
            waiting,
            dependents,
        }
    }

    fn start(&mut self) {
        for index in 0..self.plan.probes.len() {
            if self.waiting[index] == 0 {
                self.begin(index);
            }
        }
    }

    /// Spawns a probe whose dependencies have ended, or settles one that must not run. Settling may
    /// free others, so the work is a list, not a recursion.
    fn begin(&mut self, index: usize) {
        let mut ready = vec![index];
        while let Some(index) = ready.pop() {
            if let Some(cause) = self.obstacle(index) {
                self.settle(index, not_observed(&self.plan.probes[index], cause));
                ready.extend(self.release(index));
                continue;
            }
            let (plan, runner, judge) = (
                Arc::clone(&self.plan),
                self.runner.clone(),
                self.judge.clone(),
            );
            let tries = Arc::clone(&self.tries[index]);
            let handle = self.tasks.spawn(async move {
                let judge = |envelope: &mut Envelope| judge(&plan, index, envelope);
                runner
                    .run(&plan, index, Arc::default(), &tries, judge)
                    .await
            });
            self.by_task.insert(handle.id(), index);
        }
    }

    /// Why a probe must not run.
    fn obstacle(&self, index: usize) -> Option<String> {
        if !self.selected[index] {
            return Some("not selected for this run".to_owned());
        }
        let unmet = self.plan.probes[index]
            .depends_on
            .iter()
            .find(|dependency| !self.is_met(**dependency))?;
        Some(format!("depends on {}", self.plan.probes[*unmet].id))
    }

    fn is_met(&self, index: usize) -> bool {
        self.seen[index]
            .as_ref()
            .is_some_and(|seen| is_met(&seen.verdicts))
    }

    fn settle(&mut self, index: usize, mut envelope: Envelope) {
        envelope.tries = take(&self.tries[index]);
        let verdicts = (self.judge)(&self.plan, index, &mut envelope);
        self.seen[index] = Some(Seen { envelope, verdicts });
    }

    /// The probes that waited for `index` alone.
    fn release(&mut self, index: usize) -> Vec<usize> {
        let mut free = Vec::new();
        for dependent in &self.dependents[index] {
            self.waiting[*dependent] -= 1;
            if self.waiting[*dependent] == 0 {
                free.push(*dependent);
            }
        }
        free
    }

    fn ended(&mut self, ended: Ended) -> usize {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(index) = self.by_task.remove(&id) else {
            return 0;
        };
        match result {
            Ok(seen) => self.seen[index] = Some(seen),
            Err(error) => {
                let cause = defect(&self.plan, index, error);
                self.settle(index, not_observed(&self.plan.probes[index], cause));
            }
        }
        for free in self.release(index) {
            self.begin(free);
        }
        index
    }

    /// Ends what still runs, and says of each probe that did not end why.
    fn finish(mut self, cut: Option<Interrupt>) -> Vec<Seen> {
        self.tasks.abort_all();
        let cause = cut.map_or("not run", Interrupt::cause);
        for index in 0..self.seen.len() {
            if self.seen[index].is_none() {
                let cause = match self.obstacle(index) {
                    Some(cause) if !self.selected[index] => cause,
                    _ => cause.to_owned(),
                };
                self.settle(index, not_observed(&self.plan.probes[index], cause));
            }
        }
        self.seen.into_iter().flatten().collect()
    }
}

/// A panic is a defect of ours: the probe could not look, and only that one.
pub fn defect(plan: &Plan, index: usize, error: JoinError) -> String {
    let kind = plan.probes[index].kind;
    if !error.is_panic() {
        return "its task was cancelled".to_owned();
    }
    let payload = error.into_panic();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    plan.redactor.string(format!(
        "a defect in the kind `{kind}`, please report it: {message}"
    ))
}
