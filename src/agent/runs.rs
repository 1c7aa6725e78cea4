//! When a probe begins, and what becomes of what it hands in.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::core::{Core, Ended, Request, default_ttl, lets_run, now};
use super::evidence::{Judged, Memory, judge, settle};
use super::handle::{Command, Event, EventKind, RunNowError, lock};
use super::snapshot::Snapshot;
use crate::evidence::Envelope;
use crate::observe::{defect, not_observed};
use crate::plan::Plan;
use crate::probes::Earlier;
use crate::verdict::judge_probe;

/// The slot that a run is for, and when it was due.
pub(super) type For = (Timestamp, Instant);

impl Core {
    /// Begins what is due.
    pub(super) fn fire(&mut self) {
        let instant = Instant::now();
        let mut shared = Vec::new();
        while let Some(Reverse((due, index))) = self.due.peek().copied() {
            if due > instant {
                break;
            }
            self.due.pop();
            if self
                .probes
                .get(index)
                .is_none_or(|watched| watched.due != due)
            {
                // It was scheduled anew meanwhile.
                continue;
            }
            let slot = self.probes[index].slot;
            self.schedule_next(index);
            if self.probes[index].running.is_some() {
                lock(&self.around.vitals.counts).missed_slots += 1;
            } else if self.around.history.is_shared() {
                shared.push((self.plan.probes[index].id.clone(), slot, due));
            } else {
                self.begin(index, Some((slot, due)));
            }
        }
        if !shared.is_empty() {
            self.lease(shared);
        }
    }

    fn schedule_next(&mut self, index: usize) {
        let now = now();
        let watched = &mut self.probes[index];
        // A clock that was set back must not silence a probe until it has caught up.
        let after = if watched.slot > watched.grid.next_after(now) {
            now
        } else {
            watched.slot.max(now)
        };
        let skipped = watched.grid.slots_between(watched.slot, after);
        if skipped > 0 {
            lock(&self.around.vitals.counts).missed_slots += skipped;
        }
        watched.slot = watched.grid.next_after(after);
        let wait = std::time::Duration::try_from(watched.slot.duration_since(now));
        watched.due = Instant::now() + wait.unwrap_or_default();
        self.due.push(Reverse((watched.due, index)));
    }

    /// Asks the store that agents share which of these slots are this agent's.
    fn lease(&self, due: Vec<(String, Timestamp, Instant)>) {
        let (history, commands) = (self.around.history.clone(), self.around.commands.clone());
        tokio::spawn(async move {
            let asked: Vec<(&str, Timestamp)> = due
                .iter()
                .map(|(id, slot, _)| (id.as_str(), *slot))
                .collect();
            let mine = history.lease(&asked).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot lease probes: this agent runs them itself");
                vec![true; asked.len()]
            });
            let leased = due
                .into_iter()
                .zip(mine)
                .filter_map(|(one, mine)| mine.then_some(one))
                .collect();
            commands.send(Command::Leased(leased)).await.ok();
        });
    }

    /// Begins a run, unless the probe is running, must wait, or must not run.
    pub(super) fn begin(&mut self, index: usize, slot: Option<For>) {
        if self.probes[index].running.is_some() || self.is_stopping() {
            return;
        }
        match self.obstacle(index) {
            None => self.spawn(index, slot),
            Some(Obstacle::Waits) => self.probes[index].waits = true,
            Some(Obstacle::Unmet(cause)) => {
                let plan = Arc::clone(&self.plan);
                let envelope = not_observed(&plan.probes[index], cause);
                let judged = judge(
                    &plan,
                    index,
                    envelope,
                    &self.probes[index].past,
                    Memory::Add,
                );
                self.take_in(index, judged, Instant::now());
            }
        }
    }

    fn obstacle(&self, index: usize) -> Option<Obstacle> {
        let now = now();
        for dependency in &self.plan.probes[index].depends_on {
            let watched = &self.probes[*dependency];
            let is_asked = |request: &Request| request.open.contains(dependency);
            // A request runs what it asks for in the order of the dependencies.
            if !watched.state.seen || self.requests.iter().any(is_asked) {
                return Some(Obstacle::Waits);
            }
            let id = &self.plan.probes[*dependency].id;
            if !lets_run(watched.state.result) {
                return Some(Obstacle::Unmet(format!("depends on {id}")));
            }
            let age = now.duration_since(watched.state.observed_at).unsigned_abs();
            if age > default_ttl(&self.plan, *dependency) {
                let cause = format!("depends on {id}, of which nothing recent is known");
                return Some(Obstacle::Unmet(cause));
            }
        }
        None
    }

    fn spawn(&mut self, index: usize, slot: Option<For>) {
        let watched = &mut self.probes[index];
        watched.running = Some(Instant::now());
        watched.waits = false;
        let (plan, runner) = (Arc::clone(&self.plan), self.around.runner.clone());
        let (vitals, earlier) = (
            Arc::clone(&self.around.vitals),
            Arc::clone(&watched.earlier),
        );
        let past = watched.past.clone();
        let under = Arc::clone(&plan);
        let handle = self.tasks.spawn(async move {
            if let Some((_, due)) = slot {
                vitals.lag.observe(due.elapsed());
            }
            let tries = Mutex::default();
            let by_facts = |envelope: &mut Envelope| judge_probe(&plan, index, envelope);
            let seen = runner.run(&plan, index, earlier, &tries, by_facts).await;
            let judged = settle(
                &plan,
                index,
                seen.envelope,
                seen.verdicts,
                &past,
                Memory::Add,
            );
            Ended {
                judged,
                plan,
                index,
            }
        });
        self.by_task.insert(handle.id(), (under, index));
    }

    /// Takes in what a task hands in, also that it panicked.
    pub(super) fn handed_in(&mut self, ended: Option<Result<(Id, Ended), JoinError>>) {
        let Some(ended) = ended else {
            return;
        };
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Ok(ended)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((plan, index)) = self.by_task.remove(&id) else {
            return;
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                lock(&self.around.vitals.counts).panics += 1;
                let cause = defect(&plan, index, error);
                tracing::error!(probe = plan.probes[index].id, cause, "a probe panicked");
                let past = self
                    .at_present(&plan, index)
                    .map(|at| self.probes[at].past.clone());
                let envelope = not_observed(&plan.probes[index], cause);
                let judged = judge(
                    &plan,
                    index,
                    envelope,
                    &past.unwrap_or_default(),
                    Memory::Add,
                );
                Ended {
                    judged,
                    plan,
                    index,
                }
            }
        };
        self.ended(ended);
    }

    /// Where a probe of that plan is now; none when it is gone, or asks something else.
    pub(super) fn at_present(&self, plan: &Arc<Plan>, index: usize) -> Option<usize> {
        if Arc::ptr_eq(plan, &self.plan) {
            return Some(index);
        }
        let old = &plan.probes[index];
        let at = self.index.probe(&old.id)?;
        (self.plan.probes[at].question == old.question).then_some(at)
    }

    fn ended(&mut self, ended: Ended) {
        let Ended {
            judged,
            plan,
            index,
        } = ended;
        let by_id = self.index.probe(&plan.probes[index].id);
        let Some(now_at) = by_id else {
            return;
        };
        let began = self.probes[now_at].running.take();
        let judged = match self.at_present(&plan, index) {
            Some(at) if Arc::ptr_eq(&plan, &self.plan) => Some((at, judged)),
            // The rules may be others: the facts are the same.
            Some(at) => {
                let past = self.probes[at].past.clone();
                Some((
                    at,
                    judge(&self.plan, at, judged.envelope, &past, Memory::Add),
                ))
            }
            None => None,
        };
        let again = std::mem::take(&mut self.probes[now_at].again);
        if let Some((at, judged)) = judged {
            self.take_in(at, judged, began.unwrap_or_else(Instant::now));
        }
        if again {
            self.begin(now_at, None);
        }
    }

    /// A run has ended: its evidence is the latest now.
    fn take_in(&mut self, index: usize, judged: Judged, began: Instant) {
        {
            let mut counts = lock(&self.around.vitals.counts);
            counts.runs += 1;
            counts.outcomes.add(judged.envelope.outcome);
        }
        self.remember_run(index, &judged);
        self.replace(index, judged);
        self.close_requests(index, began);
        for dependent in self.dependents[index].clone() {
            if self.probes[dependent].waits && self.probes[dependent].running.is_none() {
                self.probes[dependent].waits = false;
                self.begin(dependent, None);
            }
        }
    }

    /// Puts a state in the place of the one before.
    pub(super) fn replace(&mut self, index: usize, judged: Judged) {
        let plan = Arc::clone(&self.plan);
        let watched = &mut self.probes[index];
        let before = Arc::clone(&watched.state);
        let Judged {
            state,
            past,
            envelope,
        } = judged;
        let differs =
            before.result != state.result
                || before.seen != state.seen
                || before.rules.len() != state.rules.len()
                || before.rules.iter().zip(&state.rules).any(|(one, other)| {
                    one.result != other.result || one.flapping != other.flapping
                });
        let event = Event {
            kind: EventKind::Probe,
            id: plan.probes[index].id.clone(),
            from: before.seen.then_some(before.result),
            to: state.result,
            at: state.observed_at,
        };
        watched.past = past;
        watched.state = Arc::new(state);
        let changed = !before.seen || before.result != event.to;
        self.remember_facts(index, envelope);
        for item in &self.needed_by[index] {
            self.dirty[*item] = true;
        }
        self.changed = true;
        self.urgent |= differs;
        if changed {
            self.emit(event);
        }
    }

    /// Runs probes because somebody asked.
    pub(super) fn run_now(
        &mut self,
        probes: Option<Vec<String>>,
        done: oneshot::Sender<Result<Arc<Snapshot>, RunNowError>>,
    ) {
        let open: Vec<usize> = match probes {
            None => (0..self.probes.len()).collect(),
            Some(ids) => {
                let unknown: Vec<String> = ids
                    .iter()
                    .filter(|id| self.index.probe(id).is_none())
                    .cloned()
                    .collect();
                if !unknown.is_empty() {
                    done.send(Err(RunNowError::Unknown(unknown))).ok();
                    return;
                }
                let mut open: Vec<usize> =
                    ids.iter().filter_map(|id| self.index.probe(id)).collect();
                open.sort_unstable();
                open.dedup();
                open
            }
        };
        if !self.can_take_request() {
            done.send(Err(RunNowError::Busy)).ok();
            return;
        }
        let request = Request {
            asked: Instant::now(),
            open: open.clone(),
            done,
        };
        if open.is_empty() {
            self.answered.push(request);
            return;
        }
        self.requests.push(request);
        for index in open {
            if self.probes[index].running.is_some() {
                self.probes[index].again = true;
            } else {
                self.begin(index, None);
            }
        }
    }

    /// A run counts for whoever asked before it began.
    fn close_requests(&mut self, index: usize, began: Instant) {
        for request in &mut self.requests {
            if began >= request.asked
                && let Ok(at) = request.open.binary_search(&index)
            {
                request.open.remove(at);
            }
        }
        let (done, open): (Vec<Request>, Vec<Request>) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request| request.open.is_empty());
        self.requests = open;
        self.answered.extend(done);
    }

    /// Keeps the facts that later runs compare with, for the kinds that do.
    fn remember_facts(&mut self, index: usize, envelope: Envelope) {
        let wanted = self.plan.probes[index].probe.earlier_runs();
        if self
            .plan
            .agent
            .digest_from
            .as_ref()
            .is_some_and(|from| from.probe == index)
        {
            self.remember_observed_digest(&envelope);
        }
        if wanted == 0 || envelope.facts.is_empty() {
            return;
        }
        let watched = &mut self.probes[index];
        let one = Earlier {
            observed_at: envelope.observed_at,
            facts: envelope.facts,
        };
        let skip = (watched.earlier.len() + 1).saturating_sub(wanted);
        let kept = watched.earlier.iter().skip(skip).cloned();
        watched.earlier = kept.chain([one]).collect();
    }
}

/// Why a probe does not run now.
enum Obstacle {
    /// A probe that it depends on has not been seen, and will be.
    Waits,
    /// It must not.
    Unmet(String),
}
