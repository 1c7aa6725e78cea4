//! What is odd about the configuration: waivers and attestations that do not hold, or soon will not.

use jiff::civil::Date;

use super::attestation;
use super::item::Moment;
use super::{Finding, ItemReport};
use crate::plan::{EXPIRES_SOON_DAYS, Plan, days_until};

/// The findings about one item; `selected` says whether a probe was asked.
pub(crate) fn of_item(
    plan: &Plan,
    at: usize,
    report: &ItemReport,
    moment: Moment,
    selected: impl Fn(usize) -> bool,
) -> Vec<Finding> {
    let item = &plan.items[at];
    let waived = item
        .waiver
        .as_ref()
        .and_then(|waiver| of_waiver(report, waiver.expires, moment));
    let attested = item.attestation.as_ref().and_then(|attestation| {
        attestation::finding(attestation, report, moment, selected(attestation.probe))
    });
    let mut findings: Vec<Finding> = waived.into_iter().chain(attested).collect();
    for finding in &mut findings {
        plan.redactor.replace(&mut finding.text);
    }
    findings
}

/// A waiver that does not hold, or soon will not.
fn of_waiver(item: &ItemReport, expires: Date, moment: Moment) -> Option<Finding> {
    let waiver = item.waiver.as_ref()?;
    let days = days_until(moment.last_day(), expires);
    let (code, text) = if !waiver.applied {
        let text = format!(
            "the waiver for `{}` (result {}, until {}) does not hold: the result is {}, the day {}",
            item.id,
            waiver.result.as_str(),
            waiver.expires,
            item.result.as_str(),
            moment.day()
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
