//! Folds what the probes saw into items, gates and the score. Pure: the same evidence and the same
//! plan give the same verdict, live or replayed.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Basis, Finding, Freshness, GateReport, Health, ItemReport, ProbeReport, SCHEMA, Source,
    Subject, Tool, Vantage, Verdict, WaiverReport,
};
use crate::evidence::{Envelope, Outcome};
use crate::judge::{self, RuleState, RuleVerdict, Score, ScoreItem, Status};
use crate::plan::{EXPIRES_SOON_DAYS, Item, Plan, PlannedProbe, SourceRef, Waiver};

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
    /// The day on which waivers must hold as well, UTC: a replay revives none.
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
    let items: Vec<ItemReport> = plan
        .items
        .iter()
        .map(|item| fold_item(item, plan, &run, &hashes))
        .collect();
    let gates: Vec<GateReport> = plan
        .gates
        .iter()
        .map(|gate| fold_gate(&gate.id, gate.items.iter().map(|i| &items[*i])))
        .collect();
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
        score,
        findings: findings(plan, &items, run.finished_at, run.today),
        items,
        probes,
        health,
    }
}

fn source(source: &SourceRef) -> Source {
    Source {
        file: source.file.clone(),
        line: source.line,
    }
}

fn fold_item(item: &Item, plan: &Plan, run: &Run, hashes: &[String]) -> ItemReport {
    let mut rules = Vec::with_capacity(item.needs.len());
    let mut statuses = Vec::with_capacity(item.needs.len());
    let mut probes: Vec<usize> = Vec::new();
    for need in &item.needs {
        let verdict = &run.observations[need.probe].rules[need.rule];
        let enabled = matches!(
            plan.probes[need.probe].rules[need.rule].state,
            RuleState::Enabled
        );
        // A rule that the item names and that is off has seen nothing.
        statuses.push(if enabled {
            verdict.result
        } else {
            Status::Unknown
        });
        rules.push(verdict.clone());
        if probes.last() != Some(&need.probe) {
            probes.push(need.probe);
        }
    }
    let observed_at = probes
        .iter()
        .map(|probe| run.observations[*probe].envelope.observed_at)
        .min();
    let stale = is_stale(item, observed_at, run.finished_at);
    let (known, reason) = item_result(item, &rules, &statuses);
    let (result, reason) = if stale {
        let reason = "its evidence is older than its ttl";
        (Status::Unknown, reason.to_owned())
    } else {
        (known, reason)
    };
    let waiver = item
        .waiver
        .as_ref()
        .map(|waiver| waiver_report(waiver, result, run));
    let basis = match &waiver {
        Some(waiver) if waiver.applied => Basis::Waived,
        _ => Basis::Derived,
    };
    ItemReport {
        id: item.id.clone(),
        title: item.title.clone(),
        titles: item.titles.clone(),
        section: item.section.clone(),
        category: item.category.clone(),
        weight: item.weight,
        source: source(&item.source),
        result,
        reason: plan.redactor.string(reason),
        basis,
        freshness: if stale {
            Freshness::Stale
        } else {
            Freshness::Fresh
        },
        last_known: stale.then_some(known),
        observed_at,
        owner: item.owner.clone(),
        claim: item.claim.clone(),
        unmapped: item.unmapped,
        evidence: probes
            .iter()
            .map(|probe| format!("{}@{}", plan.probes[*probe].id, hashes[*probe]))
            .collect(),
        flaky: probes
            .iter()
            .any(|probe| is_flaky(&run.observations[*probe])),
        rules,
        waiver,
        misses: item.misses.clone(),
        remediation: item.remediation.clone(),
    }
}

fn item_result(item: &Item, rules: &[RuleVerdict], statuses: &[Status]) -> (Status, String) {
    if item.unmapped {
        let reason = "unmapped: no item of the configuration answers for this row";
        return (Status::Unknown, reason.to_owned());
    }
    let Some(folded) = Status::fold(statuses.iter().copied()) else {
        return (Status::Unknown, "no probe for this yet".to_owned());
    };
    let reason = match folded {
        Status::Pass | Status::Na => String::new(),
        _ => rules
            .iter()
            .zip(statuses)
            .find(|(_, status)| **status == folded)
            .map(|(rule, _)| format!("{}: {}", rule.id, rule.reason))
            .unwrap_or_default(),
    };
    match (&item.misses, folded) {
        (Some(misses), Status::Pass) => (Status::Warn, format!("partly derived: misses {misses}")),
        _ => (folded, reason),
    }
}

fn is_stale(item: &Item, observed_at: Option<Timestamp>, now: Timestamp) -> bool {
    let (Some(ttl), Some(observed_at)) = (item.ttl, observed_at) else {
        return false;
    };
    let age = now.duration_since(observed_at);
    // Evidence from the future has no age that could be trusted.
    age.is_negative() || age.unsigned_abs() > ttl
}

fn waiver_report(waiver: &Waiver, result: Status, run: &Run) -> WaiverReport {
    let then: Date = run.finished_at.to_zoned(TimeZone::UTC).date();
    WaiverReport {
        result: waiver.result,
        owner: waiver.owner.clone(),
        reason: waiver.reason.clone(),
        expires: waiver.expires.to_string(),
        applied: waiver.result == result && then.max(run.today) <= waiver.expires,
    }
}

/// A probe that passes after a failed try.
fn is_flaky(observation: &Observation) -> bool {
    observation.envelope.tries.len() > 1
        && observation.envelope.outcome == Outcome::Observed
        && judge::is_met(&observation.rules)
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
    let flaky = is_flaky(&observation);
    let Observation { envelope, rules } = observation;
    ProbeReport {
        id: probe.id.clone(),
        kind: probe.kind.to_owned(),
        target: probe.target.clone(),
        params_digest: probe.params_digest.clone(),
        tags: probe.tags.clone(),
        source: source(&probe.source),
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

fn findings(plan: &Plan, items: &[ItemReport], now: Timestamp, today: Date) -> Vec<Finding> {
    let day = now.to_zoned(TimeZone::UTC).date();
    let mut findings: Vec<Finding> = plan
        .checklist
        .iter()
        .flat_map(|checklist| checklist.findings.clone())
        .collect();
    findings.extend(crate::checklist::contradictions(plan, items));
    let waivers = plan.items.iter().zip(items);
    findings.extend(waivers.filter_map(|(item, report)| {
        let expires = item.waiver.as_ref()?.expires;
        waiver_finding(report, expires, day, today)
    }));
    for finding in &mut findings {
        plan.redactor.replace(&mut finding.text);
    }
    findings
}

/// A waiver that does not hold, or soon will not.
fn waiver_finding(item: &ItemReport, expires: Date, day: Date, today: Date) -> Option<Finding> {
    let waiver = item.waiver.as_ref()?;
    let days = today
        .max(day)
        .until(expires)
        .map_or(0, |span| i64::from(span.get_days()));
    let (code, text) = if !waiver.applied {
        let text = format!(
            "the waiver for `{}` (result {}, until {}) does not hold: the result is {}, the day {day}",
            item.id,
            waiver.result.as_str(),
            waiver.expires,
            item.result.as_str()
        );
        ("waiver-not-applied", text)
    } else if days <= EXPIRES_SOON_DAYS {
        let text = format!(
            "the waiver for `{}` by {} expires in {days} days, on {}",
            item.id, waiver.owner, waiver.expires
        );
        ("waiver-expires-soon", text)
    } else {
        return None;
    };
    Some(Finding {
        code: code.to_owned(),
        item: Some(item.id.clone()),
        file: Some(item.source.file.clone()),
        line: Some(item.source.line),
        text,
    })
}
