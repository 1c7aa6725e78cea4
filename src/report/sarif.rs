//! SARIF 2.1.0: a result per item, at its row of the checklist or its line of the configuration.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Style;
use super::json::{Each, write_line};
use super::text::{
    label, next_step, one_line, place, reason_or_result, relative, rule_lines, title, waived,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, Finding, Freshness, ItemReport, Verdict};

#[derive(Serialize)]
struct Log<R> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [R; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'v, U, N, R> {
    tool: Tool<'v, U>,
    automation_details: Id,
    invocations: [Invocation<N>; 1],
    column_kind: &'static str,
    results: R,
    properties: RunProperties<'v>,
}

#[derive(Serialize)]
struct Tool<'v, U> {
    driver: Driver<'v, U>,
}

#[derive(Serialize)]
struct Driver<'v, U> {
    name: &'static str,
    version: &'v str,
    rules: U,
}

#[derive(Serialize)]
struct Id {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'v> {
    id: &'v str,
    short_description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Text>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<N> {
    execution_successful: bool,
    start_time_utc: Timestamp,
    end_time_utc: Timestamp,
    tool_execution_notifications: N,
}

#[derive(Serialize)]
struct Notification<'v> {
    descriptor: Reference<'v>,
    level: &'static str,
    message: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location>,
}

#[derive(Serialize)]
struct Reference<'v> {
    id: &'v str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'v> {
    rule_id: &'v str,
    rule_index: usize,
    kind: &'static str,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    partial_fingerprints: Fingerprint,
    // Present on all results as soon as on one: the standard wants it on all or on none.
    suppressions: Vec<Suppression<'v>>,
    properties: ItemProperties<'v>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

#[derive(Serialize)]
struct Fingerprint {
    #[serde(rename = "probeItem/v1")]
    item: String,
}

#[derive(Serialize)]
struct Suppression<'v> {
    kind: &'static str,
    status: &'static str,
    justification: String,
    properties: Waiver<'v>,
}

#[derive(Serialize)]
struct Waiver<'v> {
    owner: &'v str,
    expires: &'v str,
}

#[derive(Serialize)]
struct ItemProperties<'v> {
    result: Status,
    basis: Basis,
    freshness: Freshness,
    flaky: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'v str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<String>,
}

#[derive(Serialize)]
struct RunProperties<'v> {
    run_id: &'v str,
    config_digest: &'v str,
    gate: &'v str,
    gate_result: Status,
    score: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_commit: Option<&'v str>,
}

pub(super) fn write(verdict: &Verdict, style: Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Style { language, root, .. } = style;
    let subject = &verdict.subject;
    let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let run = Run {
        tool: Tool {
            driver: Driver {
                name: "probe",
                version: &verdict.tool.version,
                rules: Each(&verdict.items, |_, item| descriptor(item, language)),
            },
        },
        automation_details: Id {
            id: format!(
                "probe/{}/{}/{}",
                part(&subject.service),
                part(&subject.environment),
                verdict.run_id
            ),
        },
        invocations: [Invocation {
            execution_successful: verdict.health.errored == 0,
            start_time_utc: verdict.started_at,
            end_time_utc: verdict.finished_at,
            tool_execution_notifications: Each(&verdict.findings, |_, finding| {
                notification(finding, root)
            }),
        }],
        column_kind: "unicodeCodePoints",
        results: Each(&verdict.items, |index, item| result(index, item, style)),
        properties: RunProperties {
            run_id: &verdict.run_id,
            config_digest: &verdict.tool.config_digest,
            gate: &verdict.gate.id,
            gate_result: verdict.gate.result,
            score: verdict.score.to_string(),
            git_commit: subject.git_commit.as_deref(),
        },
    };
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [run],
    };
    write_line(&log, out)
}

fn descriptor(item: &ItemReport, language: Language) -> Descriptor<'_> {
    Descriptor {
        id: &item.id,
        short_description: Text {
            text: match title(item, language) {
                title if title.is_empty() => one_line(&item.id),
                title => title,
            },
        },
        help: item.remediation.as_deref().map(|text| Text {
            text: one_line(text),
        }),
    }
}

fn result<'v>(index: usize, item: &'v ItemReport, style: Style<'_>) -> SarifResult<'v> {
    // What was not seen is shown like a failure: readers pass over every kind but `fail`.
    let (kind, level) = match item.result {
        Status::Fail | Status::Unknown => ("fail", "error"),
        Status::Warn => ("fail", "warning"),
        Status::Pass => ("pass", "none"),
        Status::Na => ("notApplicable", "none"),
    };
    let mut text = format!(
        "{}: {}",
        label(item, style.language),
        reason_or_result(item)
    );
    if let Some(step) = next_step(item) {
        text.push_str(" → ");
        text.push_str(&step);
    }
    let (file, line) = place(item);
    SarifResult {
        rule_id: &item.id,
        rule_index: index,
        kind,
        level,
        message: Text { text },
        locations: [location(relative(file, style.root), line)],
        partial_fingerprints: Fingerprint {
            item: fingerprint(&item.id),
        },
        suppressions: suppressions(item),
        properties: ItemProperties {
            result: item.result,
            basis: item.basis,
            freshness: item.freshness,
            flaky: item.flaky,
            section: item.section.as_deref(),
            category: item.category.as_deref(),
            owner: item.owner.as_deref(),
            rules: rule_lines(item).collect(),
        },
    }
}

fn suppressions(item: &ItemReport) -> Vec<Suppression<'_>> {
    let Some((waiver, justification)) = item.waiver.as_ref().zip(waived(item)) else {
        return Vec::new();
    };
    vec![Suppression {
        kind: "external",
        status: "accepted",
        justification,
        properties: Waiver {
            owner: &waiver.owner,
            expires: &waiver.expires,
        },
    }]
}

fn notification<'v>(finding: &'v Finding, root: Option<&Path>) -> Notification<'v> {
    let place = finding.file.as_ref().map(|file| {
        let line = finding.line.unwrap_or(1);
        location(relative(file, root), line.max(1))
    });
    Notification {
        descriptor: Reference { id: &finding.code },
        level: "warning",
        message: Text {
            text: one_line(&finding.text),
        },
        locations: place.into_iter().collect(),
    }
}

/// The same for an item wherever it is moved and whatever it is called.
fn fingerprint(id: &str) -> String {
    format!("{:x}", Sha256::digest(format!("probe.item/v1\n{id}")))
}

fn location(path: &str, line: usize) -> Location {
    let encoded = utf8_percent_encode(path, PATH).to_string();
    let artifact_location = if path.starts_with('/') {
        Artifact {
            uri: format!("file://{encoded}"),
            uri_base_id: None,
        }
    } else {
        Artifact {
            uri: encoded,
            // A path that leaves the root has none.
            uri_base_id: (!path.starts_with("..")).then_some("%SRCROOT%"),
        }
    };
    Location {
        physical_location: Physical {
            artifact_location,
            region: Region { start_line: line },
        },
    }
}

/// What a path may hold in a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(path: &str) -> String {
        location(path, 1).physical_location.artifact_location.uri
    }

    #[test]
    fn a_place_is_a_relative_uri() {
        assert_eq!(uri("checklist/a b.toml"), "checklist/a%20b.toml");
        assert_eq!(uri("清单.md"), "%E6%B8%85%E5%8D%95.md");
        assert_eq!(uri("a:b#c?d%"), "a%3Ab%23c%3Fd%25");
        assert_eq!(uri("/etc/probes.toml"), "file:///etc/probes.toml");
        assert_eq!(uri("../up.toml"), "../up.toml");
    }

    #[test]
    fn a_fingerprint_depends_on_the_id_alone() {
        assert_eq!(fingerprint("A1"), fingerprint("A1"));
        assert_ne!(fingerprint("A1"), fingerprint("A2"));
        assert_eq!(fingerprint("A1").len(), 64);
    }
}
