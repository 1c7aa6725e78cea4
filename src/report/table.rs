//! A verdict for people: what does not pass first, why, and what to do about it.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use owo_colors::{AnsiColors, OwoColorize};

use super::Style;
use super::text::{counts, counts_text, one_line, reason, run_seconds, some_of, worst_first};
use crate::checklist::Language;
use crate::judge::Status;
use crate::plan::RiskLevel;
use crate::verdict::{GateReport, ItemReport, RiskReport, Verdict};

pub(super) fn render(verdict: &Verdict, style: Style<'_>) -> String {
    let mut out = String::new();
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style.width.unwrap_or(200).max(60));
    for item in worst_first(verdict) {
        table.add_row(vec![
            word(item.result, style.language),
            one_line(&item.id),
            title(item, style.language),
            explained(item),
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
        let text = one_line(&format!("{} {place}{}", finding.code, finding.text));
        let _ = writeln!(out, "finding {text}");
    }
    if !verdict.findings.is_empty() {
        out.push('\n');
    }
}

fn mark(status: Status, style: Style<'_>) -> String {
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
        Some(owner) => one_line(&format!("{title} ({owner})")),
        None => one_line(title),
    }
}

/// Why an item has its result, and what to do about it.
fn explained(item: &ItemReport) -> String {
    let mut text = reason(item);
    let step = item.remediation.as_ref();
    if let Some(step) = step.filter(|_| item.result != Status::Pass) {
        let _ = write!(text, " → {}", one_line(step));
    }
    text
}

fn summary(verdict: &Verdict, style: Style<'_>, out: &mut String) {
    let health = verdict.health;
    let language = style.language;
    let _ = writeln!(
        out,
        "{} {}",
        language.pick("items  ", "项目   "),
        counts_text(counts(&verdict.items), language)
    );
    let seconds = run_seconds(verdict);
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
            let title = one_line(language.title(title, &category.titles));
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

fn gate_line(gate: &GateReport, style: Style<'_>, out: &mut String) {
    let language = style.language;
    let name = language.pick("gate   ", "关卡   ");
    let id = one_line(&gate.id);
    let _ = write!(out, "{name} {id} {}", mark(gate.result, style));
    let blocked = language.pick(", blocked by", "，阻塞于");
    some_of(&gate.blocking, blocked, language, out);
    out.push('\n');
}

fn risk_line(risk: &RiskReport, style: Style<'_>, out: &mut String) {
    let language = style.language;
    let name = language.pick("risk   ", "风险   ");
    let title = one_line(language.title(&risk.title, &risk.titles));
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
    out.push('\n');
}
