//! Folds what the probes saw into items, gates and the score. Pure: the same evidence and the same
//! plan give the same verdict, live or replayed.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Basis, GateReport, Health, ItemReport, ProbeReport, RiskReport, SCHEMA, Source, Subject, Tool,
    Vantage, Verdict, findings, item,
};
use crate::evidence::{Envelope, Outcome};
use crate::judge::{self, RuleVerdict, Score, ScoreItem, Status};
use crate::plan::{Plan, PlannedProbe, Risk};

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

impl Run {
    /// The day of the run, UTC.
    pub(super) fn day(&self) -> Date {
        self.finished_at.to_zoned(TimeZone::UTC).date()
    }

    /// The earlier of the day of the run and today.
    pub(super) fn first_day(&self) -> Date {
        self.day().min(self.today)
    }

    /// The later of the day of the run and today.
    pub(super) fn last_day(&self) -> Date {
        self.day().max(self.today)
    }
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
    let items: Vec<ItemReport> = plan
        .items
        .iter()
        .map(|item| item::fold(item, plan, &run, &hashes))
        .collect();
    let gates: Vec<GateReport> = plan
        .gates
        .iter()
        .map(|gate| fold_gate(&gate.id, gate.items.iter().map(|i| &items[*i])))
        .collect();
    let risks = plan
        .risks
        .iter()
        .map(|risk| fold_risk(risk, &items))
        .collect();
    let findings = findings::of_items(plan, &items, &run);
    let gate = chosen_gate(run.gate.as_deref(), &gates);
    let score = Score::of(&items.iter().map(score_item).collect::<Vec<_>>());
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
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_digest: plan.config_digest.clone(),
        },
        subject: Subject {
            environment: plan.agent.environment.clone(),
            service: plan.agent.service.clone(),
            git_commit: plan.agent.git_commit.clone(),
            digests: plan.agent.digests.clone(),
        },
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

/// What a gate sees: a waived result is a warning.
fn seen_by_gate(item: &ItemReport) -> Status {
    match item.basis {
        Basis::Waived => Status::Warn,
        Basis::Derived | Basis::Attested => item.result,
    }
}

fn fold_gate<'i>(id: &str, items: impl Iterator<Item = &'i ItemReport>) -> GateReport {
    let items: Vec<&ItemReport> = items.collect();
    let result = match Status::fold(items.iter().map(|item| seen_by_gate(item))) {
        // Nothing was asked of the target, so nothing was seen.
        None | Some(Status::Na) => Status::Unknown,
        Some(result) => result,
    };
    GateReport {
        id: id.to_owned(),
        result,
        blocking: items
            .iter()
            .filter(|item| matches!(seen_by_gate(item), Status::Fail | Status::Unknown))
            .map(|item| item.id.clone())
            .collect(),
    }
}

/// A risk is as well mitigated as the worst of the items that mitigate it.
fn fold_risk(risk: &Risk, items: &[ItemReport]) -> RiskReport {
    let mitigating = || risk.items.iter().map(|i| &items[*i]);
    let folded = fold_gate(&risk.id, mitigating());
    RiskReport {
        id: folded.id,
        title: risk.title.clone(),
        titles: risk.titles.clone(),
        level: risk.level,
        result: folded.result,
        items: mitigating().map(|item| item.id.clone()).collect(),
        open: folded.blocking,
    }
}

fn chosen_gate(wanted: Option<&str>, gates: &[GateReport]) -> GateReport {
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

fn score_item(item: &ItemReport) -> ScoreItem {
    ScoreItem {
        category: item.category.clone(),
        weight: item.weight,
        status: item.result,
        waived: item.basis == Basis::Waived,
        basis: match item.basis {
            Basis::Attested => judge::Basis::Attested,
            Basis::Derived | Basis::Waived => judge::Basis::Derived,
        },
    }
}

fn probe_report(probe: &PlannedProbe, observation: Observation, hash: String) -> ProbeReport {
    let flaky = item::is_flaky(&observation);
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
