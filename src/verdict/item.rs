//! One item: the fold of the rules that it needs, how old their evidence is, and what people say of it.

use jiff::Timestamp;

use super::attestation::{self, Standing};
use super::fold::{Observation, Run};
use super::{Basis, Freshness, ItemReport, Source, WaiverReport};
use crate::evidence::Outcome;
use crate::judge::{self, RuleState, RuleVerdict, Status};
use crate::plan::{Item, Plan, Waiver};

/// What is known of an item.
struct Known {
    result: Status,
    reason: String,
    /// The result before staleness made it unknown.
    last: Option<Status>,
    basis: Basis,
}

/// Folds one item; `hashes` are those of all evidence, by probe.
pub(super) fn fold(item: &Item, plan: &Plan, run: &Run, hashes: &[String]) -> ItemReport {
    let mut rules = Vec::with_capacity(item.needs.len());
    let mut statuses = Vec::with_capacity(item.needs.len());
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
    }
    let mut probes: Vec<usize> = item.probes().collect();
    probes.dedup();
    let observed_at = probes
        .iter()
        .map(|probe| run.observations[*probe].envelope.observed_at)
        .min();
    let attested = item
        .attestation
        .as_ref()
        .map(|attestation| attestation::stand(attestation, plan, run));
    let known = item_result(item, &rules, &statuses, attested.as_ref());
    let known = if is_stale(item, observed_at, run.finished_at) {
        outdated(&known)
    } else {
        known
    };
    let waiver = item
        .waiver
        .as_ref()
        .map(|waiver| waiver_report(waiver, known.result, run));
    ItemReport {
        id: item.id.clone(),
        title: item.title.clone(),
        titles: item.titles.clone(),
        section: item.section.clone(),
        category: item.category.clone(),
        weight: item.weight,
        source: Source::from(&item.source),
        result: known.result,
        reason: plan.redactor.string(known.reason),
        basis: match &waiver {
            Some(waiver) if waiver.applied => Basis::Waived,
            _ => known.basis,
        },
        freshness: if known.last.is_some() {
            Freshness::Stale
        } else {
            Freshness::Fresh
        },
        last_known: known.last,
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
        attestation: attested.map(|(_, report)| report),
        misses: item.misses.clone(),
        remediation: item.remediation.clone(),
    }
}

fn outdated(known: &Known) -> Known {
    Known {
        result: Status::Unknown,
        reason: "its evidence is older than its ttl".to_owned(),
        last: Some(known.last.unwrap_or(known.result)),
        basis: Basis::Derived,
    }
}

fn item_result(
    item: &Item,
    rules: &[RuleVerdict],
    statuses: &[Status],
    attested: Option<&Attested>,
) -> Known {
    let derived = |result, reason| Known {
        result,
        reason,
        last: None,
        basis: Basis::Derived,
    };
    if item.unmapped {
        let reason = "unmapped: no item of the configuration answers for this row";
        return derived(Status::Unknown, reason.to_owned());
    }
    let folded = Status::fold(statuses.iter().copied());
    let known = match (folded, attested) {
        (None, None) => return derived(Status::Unknown, "no probe for this yet".to_owned()),
        // Where no rule decides, somebody's word does.
        (None, Some(_)) => Known {
            basis: Basis::Attested,
            ..derived(Status::Pass, String::new())
        },
        (Some(folded), _) => derived(folded, reason_of(folded, rules, statuses)),
    };
    let known = match (&item.misses, known.result) {
        (Some(misses), Status::Pass) => Known {
            result: Status::Warn,
            reason: format!("partly derived: misses {misses}"),
            ..known
        },
        _ => known,
    };
    match attested {
        // Beside rules it can only take away: a result that is worse than unknown, or unknown for a reason of
        // its own, stands.
        Some((standing, report))
            if *standing != Standing::Held
                && !matches!(known.result, Status::Fail | Status::Unknown) =>
        {
            Known {
                last: (*standing == Standing::Stale).then_some(known.result),
                ..derived(Status::Unknown, report.reason.clone())
            }
        }
        _ => known,
    }
}

type Attested = (Standing, super::AttestationReport);

/// The first of the verdicts that make the result what it is.
fn reason_of(folded: Status, rules: &[RuleVerdict], statuses: &[Status]) -> String {
    if matches!(folded, Status::Pass | Status::Na) {
        return String::new();
    }
    rules
        .iter()
        .zip(statuses)
        .find(|(_, status)| **status == folded)
        .map(|(rule, _)| format!("{}: {}", rule.id, rule.reason))
        .unwrap_or_default()
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
    WaiverReport {
        result: waiver.result,
        owner: waiver.owner.clone(),
        reason: waiver.reason.clone(),
        expires: waiver.expires.to_string(),
        applied: waiver.result == result && run.last_day() <= waiver.expires,
    }
}

/// A probe that passes after a failed try.
pub(super) fn is_flaky(observation: &Observation) -> bool {
    observation.envelope.tries.len() > 1
        && observation.envelope.outcome == Outcome::Observed
        && judge::is_met(&observation.rules)
}
