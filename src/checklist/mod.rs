//! A checklist in Markdown: read, matched with what is configured, contradicted and regenerated.
//!
//! - `parse` finds headings, tables and task lists and where each stands; `rows` says which of them
//!   are rows, `gates` which task lists gate a phase.
//! - `claims` reads what a row says of itself; `thresholds`, `placeholders` and `scores` read what
//!   else is in it.
//! - `identity` gives each row the same id every time, by means of the `lock` beside the document.
//! - `join` tells the plan what is claimed; `contradict` holds claims against results, `regenerate` writes
//!   results into the document, and `cells` has the words.

mod assemble;
mod cells;
mod claims;
mod contradict;
mod derived;
mod gates;
mod identity;
mod join;
mod keys;
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

use std::io;
use std::path::{Path, PathBuf};

pub use contradict::add_findings;
pub use listing::{Listing, listing_table};
pub(crate) use lock::path_of as lock_path;
pub use regenerate::{Regenerated, Volatile};
pub use thresholds::{Comparison, Threshold};

use assemble::{finding, make_row, ticks};
use lock::Lock;
use parse::{Document, Problem};
use rows::Place;

use crate::limits::read_file;
use crate::plan::Claim;
use crate::verdict::Finding;

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
        for row in identities.duplicates {
            let raw = &found.rows[row];
            let own = raw.own_id.as_deref().unwrap_or_default();
            problems.push(Problem {
                code: "duplicate-id",
                line: raw.line,
                text: format!(
                    "another row has the id `{own}` as well: this one is {}",
                    identities.ids[row]
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
}
