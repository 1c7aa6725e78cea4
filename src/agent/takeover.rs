//! Another configuration takes the place of the one in use, at once and as a whole. A probe that asks the same
//! question keeps its evidence and what is remembered of it.

use std::sync::Arc;

use super::clock::Grid;
use super::core::{Core, Watched, now};
use super::evidence::{Memory, judge, read_back};
use super::handle::{Event, EventKind, lock};
use super::start::probe_budget;
use crate::judge::{Rule, Status};
use crate::plan::{Plan, PlannedProbe};

impl Core {
    pub(super) fn take_over(&mut self, plan: Arc<Plan>) {
        let now = now();
        let old_plan = std::mem::replace(&mut self.plan, plan);
        let old_index = Arc::clone(&self.index);
        let mut old: Vec<Option<Watched>> = self.probes.drain(..).map(Some).collect();
        self.lay_out();
        self.due.clear();
        let mut first = Vec::new();
        for index in 0..self.plan.probes.len() {
            let probe = &self.plan.probes[index];
            let at = old_index.probe(&probe.id);
            let kept = at.and_then(|at| Some((at, old.get_mut(at)?.take()?)));
            let Some((at, mut watched)) = kept else {
                self.probes.push(self.watched(index, now));
                first.push(index);
                continue;
            };
            let before = &old_plan.probes[at];
            if before.question != probe.question || before.kind != probe.kind {
                let mut anew = self.watched(index, now);
                // What runs under the old question is let go when it ends.
                anew.running = watched.running;
                self.probes.push(anew);
                first.push(index);
                continue;
            }
            let same_schedule = before.interval == probe.interval;
            watched.grid = Grid::new(&probe.id, probe.interval);
            watched.waits = false;
            self.carry(&mut watched, before, index);
            self.probes.push(watched);
            if same_schedule {
                let due = self.probes[index].due;
                self.due.push(std::cmp::Reverse((due, index)));
            } else {
                first.push(index);
            }
        }
        for index in first {
            self.schedule_first(index);
        }
        self.close_vanished(&old_plan);
        let most = self.plan.agent.max_per_target;
        if old_plan.agent.max_per_target != most {
            self.around.runner = self.around.runner.with_budget(probe_budget(most));
        }
        self.remember_maintenance(now);
        self.remember_digests(&self.plan.agent.digests.clone(), now);
        lock(&self.around.vitals.counts).reloads += 1;
        *lock(&self.around.vitals.config_error) = None;
        self.emit(Event {
            kind: EventKind::Config,
            id: self.plan.config_digest.clone(),
            from: None,
            to: Status::Pass,
            at: now,
        });
        tracing::info!(
            probes = self.plan.probes.len(),
            items = self.plan.items.len(),
            digest = self.plan.config_digest,
            "the configuration was taken over"
        );
        self.publish();
    }

    /// Judges the evidence that is there by the rules of now. The report names places in files, so that it is
    /// written anew also where only those moved.
    fn carry(&self, watched: &mut Watched, before: &PlannedProbe, index: usize) {
        let probe = &self.plan.probes[index];
        if is_reported_alike(before, probe) {
            return;
        }
        watched.past = watched.past.carried(&before.rules, &probe.rules);
        let evidence = watched
            .state
            .seen
            .then(|| read_back(&watched.state.json))
            .flatten();
        match evidence {
            Some(envelope) => {
                let past = watched.past.clone();
                let judged = judge(&self.plan, index, envelope, &past, Memory::Has);
                watched.state = Arc::new(judged.state);
            }
            None => {
                watched.state = Arc::new(super::evidence::unseen(&self.plan, index, now()));
            }
        }
    }

    /// Whoever waits for a probe that is gone waits for nothing.
    fn close_vanished(&mut self, old: &Plan) {
        for request in &mut self.requests {
            let ids = request.open.iter().map(|at| old.probes[*at].id.as_str());
            let mut open: Vec<usize> = ids.filter_map(|id| self.index.probe(id)).collect();
            open.sort_unstable();
            request.open = open;
        }
        let (done, open) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request| request.open.is_empty());
        self.requests = open;
        self.answered.extend::<Vec<_>>(done);
        for watched in &mut self.probes {
            if watched.running.is_none() {
                watched.again = false;
            }
        }
    }
}

/// Whether the same evidence makes the same report.
fn is_reported_alike(one: &PlannedProbe, other: &PlannedProbe) -> bool {
    let rule = |one: &Rule, other: &Rule| {
        let applies = |rule: &Rule| {
            rule.applies
                .as_ref()
                .map(|applies| applies.source().to_owned())
        };
        one.name == other.name
            && one.severity == other.severity
            && one.expr.source() == other.expr.source()
            && applies(one) == applies(other)
            && (&one.why, &one.source, &one.state, one.hold, one.builtin)
                == (
                    &other.why,
                    &other.source,
                    &other.state,
                    other.hold,
                    other.builtin,
                )
    };
    one.target == other.target
        && one.params_digest == other.params_digest
        && one.tags == other.tags
        && one.source == other.source
        && one.soft == other.soft
        && one.rules.len() == other.rules.len()
        && one
            .rules
            .iter()
            .zip(&other.rules)
            .all(|(one, other)| rule(one, other))
}
