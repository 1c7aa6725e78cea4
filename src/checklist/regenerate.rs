//! Results → the document: status cells and boxes are rewritten, derived columns appended. Every other
//! byte stays as it is, and the same evidence twice gives the same document.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cells::{NOTHING, escape, evidence, status_text};
use super::derived::{DERIVED, Derived, VOLATILE, Width, titles};
use super::parse::{Row as Line, Table};
use super::rows::{Columns, Place};
use super::text::is_han;
use super::{Checklist, Row, lock};
use crate::judge::Status;
use crate::plan::ClaimStatus;
use crate::report::Language;
use crate::verdict::{ItemReport, Verdict};

/// What is written: the document, and its lock.
#[derive(Debug, PartialEq, Eq)]
pub struct Regenerated {
    /// The document.
    pub text: String,
    /// Where its lock belongs.
    pub lock_path: PathBuf,
    /// Its lock.
    pub lock: String,
}

/// What to do with cells that differ from run to run: times, and the hashes of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatile {
    /// Write them anew.
    Renew,
    /// Keep those that are there: whether a document is out of date is a matter of its statuses.
    Keep,
}

/// The language of a document.
fn language_of(text: &str) -> Language {
    if text.chars().any(is_han) {
        Language::Zh
    } else {
        Language::En
    }
}

impl Checklist {
    /// The document as the verdict has it, to be written to `path`.
    ///
    /// # Errors
    /// A lock that cannot be written as JSON; there is none.
    pub fn regenerate(
        &self,
        verdict: &Verdict,
        path: &Path,
        language: Option<Language>,
        volatile: Volatile,
    ) -> Result<Regenerated, serde_json::Error> {
        let items: HashMap<&str, &ItemReport> = verdict
            .items
            .iter()
            .map(|item| (item.id.as_str(), item))
            .collect();
        let mut codes: HashMap<&str, Vec<&str>> = HashMap::new();
        for finding in &verdict.findings {
            if let Some(item) = &finding.item {
                codes.entry(item).or_default().push(&finding.code);
            }
        }
        let mut writer = Writer {
            text: &self.document.text,
            language: language.unwrap_or_else(|| language_of(&self.document.text)),
            volatile,
            edits: Vec::new(),
            generated: HashMap::new(),
        };
        let mut layouts: HashMap<usize, Layout> = HashMap::new();
        for row in &self.rows {
            let Some(item) = items.get(row.id.as_str()) else {
                continue;
            };
            let codes = codes.get(row.id.as_str()).map_or(&[][..], Vec::as_slice);
            match row.place {
                Place::Box { task } if !item.unmapped => {
                    writer.tick(row, self.document.tasks[task].mark.clone(), item);
                }
                Place::Box { .. } => {}
                Place::Cell { table, row: at } => {
                    let table_at = &self.document.tables[table];
                    let layout = *layouts
                        .entry(table)
                        .or_insert_with(|| writer.head(table_at));
                    let line = &table_at.rows[at];
                    if !layout.before.is_exceeded_by(writer.text, line) {
                        writer.row(row, line, layout, item, codes);
                    }
                }
            }
        }
        let generated = std::mem::take(&mut writer.generated);
        let next = self.next_lock(|row| generated.get(&row.id).cloned());
        Ok(Regenerated {
            text: writer.apply(),
            lock_path: lock::path_of(path),
            lock: next.to_text()?,
        })
    }
}

/// Where the columns of a table are.
#[derive(Debug, Clone, Copy)]
struct Layout {
    status: usize,
    derived: [usize; DERIVED],
    /// How many columns there are, those that are appended included.
    width: usize,
    /// How wide the table was when it was read.
    before: Width,
}

struct Writer<'d> {
    text: &'d str,
    language: Language,
    volatile: Volatile,
    edits: Vec<(Range<usize>, String)>,
    /// By the id of the row.
    generated: HashMap<String, String>,
}

impl Writer<'_> {
    /// Writes the titles of the derived columns, and tells where the columns are.
    fn head(&mut self, table: &Table) -> Layout {
        let status = Columns::of(self.text, &table.header).map_or(0, |columns| columns.status);
        let there = Derived::of(self.text, &table.header).map_or([None; DERIVED], |found| found.at);
        let mut width = table.header.cells.len();
        let mut missing = Vec::new();
        // Somebody may have deleted some of them: those come back, at the end.
        let derived = std::array::from_fn(|which| {
            let title = titles(self.language)[which];
            if let Some(at) = there[which] {
                self.set(table.header.cells[at].clone(), title);
                return at;
            }
            missing.push(title.to_owned());
            width += 1;
            width - 1
        });
        self.append(&table.header, &missing);
        if let Some(delimiter) = &table.delimiter {
            self.append(delimiter, &vec!["---".to_owned(); missing.len()]);
        }
        Layout {
            status,
            derived,
            width,
            before: Width::of(self.text, &table.header),
        }
    }

    fn row(&mut self, row: &Row, line: &Line, layout: Layout, item: &ItemReport, codes: &[&str]) {
        let has = line.cells.len();
        let status = status_text(self.language, item);
        let mut cells: Vec<(usize, String)> = vec![(layout.status, status.clone())];
        let derived = self.derived(row, item, codes);
        for (which, (cell, at)) in derived.into_iter().zip(layout.derived).enumerate() {
            let keep = self.volatile == Volatile::Keep && VOLATILE.contains(&which);
            if !(keep && at < has) {
                cells.push((at, cell));
            }
        }
        let mut appended = Vec::new();
        for at in 0..layout.width {
            let wanted = cells.iter().find(|(column, _)| *column == at);
            match (wanted, line.cells.get(at)) {
                (Some((_, wanted)), Some(cell)) => self.set(cell.clone(), wanted),
                (Some((_, wanted)), None) => appended.push(wanted.clone()),
                (None, Some(_)) => {}
                // What follows is never empty, so that this cell is not the last.
                (None, None) => appended.push(String::new()),
            }
        }
        self.append(line, &appended);
        self.generated.insert(row.id.clone(), status);
    }

    fn tick(&mut self, row: &Row, mark: Range<usize>, item: &ItemReport) {
        let ticked = item.result == Status::Pass;
        let is_ticked = !self.text[mark.clone()].trim().is_empty();
        if ticked != is_ticked {
            let new = if ticked { "x" } else { " " };
            self.edits.push((mark, new.to_owned()));
        }
        let generated = if ticked { "x" } else { "" };
        self.generated.insert(row.id.clone(), generated.to_owned());
    }

    /// The derived cells of a row.
    fn derived(&self, row: &Row, item: &ItemReport, codes: &[&str]) -> [String; DERIVED] {
        let language = self.language;
        let how = if item.unmapped {
            language.pick("unmapped", "未映射").to_owned()
        } else {
            format!(
                "{} · {}",
                language.basis(item.basis),
                language.freshness(item.freshness)
            )
        };
        let observed_at = item.observed_at.map_or_else(
            || NOTHING.to_owned(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        );
        [
            format!("{} · {how}", language.status(item.result)),
            escape(&evidence(item)),
            observed_at,
            self.difference(row, item, codes),
        ]
    }

    fn difference(&self, row: &Row, item: &ItemReport, codes: &[&str]) -> String {
        let agree = matches!(
            (row.claim.status, item.result),
            (ClaimStatus::Pass, Status::Pass)
                | (ClaimStatus::Warn, Status::Warn)
                | (ClaimStatus::Pending, Status::Unknown | Status::Fail)
        );
        let claimed = match row.claim.status {
            ClaimStatus::Pass => self.language.pick("pass", "通过"),
            ClaimStatus::Warn => self.language.pick("warn", "警告"),
            ClaimStatus::Pending => self.language.pick("pending", "待定"),
        };
        let derived = self.language.status(item.result);
        let mut parts: Vec<String> = Vec::new();
        if !agree {
            parts.push(match self.language {
                Language::En => format!("claimed {claimed}, derived {derived}"),
                Language::Zh => format!("声称{claimed}，推导{derived}"),
            });
        }
        let shown = codes.iter().filter(|code| CONTRADICTIONS.contains(code));
        parts.extend(shown.map(|code| (*code).to_owned()));
        if parts.is_empty() {
            NOTHING.to_owned()
        } else {
            parts.join("; ")
        }
    }

    /// Writes a cell and keeps the spaces around it.
    fn set(&mut self, cell: Range<usize>, new: &str) {
        let raw = &self.text[cell.clone()];
        let old = raw.trim();
        if old == new {
            return;
        }
        if old.is_empty() {
            self.edits.push((cell, format!(" {new} ")));
            return;
        }
        let start = cell.start + (raw.len() - raw.trim_start().len());
        self.edits.push((start..start + old.len(), new.to_owned()));
    }

    fn append(&mut self, line: &Line, cells: &[String]) {
        if cells.is_empty() {
            return;
        }
        let more: String = cells
            .iter()
            .map(|cell| {
                if line.closed {
                    format!(" {cell} |")
                } else {
                    format!(" | {cell}")
                }
            })
            .collect();
        self.edits.push((line.end..line.end, more));
    }

    fn apply(mut self) -> String {
        // Stable: what is appended to a line comes after a change of its last cell.
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(self.text.len() * 2);
        let mut from = 0;
        for (range, new) in &self.edits {
            out.push_str(&self.text[from..range.start]);
            out.push_str(new);
            from = range.end;
        }
        out.push_str(&self.text[from..]);
        out
    }
}

/// The codes that a row's difference names.
const CONTRADICTIONS: [&str; 5] = [
    "claimed-pass-failing",
    "claimed-pass-unsupported",
    "claimed-warn-passing",
    "aliases-disagree",
    "prerequisite-unmet",
];
