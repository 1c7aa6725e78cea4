//! OASIS Heimdall data format, as its execution schema has it: a control per item.

use std::collections::BTreeMap;
use std::io::{self, Write};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::json::{Each, write_line};
use super::text::{
    counts, label, next_step, one_line, place, reason, rule_lines, run_seconds, title,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

#[derive(Serialize)]
struct Execution<'v, C> {
    platform: Platform<'v>,
    version: &'v str,
    statistics: Statistics,
    profiles: [Profile<'v, C>; 1],
}

#[derive(Serialize)]
struct Platform<'v> {
    name: &'static str,
    release: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_id: Option<String>,
}

#[derive(Serialize)]
struct Statistics {
    duration: f64,
    controls: BTreeMap<&'static str, Total>,
}

#[derive(Serialize)]
struct Total {
    total: usize,
}

#[derive(Serialize)]
struct Profile<'v, C> {
    name: String,
    version: &'v str,
    sha256: &'v str,
    title: String,
    summary: String,
    supports: [(); 0],
    attributes: [(); 0],
    groups: Vec<Group<'v>>,
    status: &'static str,
    controls: C,
}

#[derive(Serialize)]
struct Group<'v> {
    id: String,
    title: String,
    controls: Vec<&'v str>,
}

#[derive(Serialize)]
struct Control<'v> {
    id: &'v str,
    title: String,
    desc: String,
    descriptions: Vec<Description>,
    impact: f64,
    refs: [(); 0],
    tags: Value,
    source_location: Place<'v>,
    results: [ControlResult; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    waiver_data: Option<Waiver<'v>>,
}

#[derive(Serialize)]
struct Description {
    label: &'static str,
    data: String,
}

#[derive(Serialize)]
struct Place<'v> {
    #[serde(rename = "ref")]
    file: &'v str,
    line: usize,
}

#[derive(Serialize)]
struct ControlResult {
    status: &'static str,
    code_desc: String,
    start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip_message: Option<String>,
}

#[derive(Serialize)]
struct Waiver<'v> {
    expiration_date: &'v str,
    justification: String,
    message: String,
    run: bool,
    skipped_due_to_waiver: bool,
}

pub(super) fn write(verdict: &Verdict, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let subject = &verdict.subject;
    let [fail, unknown, warn, pass, na] = counts(&verdict.items);
    let controls = [
        ("passed", pass + warn),
        ("failed", fail),
        ("error", unknown),
        ("skipped", na),
    ];
    let gate = &verdict.gate;
    let execution = Execution {
        platform: Platform {
            name: "probe",
            release: &verdict.tool.version,
            target_id: subject.environment.as_deref().map(one_line),
        },
        version: &verdict.tool.version,
        statistics: Statistics {
            duration: run_seconds(verdict),
            controls: controls
                .into_iter()
                .map(|(name, total)| (name, Total { total }))
                .collect(),
        },
        profiles: [Profile {
            name: one_line(subject.service.as_deref().unwrap_or("probe")),
            version: &verdict.tool.version,
            sha256: &verdict.tool.config_digest,
            title: format!("gate {} {}", one_line(&gate.id), gate.result),
            summary: format!("score {}", verdict.score),
            supports: [],
            attributes: [],
            groups: groups(verdict),
            status: "loaded",
            controls: Each(&verdict.items, |_, item| control(verdict, item, language)),
        }],
    };
    write_line(&execution, out)
}

fn groups(verdict: &Verdict) -> Vec<Group<'_>> {
    let mut groups: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for item in &verdict.items {
        let section = item.section.as_deref().unwrap_or("items");
        groups.entry(section).or_default().push(&item.id);
    }
    let groups = groups.into_iter();
    groups
        .map(|(section, controls)| Group {
            id: one_line(section),
            title: one_line(section),
            controls,
        })
        .collect()
}

fn control<'v>(verdict: &Verdict, item: &'v ItemReport, language: Language) -> Control<'v> {
    let (file, line) = place(item);
    let status = match item.result {
        Status::Pass | Status::Warn => "passed",
        Status::Fail => "failed",
        Status::Unknown => "error",
        Status::Na => "skipped",
    };
    let reason = reason(item);
    let mut lines = vec![format!("{}: {reason}", item.result)];
    lines.extend(rule_lines(item));
    let message = lines.join("\n");
    let (message, skip_message) = match item.result {
        Status::Na => (None, Some(message)),
        _ => (Some(message), None),
    };
    Control {
        id: &item.id,
        title: title(item, language),
        desc: label(item, language),
        descriptions: next_step(item)
            .map(|data| Description { label: "fix", data })
            .into_iter()
            .collect(),
        // Readers take an impact of 0 for "not applicable".
        impact: if item.result == Status::Na { 0.0 } else { 0.5 },
        refs: [],
        tags: json!({
            "result": item.result,
            "basis": item.basis,
            "freshness": item.freshness,
            "flaky": item.flaky,
            "section": item.section,
            "category": item.category,
            "owner": item.owner,
        }),
        source_location: Place { file, line },
        results: [ControlResult {
            status,
            code_desc: label(item, language),
            start_time: item.observed_at.unwrap_or(verdict.finished_at),
            message,
            skip_message,
        }],
        waiver_data: waiver(item),
    }
}

/// The control ran, and its result is the true one.
fn waiver(item: &ItemReport) -> Option<Waiver<'_>> {
    let waiver = item
        .waiver
        .as_ref()
        .filter(|_| item.basis == Basis::Waived)?;
    Some(Waiver {
        expiration_date: &waiver.expires,
        justification: one_line(&waiver.reason),
        message: one_line(&format!("{} is waived by {}", waiver.result, waiver.owner)),
        run: true,
        skipped_due_to_waiver: false,
    })
}
