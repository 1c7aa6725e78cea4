//! What `probe checklist read` prints.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::thresholds::{self, Threshold};
use super::{Checklist, Row};
use crate::plan::{Claim, ClaimStatus};
use crate::verdict::Finding;

/// A checklist as it claims to be.
#[derive(Debug, Serialize)]
pub struct Listing<'c> {
    items: Vec<ListedItem<'c>>,
    gates: Vec<ListedGate<'c>>,
    findings: &'c [Finding],
    claimed: Claimed,
}

/// A row.
#[derive(Debug, Serialize)]
struct ListedItem<'c> {
    id: &'c str,
    title: &'c str,
    section: &'c str,
    section_title: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<&'c str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'c str,
    claim: &'c Claim,
    /// Numbers in the details that a rule could hold against facts.
    thresholds: Vec<Threshold>,
}

/// A task list that gates a phase.
#[derive(Debug, Serialize)]
struct ListedGate<'c> {
    id: &'c str,
    title: &'c str,
    line: usize,
    items: Vec<ListedBullet<'c>>,
}

/// One of its bullets.
#[derive(Debug, Serialize)]
struct ListedBullet<'c> {
    id: &'c str,
    title: &'c str,
    claim: &'c Claim,
}

/// What is claimed of all rows together.
#[derive(Debug, Serialize)]
struct Claimed {
    items: usize,
    pass: usize,
    warn: usize,
    pending: usize,
}

impl<'c> Listing<'c> {
    /// Lists a checklist.
    pub fn of(checklist: &'c Checklist) -> Self {
        let count = |status| {
            let items = checklist.items();
            items.filter(|row| row.claim.status == status).count()
        };
        Self {
            items: checklist.items().map(item).collect(),
            gates: gates(checklist),
            findings: &checklist.findings,
            claimed: Claimed {
                items: checklist.items().count(),
                pass: count(ClaimStatus::Pass),
                warn: count(ClaimStatus::Warn),
                pending: count(ClaimStatus::Pending),
            },
        }
    }
}

fn item(row: &Row) -> ListedItem<'_> {
    ListedItem {
        id: &row.id,
        title: &row.title,
        section: &row.section,
        section_title: &row.section_title,
        owner: row.owner.as_deref(),
        due: row.due.as_deref(),
        detail: &row.detail,
        claim: &row.claim,
        thresholds: thresholds::mine(&row.detail),
    }
}

fn gates(checklist: &Checklist) -> Vec<ListedGate<'_>> {
    let mut gates: Vec<ListedGate<'_>> = checklist
        .gates
        .iter()
        .map(|gate| ListedGate {
            id: &gate.id,
            title: &gate.title,
            line: gate.line,
            items: Vec::new(),
        })
        .collect();
    for row in &checklist.rows {
        if let Some(gate) = row.gate.and_then(|gate| gates.get_mut(gate)) {
            gate.items.push(ListedBullet {
                id: &row.id,
                title: &row.title,
                claim: &row.claim,
            });
        }
    }
    gates
}

/// The same for people.
pub fn listing_table(checklist: &Checklist, width: Option<u16>) -> String {
    let listing = Listing::of(checklist);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.unwrap_or(200).max(60));
    for item in &listing.items {
        table.add_row(vec![
            item.claim.status.as_str().to_uppercase(),
            item.id.to_owned(),
            printable(item.title),
            printable(item.detail),
            format!("line {}", item.claim.line),
        ]);
    }
    let mut out = String::new();
    for line in table.to_string().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for gate in &listing.gates {
        let ticked = gate
            .items
            .iter()
            .filter(|b| b.claim.status == ClaimStatus::Pass);
        let (ticked, all) = (ticked.count(), gate.items.len());
        let title = printable(gate.title);
        let _ = writeln!(
            out,
            "gate     {}: {ticked} of {all} ticked ({title}, line {})",
            gate.id, gate.line
        );
    }
    for finding in listing.findings {
        let line = finding.line.unwrap_or_default();
        let _ = writeln!(
            out,
            "finding  {} line {line}: {}",
            finding.code,
            printable(&finding.text)
        );
    }
    let claimed = listing.claimed;
    let _ = writeln!(
        out,
        "claimed  {} pass, {} warn, {} pending of {} items",
        claimed.pass, claimed.warn, claimed.pending, claimed.items
    );
    out
}

/// Text of a document may hold anything; a terminal must not obey it.
fn printable(text: &str) -> String {
    crate::report::printable(text)
}
