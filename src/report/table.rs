//! A verdict for people: what does not pass first, why, and what to do about it.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use owo_colors::{AnsiColors, OwoColorize};

use super::{Language, Style};
use crate::judge::Status;
use crate::plan::RiskLevel;
use crate::verdict::{Basis, GateReport, ItemReport, RiskReport, Verdict};

pub(super) fn render(verdict: &Verdict, style: Style) -> String {
    let mut out = String::new();
    let mut items: Vec<&ItemReport> = verdict.items.iter().collect();
    // Stable: within a result the order of the configuration.
    items.sort_by_key(|item| rank(item.result));
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style.width.unwrap_or(200).max(60));
    for item in items {
        table.add_row(vec![
            word(item.result, style.language),
            item.id.clone(),
            title(item, style.language),
            reason(item),
        ]);
    }
    for line in table.to_string().lines() {
        // Trailing padding is noise in logs and diffs; colours come last, they have no width.
        let line = line.trim_end();
        let first = line.split_whitespace().next().unwrap_or_default();
        match Status::ALL
            .iter()
            .find(|status| word(**status, style.language) == first)
        {
            Some(status) if line.find(first) == Some(1) => {
                out.push_str(&line.replacen(first, &mark(*status, style), 1));
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.push('\n');
    findings(verdict, &mut out);
    summary(verdict, style, &mut out);
    out
}

/// A result as the table has it.
fn word(status: Status, language: Language) -> String {
    language.status(status).to_uppercase()
}

fn findings(verdict: &Verdict, out: &mut String) {
    for finding in &verdict.findings {
        let place = match (&finding.file, finding.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            _ => String::new(),
        };
        let text = printable(&format!("{place}{}", finding.text));
        let _ = writeln!(out, "finding {} {text}", finding.code);
    }
    if !verdict.findings.is_empty() {
        out.push('\n');
    }
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Fail => 0,
        Status::Unknown => 1,
        Status::Warn => 2,
        Status::Pass => 3,
        Status::Na => 4,
    }
}

fn mark(status: Status, style: Style) -> String {
    let text = word(status, style.language);
    if !style.colour {
        return text;
    }
    let colour = match status {
        Status::Pass => AnsiColors::Green,
        Status::Warn => AnsiColors::Yellow,
        Status::Fail => AnsiColors::Red,
        Status::Unknown => AnsiColors::Magenta,
        Status::Na => AnsiColors::BrightBlack,
    };
    text.color(colour).to_string()
}

fn title(item: &ItemReport, language: Language) -> String {
    let title = language.title(&item.title, &item.titles);
    match &item.owner {
        Some(owner) => printable(&format!("{title} ({owner})")),
        None => printable(title),
    }
}

fn reason(item: &ItemReport) -> String {
    let mut text = item.reason.clone();
    if item.basis == Basis::Waived
        && let Some(waiver) = &item.waiver
    {
        let _ = write!(
            text,
            "; waived until {} by {}: {}",
            waiver.expires, waiver.owner, waiver.reason
        );
    }
    if item.basis == Basis::Attested
        && let Some(attestation) = &item.attestation
    {
        let _ = write!(
            text,
            "; attested until {} by {}: {}",
            attestation.expires, attestation.owner, attestation.url
        );
    }
    if item.flaky {
        text.push_str(" [flaky: passed only after a failed try]");
    }
    if let Some(remediation) = item
        .remediation
        .as_ref()
        .filter(|_| item.result != Status::Pass)
    {
        let _ = write!(text, " → {remediation}");
    }
    printable(text.trim_start_matches("; "))
}

/// Text from a target may hold anything; a terminal must not obey it.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // Directions of writing: text could be made to look like another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{fffd}'
            }
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn summary(verdict: &Verdict, style: Style, out: &mut String) {
    let mut counts = [0_usize; 5];
    for item in &verdict.items {
        counts[rank(item.result) as usize] += 1;
    }
    let [fail, unknown, warn, pass, na] = counts;
    let health = verdict.health;
    let language = style.language;
    let name = |status| language.status(status);
    let _ = writeln!(
        out,
        "{} {pass} {}, {warn} {}, {fail} {}, {unknown} {}, {na} {}",
        language.pick("items  ", "项目   "),
        name(Status::Pass),
        name(Status::Warn),
        name(Status::Fail),
        name(Status::Unknown),
        name(Status::Na)
    );
    let seconds = verdict
        .finished_at
        .duration_since(verdict.started_at)
        .as_secs_f64();
    let (planned, ran, errored) = (health.planned, health.ran, health.errored);
    let _ = match language {
        Language::En => writeln!(
            out,
            "probes  {planned} planned, {ran} ran, {errored} could not look, in {seconds:.2} s"
        ),
        Language::Zh => writeln!(
            out,
            "探测    计划 {planned}，运行 {ran}，无法观测 {errored}，用时 {seconds:.2} 秒"
        ),
    };
    let _ = writeln!(
        out,
        "{} {}",
        language.pick("score  ", "得分   "),
        verdict.score
    );
    for category in &verdict.score.categories {
        if let (Some(id), Some(_)) = (&category.category, category.target) {
            let title = category.title.as_deref().unwrap_or(id);
            let title = printable(language.title(title, &category.titles));
            let _ = writeln!(
                out,
                "{} {title}: {category}",
                language.pick("  of   ", "  类别 ")
            );
        }
    }
    for risk in &verdict.risks {
        risk_line(risk, style, out);
    }
    for gate in &verdict.gates {
        if verdict.gates.len() > 1 {
            gate_line(gate, style, out);
        }
    }
    gate_line(&verdict.gate, style, out);
}

fn gate_line(gate: &GateReport, style: Style, out: &mut String) {
    let language = style.language;
    let name = language.pick("gate   ", "关卡   ");
    let _ = write!(out, "{name} {} {}", gate.id, mark(gate.result, style));
    let blocked = language.pick(", blocked by", "，阻塞于");
    some_of(&gate.blocking, blocked, language, out);
}

fn risk_line(risk: &RiskReport, style: Style, out: &mut String) {
    let language = style.language;
    let name = language.pick("risk   ", "风险   ");
    let title = printable(language.title(&risk.title, &risk.titles));
    let level = match risk.level {
        RiskLevel::High => language.pick("high", "高"),
        RiskLevel::Medium => language.pick("medium", "中"),
        RiskLevel::Low => language.pick("low", "低"),
    };
    let _ = write!(out, "{name} {} {title} ({level})", mark(risk.result, style));
    some_of(
        &risk.open,
        language.pick(", open:", "，未决："),
        language,
        out,
    );
}

/// The first of a list of items, how many more there are, and the end of the line.
fn some_of(ids: &[String], what: &str, language: Language, out: &mut String) {
    const MOST: usize = 12;
    if !ids.is_empty() {
        let shown = ids.iter().take(MOST).cloned().collect::<Vec<_>>();
        let _ = write!(out, "{what} {}", shown.join(", "));
        if ids.len() > MOST {
            let more = ids.len() - MOST;
            let _ = match language {
                Language::En => write!(out, " and {more} more"),
                Language::Zh => write!(out, " 等，另有 {more} 项"),
            };
        }
    }
    out.push('\n');
}
