//! The verdict of now: only what changed is folded and rendered again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::core::{Core, Watched, default_ttl, now};
use super::evidence::{States, render};
use super::handle::{Event, EventKind};
use super::snapshot::{ItemState, ProbeState, Snapshot};
use crate::evidence::Outcome;
use crate::judge::{Score, Status};
use crate::plan::Plan;
use crate::verdict::{self, Freshness, GateReport, Health, Mode, Moment, SCHEMA, Vantage, Verdict};

/// Clocks of agents that share a history may differ by this much.
const SKEW: Duration = Duration::from_secs(5);

impl Core {
    /// Folds what is dirty, publishes a snapshot and answers who waited for it.
    pub(super) fn publish(&mut self) {
        let now = now();
        let first = self.items.is_empty();
        for at in 0..self.plan.items.len() {
            if !self.dirty[at] {
                continue;
            }
            self.dirty[at] = false;
            let state = Arc::new(self.fold_item(at, now));
            if first {
                self.items.push(state);
            } else {
                self.items[at] = state;
            }
        }
        let before = Arc::clone(&self.around.snapshots.borrow());
        self.version += 1;
        let snapshot = Arc::new(self.snapshot(now));
        for gate in &snapshot.gates {
            let old = before.gate(&gate.id).map(|old| old.result);
            if old != Some(gate.result) {
                self.emit(Event {
                    kind: EventKind::Gate,
                    id: gate.id.clone(),
                    from: old,
                    to: gate.result,
                    at: now,
                });
            }
        }
        self.around.snapshots.send_replace(Arc::clone(&snapshot));
        for request in self.answered.drain(..) {
            request.done.send(Ok(Arc::clone(&snapshot))).ok();
        }
        self.published = tokio::time::Instant::now();
        self.changed = false;
        self.urgent = false;
    }

    fn fold_item(&mut self, at: usize, now: Timestamp) -> ItemState {
        let plan = Arc::clone(&self.plan);
        let item = &plan.items[at];
        let states = || item.probes().map(|probe| &self.probes[probe].state);
        let newest = states().map(|state| state.observed_at).max();
        // Another agent's clock may be a little ahead.
        let skewed = newest.filter(|newest| *newest <= now + SKEW).unwrap_or(now);
        let all_seen = states().all(|state| state.seen);
        let ttl = item.ttl.or_else(|| {
            let ttls = item.probes().map(|probe| default_ttl(&plan, probe));
            ttls.max()
        });
        let moment = Moment {
            now: now.max(skewed),
            today: self.today,
        };
        let evidence = States {
            plan: &plan,
            state: |probe: usize| -> &ProbeState { &self.probes[probe].state },
        };
        let mut report = verdict::fold_item(&plan, at, ttl, moment, &evidence);
        let stale_at = report.observed_at.zip(ttl).map(|(seen, ttl)| seen + ttl);
        let is_stale = report.freshness == Freshness::Stale;
        let change = match (is_stale, stale_at) {
            (true, Some(stale_at)) => stale_at.min(now),
            _ => newest.map_or(now, |newest| newest.min(now)),
        };
        // An item of which nothing was seen yet has no result that it could have since then.
        let known = all_seen || report.result == Status::Fail;
        report.since = known.then(|| self.since(&item.id, report.result, change));
        let period = item.probes().map(|probe| plan.probes[probe].interval).max();
        let strip = self.kept.strip(&item.id);
        if let Some(period) = period.filter(|_| known) {
            strip.add(now, period, report.result);
        }
        let strip = strip.clone();
        let findings = verdict::findings_of_item(&plan, at, &report, moment, |_| true);
        ItemState {
            result: report.result,
            gate_result: verdict::seen_by_gate(&report),
            reason: report.reason.as_str().into(),
            basis: report.basis,
            freshness: report.freshness,
            since: report.since,
            observed_at: report.observed_at,
            flaky: report.flaky,
            flapping: report.flapping,
            in_maintenance: report.maintenance.is_some(),
            json: render(&report),
            findings: findings.into(),
            stale_at: stale_at.filter(|_| !is_stale),
            strip,
        }
    }

    /// Since when an item has that result, remembered beyond this process.
    fn since(&mut self, id: &str, result: Status, change: Timestamp) -> Timestamp {
        let before = self.kept.since(id);
        if let Some((_, since)) = before.filter(|(old, _)| *old == result) {
            return since;
        }
        self.keep_since(id, result, change);
        self.emit(Event {
            kind: EventKind::Item,
            id: id.to_owned(),
            from: before.map(|(old, _)| old),
            to: result,
            at: change,
        });
        change
    }

    fn snapshot(&self, now: Timestamp) -> Snapshot {
        let plan = &self.plan;
        let seen = |at: usize| (plan.items[at].id.as_str(), self.items[at].gate_result);
        let gates: Vec<GateReport> = plan
            .gates
            .iter()
            .map(|gate| verdict::fold_gate(&gate.id, gate.items.iter().map(|at| seen(*at))))
            .collect();
        let risks = plan.risks.iter();
        let scored: Vec<_> = plan
            .items
            .iter()
            .zip(&self.items)
            .map(|(item, state)| verdict::score_item(item, state.result, state.basis))
            .collect();
        let mut subject = verdict::subject(plan);
        if plan.agent.digest_from.is_some()
            && let Some(digest) = self.kept.digest()
        {
            subject.digests = digest.split(',').map(str::to_owned).collect();
        }
        let frame = Verdict {
            schema: SCHEMA.to_owned(),
            run_id: self.around.run_id.clone(),
            mode: Mode::Daemon,
            tool: verdict::tool(plan),
            subject,
            vantage: Vantage {
                host: self.around.host.clone(),
            },
            started_at: self.around.vitals.started_at,
            finished_at: now,
            gate: verdict::chosen_gate(None, &gates),
            risks: risks
                .map(|risk| verdict::fold_risk(plan, risk, seen))
                .collect(),
            score: Score::of(&scored).held_against(&plan.targets),
            gates,
            items: Vec::new(),
            probes: Vec::new(),
            findings: self
                .items
                .iter()
                .flat_map(|item| item.findings.iter().cloned())
                .collect(),
            health: self.health(),
        };
        let (head, tail) = split(&frame);
        Snapshot {
            version: self.version,
            etag: format!("\"{}-{:x}\"", self.around.run_id, self.version),
            plan: Arc::clone(plan),
            finished_at: now,
            gate: frame.gate,
            gates: frame.gates,
            risks: frame.risks,
            score: frame.score,
            findings: frame.findings,
            health: frame.health,
            items: self.items.clone(),
            probes: self.states(),
            index: Arc::clone(&self.index),
            head,
            tail,
        }
    }

    fn states(&self) -> Vec<Arc<ProbeState>> {
        let state = |watched: &Watched| Arc::clone(&watched.state);
        self.probes.iter().map(state).collect()
    }

    fn health(&self) -> Health {
        let count = |wanted: fn(&ProbeState) -> bool| {
            self.probes.iter().filter(|one| wanted(&one.state)).count()
        };
        Health {
            planned: self.probes.len(),
            ran: count(|state| state.tries > 0),
            errored: count(|state| matches!(state.outcome, Outcome::ProbeError | Outcome::Denied)),
        }
    }
}

/// What stands before the items and after the probes of a verdict that has none.
fn split(frame: &Verdict) -> (Bytes, Bytes) {
    const EMPTY: &[u8] = b"\"items\":[],\"probes\":[]";
    let json = render(frame);
    // Quotes within strings are escaped: this stands there once.
    let at = json.windows(EMPTY.len()).rposition(|part| part == EMPTY);
    let Some(at) = at else {
        return (json, Bytes::new());
    };
    let head = json.slice(..at + b"\"items\":[".len());
    let mut tail = json[at + EMPTY.len() - 1..].to_vec();
    tail.push(b'\n');
    (head, Bytes::from(tail))
}

impl Snapshot {
    /// Before anything is known: what is served until the first one is published.
    pub(super) fn empty(plan: Arc<Plan>, now: Timestamp) -> Self {
        Self {
            version: 0,
            etag: "\"none\"".to_owned(),
            plan,
            finished_at: now,
            gate: verdict::chosen_gate(None, &[]),
            gates: Vec::new(),
            risks: Vec::new(),
            score: Score::of(&[]),
            findings: Vec::new(),
            health: Health {
                planned: 0,
                ran: 0,
                errored: 0,
            },
            items: Vec::new(),
            probes: Vec::new(),
            index: Arc::default(),
            head: Bytes::new(),
            tail: Bytes::new(),
        }
    }
}
