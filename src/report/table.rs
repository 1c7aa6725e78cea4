//! A verdict for people: what does not pass first, why, and what to do about it.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use owo_colors::{AnsiColors, OwoColorize};

use super::Style;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

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
            item.result.as_str().to_uppercase(),
            item.id.clone(),
            title(item),
            reason(item),
        ]);
    }
    for line in table.to_string().lines() {
        // Trailing padding is noise in logs and diffs; colours come last, they have no width.
        let line = line.trim_end();
        let first = line.split_whitespace().next().unwrap_or_default();
        match Status::ALL
            .iter()
            .find(|status| status.as_str().to_uppercase() == first)
        {
            Some(status) if line.find(first) == Some(1) => {
                out.push_str(&line.replacen(first, &mark(*status, style), 1));
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.push('\n');
    summary(verdict, style, &mut out);
    out
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
    let text = status.as_str().to_uppercase();
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

fn title(item: &ItemReport) -> String {
    match &item.owner {
        Some(owner) => printable(&format!("{} ({owner})", item.title)),
        None => printable(&item.title),
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
fn printable(text: &str) -> String {
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
    let _ = writeln!(
        out,
        "items   {pass} pass, {warn} warn, {fail} fail, {unknown} unknown, {na} na"
    );
    let seconds = verdict
        .finished_at
        .duration_since(verdict.started_at)
        .as_secs_f64();
    let _ = writeln!(
        out,
        "probes  {} planned, {} ran, {} could not look, in {seconds:.2} s",
        health.planned, health.ran, health.errored
    );
    let _ = writeln!(out, "score   {}", verdict.score);
    for gate in &verdict.gates {
        if verdict.gates.len() > 1 {
            gate_line(gate, style, out);
        }
    }
    gate_line(&verdict.gate, style, out);
}

fn gate_line(gate: &crate::verdict::GateReport, style: Style, out: &mut String) {
    const MOST: usize = 12;
    let _ = write!(out, "gate    {} {}", gate.id, mark(gate.result, style));
    if !gate.blocking.is_empty() {
        let shown = gate.blocking.iter().take(MOST).cloned().collect::<Vec<_>>();
        let _ = write!(out, ", blocked by {}", shown.join(", "));
        if gate.blocking.len() > MOST {
            let _ = write!(out, " and {} more", gate.blocking.len() - MOST);
        }
    }
    out.push('\n');
}
