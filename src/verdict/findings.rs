//! What is odd about the configuration: waivers and attestations that do not hold, or soon will not.

use jiff::civil::Date;

use super::attestation;
use super::fold::Run;
use super::{Finding, ItemReport};
use crate::plan::{EXPIRES_SOON_DAYS, Plan, days_until};

/// The findings about all items, in their order.
pub(super) fn of_items(plan: &Plan, items: &[ItemReport], run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (item, report) in plan.items.iter().zip(items) {
        if let Some(waiver) = &item.waiver {
            findings.extend(of_waiver(report, waiver.expires, run));
        }
        if let Some(attestation) = &item.attestation {
            findings.extend(attestation::finding(attestation, report, run));
        }
    }
    for finding in &mut findings {
        plan.redactor.replace(&mut finding.text);
    }
    findings
}

/// A waiver that does not hold, or soon will not.
fn of_waiver(item: &ItemReport, expires: Date, run: &Run) -> Option<Finding> {
    let waiver = item.waiver.as_ref()?;
    let days = days_until(run.last_day(), expires);
    let (code, text) = if !waiver.applied {
        let text = format!(
            "the waiver for `{}` (result {}, until {}) does not hold: the result is {}, the day {}",
            item.id,
            waiver.result.as_str(),
            waiver.expires,
            item.result.as_str(),
            run.day()
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
