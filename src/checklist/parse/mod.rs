//! Markdown → headings, tables and task lists, each with the bytes where it stands. Nothing is
//! normalised: who writes the document back keeps every byte that it does not mean to change.

mod syntax;

use std::ops::Range;

use syntax::{
    Fence, atx_heading, has_dashes_only, has_pipe, list_marker, pipes, pipes_outside_code,
    split_lines, task, underline,
};

use super::derived::Width;
use super::text::{plain, words};

/// A document and what was found in it.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) headings: Vec<Heading>,
    pub(super) tables: Vec<Table>,
    pub(super) tasks: Vec<Task>,
    pub(super) problems: Vec<Problem>,
}

/// A line that readers see: not within code or a comment.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Its bytes, without the line break.
    pub(super) span: Range<usize>,
    /// Whether it is text: not a heading, a row or a task.
    pub(super) is_text: bool,
}

#[derive(Debug)]
pub(super) struct Heading {
    pub(super) level: usize,
    pub(super) title: String,
    pub(super) line: usize,
    /// The heading that it stands under.
    pub(super) parent: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Table {
    /// The heading that it stands under.
    pub(super) heading: Option<usize>,
    pub(super) header: Row,
    /// Absent where a table has none, which is an error of the document.
    pub(super) delimiter: Option<Row>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    /// From 1.
    pub(super) line: usize,
    /// The bytes of each cell, with the spaces around its text.
    pub(super) cells: Vec<Range<usize>>,
    /// Where a further cell would begin: behind the last pipe, or behind the text.
    pub(super) end: usize,
    /// Whether it ends with a pipe.
    pub(super) closed: bool,
    /// Whether pipes within code were taken for text, which Markdown does not do.
    pub(super) code_has_pipes: bool,
}

/// `- [x] title`.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) heading: Option<usize>,
    pub(super) line: usize,
    /// The one byte between the brackets.
    pub(super) mark: Range<usize>,
    pub(super) title: String,
}

/// Something that is not as Markdown wants it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Row {
    /// The text of a cell, without the spaces around it.
    pub(super) fn cell<'t>(&self, text: &'t str, at: usize) -> Option<&'t str> {
        self.cells.get(at).map(|cell| text[cell.clone()].trim())
    }
}

/// Lines longer than this are split at every pipe.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Column titles under which a row's status stands.
const STATUS: [&str; 14] = [
    "状态",
    "狀態",
    "检查状态",
    "完成状态",
    "执行状态",
    "验证状态",
    "检查结果",
    "status",
    "state",
    "check status",
    "completion status",
    "result",
    "done",
    "completed",
];

/// The column of the status: a table that has one is part of the checklist.
pub(super) fn status_column(text: &str, header: &Row) -> Option<usize> {
    header
        .cells
        .iter()
        .position(|cell| is_status(&text[cell.clone()]))
}

/// Whether a title says that a status stands below it.
fn is_status(title: &str) -> bool {
    STATUS.contains(&words(title).as_str())
}

/// Reads a document.
pub(super) fn parse(text: String) -> Document {
    let spans = split_lines(&text);
    let mut scanner = Scanner {
        text: &text,
        spans: &spans,
        at: 0,
        document: Document::default(),
        open: Vec::new(),
        in_list: false,
    };
    scanner.run();
    let mut document = scanner.document;
    document.text = text;
    document
}

struct Scanner<'t> {
    text: &'t str,
    spans: &'t [Range<usize>],
    at: usize,
    document: Document,
    /// The headings above, outermost first.
    open: Vec<usize>,
    in_list: bool,
}

impl<'t> Scanner<'t> {
    fn line(&self, at: usize) -> &'t str {
        self.spans
            .get(at)
            .map_or("", |span| &self.text[span.clone()])
    }

    fn heading(&self) -> Option<usize> {
        self.open.last().copied()
    }

    fn run(&mut self) {
        while self.at < self.spans.len() {
            let line = self.line(self.at);
            let content = line.trim_start_matches([' ', '\t']);
            let indent = line.len() - content.len();
            if let Some(fence) = Fence::open(content) {
                self.skip(1, "unclosed-code", |line| fence.closes(line));
                self.in_list = false;
            } else if indent < 4 && content.starts_with("<!--") {
                // The same line may close it.
                self.skip(0, "unclosed-comment", |line| line.contains("-->"));
            } else if self.is_code(line) {
                self.at += 1;
            } else if !self.heading_here(content) && !self.table_here() && !self.task_here() {
                self.text_here(content);
            }
        }
    }

    /// Goes behind the line that ends what begins here. What does not end hides the rest of the
    /// document, and that must not go unseen.
    fn skip(&mut self, offset: usize, code: &'static str, ends: impl Fn(&str) -> bool) {
        let begin = self.at;
        let last = (begin + offset..self.spans.len()).find(|at| ends(self.line(*at)));
        if last.is_none() {
            self.document.problems.push(Problem {
                code,
                line: begin + 1,
                text: "it is never closed: nothing after it is read".to_owned(),
            });
        }
        self.at = last.map_or(self.spans.len(), |last| last + 1);
    }

    /// Four spaces begin code, but not within a list.
    fn is_code(&self, line: &str) -> bool {
        (line.starts_with("    ") || line.starts_with('\t')) && !self.in_list
    }

    fn heading_here(&mut self, content: &str) -> bool {
        if let Some((level, title)) = atx_heading(content) {
            self.add_heading(level, title, 1);
            return true;
        }
        let is_text = !content.is_empty() && !content.contains('|') && task(content).is_none();
        let level = if is_text && !content.starts_with(['-', '*', '+', '>', '=']) {
            underline(self.line(self.at + 1))
        } else {
            None
        };
        if let Some(level) = level {
            self.add_heading(level, content, 2);
        }
        level.is_some()
    }

    fn add_heading(&mut self, level: usize, title: &str, lines: usize) {
        let headings = &mut self.document.headings;
        self.open.retain(|open| headings[*open].level < level);
        headings.push(Heading {
            level,
            title: plain(title),
            line: self.at + 1,
            parent: self.open.last().copied(),
        });
        self.open.push(headings.len() - 1);
        self.see(false);
        self.at += lines;
        self.in_list = false;
    }

    /// Readers see this line.
    fn see(&mut self, is_text: bool) {
        self.document.lines.push(Line {
            number: self.at + 1,
            span: self.spans[self.at].clone(),
            is_text,
        });
    }

    fn table_here(&mut self) -> bool {
        let line = self.line(self.at);
        if !has_pipe(line) || task(line.trim_start()).is_some() || self.quote_here(line) {
            return false;
        }
        let header = self.row(self.at);
        let under = self.line(self.at + 1);
        let delimiter = (has_dashes_only(under) && self.at + 1 < self.spans.len())
            .then(|| self.row(self.at + 1));
        let known = status_column(self.text, &header).is_some();
        match &delimiter {
            Some(delimiter) if delimiter.cells.len() == header.cells.len() => {}
            Some(delimiter) => {
                self.broken(format!(
                    "the line of dashes has {} columns, the line above it {}: this is no table in Markdown",
                    delimiter.cells.len(),
                    header.cells.len()
                ));
            }
            None if known && has_pipe(under) => self.broken(
                "there is no line of dashes under the titles: this is no table in Markdown".into(),
            ),
            None => return false,
        }
        let mut table = Table {
            heading: self.heading(),
            header,
            delimiter,
            rows: Vec::new(),
        };
        for _ in 0..=usize::from(table.delimiter.is_some()) {
            self.see(false);
            self.at += 1;
        }
        let width = Width::of(self.text, &table.header);
        while self.at < self.spans.len() && (self.is_row(self.at) || self.interrupted_here()) {
            if !self.is_row(self.at) {
                self.see(true);
                self.at += 1;
                continue;
            }
            let mut row = self.row(self.at);
            // Looking for the end of each piece of code takes its time in a line that is not for people.
            let is_short = self.line(self.at).len() <= MAX_LINE_BYTES;
            if is_short && !width.fits(self.text, &row) {
                // A pipe within code splits a cell, and hardly anybody means it to.
                let joined = self.split(self.at, &pipes_outside_code(self.line(self.at)));
                if width.fits(self.text, &joined) {
                    row = Row {
                        code_has_pipes: true,
                        ..joined
                    };
                }
            }
            table.rows.push(row);
            self.see(false);
            self.at += 1;
        }
        self.document.tables.push(table);
        self.in_list = false;
        true
    }

    fn broken(&mut self, text: String) {
        self.document.problems.push(Problem {
            code: "broken-table",
            line: self.at + 1,
            text,
        });
    }

    /// What is quoted is not read. A table in it is said to be there, since people see its ticks.
    fn quote_here(&mut self, line: &'t str) -> bool {
        let content = line.trim_start();
        if !content.starts_with('>') {
            return false;
        }
        let quoted = |line: &'t str| line.trim_start_matches(['>', ' ', '\t']);
        let is_table = has_dashes_only(quoted(self.line(self.at + 1)));
        if is_table && quoted(content).split('|').any(is_status) {
            self.broken("a table within a quote is not read".to_owned());
        }
        true
    }

    /// Whether the line is text within a table: Markdown takes it for a row, and what follows still belongs to
    /// the table.
    fn interrupted_here(&mut self) -> bool {
        let begins = |line: &str| {
            let content = line.trim_start();
            content.is_empty()
                || content.starts_with(['>', '#', '<'])
                || list_marker(content).is_some()
                || underline(content).is_some()
                || Fence::open(content).is_some()
        };
        let next = (self.at..self.spans.len())
            .find(|at| self.is_row(*at) || begins(self.line(*at)))
            .filter(|at| *at > self.at && self.is_row(*at));
        if next.is_some() {
            self.document.problems.push(Problem {
                code: "broken-row",
                line: self.at + 1,
                text: "text within a table: put it behind the table, after an empty line"
                    .to_owned(),
            });
        }
        next.is_some()
    }

    fn is_row(&self, at: usize) -> bool {
        let line = self.line(at);
        let content = line.trim_start();
        has_pipe(line)
            && line.len() - content.len() < 4
            && atx_heading(content).is_none()
            && task(content).is_none()
            && !content.starts_with(['>', '｜'])
            && !content.starts_with("```")
            && !content.starts_with("~~~")
    }

    /// The cells of a line: what stands between pipes that no backslash escapes.
    fn row(&self, at: usize) -> Row {
        self.split(at, &pipes(self.line(at)).collect::<Vec<_>>())
    }

    fn split(&self, at: usize, pipes: &[usize]) -> Row {
        let span = self.spans[at].clone();
        let line = &self.text[span.clone()];
        let end = span.start + line.trim_end().len();
        let mut pipes: Vec<usize> = pipes.iter().map(|pipe| span.start + pipe).collect();
        let start = span.start + (line.len() - line.trim_start().len());
        let mut from = start;
        if pipes.first() == Some(&start) {
            pipes.remove(0);
            from = start + 1;
        }
        let mut cells = Vec::with_capacity(pipes.len());
        for pipe in &pipes {
            cells.push(from..*pipe);
            from = pipe + 1;
        }
        let closed = from == end && !cells.is_empty();
        if !closed {
            cells.push(from..end.max(from));
        }
        Row {
            line: at + 1,
            cells,
            end: end.max(from),
            closed,
            code_has_pipes: false,
        }
    }

    fn task_here(&mut self) -> bool {
        let span = self.spans[self.at].clone();
        let line = self.line(self.at);
        let content = line.trim_start();
        let Some((mark, title)) = task(content) else {
            return false;
        };
        let mark = span.start + (line.len() - content.len()) + mark;
        self.document.tasks.push(Task {
            heading: self.heading(),
            line: self.at + 1,
            mark: mark..mark + 1,
            title: plain(title),
        });
        self.see(false);
        self.at += 1;
        self.in_list = true;
        true
    }

    fn text_here(&mut self, content: &str) {
        let is_lone_row = content.starts_with('|') && content.trim_end().ends_with('|');
        if (is_lone_row && pipes(content).count() > 2) || content.starts_with('｜') {
            self.document.problems.push(Problem {
                code: "broken-row",
                line: self.at + 1,
                text: "this line belongs to no table and is not read: a row follows its table without an empty line, between `|`"
                    .to_owned(),
            });
        }
        if !content.is_empty() {
            let indented = self.line(self.at).starts_with([' ', '\t']);
            self.in_list = list_marker(content).is_some() || (self.in_list && indented);
            self.see(true);
        }
        self.at += 1;
    }
}
