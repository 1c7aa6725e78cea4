//! Workflow commands: annotations at the file and line of what does not pass.

use std::io::{self, Write};

use super::Style;
use super::text::{
    clip, counts, counts_text, gate_text, label, next_step, one_line, place, reason,
    reason_or_result, relative, rule_lines, worst_first,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

/// Characters of one annotation; the service cuts what is longer than 64 KiB.
const MOST: usize = 8_000;

pub(super) fn write(verdict: &Verdict, style: Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    // The gate first: the service shows the first ten annotations of a kind.
    let command = match verdict.gate.result {
        Status::Fail | Status::Unknown | Status::Na => "error",
        Status::Warn => "warning",
        Status::Pass => "notice",
    };
    let counted = counts_text(counts(&verdict.items), Language::En);
    let title = format!(
        "gate {} {}",
        one_line(&verdict.gate.id),
        verdict.gate.result
    );
    let text = format!(
        "{}\nitems {counted}\nscore {}",
        gate_text(&verdict.gate, Language::En),
        verdict.score
    );
    writeln!(
        out,
        "::{command} title={}::{}",
        property(&title),
        data(&text)
    )?;
    let items = worst_first(verdict);
    let (quiet, loud): (Vec<_>, Vec<_>) = items
        .into_iter()
        .partition(|item| matches!(item.result, Status::Pass | Status::Na));
    for item in loud {
        annotation(item, style, out)?;
    }
    if quiet.is_empty() {
        return Ok(());
    }
    writeln!(out, "::group::{} items need no work", quiet.len())?;
    for item in quiet {
        let reason = match reason(item) {
            reason if reason.is_empty() => String::new(),
            reason => format!(": {reason}"),
        };
        let line = format!("{} {}{reason}", item.result, label(item, style.language));
        writeln!(out, "{}", plain(&clip(&line, MOST)))?;
    }
    writeln!(out, "::endgroup::")
}

fn annotation(item: &ItemReport, style: Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let command = match (item.basis, item.result) {
        (Basis::Waived, _) | (_, Status::Warn) => "warning",
        _ => "error",
    };
    let (file, line) = place(item);
    let name = clip(&label(item, style.language), 240);
    let waived = match item.basis {
        Basis::Waived => ", waived",
        Basis::Derived | Basis::Attested => "",
    };
    let title = format!("{name}: {}{waived}", item.result);
    let mut lines = vec![reason_or_result(item)];
    lines.extend(rule_lines(item));
    lines.extend(next_step(item).map(|step| format!("next: {step}")));
    writeln!(
        out,
        "::{command} file={},line={line},title={}::{}",
        property(&one_line(relative(file, style.root))),
        property(&title),
        data(&clip(&lines.join("\n"), MOST))
    )
}

/// A line of the log that is no command: one of the runner's notations is obeyed anywhere in a line.
fn plain(text: &str) -> String {
    text.replace("##[", "## [")
}

/// What stands behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_properties_are_escaped_as_the_runner_reads_them() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(plain("x ##[error]y"), "x ## [error]y");
    }
}
