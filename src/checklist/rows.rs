//! Which tables and tasks are rows of the checklist, and what their columns say.

use std::collections::HashMap;

use super::derived::{Derived, Width};
use super::parse::{Document, Problem, Row as Line, Table, status_column};
use super::text::{plain, slug, words};
use super::{gates, keys};

/// Where a row's status stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A cell: index of the table and of its row.
    Cell { table: usize, row: usize },
    /// The box of a task: its index.
    Box { task: usize },
}

/// Where rows stand together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// What tells it apart within the document.
    pub(super) identity: String,
    /// Whether the heading begins with a key, such as `A1.`: rows are then numbered in order.
    pub(super) keyed: bool,
    /// The key, or the heading's text.
    pub(super) name: String,
    /// The heading's text.
    pub(super) title: String,
}

/// A row as it stands in the document; who it is, is for `identity` to say.
#[derive(Debug)]
pub(super) struct RawRow {
    pub(super) section: Section,
    pub(super) heading: Option<usize>,
    /// Index of the gate whose bullet it is.
    pub(super) gate: Option<usize>,
    pub(super) title: String,
    pub(super) line: usize,
    pub(super) place: Place,
    /// The words in which its status is claimed.
    pub(super) status: String,
    pub(super) detail: String,
    pub(super) owner: Option<String>,
    pub(super) due: Option<String>,
    /// The id that the document itself gives it.
    pub(super) own_id: Option<String>,
}

/// What the columns of a table are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) status: usize,
    title: usize,
    detail: Option<usize>,
    owner: Option<usize>,
    due: Option<usize>,
    id: Option<usize>,
}

const TITLE: [&str; 20] = [
    "检查项",
    "检查项目",
    "检查内容",
    "项目",
    "任务",
    "名称",
    "事项",
    "条目",
    "标题",
    "item",
    "check",
    "title",
    "name",
    "task",
    "checklist item",
    "check item",
    "requirement",
    "control",
    "test",
    "step",
];
const DETAIL: [&str; 14] = [
    "详情",
    "说明",
    "描述",
    "备注",
    "要求",
    "内容",
    "标准",
    "details",
    "detail",
    "description",
    "notes",
    "note",
    "comment",
    "criteria",
];
const OWNER: [&str; 8] = [
    "负责人",
    "责任人",
    "负责团队",
    "owner",
    "assignee",
    "responsible",
    "team",
    "who",
];
const DUE: [&str; 8] = [
    "完成时间",
    "截止时间",
    "截止日期",
    "日期",
    "due",
    "due date",
    "date",
    "deadline",
];
const ID: [&str; 5] = ["id", "编号", "item id", "check id", "key"];
/// Columns that only count.
const NUMBER: [&str; 4] = ["序号", "no", "nr", ""];

impl Columns {
    /// The columns of a table of the checklist; `None` for a table without a status.
    pub(super) fn of(text: &str, header: &Line) -> Option<Self> {
        let status = status_column(text, header)?;
        // What was appended says nothing about the row.
        let derived = Derived::of(text, header);
        let own = derived.map_or(header.cells.len(), |derived| derived.begin);
        let titles: Vec<String> = header.cells[..own]
            .iter()
            .map(|cell| words(&text[cell.clone()]))
            .collect();
        let find = |names: &[&str]| {
            (0..titles.len()).find(|at| *at != status && names.contains(&titles[*at].as_str()))
        };
        let (id, number) = (find(&ID), find(&NUMBER));
        let title = find(&TITLE).or_else(|| {
            (0..titles.len()).find(|at| ![Some(status), id, number].contains(&Some(*at)))
        });
        let title = title.or(id).or(number)?;
        let other = |names: &[&str]| find(names).filter(|at| *at != title);
        Some(Self {
            status,
            title,
            detail: other(&DETAIL),
            owner: other(&OWNER),
            due: other(&DUE),
            id,
        })
    }
}

/// The rows of a document and the gates that some of them are bullets of.
pub(super) struct Found {
    pub(super) rows: Vec<RawRow>,
    pub(super) gates: Vec<gates::Gate>,
}

/// Collects all rows in the order of the document.
pub(super) fn collect(document: &Document, problems: &mut Vec<Problem>) -> Found {
    let mut sections = Sections::new(document);
    let mut rows = Vec::new();
    for (index, table) in document.tables.iter().enumerate() {
        match Columns::of(&document.text, &table.header) {
            Some(columns) => of_table(document, index, columns, &mut sections, &mut rows, problems),
            None => without_status(document, table, problems),
        }
    }
    let (gates, of_task) = gates::find(document, rows.is_empty());
    for (index, task) in document.tasks.iter().enumerate() {
        let gate = of_task[index];
        rows.push(RawRow {
            section: match gate {
                Some(gate) => gates[gate].section(),
                None => sections.of(task.heading),
            },
            heading: task.heading,
            gate,
            title: task.title.clone(),
            line: task.line,
            place: Place::Box { task: index },
            status: document.text[task.mark.clone()].trim().to_lowercase(),
            detail: String::new(),
            owner: None,
            due: None,
            own_id: None,
        });
    }
    rows.sort_by_key(|row| row.line);
    Found { rows, gates }
}

/// Under a heading with a key a table without a status is likely to be one whose status got lost.
fn without_status(document: &Document, table: &Table, problems: &mut Vec<Problem>) {
    let heading = table.heading.map(|at| &document.headings[at]);
    if let Some(key) = heading.and_then(|heading| keys::section_key(&heading.title)) {
        problems.push(Problem {
            code: "no-status-column",
            line: table.header.line,
            text: format!(
                "this table of {key} has no column for the status: its rows are not read"
            ),
        });
    }
}

fn of_table(
    document: &Document,
    index: usize,
    columns: Columns,
    sections: &mut Sections<'_>,
    rows: &mut Vec<RawRow>,
    problems: &mut Vec<Problem>,
) {
    let text = &document.text;
    let table = &document.tables[index];
    let section = sections.of(table.heading);
    let width = Width::of(text, &table.header);
    for (at, row) in table.rows.iter().enumerate() {
        let cell = |column: usize| row.cell(text, column).unwrap_or_default();
        let optional = |column: Option<usize>| {
            let value = plain(cell(column?));
            (!value.is_empty()).then_some(value)
        };
        // Nothing, or dashes that make no table.
        let is_empty = |column: usize| cell(column).is_empty();
        if (0..row.cells.len()).all(is_empty) || is_dashes(cell(columns.title)) {
            continue;
        }
        let wrong = if row.code_has_pipes {
            Some("a `|` within code is written `\\|` as well")
        } else if width.is_exceeded_by(text, row) {
            Some("more cells than columns: a `|` within a cell is written `\\|`")
        } else if row.cells.len() <= columns.status {
            Some("fewer cells than columns: the status is missing")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            problems.push(Problem {
                code: "broken-row",
                line: row.line,
                text: wrong.to_owned(),
            });
        }
        rows.push(RawRow {
            section: section.clone(),
            heading: table.heading,
            gate: None,
            title: plain(cell(columns.title)),
            line: row.line,
            place: Place::Cell {
                table: index,
                row: at,
            },
            status: cell(columns.status).to_owned(),
            detail: optional(columns.detail).unwrap_or_default(),
            owner: optional(columns.owner),
            due: optional(columns.due),
            own_id: optional(columns.id).filter(|id| {
                crate::config::is_slug(id) && id.contains(|c: char| !c.is_ascii_digit())
            }),
        });
    }
}

fn is_dashes(cell: &str) -> bool {
    cell.len() >= 3 && cell.chars().all(|c| matches!(c, '-' | ':'))
}

/// The section of each heading, each with an identity of its own.
struct Sections<'d> {
    document: &'d Document,
    known: HashMap<Option<usize>, Section>,
    used: HashMap<String, usize>,
}

impl<'d> Sections<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            document,
            known: HashMap::new(),
            used: HashMap::new(),
        }
    }

    fn of(&mut self, heading: Option<usize>) -> Section {
        if let Some(known) = self.known.get(&heading) {
            return known.clone();
        }
        let title = heading.map_or_else(String::new, |at| self.document.headings[at].title.clone());
        let key = keys::section_key(&title);
        let wanted = match (&key, heading) {
            (Some(key), _) => key.clone(),
            (None, Some(_)) => slug(&title),
            (None, None) => "rows".to_owned(),
        };
        let times = self.used.entry(wanted.clone()).or_default();
        *times += 1;
        let section = Section {
            identity: match *times {
                1 => wanted,
                times => format!("{wanted}-{times}"),
            },
            keyed: key.is_some(),
            name: key.unwrap_or_else(|| title.clone()),
            title,
        };
        self.known.insert(heading, section.clone());
        section
    }
}
