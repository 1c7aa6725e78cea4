//! `CDEvents`: an event per item, then one for the gate, each a line of JSON.

use std::io::{self, Write};

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::json::write_line;
use super::text::{counts, counts_text, gate_text, one_line, reason, reason_or_result, title};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{ItemReport, Verdict};

const SPEC: &str = "0.5.1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'v> {
    context: Context<'v>,
    subject: Subject<'v>,
    custom_data: Value,
    custom_data_content_type: &'static str,
}

#[derive(Serialize)]
struct Context<'v> {
    specversion: &'static str,
    id: String,
    source: &'v str,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
}

#[derive(Serialize)]
struct Subject<'v> {
    id: String,
    source: &'v str,
    content: Content<'v>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'v> {
    environment: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_suite_run: Option<SuiteRun<'v>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_case: Option<Case<'v>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_suite: Option<Suite<'v>>,
}

#[derive(Serialize)]
struct Named {
    id: String,
}

#[derive(Serialize)]
struct SuiteRun<'v> {
    id: &'v str,
    source: &'v str,
}

#[derive(Serialize)]
struct Case<'v> {
    id: &'v str,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Suite<'v> {
    id: &'v str,
    name: String,
}

pub(super) fn write(verdict: &Verdict, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let host = utf8_percent_encode(&verdict.vantage.host, NON_ALPHANUMERIC);
    let source = format!("/probe/{host}");
    for item in &verdict.items {
        write_line(&case(verdict, item, &source, language), out)?;
    }
    write_line(&suite(verdict, &source), out)
}

/// What ran has an outcome, also where a waiver covers it; what does not apply was skipped.
fn case<'v>(
    verdict: &'v Verdict,
    item: &'v ItemReport,
    source: &'v str,
    language: Language,
) -> Event<'v> {
    let (kind, outcome) = match item.result {
        Status::Na => ("dev.cdevents.testcaserun.skipped.0.2.0", None),
        result => ("dev.cdevents.testcaserun.finished.0.3.0", outcome(result)),
    };
    Event {
        context: Context {
            specversion: SPEC,
            id: event_id(verdict, kind, &item.id),
            source,
            kind,
            timestamp: item.observed_at.unwrap_or(verdict.finished_at),
        },
        subject: Subject {
            id: format!("{}/{}", verdict.run_id, item.id),
            source,
            content: Content {
                environment: environment(verdict),
                outcome,
                reason: reason_or_result(item),
                test_suite_run: Some(SuiteRun {
                    id: run_id(verdict),
                    source,
                }),
                test_case: Some(Case {
                    id: &item.id,
                    name: title(item, language),
                    kind: "compliance",
                }),
                test_suite: None,
            },
        },
        custom_data: json!({
            "result": item.result,
            "basis": item.basis,
            "freshness": item.freshness,
            "reason": reason(item),
            "section": item.section,
            "owner": item.owner,
            "waiver": item.waiver,
        }),
        custom_data_content_type: "application/json",
    }
}

fn suite<'v>(verdict: &'v Verdict, source: &'v str) -> Event<'v> {
    let kind = "dev.cdevents.testsuiterun.finished.0.3.0";
    let gate = &verdict.gate;
    let counted = counts_text(counts(&verdict.items), Language::En);
    Event {
        context: Context {
            specversion: SPEC,
            id: event_id(verdict, kind, &gate.id),
            source,
            kind,
            timestamp: verdict.finished_at,
        },
        subject: Subject {
            id: run_id(verdict).to_owned(),
            source,
            content: Content {
                environment: environment(verdict),
                outcome: outcome(gate.result).or(Some("error")),
                reason: format!("{}: {counted}", gate_text(gate, Language::En)),
                test_suite_run: None,
                test_case: None,
                test_suite: Some(Suite {
                    id: &gate.id,
                    name: format!("gate {}", one_line(&gate.id)),
                }),
            },
        },
        custom_data: json!({
            "result": gate.result,
            "gates": verdict.gates,
            "score": verdict.score,
            "subject": verdict.subject,
        }),
        custom_data_content_type: "application/json",
    }
}

const fn outcome(result: Status) -> Option<&'static str> {
    match result {
        Status::Pass | Status::Warn => Some("success"),
        Status::Fail => Some("failure"),
        Status::Unknown => Some("error"),
        Status::Na => None,
    }
}

/// The standard wants one: without a configured name the place from which was looked.
fn environment(verdict: &Verdict) -> Named {
    let named = verdict.subject.environment.as_deref();
    let name = [named.unwrap_or_default(), &verdict.vantage.host]
        .into_iter()
        .find(|name| !name.is_empty());
    Named {
        id: one_line(name.unwrap_or("unknown")),
    }
}

fn run_id(verdict: &Verdict) -> &str {
    match verdict.run_id.as_str() {
        "" => "run",
        id => id,
    }
}

/// The same for the same judgement of the same run, so that a repeated delivery is known as one.
fn event_id(verdict: &Verdict, kind: &str, about: &str) -> String {
    let judged = format!(
        "{}\n{:?}\n{}\n{kind}\n{about}",
        verdict.run_id, verdict.mode, verdict.tool.config_digest
    );
    let digest = format!("{:x}", Sha256::digest(judged));
    digest[..32].to_owned()
}
