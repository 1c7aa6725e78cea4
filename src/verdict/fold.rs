//! Folds what the probes saw into items, gates and the score. Pure: the same evidence and the same
//! plan give the same verdict, live or replayed.

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::item::{Evidence, Moment, fold_item, seen_by_gate};
use super::{
    Basis, GateReport, Health, ItemReport, ProbeReport, RiskReport, SCHEMA, Source, Subject, Tool,
    Vantage, Verdict, findings,
};
use crate::evidence::{Envelope, Outcome};
use crate::judge::{self, RuleVerdict, Score, ScoreItem, Status};
use crate::plan::{Item, Need, Plan, PlannedProbe, Risk};

/// How a verdict came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `probe --once`.
    Once,
    /// `probe`.
    Daemon,
    /// `probe replay`.
    Replay,
}

/// One probe's run: what it saw and what its rules made of it.
pub struct Observation {
    /// What it saw.
    pub envelope: Envelope,
    /// The verdict of each of its rules, in order.
    pub rules: Vec<RuleVerdict>,
}

/// All that a verdict is made from, besides the plan.
pub struct Run {
    /// Unique.
    pub id: String,
    /// How it came about.
    pub mode: Mode,
    /// From where it was seen.
    pub host: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When the last probe ended.
    pub finished_at: Timestamp,
    /// One per probe of the plan, in order.
    pub observations: Vec<Observation>,
    /// The day on which waivers and attestations must hold as well, UTC: a replay revives none.
    pub today: Date,
    /// Which probes were selected.
    pub selected: Vec<bool>,
    /// The gate that was asked for.
    pub gate: Option<String>,
}

/// Judges what one probe saw, then takes the secrets out of it.
///
/// The results are those of the real facts: a rule about an echoed secret must see the echo. The reasons
/// are those of the redacted ones, so that not even a part of a secret is quoted.
pub fn judge_probe(plan: &Plan, index: usize, envelope: &mut Envelope) -> Vec<RuleVerdict> {
    const HIDDEN: &str = "decided by what holds a secret";
    let probe = &plan.probes[index];
    let now = envelope.observed_at;
    let mut verdicts = judge::judge(&probe.id, &probe.rules, envelope, now);
    if plan.redactor.facts(&mut envelope.facts) {
        let shown = judge::judge(&probe.id, &probe.rules, envelope, now);
        for (verdict, shown) in verdicts.iter_mut().zip(shown) {
            verdict.reason = if verdict.result == shown.result {
                shown.reason
            } else {
                HIDDEN.to_owned()
            };
        }
    }
    for verdict in &mut verdicts {
        // A reason quotes the expression, cut to length: a part of a secret would not be found in it.
        if plan.redactor.replace(&mut verdict.expr) {
            HIDDEN.clone_into(&mut verdict.reason);
        }
        plan.redactor.replace(&mut verdict.reason);
        plan.redactor.replace(&mut verdict.why);
    }
    verdicts
}

/// Folds a run.
pub fn judge_run(plan: &Plan, run: Run) -> Verdict {
    let hashes: Vec<String> = run.observations.iter().map(|o| o.envelope.hash()).collect();
    let seen = Observed {
        observations: &run.observations,
        hashes: &hashes,
    };
    let moment = Moment {
        now: run.finished_at,
        today: run.today,
    };
    let items: Vec<ItemReport> = (0..plan.items.len())
        .map(|at| fold_item(plan, at, plan.items[at].ttl, moment, &seen))
        .collect();
    let by_gates = |item: usize| (items[item].id.as_str(), seen_by_gate(&items[item]));
    let gates: Vec<GateReport> = plan
        .gates
        .iter()
        .map(|gate| fold_gate(&gate.id, gate.items.iter().map(|at| by_gates(*at))))
        .collect();
    let risks = plan
        .risks
        .iter()
        .map(|risk| fold_risk(plan, risk, by_gates))
        .collect();
    let findings = items
        .iter()
        .enumerate()
        .flat_map(|(at, report)| {
            findings::of_item(plan, at, report, moment, |probe| run.selected[probe])
        })
        .collect();
    let gate = chosen_gate(run.gate.as_deref(), &gates);
    let scored = plan.items.iter().zip(&items);
    let scored = scored.map(|(item, report)| score_item(item, report.result, report.basis));
    let score = Score::of(&scored.collect::<Vec<_>>());
    let score = score.held_against(&plan.targets);
    let chosen = || {
        let pairs = run.observations.iter().zip(&run.selected);
        pairs.filter_map(|(observation, selected)| selected.then_some(&observation.envelope))
    };
    let health = Health {
        planned: chosen().count(),
        ran: chosen()
            .filter(|envelope| !envelope.tries.is_empty())
            .count(),
        errored: chosen()
            .filter(|envelope| matches!(envelope.outcome, Outcome::ProbeError | Outcome::Denied))
            .count(),
    };
    let probes = plan
        .probes
        .iter()
        .zip(run.observations)
        .zip(hashes)
        .map(|((probe, observation), hash)| probe_report(probe, observation, hash))
        .collect();
    Verdict {
        schema: SCHEMA.to_owned(),
        run_id: run.id,
        mode: run.mode,
        tool: tool(plan),
        subject: subject(plan),
        vantage: Vantage { host: run.host },
        started_at: run.started_at,
        finished_at: run.finished_at,
        gate,
        gates,
        risks,
        score,
        findings,
        items,
        probes,
        health,
    }
}

/// What a run observed, as the fold of items reads it.
struct Observed<'r> {
    observations: &'r [Observation],
    hashes: &'r [String],
}

impl Evidence for Observed<'_> {
    fn observed_at(&self, probe: usize) -> Option<Timestamp> {
        Some(self.observations[probe].envelope.observed_at)
    }

    fn hash(&self, probe: usize) -> &str {
        &self.hashes[probe]
    }

    fn is_flaky(&self, probe: usize) -> bool {
        let observation = &self.observations[probe];
        is_flaky(&observation.envelope, &observation.rules)
    }

    fn is_flapping(&self, _: Need) -> bool {
        false
    }

    fn rule(&self, need: Need) -> RuleVerdict {
        self.observations[need.probe].rules[need.rule].clone()
    }
}

/// What makes a verdict of this plan.
pub(crate) fn tool(plan: &Plan) -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_digest: plan.config_digest.clone(),
    }
}

/// What a verdict of this plan is about.
pub(crate) fn subject(plan: &Plan) -> Subject {
    Subject {
        environment: plan.agent.environment.clone(),
        service: plan.agent.service.clone(),
        git_commit: plan.agent.git_commit.clone(),
        digests: plan.agent.digests.clone(),
    }
}

/// A probe that passes after a failed try.
pub(crate) fn is_flaky(envelope: &Envelope, rules: &[RuleVerdict]) -> bool {
    envelope.tries.len() > 1 && envelope.outcome == Outcome::Observed && judge::is_met(rules)
}

/// Folds items, each an id and what a gate sees of it.
pub(crate) fn fold_gate<'i>(
    id: &str,
    items: impl Iterator<Item = (&'i str, Status)> + Clone,
) -> GateReport {
    let result = match Status::fold(items.clone().map(|(_, seen)| seen)) {
        // Nothing was asked of the target, so nothing was seen.
        None | Some(Status::Na) => Status::Unknown,
        Some(result) => result,
    };
    GateReport {
        id: id.to_owned(),
        result,
        blocking: items
            .filter(|(_, seen)| matches!(seen, Status::Fail | Status::Unknown))
            .map(|(id, _)| id.to_owned())
            .collect(),
    }
}

/// A risk is as well mitigated as the worst of the items that mitigate it.
pub(crate) fn fold_risk<'i>(
    plan: &Plan,
    risk: &Risk,
    seen: impl Fn(usize) -> (&'i str, Status) + Clone,
) -> RiskReport {
    let folded = fold_gate(&risk.id, risk.items.iter().map(|at| seen(*at)));
    RiskReport {
        id: folded.id,
        title: risk.title.clone(),
        titles: risk.titles.clone(),
        level: risk.level,
        result: folded.result,
        items: risk
            .items
            .iter()
            .map(|at| plan.items[*at].id.clone())
            .collect(),
        open: folded.blocking,
    }
}

pub(crate) fn chosen_gate(wanted: Option<&str>, gates: &[GateReport]) -> GateReport {
    let named = match (wanted, gates) {
        (Some(wanted), _) => gates.iter().find(|gate| gate.id == wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    if let Some(gate) = named {
        return gate.clone();
    }
    let mut blocking: Vec<String> = Vec::new();
    for id in gates.iter().flat_map(|gate| &gate.blocking) {
        if !blocking.contains(id) {
            blocking.push(id.clone());
        }
    }
    GateReport {
        id: "all".to_owned(),
        result: Status::fold(gates.iter().map(|gate| gate.result)).unwrap_or(Status::Unknown),
        blocking,
    }
}

pub(crate) fn score_item(item: &Item, result: Status, basis: Basis) -> ScoreItem {
    ScoreItem {
        category: item.category.clone(),
        weight: item.weight,
        status: result,
        waived: basis == Basis::Waived,
        basis: match basis {
            Basis::Attested => judge::Basis::Attested,
            Basis::Derived | Basis::Waived => judge::Basis::Derived,
        },
    }
}

pub(crate) fn probe_report(
    probe: &PlannedProbe,
    observation: Observation,
    hash: String,
) -> ProbeReport {
    let flaky = is_flaky(&observation.envelope, &observation.rules);
    let Observation { envelope, rules } = observation;
    ProbeReport {
        id: probe.id.clone(),
        kind: probe.kind.to_owned(),
        target: probe.target.clone(),
        params_digest: probe.params_digest.clone(),
        tags: probe.tags.clone(),
        source: Source::from(&probe.source),
        outcome: envelope.outcome,
        cause: envelope.cause,
        observed_at: envelope.observed_at,
        flaky,
        tries: envelope.tries,
        duration_ms: crate::evidence::millis(envelope.duration),
        addresses: envelope
            .trail
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect(),
        phases: envelope.trail.phases,
        rules,
        facts: envelope.facts,
        evidence_hash: hash,
    }
}
