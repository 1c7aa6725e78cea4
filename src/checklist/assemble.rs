//! Rows as they stand in the document → rows with an id and a claim, and what is odd about them.

use super::lock::LockedRow;
use super::parse::{Document, Problem};
use super::rows::{Place, RawRow};
use super::scores::{Ticked, Ticks};
use super::{Row, claims, text};
use crate::plan::{Claim, ClaimStatus};
use crate::verdict::Finding;

/// A row with what it claims: where its status was generated, what it claimed before.
pub(super) fn make_row(
    raw: RawRow,
    id: String,
    locked: Option<&LockedRow>,
    file: &str,
    problems: &mut Vec<Problem>,
) -> Row {
    let same = |text: &str| text::loose(text) == text::loose(&raw.status);
    let kept = locked
        .filter(|locked| locked.generated.as_deref().is_some_and(same) || same(&locked.claim.text));
    let (status, text) = if let Some(locked) = kept {
        (locked.claim.status, locked.claim.text.clone())
    } else {
        let status = match raw.place {
            Place::Box { .. } if raw.status == "x" => Some(ClaimStatus::Pass),
            Place::Box { .. } => Some(ClaimStatus::Pending),
            Place::Cell { .. } => claims::status(&raw.status),
        };
        if status.is_none() {
            problems.push(Problem {
                code: "unreadable-status",
                line: raw.line,
                text: format!("`{}` is no status: it counts as pending", raw.status),
            });
        }
        (status.unwrap_or(ClaimStatus::Pending), raw.status.clone())
    };
    Row {
        id,
        title: raw.title,
        section: raw.section.name,
        section_title: raw.section.title,
        claim: Claim {
            status,
            text,
            file: file.to_owned(),
            line: raw.line,
        },
        detail: raw.detail,
        owner: raw.owner,
        due: raw.due,
        gate: raw.gate,
        section_identity: raw.section.identity,
        place: raw.place,
        generated: locked.and_then(|locked| locked.generated.clone()),
    }
}

/// What is ticked under each heading, by the claims of the items.
pub(super) fn ticks(document: &Document, rows: &[Row], headings: &[Option<usize>]) -> Ticked {
    let mut ticked = Ticked {
        all: Ticks::default(),
        by_heading: vec![Ticks::default(); document.headings.len()],
    };
    for (row, heading) in rows.iter().zip(headings) {
        if row.gate.is_some() {
            continue;
        }
        let passed = row.claim.status == ClaimStatus::Pass;
        ticked.all.add(passed);
        let mut above = *heading;
        while let Some(at) = above {
            ticked.by_heading[at].add(passed);
            above = document.headings[at].parent;
        }
    }
    ticked
}

pub(super) fn finding(problem: Problem, rows: &[Row], file: &str) -> Finding {
    let at = rows.binary_search_by_key(&problem.line, |row| row.claim.line);
    Finding {
        code: problem.code.to_owned(),
        item: at.ok().map(|at| rows[at].id.clone()),
        file: Some(file.to_owned()),
        line: Some(problem.line),
        text: problem.text,
    }
}
