//! TAP 14: a test point per item, with a YAML block that says why.

use std::io::{self, Write};

use super::json::quoted;
use super::text::{
    counts, counts_text, gate_text, label, next_step, one_line, place, reason, waived,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{ItemReport, Verdict};

pub(super) fn write(verdict: &Verdict, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let counted = counts_text(counts(&verdict.items), Language::En);
    writeln!(out, "TAP version 14")?;
    if verdict.items.is_empty() {
        // A plan of none would be a pass.
        writeln!(out, "1..1\nnot ok 1 - there is no item")?;
    } else {
        writeln!(out, "1..{}", verdict.items.len())?;
    }
    writeln!(out, "# {}", gate_text(&verdict.gate, Language::En))?;
    writeln!(out, "# items {counted}")?;
    writeln!(out, "# score {}", verdict.score)?;
    for (index, item) in verdict.items.iter().enumerate() {
        point(index + 1, item, language, out)?;
    }
    Ok(())
}

fn point(
    number: usize,
    item: &ItemReport,
    language: Language,
    out: &mut dyn Write,
) -> io::Result<()> {
    let ok = match item.result {
        Status::Pass | Status::Warn | Status::Na => "ok",
        Status::Fail | Status::Unknown => "not ok",
    };
    write!(out, "{ok} {number} - {}", escape(&label(item, language)))?;
    // A waiver is what a directive is for: known, and not counted as a failure.
    match (waived(item), item.result) {
        (Some(waived), _) => write!(out, " # TODO {}", escape(&waived))?,
        (None, Status::Na) => write!(out, " # SKIP not applicable")?,
        _ => {}
    }
    writeln!(out, "\n  ---")?;
    let (file, line) = place(item);
    let mut entry = |key: &str, value: &str| writeln!(out, "  {key}: {}", quoted(value));
    entry("id", &one_line(&item.id))?;
    entry("result", item.result.as_str())?;
    entry("basis", Language::En.basis(item.basis))?;
    entry("freshness", Language::En.freshness(item.freshness))?;
    let reason = reason(item);
    if !reason.is_empty() {
        entry("message", &reason)?;
    }
    for (key, value) in [("section", &item.section), ("owner", &item.owner)] {
        if let Some(value) = value {
            entry(key, &one_line(value))?;
        }
    }
    if let Some(step) = next_step(item) {
        entry("next", &step)?;
    }
    writeln!(
        out,
        "  at:\n    file: {}\n    line: {line}",
        quoted(&one_line(file))
    )?;
    if !item.rules.is_empty() {
        writeln!(out, "  rules:")?;
    }
    for rule in &item.rules {
        writeln!(out, "    - id: {}", quoted(&one_line(&rule.id)))?;
        writeln!(out, "      result: {}", quoted(rule.result.as_str()))?;
        writeln!(out, "      message: {}", quoted(&one_line(&rule.reason)))?;
    }
    writeln!(out, "  ...")
}

/// A number sign would begin a directive.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_description_cannot_begin_a_directive() {
        assert_eq!(super::escape("a # TODO b \\# c"), "a \\# TODO b \\\\\\# c");
    }
}
