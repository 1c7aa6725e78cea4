//! Folds the rules that an item needs into its result. Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Basis, Freshness, ItemReport, MaintenanceReport, Source, WaiverReport};
use crate::judge::{RuleState, RuleVerdict, Status};
use crate::plan::{Item, Need, Plan, SourceRef, Waiver};

pub(super) fn source(source: &SourceRef) -> Source {
    Source {
        file: source.file.clone(),
        line: source.line,
    }
}

/// What the fold reads of what was seen.
pub(crate) trait Evidence {
    /// When a probe's evidence was observed; none where there is none yet.
    fn observed_at(&self, probe: usize) -> Option<Timestamp>;
    /// The hash of a probe's evidence.
    fn hash(&self, probe: usize) -> &str;
    /// Whether a probe passed only after a failed try.
    fn is_flaky(&self, probe: usize) -> bool;
    /// Whether a rule keeps changing.
    fn is_flapping(&self, need: Need) -> bool;
    /// The verdict of a rule.
    fn rule(&self, need: Need) -> RuleVerdict;
}

/// When a fold takes place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Freshness is judged at this moment.
    pub(crate) now: Timestamp,
    /// The day on which waivers must hold as well, UTC.
    pub(crate) today: Date,
}

/// Folds the item at `at`, whose evidence may be as old as `ttl`.
pub(crate) fn fold_item(
    plan: &Plan,
    at: usize,
    ttl: Option<Duration>,
    moment: Moment,
    evidence: &impl Evidence,
) -> ItemReport {
    let item = &plan.items[at];
    let mut rules = Vec::with_capacity(item.needs.len());
    let mut statuses = Vec::with_capacity(item.needs.len());
    let mut probes: Vec<usize> = Vec::new();
    for need in &item.needs {
        let verdict = evidence.rule(*need);
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
        rules.push(verdict);
        if probes.last() != Some(&need.probe) {
            probes.push(need.probe);
        }
    }
    let observed_at = probes
        .iter()
        .filter_map(|probe| evidence.observed_at(*probe))
        .min();
    let flapping = item.needs.iter().find(|need| evidence.is_flapping(**need));
    let stale = is_stale(ttl, observed_at, moment.now);
    let (known, reason) = item_result(item, &rules, &statuses);
    let (known, reason) = match flapping {
        Some(need) if known == Status::Pass => {
            let probe = &plan.probes[need.probe];
            let rule = &probe.rules[need.rule].name;
            let reason = format!("flapping: {}/{rule} keeps changing", probe.id);
            (Status::Warn, reason)
        }
        _ => (known, reason),
    };
    let (result, reason) = if stale {
        let reason = "its evidence is older than its ttl";
        (Status::Unknown, reason.to_owned())
    } else {
        (known, reason)
    };
    let waiver = item
        .waiver
        .as_ref()
        .map(|waiver| waiver_report(waiver, result, moment));
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
        since: None,
        last_known: stale.then_some(known),
        observed_at,
        owner: item.owner.clone(),
        claim: item.claim.clone(),
        unmapped: item.unmapped,
        evidence: probes
            .iter()
            .map(|probe| format!("{}@{}", plan.probes[*probe].id, evidence.hash(*probe)))
            .collect(),
        flaky: probes.iter().any(|probe| evidence.is_flaky(*probe)),
        flapping: flapping.is_some(),
        rules,
        waiver,
        maintenance: maintenance(plan, at, moment.now),
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

fn is_stale(ttl: Option<Duration>, observed_at: Option<Timestamp>, now: Timestamp) -> bool {
    let (Some(ttl), Some(observed_at)) = (ttl, observed_at) else {
        return false;
    };
    let age = now.duration_since(observed_at);
    // Evidence from the future has no age that could be trusted.
    age.is_negative() || age.unsigned_abs() > ttl
}

fn waiver_report(waiver: &Waiver, result: Status, moment: Moment) -> WaiverReport {
    let then: Date = moment.now.to_zoned(TimeZone::UTC).date();
    WaiverReport {
        result: waiver.result,
        owner: waiver.owner.clone(),
        reason: waiver.reason.clone(),
        expires: waiver.expires.to_string(),
        applied: waiver.result == result && then.max(moment.today) <= waiver.expires,
    }
}

/// The window of maintenance in which an item is.
fn maintenance(plan: &Plan, item: usize, now: Timestamp) -> Option<MaintenanceReport> {
    let window = plan
        .maintenance
        .iter()
        .find(|window| window.holds(now) && window.items.binary_search(&item).is_ok())?;
    Some(MaintenanceReport {
        start: window.start,
        end: window.end,
        reason: window.reason.clone(),
    })
}

/// What a gate sees: a waived result is a warning.
pub(crate) fn seen_by_gate(item: &ItemReport) -> Status {
    match item.basis {
        Basis::Waived => Status::Warn,
        Basis::Derived | Basis::Attested => item.result,
    }
}
