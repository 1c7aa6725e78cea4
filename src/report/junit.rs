//! `JUnit` XML as Jenkins and GitLab read it: a suite per section, a case per item.

use std::collections::HashMap;
use std::io::{self, Write};

use indexmap::IndexMap;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::text::{
    label, next_step, one_line, place_text, reason, reason_or_result, rule_lines, run_seconds,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

/// What a case is for those who count.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Case {
    fn of(item: &ItemReport) -> Self {
        match (item.basis, item.result) {
            (Basis::Waived, _) | (_, Status::Na) => Self::Skipped,
            (_, Status::Fail) => Self::Failure,
            (_, Status::Unknown) => Self::Error,
            (_, Status::Pass | Status::Warn) => Self::Passed,
        }
    }

    const fn element(self) -> Option<&'static str> {
        match self {
            Self::Passed => None,
            Self::Failure => Some("failure"),
            Self::Error => Some("error"),
            Self::Skipped => Some("skipped"),
        }
    }
}

fn count(items: &[&ItemReport], wanted: Case) -> usize {
    items.iter().filter(|item| Case::of(item) == wanted).count()
}

pub(super) fn write(verdict: &Verdict, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let mut sections: IndexMap<&str, Vec<&ItemReport>> = IndexMap::new();
    for item in &verdict.items {
        let section = item.section.as_deref().unwrap_or("items");
        sections.entry(section).or_default().push(item);
    }
    let all: Vec<&ItemReport> = verdict.items.iter().collect();
    let seconds = Seconds::of(verdict);
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut root = BytesStart::new("testsuites");
    // The schema knows neither `skipped` nor `disabled` here.
    root.extend_attributes([
        ("name", "probe"),
        ("tests", &all.len().to_string()),
        ("failures", &count(&all, Case::Failure).to_string()),
        ("errors", &count(&all, Case::Error).to_string()),
        ("time", &in_seconds(run_seconds(verdict))),
    ]);
    xml.write_event(Event::Start(root))?;
    for (section, items) in &sections {
        suite(verdict, section, items, &seconds, language, &mut xml)?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
    xml.into_inner().write_all(b"\n")
}

type Xml<'o> = Writer<&'o mut dyn Write>;

fn suite(
    verdict: &Verdict,
    section: &str,
    items: &[&ItemReport],
    seconds: &Seconds,
    language: Language,
    xml: &mut Xml<'_>,
) -> io::Result<()> {
    let time: f64 = items.iter().map(|item| seconds.behind(item)).sum();
    let mut suite = BytesStart::new("testsuite");
    suite.extend_attributes([
        ("name", one_line(section).as_str()),
        ("tests", &items.len().to_string()),
        ("failures", &count(items, Case::Failure).to_string()),
        ("errors", &count(items, Case::Error).to_string()),
        ("skipped", &count(items, Case::Skipped).to_string()),
        ("time", &in_seconds(time)),
        // Without an offset, as the readers of this format expect it: UTC.
        (
            "timestamp",
            &verdict.started_at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        ),
        ("hostname", &one_line(&verdict.vantage.host)),
    ]);
    xml.write_event(Event::Start(suite))?;
    for item in items {
        case(section, item, seconds.behind(item), language, xml)?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn case(
    section: &str,
    item: &ItemReport,
    seconds: f64,
    language: Language,
    xml: &mut Xml<'_>,
) -> io::Result<()> {
    let mut case = BytesStart::new("testcase");
    case.extend_attributes([
        ("name", label(item, language).as_str()),
        ("classname", &one_line(section)),
        ("time", &in_seconds(seconds)),
    ]);
    xml.write_event(Event::Start(case))?;
    if let Some(name) = Case::of(item).element() {
        let message = match Case::of(item) {
            Case::Skipped => format!("{}: {}", item.result, reason_or_result(item)),
            _ => reason_or_result(item),
        };
        let mut element = BytesStart::new(name);
        element.extend_attributes([
            ("message", message.as_str()),
            ("type", item.result.as_str()),
        ]);
        text_element(element, name, &details(item), xml)?;
    }
    let mut lines = vec![format!(
        "result {}, basis {}",
        item.result,
        Language::En.basis(item.basis)
    )];
    if Case::of(item).element().is_none() {
        lines.extend(Some(reason(item)).filter(|reason| !reason.is_empty()));
    }
    lines.extend(rule_lines(item));
    let out = BytesStart::new("system-out");
    text_element(out, "system-out", &lines.join("\n"), xml)?;
    xml.write_event(Event::End(BytesEnd::new("testcase")))
}

/// What somebody needs who sees this case alone.
fn details(item: &ItemReport) -> String {
    let mut lines = vec![reason_or_result(item)];
    lines.extend(next_step(item).map(|step| format!("next: {step}")));
    lines.extend(
        item.owner
            .as_ref()
            .map(|owner| format!("owner: {}", one_line(owner))),
    );
    lines.push(format!("at: {}", place_text(item)));
    lines.join("\n")
}

fn text_element(
    start: BytesStart<'_>,
    name: &str,
    text: &str,
    xml: &mut Xml<'_>,
) -> io::Result<()> {
    xml.write_event(Event::Start(start))?;
    // Readers attach the files that text names so; a target has none to name.
    let text = text.replace("[[ATTACHMENT", "[ [ATTACHMENT");
    xml.write_event(Event::Text(BytesText::new(&text)))?;
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn in_seconds(seconds: f64) -> String {
    // The sum of nothing is -0.0.
    format!("{:.3}", seconds.clamp(0.0, 1e9).abs())
}

/// How long each probe took.
struct Seconds<'v>(HashMap<&'v str, f64>);

impl<'v> Seconds<'v> {
    fn of(verdict: &'v Verdict) -> Self {
        let probes = verdict.probes.iter();
        Self(
            probes
                .map(|probe| (probe.id.as_str(), probe.duration_ms / 1e3))
                .collect(),
        )
    }

    /// The probes behind an item, all together.
    fn behind(&self, item: &ItemReport) -> f64 {
        let probes = item.evidence.iter();
        probes
            .filter_map(|evidence| self.0.get(evidence.rsplit_once('@')?.0))
            .sum()
    }
}
