//! One item: the fold of the rules that it needs, how old their evidence is, and what people say of it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::attestation::{self, Standing};
use super::{Basis, Freshness, ItemReport, MaintenanceReport, Source, WaiverReport};
use crate::judge::{RuleState, RuleVerdict, Status};
use crate::plan::{Item, Need, Plan, Waiver};

/// What is known of an item.
struct Known {
    result: Status,
    reason: String,
    /// The result before staleness made it unknown.
    last: Option<Status>,
    basis: Basis,
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

impl Moment {
    /// The day of the evidence, UTC.
    pub(super) fn day(self) -> Date {
        self.now.to_zoned(TimeZone::UTC).date()
    }

    /// The earlier of the day of the evidence and today.
    pub(super) fn first_day(self) -> Date {
        self.day().min(self.today)
    }

    /// The later of the day of the evidence and today.
    pub(super) fn last_day(self) -> Date {
        self.day().max(self.today)
    }
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
    }
    let mut probes: Vec<usize> = item.probes().collect();
    probes.dedup();
    let observed_at = probes
        .iter()
        .filter_map(|probe| evidence.observed_at(*probe))
        .min();
    let attested = item
        .attestation
        .as_ref()
        .map(|attestation| attestation::stand(attestation, plan, moment, evidence));
    let flapping = item.needs.iter().find(|need| evidence.is_flapping(**need));
    let known = item_result(item, &rules, &statuses, attested.as_ref());
    let known = match flapping {
        Some(need) if known.result == Status::Pass => {
            let probe = &plan.probes[need.probe];
            let rule = &probe.rules[need.rule].name;
            Known {
                result: Status::Warn,
                reason: format!("flapping: {}/{rule} keeps changing", probe.id),
                ..known
            }
        }
        _ => known,
    };
    let known = if is_stale(ttl, observed_at, moment.now) {
        outdated(&known)
    } else {
        known
    };
    let waiver = item
        .waiver
        .as_ref()
        .map(|waiver| waiver_report(waiver, known.result, moment));
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
        since: None,
        last_known: known.last,
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
        attestation: attested.map(|(_, report)| report),
        maintenance: maintenance(plan, at, moment.now),
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

fn is_stale(ttl: Option<Duration>, observed_at: Option<Timestamp>, now: Timestamp) -> bool {
    let (Some(ttl), Some(observed_at)) = (ttl, observed_at) else {
        return false;
    };
    let age = now.duration_since(observed_at);
    // Evidence from the future has no age that could be trusted.
    age.is_negative() || age.unsigned_abs() > ttl
}

fn waiver_report(waiver: &Waiver, result: Status, moment: Moment) -> WaiverReport {
    WaiverReport {
        result: waiver.result,
        owner: waiver.owner.clone(),
        reason: waiver.reason.clone(),
        expires: waiver.expires.to_string(),
        applied: waiver.result == result && moment.last_day() <= waiver.expires,
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
