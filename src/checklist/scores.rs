//! Scores that the document states, held against the ticks of its own rows.

use std::sync::LazyLock;

use regex::Regex;

use super::parse::{Document, Problem, Table};
use super::text::{narrow, plain, words};

/// The ticks of some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) rows: usize,
    pub(super) passed: usize,
}

impl Ticks {
    pub(super) fn add(&mut self, passed: bool) {
        self.rows += 1;
        self.passed += usize::from(passed);
    }

    fn percent(self) -> f64 {
        // Rows are counted in memory: far below what a float can hold exactly.
        let (passed, rows) = (u32::try_from(self.passed), u32::try_from(self.rows));
        match (passed, rows) {
            (Ok(passed), Ok(rows)) if rows > 0 => 100.0 * f64::from(passed) / f64::from(rows),
            _ => 0.0,
        }
    }
}

/// The ticks of all rows, and of those under each heading.
pub(super) struct Ticked {
    pub(super) all: Ticks,
    pub(super) by_heading: Vec<Ticks>,
}

/// A stated share may be rounded: only one further off than this differs, in points of per cent.
const TOLERANCE: f64 = 1.0;

const PROSE: &str = r"(?xi)
    (?: 就绪度 | 完成度 | 完成率 | 通过率 | readiness | completion | overall\ score | total\ score )
        [^\d\n%%]{0,24}? (?P<after> \d{1,3}(?:\.\d+)? ) \s* %
    | (?P<before> \d{1,3}(?:\.\d+)? ) \s* % \s*
        (?: 的? (?: 就绪度 | 完成度 | 完成率 | 通过率 ) | complete\b | ready\b | readiness | completion | done\b )";
const PERCENT: &str = r"(?P<number>\d{1,3}(?:\.\d+)?)\s*%";

static IN_PROSE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PROSE).ok());
static IN_CELL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PERCENT).ok());

/// Stated scores that the rows do not give.
pub(super) fn differing(document: &Document, ticked: &Ticked) -> Vec<Problem> {
    if ticked.all.rows == 0 {
        return Vec::new();
    }
    let mut problems = Vec::new();
    in_prose(document, ticked, &mut problems);
    let headings = headings(document, ticked);
    for table in &document.tables {
        in_table(document, table, ticked, &headings, &mut problems);
    }
    problems
}

fn in_prose(document: &Document, ticked: &Ticked, problems: &mut Vec<Problem>) {
    let Some(pattern) = IN_PROSE.as_ref() else {
        return;
    };
    for line in document.lines.iter().filter(|line| line.is_text) {
        let raw = &document.text[line.span.clone()];
        if !raw.contains(['%', '％']) {
            continue;
        }
        let text = narrow(&plain(raw));
        let stated = pattern.captures(&text).and_then(|captures| {
            let number = captures.name("after").or_else(|| captures.name("before"))?;
            number.as_str().parse::<f64>().ok()
        });
        if let Some(stated) = stated {
            compare("the whole", stated, ticked.all, line.number, problems);
        }
    }
}

/// What a column of a table of scores holds.
const CURRENT: [&str; 10] = [
    "当前",
    "实际",
    "现状",
    "得分",
    "完成度",
    "current",
    "actual",
    "score",
    "now",
    "claimed",
];
const TARGET: [&str; 6] = ["目标", "权重", "target", "goal", "weight", "objective"];
/// Labels of a row about everything.
const OVERALL: [&str; 6] = ["总体", "整体", "综合", "总计", "overall", "total"];

fn in_table(
    document: &Document,
    table: &Table,
    ticked: &Ticked,
    headings: &[(usize, String)],
    problems: &mut Vec<Problem>,
) {
    let text = &document.text;
    // A table of the checklist itself: its numbers are details.
    if super::parse::status_column(text, &table.header).is_some() {
        return;
    }
    let titles: Vec<String> = table
        .header
        .cells
        .iter()
        .map(|cell| words(&text[cell.clone()]))
        .collect();
    let is = |at: usize, names: &[&str]| names.iter().any(|name| titles[at].contains(name));
    let columns = 1..titles.len();
    let Some(column) = columns.clone().find(|at| is(*at, &CURRENT)).or_else(|| {
        (columns.len() == 1)
            .then_some(1)
            .filter(|at| !is(*at, &TARGET))
    }) else {
        return;
    };
    let Some(pattern) = IN_CELL.as_ref() else {
        return;
    };
    for row in &table.rows {
        let cell = narrow(row.cell(text, column).unwrap_or_default());
        let stated = pattern
            .captures(&cell)
            .and_then(|captures| captures["number"].parse::<f64>().ok());
        let label = words(row.cell(text, 0).unwrap_or_default());
        let Some(stated) = stated.filter(|_| !label.is_empty()) else {
            continue;
        };
        if OVERALL.iter().any(|word| label.contains(word)) {
            compare("the whole", stated, ticked.all, row.line, problems);
        } else if let Some(heading) = heading_of(document, headings, &label) {
            let name = format!("`{}`", document.headings[heading].title);
            compare(
                &name,
                stated,
                ticked.by_heading[heading],
                row.line,
                problems,
            );
        }
    }
}

/// The headings over rows, with their titles as a label could have them.
fn headings(document: &Document, ticked: &Ticked) -> Vec<(usize, String)> {
    let all = document.headings.iter().enumerate();
    all.filter(|(at, _)| ticked.by_heading[*at].rows > 0)
        .map(|(at, heading)| {
            let words = words(&heading.title);
            let key = super::keys::section_key(&heading.title).unwrap_or_default();
            let key = key.to_lowercase().replace('.', " ");
            let title = words.strip_prefix(&key).unwrap_or(&words);
            (at, title.trim().to_owned())
        })
        .collect()
}

/// The heading that a label means: it has the same words, or in their order all characters of the label
/// and few others. The outermost one, where several do.
fn heading_of(document: &Document, headings: &[(usize, String)], label: &str) -> Option<usize> {
    headings
        .iter()
        .filter_map(|(at, title)| {
            let extra = likeness(title, label)?;
            Some((extra > 0, document.headings[*at].level, extra, *at))
        })
        .min()
        .map(|(.., at)| at)
}

/// How many further characters a title has; `None`: it does not have the label's.
fn likeness(title: &str, label: &str) -> Option<usize> {
    const MOST: usize = 3;
    let mut rest = title.chars();
    for wanted in label.chars() {
        rest.find(|c| *c == wanted)?;
    }
    let extra = title.chars().count() - label.chars().count();
    (label.chars().count() >= 2 && extra <= MOST).then_some(extra)
}

fn compare(of: &str, stated: f64, ticks: Ticks, line: usize, problems: &mut Vec<Problem>) {
    let actual = ticks.percent();
    if (stated - actual).abs() < TOLERANCE {
        return;
    }
    problems.push(Problem {
        code: "stated-score-differs",
        line,
        text: format!(
            "{stated}% is stated of {of}, but {} of its {} rows are ticked: {actual:.1}%",
            ticks.passed, ticks.rows
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_are_valid() {
        assert!(Regex::new(PROSE).is_ok());
        assert!(Regex::new(PERCENT).is_ok());
    }

    #[test]
    fn shares_in_prose_are_found() {
        let pattern = IN_PROSE.as_ref().expect("valid");
        for (text, wanted) in [
            ("检查状态: ✅ 就绪 (91% 完成度)", Some("91")),
            ("并发成功率100%，整体就绪度达到91%。", Some("91")),
            ("Overall readiness: 80.5%", Some("80.5")),
            ("We are 75% complete", Some("75")),
            ("错误率 5%", None),
            ("CPU 90%", None),
        ] {
            let found = pattern.captures(text).and_then(|captures| {
                let number = captures.name("after").or_else(|| captures.name("before"));
                number.map(|number| number.as_str().to_owned())
            });
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn labels_mean_headings() {
        assert_eq!(likeness("安全配置", "安全配置"), Some(0));
        assert_eq!(likeness("监控和告警配置", "监控告警"), Some(3));
        assert_eq!(likeness("测试和验证", "稳定性验证"), None);
    }
}
