//! Whether an attestation holds: it is in force, and its document is the one that was attested.

use super::item::{Evidence, Moment};
use super::{AttestationReport, Finding, ItemReport};
use crate::judge::{RuleState, Status};
use crate::plan::{Attestation, EXPIRES_SOON_DAYS, Need, Plan, days_until};

/// What is found of an attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// In force, and the document is the same.
    Held,
    /// It did hold: it has expired, or the document is another one.
    Stale,
    /// It is not in force yet, or the document could not be had.
    Unknown,
}

/// Holds an attestation against what was seen. A replay revives none: it must hold on the day of the run and
/// today.
pub(super) fn stand(
    attestation: &Attestation,
    plan: &Plan,
    moment: Moment,
    evidence: &impl Evidence,
) -> (Standing, AttestationReport) {
    let (standing, reason) = standing(attestation, plan, moment, evidence);
    let probe = &plan.probes[attestation.probe];
    let report = AttestationReport {
        owner: attestation.owner.clone(),
        issued: attestation.issued.to_string(),
        expires: attestation.expires.to_string(),
        url: probe.target.clone(),
        sha256: attestation.sha256.clone(),
        probe: probe.id.clone(),
        held: standing == Standing::Held,
        reason: plan.redactor.string(reason),
    };
    (standing, report)
}

fn standing(
    attestation: &Attestation,
    plan: &Plan,
    moment: Moment,
    evidence: &impl Evidence,
) -> (Standing, String) {
    let (issued, expires) = (attestation.issued, attestation.expires);
    if moment.last_day() > expires {
        let reason = format!("the attestation has expired: it held until {expires}");
        return (Standing::Stale, reason);
    }
    if moment.first_day() < issued {
        let reason = format!("the attestation is not in force yet: it holds from {issued}");
        return (Standing::Unknown, reason);
    }
    let probe = &plan.probes[attestation.probe];
    let verdict = |rule: usize| {
        evidence.rule(Need {
            probe: attestation.probe,
            rule,
        })
    };
    let unchanged = verdict(attestation.rule);
    let url = &probe.target;
    let enabled = probe
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| matches!(rule.state, RuleState::Enabled));
    let mut verdicts = enabled.map(|(rule, _)| verdict(rule));
    let wrong = verdicts.find(|rule| rule.result != Status::Pass);
    match (unchanged.result, wrong) {
        (Status::Pass, None) => (Standing::Held, String::new()),
        (Status::Pass, Some(rule)) => {
            let reason = format!("{url} cannot be attested: {}: {}", rule.id, rule.reason);
            (Standing::Unknown, reason)
        }
        (Status::Fail, _) => {
            let reason = format!(
                "{url} is not the document that was attested: {}",
                unchanged.reason
            );
            (Standing::Stale, reason)
        }
        _ => {
            let reason = format!(
                "the document of the attestation was not seen: {url}: {}",
                unchanged.reason
            );
            (Standing::Unknown, reason)
        }
    }
}

/// An attestation that does not hold, or soon will not. One that nobody asked for in this run is no finding.
pub(super) fn finding(
    attestation: &Attestation,
    item: &ItemReport,
    moment: Moment,
    selected: bool,
) -> Option<Finding> {
    let report = item.attestation.as_ref()?;
    let days = days_until(moment.last_day(), attestation.expires);
    let (code, text) = if !report.held && selected {
        let text = format!(
            "the attestation of `{}` by {} does not hold: {}",
            item.id, report.owner, report.reason
        );
        ("attestation-not-held", text)
    } else if (0..=EXPIRES_SOON_DAYS).contains(&days) {
        let text = format!(
            "the attestation of `{}` by {} expires in {days} days, on {}",
            item.id, report.owner, report.expires
        );
        ("attestation-expires-soon", text)
    } else {
        return None;
    };
    Some(Finding {
        code: code.to_owned(),
        item: Some(item.id.clone()),
        file: Some(attestation.source.file.clone()),
        line: Some(attestation.source.line),
        text,
    })
}
