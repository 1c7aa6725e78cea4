//! A checklist in Markdown: read, matched with what is configured, contradicted and regenerated.
//!
//! - `parse` finds headings, tables and task lists and where each stands; `rows` says which of them
//!   are rows, `gates` which task lists gate a phase.
//! - `claims` reads what a row says of itself; `thresholds`, `placeholders` and `scores` read what
//!   else is in it.
//! - `identity` gives each row the same id every time, by means of the `lock` beside the document.
//! - `contradict` holds claims against results, `regenerate` writes results into the document.

mod claims;
mod contradict;
mod gates;
mod identity;
mod language;
mod listing;
mod lock;
mod parse;
mod placeholders;
mod regenerate;
mod rows;
mod scores;
#[cfg(test)]
mod tests;
mod text;
mod thresholds;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

pub use claims::{Claim, ClaimStatus};
pub use contradict::contradictions;
pub use language::Language;
pub use listing::{Listing, listing_table};
pub(crate) use lock::path_of as lock_path;
pub use regenerate::{Regenerated, Volatile};
pub use thresholds::{Comparison, Threshold};

use crate::limits::read_file;
use crate::plan::{Item, Plan, SourceRef, wildcard};
use crate::verdict::Finding;
use lock::{Lock, LockedClaim, LockedRow};
use parse::{Document, Problem};
use rows::{Place, RawRow};
use scores::{Ticked, Ticks};

/// A document larger than this is no checklist.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A document that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChecklistError {
    /// It, or its lock, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no text.
    #[error("{}:{line}: not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Its lock is not one.
    #[error(
        "{}:{line}: not a lock of a checklist: {message}; restore it, or remove it to number the rows anew",
        path.display()
    )]
    Lock {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It has no rows.
    #[error(
        "{}: no table with a status column and no task list: this is no checklist",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A checklist as it was read.
#[derive(Debug)]
pub struct Checklist {
    path: PathBuf,
    document: Document,
    /// All rows, in the order of the document.
    pub rows: Vec<Row>,
    /// The task lists that gate a phase.
    pub gates: Vec<Gate>,
    /// What is odd about the document itself.
    pub findings: Vec<Finding>,
    lock: Lock,
}

/// A row of a checklist.
#[derive(Debug)]
pub struct Row {
    /// Its id, the same one every time.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The key of its section, such as `A1`, or the heading's text.
    pub section: String,
    /// The heading's text.
    pub section_title: String,
    /// What it claims of itself; where its status was generated, what it claimed before.
    pub claim: Claim,
    /// What else it says.
    pub detail: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it is to be done.
    pub due: Option<String>,
    /// The gate whose bullet it is: index into the gates.
    pub gate: Option<usize>,
    section_identity: String,
    place: Place,
    generated: Option<String>,
}

/// A task list that gates a phase.
#[derive(Debug)]
pub struct Gate {
    /// `pre-deploy`, `in-deploy`, `post-deploy`, `acceptance`, or of its own.
    pub id: String,
    /// The heading's text.
    pub title: String,
    /// The line, from 1.
    pub line: usize,
}

impl Checklist {
    /// Reads a document and the lock beside it. Nothing is written.
    ///
    /// # Errors
    /// Files that cannot be read or are not what they should be.
    pub fn read(path: &Path) -> Result<Self, ChecklistError> {
        let bytes = read_file(path, MAX_BYTES).map_err(|source| ChecklistError::Read {
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            ChecklistError::NotText {
                path: path.to_owned(),
                line: before.split(|byte| *byte == b'\n').count(),
            }
        })?;
        let lock = Lock::read(path)?;
        Ok(Self::new(path, text, lock))
    }

    /// The same, of a document that must have rows.
    ///
    /// # Errors
    /// As [`read`](Self::read), and a document without a row.
    pub fn read_rows(path: &Path) -> Result<Self, ChecklistError> {
        let checklist = Self::read(path)?;
        if checklist.rows.is_empty() {
            return Err(ChecklistError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(checklist)
    }

    fn new(path: &Path, text: String, lock: Lock) -> Self {
        let mut document = parse::parse(text);
        let mut problems = std::mem::take(&mut document.problems);
        let found = rows::collect(&document, &mut problems);
        let identities = identity::identify(&found.rows, &lock);
        let file = path.display().to_string();
        for (row, title) in &identities.renamed {
            problems.push(Problem {
                code: "row-renamed",
                line: found.rows[*row].line,
                text: format!(
                    "`{}` is taken for the row `{title}`, renamed: {}",
                    found.rows[*row].title, identities.ids[*row]
                ),
            });
        }
        let headings: Vec<Option<usize>> = found.rows.iter().map(|row| row.heading).collect();
        let rows: Vec<Row> = found
            .rows
            .into_iter()
            .zip(identities.ids.into_iter().zip(identities.locked))
            .map(|(raw, (id, locked))| {
                let locked = locked.map(|at| &lock.rows[at]);
                make_row(raw, id, locked, &file, &mut problems)
            })
            .collect();
        problems.extend(placeholders::find(&document));
        let ticked = ticks(&document, &rows, &headings);
        problems.extend(scores::differing(&document, &ticked));
        problems.sort_by_key(|problem| problem.line);
        let findings = problems
            .into_iter()
            .map(|problem| finding(problem, &rows, &file))
            .collect();
        Self {
            path: path.to_owned(),
            document,
            rows,
            gates: found
                .gates
                .into_iter()
                .map(|gate| Gate {
                    id: gate.id,
                    title: gate.title,
                    line: gate.line,
                })
                .collect(),
            findings,
            lock,
        }
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn text(&self) -> &str {
        &self.document.text
    }

    /// The rows that are not bullets of a gate.
    pub fn items(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.gate.is_none())
    }

    /// The lock that freezes who the rows are, for the document at `path`: where it belongs, and what is in it.
    ///
    /// # Errors
    /// Text that is not JSON; there is none.
    pub fn lock_text(&self, path: &Path) -> Result<(PathBuf, String), serde_json::Error> {
        let lock = self.next_lock(|row| row.generated.clone());
        Ok((lock::path_of(path), lock.to_text()?))
    }

    /// The lock after `generated` was written into the document.
    fn next_lock(&self, generated: impl Fn(&Row) -> Option<String>) -> Lock {
        let mut rows: Vec<LockedRow> = self
            .rows
            .iter()
            .map(|row| LockedRow {
                id: row.id.clone(),
                section: row.section_identity.clone(),
                title: row.title.clone(),
                detail: identity::detail_digest(&row.detail),
                claim: LockedClaim {
                    status: row.claim.status,
                    text: row.claim.text.clone(),
                },
                generated: generated(row),
                gone: false,
            })
            .collect();
        let here: HashSet<&str> = self.rows.iter().map(|row| row.id.as_str()).collect();
        let all = self.lock.rows.iter();
        let gone = all.filter(|row| !here.contains(row.id.as_str()));
        rows.extend(gone.map(|row| LockedRow {
            gone: true,
            ..row.clone()
        }));
        Lock::new(rows)
    }

    /// Tells the plan what the document claims. A row that no item answers for becomes an item of its
    /// own, unknown, in every gate whose patterns name it.
    pub fn join(&self, plan: &mut Plan) {
        let by_id: HashMap<String, usize> = plan
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.id.clone(), at))
            .collect();
        let mut categories: HashMap<String, Option<String>> = HashMap::new();
        for item in &plan.items {
            if let Some(section) = &item.section {
                categories
                    .entry(section.clone())
                    .or_insert_with(|| item.category.clone());
            }
        }
        for row in &self.rows {
            let mut claim = row.claim.clone();
            plan.redactor.replace(&mut claim.text);
            if let Some(at) = by_id.get(&row.id) {
                plan.items[*at].claim = Some(claim);
            } else if row.gate.is_none() {
                let category = categories.get(&row.section).cloned().flatten();
                let mut item = unmapped(row, claim, category);
                for text in item.texts() {
                    plan.redactor.replace(text);
                }
                let index = plan.items.len();
                let gates = plan.gates.iter_mut();
                let gates = gates.map(|gate| (&gate.patterns, &mut gate.items));
                let risks = plan.risks.iter_mut();
                let risks = risks.map(|risk| (&risk.patterns, &mut risk.items));
                for (patterns, items) in gates.chain(risks) {
                    if patterns.iter().any(|pattern| wildcard(pattern, &item.id)) {
                        items.push(index);
                    }
                }
                plan.items.push(item);
            }
        }
    }
}

fn unmapped(row: &Row, claim: Claim, category: Option<String>) -> Item {
    Item {
        id: row.id.clone(),
        title: row.title.clone(),
        titles: BTreeMap::new(),
        section: Some(row.section.clone()).filter(|section| !section.is_empty()),
        category,
        weight: 1.0,
        owner: row.owner.clone(),
        needs: Vec::new(),
        ttl: None,
        misses: None,
        remediation: None,
        waiver: None,
        alias_of: None,
        prerequisites: Vec::new(),
        source: SourceRef {
            file: claim.file.clone(),
            line: claim.line,
        },
        claim: Some(claim),
        unmapped: true,
    }
}

/// A row with what it claims: where its status was generated, what it claimed before.
fn make_row(
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
fn ticks(document: &Document, rows: &[Row], headings: &[Option<usize>]) -> Ticked {
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

fn finding(problem: Problem, rows: &[Row], file: &str) -> Finding {
    let at = rows.binary_search_by_key(&problem.line, |row| row.claim.line);
    Finding {
        code: problem.code.to_owned(),
        item: at.ok().map(|at| rows[at].id.clone()),
        file: Some(file.to_owned()),
        line: Some(problem.line),
        text: problem.text,
    }
}
