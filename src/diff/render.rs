//! A comparison for people, for programs and for a pull request.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Change, Diff, Kind, State};
use crate::report::printable;

/// A form in which a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffFormat {
    /// For people.
    Table,
    /// For programs: `probe.diff/v1`.
    Json,
    /// For a pull request.
    Markdown,
}

/// Changes beyond this many are counted in Markdown, not shown: a comment has an end.
const MAX_ROWS: usize = 100;

/// Longer reasons are cut in Markdown.
const MAX_CELL_CHARS: usize = 200;

/// Writes a comparison, with a line break at its end.
///
/// # Errors
/// Those of `out`.
pub fn write(diff: &Diff, format: DiffFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        DiffFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, diff)?;
            out.write_all(b"\n")
        }
        DiffFormat::Table => out.write_all(table(diff).as_bytes()),
        DiffFormat::Markdown => out.write_all(markdown(diff).as_bytes()),
    }
}

fn verdict(diff: &Diff) -> String {
    let regressions = diff.items.iter().chain(&diff.gates);
    match regressions.filter(|change| change.regression).count() {
        0 => "no regression".to_owned(),
        1 => "1 regression".to_owned(),
        count => format!("{count} regressions"),
    }
}

fn unchanged(diff: &Diff) -> String {
    match diff.unchanged {
        1 => "1 item is unchanged".to_owned(),
        count => format!("{count} items are unchanged"),
    }
}

fn kind(change: &Change) -> &'static str {
    match change.change {
        Kind::Worse => "worse",
        Kind::Vanished => "vanished",
        Kind::New => "new",
        Kind::Better => "better",
        Kind::Changed => "changed",
    }
}

/// `pass → fail`, with what waives it.
fn states(change: &Change) -> String {
    let text = |state: Option<State>| match state {
        None => "–".to_owned(),
        Some(State {
            result,
            waived: false,
        }) => result.to_string(),
        Some(State { result, .. }) => format!("{result} (waived)"),
    };
    format!("{} → {}", text(change.old), text(change.new))
}

fn table(diff: &Diff) -> String {
    let mut out = String::new();
    for (name, change) in rows(diff) {
        let mark = if change.regression { "!" } else { " " };
        let mut line = format!(
            "{mark} {:<8} {name} {}: {}",
            kind(change),
            change.id,
            states(change)
        );
        if let Some(title) = change.title.as_ref().filter(|title| **title != change.id) {
            let _ = write!(line, "  {title}");
        }
        if !change.reason.is_empty() {
            let _ = write!(line, "  ({})", change.reason);
        }
        out.push_str(&printable(&line));
        out.push('\n');
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let (old, new) = (&diff.old, &diff.new);
    let summary = [
        format!("{}; {}", verdict(diff), unchanged(diff)),
        format!(
            "old     {} of {}: gate {} {}",
            old.run_id, old.finished_at, old.gate.id, old.gate.result
        ),
        format!(
            "new     {} of {}: gate {} {}",
            new.run_id, new.finished_at, new.gate.id, new.gate.result
        ),
        format!("score   {}", old.score),
        format!("now     {}", new.score),
    ];
    for line in summary {
        out.push_str(&printable(&line));
        out.push('\n');
    }
    out
}

fn rows(diff: &Diff) -> impl Iterator<Item = (&'static str, &Change)> {
    let gates = diff.gates.iter().map(|change| ("gate", change));
    gates.chain(diff.items.iter().map(|change| ("item", change)))
}

fn markdown(diff: &Diff) -> String {
    let (old, new) = (&diff.old, &diff.new);
    let mut out = format!("### {}\n\n", verdict(diff));
    let side = |out: &mut String, name: &str, side: &super::Side| {
        let _ = writeln!(
            out,
            "| {name} | {} | {} {} | {} |",
            side.finished_at,
            cell(&side.gate.id),
            side.gate.result,
            cell(&side.score.to_string())
        );
    };
    out.push_str("| | finished | gate | score |\n|---|---|---|---|\n");
    side(&mut out, "old", old);
    side(&mut out, "new", new);
    let count = diff.gates.len() + diff.items.len();
    if count > 0 {
        out.push_str("\n| | | change | result | why |\n|---|---|---|---|---|\n");
    }
    for (name, change) in rows(diff).take(MAX_ROWS) {
        let change_kind = if change.regression {
            format!("**{}**", kind(change))
        } else {
            kind(change).to_owned()
        };
        let title = change.title.as_ref().filter(|title| **title != change.id);
        let title = title.map_or_else(String::new, |title| format!(" {}", cell(title)));
        let _ = writeln!(
            out,
            "| {name} | {}{title} | {change_kind} | {} | {} |",
            cell(&change.id),
            states(change),
            cell(&change.reason)
        );
    }
    if count > MAX_ROWS {
        let _ = writeln!(out, "\nand {} more changes", count - MAX_ROWS);
    }
    let _ = writeln!(out, "\n{}.", unchanged(diff));
    out
}

/// Text of a cell: no markup, no link, nobody mentioned, no end of the cell.
fn cell(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if at == MAX_CELL_CHARS {
            out.push('…');
            break;
        }
        match c {
            // An escape would not keep a bare address or a name from becoming a link.
            '&' | '<' | '>' | '@' | ':' | '#' | '/' | '.' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_ascii_punctuation()
                && !matches!(c, ',' | '%' | ';' | '\'' | '"' | '=' | '?') =>
            {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_it_says_and_does_nothing() {
        assert_eq!(cell("a | b"), "a \\| b");
        assert_eq!(
            cell("<img src=x> @all https://x"),
            "&#60;img src=x&#62; &#64;all https&#58;&#47;&#47;x"
        );
        assert_eq!(cell("`a` [b](c)"), "\\`a\\` \\[b\\]\\(c\\)");
        assert_eq!(
            cell("a\n\u{1b}[2J\u{202e}"),
            "a\u{fffd}\u{fffd}\\[2J\u{fffd}"
        );
        assert_eq!(cell(&"é".repeat(500)).chars().count(), MAX_CELL_CHARS + 1);
    }
}
