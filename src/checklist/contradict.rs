//! Claims that results contradict, aliases that disagree, ticks whose prerequisite has none.

use std::collections::HashSet;

use super::Checklist;
use crate::judge::Status;
use crate::plan::{ClaimStatus, Item, Plan};
use crate::verdict::{Finding, ItemReport, Verdict};

/// Adds to a verdict what is odd about the checklist, and what in it the results contradict.
pub fn add_findings(plan: &Plan, checklist: Option<&Checklist>, verdict: &mut Verdict) {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(checklist.into_iter().flat_map(|one| one.findings.clone()));
    findings.extend(contradictions(plan, &verdict.items));
    findings.extend(checklist.into_iter().flat_map(|one| unheard(plan, one)));
    for finding in &mut findings {
        plan.redactor.replace(&mut finding.text);
    }
    findings.append(&mut verdict.findings);
    verdict.findings = findings;
}

/// All contradictions between items, in their order.
fn contradictions(plan: &Plan, items: &[ItemReport]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (item, report) in plan.items.iter().zip(items) {
        claimed(item, report, &mut findings);
        alias(plan, items, item, report, &mut findings);
        prerequisites(plan, items, item, report, &mut findings);
    }
    findings
}

/// Rows that are ticked and that nothing answers for: bullets of gates.
fn unheard(plan: &Plan, checklist: &Checklist) -> Vec<Finding> {
    let known: HashSet<&str> = plan.items.iter().map(|item| item.id.as_str()).collect();
    let ticked = checklist
        .rows
        .iter()
        .filter(|row| row.claim.status == ClaimStatus::Pass && !known.contains(row.id.as_str()));
    ticked
        .map(|row| Finding {
            code: "claimed-pass-unsupported".to_owned(),
            item: Some(row.id.clone()),
            file: Some(row.claim.file.clone()),
            line: Some(row.claim.line),
            text: format!("`{}` is ticked, and no item answers for it", row.title),
        })
        .collect()
}

/// A finding at the claim, or where the item was configured.
fn at(item: &Item, code: &str, text: String) -> Finding {
    let (file, line) = match &item.claim {
        Some(claim) => (&claim.file, claim.line),
        None => (&item.source.file, item.source.line),
    };
    Finding {
        code: code.to_owned(),
        item: Some(item.id.clone()),
        file: Some(file.clone()),
        line: Some(line),
        text,
    }
}

fn claimed(item: &Item, report: &ItemReport, findings: &mut Vec<Finding>) {
    let Some(claim) = &item.claim else {
        return;
    };
    let id = &item.id;
    let because = if report.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", report.reason)
    };
    let (code, text) = match (claim.status, report.result) {
        (ClaimStatus::Pass, Status::Fail) => (
            "claimed-pass-failing",
            format!("`{id}` is claimed to pass and fails{because}"),
        ),
        (ClaimStatus::Pass, Status::Unknown) => (
            "claimed-pass-unsupported",
            format!("`{id}` is claimed to pass and no evidence says so{because}"),
        ),
        (ClaimStatus::Warn | ClaimStatus::Pending, Status::Pass) => (
            "claimed-warn-passing",
            format!("`{id}` is claimed as {} and passes", claim.status.as_str()),
        ),
        _ => return,
    };
    findings.push(at(item, code, text));
}

fn alias(
    plan: &Plan,
    items: &[ItemReport],
    item: &Item,
    report: &ItemReport,
    findings: &mut Vec<Finding>,
) {
    let Some(of) = item.alias_of else {
        return;
    };
    let (other, other_report) = (&plan.items[of], &items[of]);
    let code = "aliases-disagree";
    if let (Some(here), Some(there)) = (&item.claim, &other.claim)
        && here.status != there.status
    {
        let text = format!(
            "`{}` is claimed as {}, and `{}`, which is the same, as {} (line {})",
            item.id,
            here.status.as_str(),
            other.id,
            there.status.as_str(),
            there.line
        );
        findings.push(at(item, code, text));
    } else if report.result != other_report.result {
        let text = format!(
            "`{}` is {}, and `{}`, which is the same, is {}",
            item.id, report.result, other.id, other_report.result
        );
        findings.push(at(item, code, text));
    }
}

fn prerequisites(
    plan: &Plan,
    items: &[ItemReport],
    item: &Item,
    report: &ItemReport,
    findings: &mut Vec<Finding>,
) {
    for before in &item.prerequisites {
        let (other, other_report) = (&plan.items[*before], &items[*before]);
        let ticked = |item: &Item| {
            let claim = item.claim.as_ref()?;
            Some(claim.status == ClaimStatus::Pass)
        };
        let text = if ticked(item) == Some(true) && ticked(other) == Some(false) {
            format!(
                "`{}` is ticked, and `{}`, without which it cannot hold, is not",
                item.id, other.id
            )
        } else if ticked(item) == Some(true) && other_report.result == Status::Fail {
            format!(
                "`{}` is ticked, and `{}`, without which it cannot hold, fails",
                item.id, other.id
            )
        } else if report.result == Status::Pass
            && matches!(other_report.result, Status::Fail | Status::Unknown)
        {
            format!(
                "`{}` passes, and `{}`, without which it cannot hold, is {}",
                item.id, other.id, other_report.result
            )
        } else {
            continue;
        };
        findings.push(at(item, "prerequisite-unmet", text));
    }
}
