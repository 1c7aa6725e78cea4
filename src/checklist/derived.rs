//! The columns that are appended to a table: which they are, and where they stand.

use super::cells::is_derived_status;
use super::parse::Row as Line;
use super::text::words;
use crate::report::Language;

/// How many columns are appended.
pub(super) const DERIVED: usize = 4;
/// Those that differ from run to run: evidence, and when it was observed.
pub(super) const VOLATILE: [usize; 2] = [1, 2];

pub(super) fn titles(language: Language) -> [&'static str; DERIVED] {
    match language {
        Language::En => ["Derived status", "Evidence", "Observed at", "Difference"],
        Language::Zh => ["推导状态", "证据", "观测时间", "差异"],
    }
}

/// The derived columns of a table. Somebody may have moved or deleted some of them, and added a column between
/// or behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Derived {
    /// Where they begin: what stands before is the document's own.
    pub(super) begin: usize,
    /// Where each of them is.
    pub(super) at: [Option<usize>; DERIVED],
}

impl Derived {
    /// `None` for a table that has none. The derived status tells: a column of another title may be the
    /// document's own, unless all the others stand side by side.
    pub(super) fn of(text: &str, header: &Line) -> Option<Self> {
        let names: Vec<String> = header
            .cells
            .iter()
            .map(|cell| words(&text[cell.clone()]))
            .collect();
        [Language::Zh, Language::En]
            .into_iter()
            .find_map(|language| {
                let wanted = titles(language).map(str::to_lowercase);
                let status = names.iter().rposition(|name| *name == wanted[0]);
                let others = names
                    .windows(DERIVED - 1)
                    .rposition(|some| some == &wanted[1..]);
                let begin = status.into_iter().chain(others).min()?;
                let behind = |title: &String| {
                    let found = names[begin..].iter().position(|name| name == title)?;
                    Some(begin + found)
                };
                Some(Self {
                    begin,
                    at: wanted.each_ref().map(behind),
                })
            })
    }
}

/// How many columns a table has, and how many of them are its own, not appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    all: usize,
    own: usize,
    /// The column of the derived status.
    derived: Option<usize>,
}

impl Width {
    pub(super) fn of(text: &str, header: &Line) -> Self {
        let all = header.cells.len();
        let derived = Derived::of(text, header);
        Self {
            all,
            own: derived.map_or(all, |derived| derived.begin),
            derived: derived.and_then(|derived| derived.at[0]),
        }
    }

    /// Whether each cell of a row has its column, as far as that can be told.
    pub(super) fn fits(self, text: &str, row: &Line) -> bool {
        let has = row.cells.len();
        has <= self.own || (has <= self.all && self.is_derived(text, row))
    }

    /// Whether a row has the derived status where its table has it.
    fn is_derived(self, text: &str, row: &Line) -> bool {
        let derived = self.derived.and_then(|at| row.cell(text, at));
        derived.is_some_and(is_derived_status)
    }

    /// Whether a row says more than its table has columns for: which of its cells is which nobody can tell.
    /// Empty cells say nothing; a person who adds a row to a table with derived columns leaves them empty.
    pub(super) fn is_exceeded_by(self, text: &str, row: &Line) -> bool {
        let says_something = |from: usize| {
            (from..row.cells.len())
                .any(|at| row.cell(text, at).is_some_and(|cell| !cell.is_empty()))
        };
        let is_ours = self.derived.is_none() || self.is_derived(text, row);
        says_something(self.all) || (!is_ours && says_something(self.own))
    }
}
