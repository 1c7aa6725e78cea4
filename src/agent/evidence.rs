//! From what a run saw to what is kept of it: verdicts with their past, the rendered part of the verdict,
//! and nothing twice.

use bytes::Bytes;
use jiff::Timestamp;

use super::snapshot::{ProbeState, RuleState};
use crate::evidence::{Envelope, Trail};
use crate::judge::{Past, RuleVerdict, Status};
use crate::plan::{Need, Plan};
use crate::probes::Severity;
use crate::verdict::{self, Evidence, Observation, ProbeReport, judge_probe};

/// A run, judged.
pub(super) struct Judged {
    pub(super) state: ProbeState,
    pub(super) past: Past,
    pub(super) envelope: Envelope,
}

/// Whether a run is one more, or one that is remembered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Add,
    Has,
}

/// Judges evidence, given what is remembered of the runs before it.
pub(super) fn judge(
    plan: &Plan,
    index: usize,
    mut envelope: Envelope,
    past: &Past,
    memory: Memory,
) -> Judged {
    let verdicts = judge_probe(plan, index, &mut envelope);
    settle(plan, index, envelope, verdicts, past, memory)
}

/// The same for evidence whose rules were judged by its facts alone.
pub(super) fn settle(
    plan: &Plan,
    index: usize,
    envelope: Envelope,
    mut verdicts: Vec<RuleVerdict>,
    past: &Past,
    memory: Memory,
) -> Judged {
    let probe = &plan.probes[index];
    let at = envelope.observed_at;
    let past = match memory {
        Memory::Add => past.after(&probe.rules, &verdicts, at),
        Memory::Has => past.clone(),
    };
    past.hold_back(&probe.rules, &mut verdicts, at);
    let must = fold(&verdicts, |verdict| verdict.severity == Severity::Must);
    past.soften(probe.soft, &mut verdicts);
    let rules = verdicts
        .iter()
        .enumerate()
        .map(|(rule, verdict)| RuleState {
            result: verdict.result,
            reason: verdict.reason.as_str().into(),
            flapping: past.is_flapping(rule),
        });
    let rules: Box<[RuleState]> = rules.collect();
    let result = fold(&verdicts, |_| true);
    let hash = envelope.hash();
    let mut state = ProbeState {
        seen: true,
        outcome: envelope.outcome,
        result,
        must,
        rules,
        started_at: envelope.tries.first().map(|first| first.started_at),
        observed_at: at,
        duration: envelope.duration,
        tries: envelope.tries.len(),
        flaky: verdict::is_flaky(&envelope, &verdicts),
        evidence_hash: hash.as_str().into(),
        json: Bytes::new(),
    };
    let (trail, duration) = (envelope.trail.clone(), envelope.duration);
    let observation = Observation {
        envelope,
        rules: verdicts,
    };
    let report = verdict::probe_report(probe, observation, hash);
    state.json = render(&report);
    let envelope = Envelope {
        probe: report.id,
        observed_at: report.observed_at,
        duration,
        outcome: report.outcome,
        cause: report.cause,
        tries: report.tries,
        trail,
        facts: report.facts,
    };
    Judged {
        state,
        past,
        envelope,
    }
}

fn fold(verdicts: &[RuleVerdict], wanted: impl Fn(&RuleVerdict) -> bool) -> Status {
    let enabled = verdicts
        .iter()
        .filter(|verdict| verdict.enabled && wanted(verdict));
    Status::fold(enabled.map(|verdict| verdict.result)).unwrap_or(Status::Unknown)
}

/// A probe of which there is no evidence yet.
pub(super) fn unseen(plan: &Plan, index: usize, now: Timestamp) -> ProbeState {
    let cause = "it has not run yet".to_owned();
    let envelope = Envelope::not_observed(&plan.probes[index].id, now, cause);
    let judged = judge(plan, index, envelope, &Past::default(), Memory::Has);
    ProbeState {
        seen: false,
        ..judged.state
    }
}

/// The evidence as it stands in a rendered part of the verdict.
pub(super) fn read_back(json: &[u8]) -> Option<Envelope> {
    let report: ProbeReport = serde_json::from_slice(json).ok()?;
    Some(Envelope {
        probe: report.id,
        observed_at: report.observed_at,
        duration: std::time::Duration::try_from_secs_f64(report.duration_ms / 1e3)
            .unwrap_or_default(),
        outcome: report.outcome,
        cause: report.cause,
        tries: report.tries,
        trail: Trail {
            addresses: report
                .addresses
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            phases: report.phases,
        },
        facts: report.facts,
    })
}

/// JSON in no more memory than it needs.
pub(super) fn render(part: &impl serde::Serialize) -> Bytes {
    let mut json = Vec::new();
    match verdict::write_json(part, &mut json) {
        Ok(()) => Bytes::from(json.into_boxed_slice()),
        // Maps have text keys and numbers are finite: this is a defect, and it must show.
        Err(error) => {
            tracing::error!(%error, "a part of the verdict cannot be written");
            Bytes::from_static(b"null")
        }
    }
}

/// The latest of every probe, as the fold of items reads it.
pub(super) struct States<'c, F> {
    pub(super) plan: &'c Plan,
    pub(super) state: F,
}

impl<'c, F: Fn(usize) -> &'c ProbeState> Evidence for States<'c, F> {
    fn observed_at(&self, probe: usize) -> Option<Timestamp> {
        let state = (self.state)(probe);
        state.seen.then_some(state.observed_at)
    }

    fn hash(&self, probe: usize) -> &str {
        &(self.state)(probe).evidence_hash
    }

    fn is_flaky(&self, probe: usize) -> bool {
        (self.state)(probe).flaky
    }

    fn is_flapping(&self, need: Need) -> bool {
        let rule = (self.state)(need.probe).rules.get(need.rule);
        rule.is_some_and(|rule| rule.flapping)
    }

    fn rule(&self, need: Need) -> RuleVerdict {
        let probe = &self.plan.probes[need.probe];
        let state = &(self.state)(need.probe).rules[need.rule];
        let reason = state.reason.clone().into_string();
        let mut verdict =
            RuleVerdict::new(&probe.id, &probe.rules[need.rule], state.result, reason);
        self.plan.redactor.replace(&mut verdict.expr);
        self.plan.redactor.replace(&mut verdict.why);
        verdict
    }
}
