//! What the probes saw, folded away.

use std::io::{self, Write};

use super::text::{Anchor, Bdi, Cut, Esc, fair_cap};
use super::{Page, mark};
use crate::evidence::Outcome;
use crate::judge::{RuleVerdict, Status};
use crate::verdict::ProbeReport;

/// All facts together are at most this long, before they are escaped.
const FACTS_BYTES: usize = 200_000;

/// All reasons and expressions of rules together.
const RULES_BYTES: usize = 150_000;

/// What one probe's facts may take, however few there are.
const MAX_FACTS_BYTES: usize = 20_000;

struct Caps {
    facts: usize,
    rule: usize,
    rules: usize,
}

pub(super) fn write(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let probes = &page.verdict.probes;
    // Their lengths first: all facts at once may be more than there is memory for.
    let lengths = probes
        .iter()
        .map(|probe| facts(probe, MAX_FACTS_BYTES).len());
    let rules = probes.iter().flat_map(|probe| &probe.rules);
    let rules: Vec<usize> = rules
        .map(|rule| rule.reason.len() + rule.expr.len())
        .collect();
    let caps = Caps {
        facts: fair_cap(lengths.collect(), FACTS_BYTES).min(MAX_FACTS_BYTES),
        rules: (RULES_BYTES / 60 / probes.len().max(1)).clamp(2, 200),
        rule: fair_cap(rules, RULES_BYTES).min(1_000),
    };
    write!(
        out,
        "<section id=evidence aria-labelledby=evidence-h><h2 id=evidence-h>{} <small>{}</small></h2><ul class=items>",
        page.say("Evidence", "证据"),
        probes.len()
    )?;
    for probe in probes {
        write_probe(page, probe, &caps, out)?;
    }
    write!(out, "</ul></section>")
}

/// The beginning of a probe's facts: a little more than `most` bytes, where there are more.
fn facts(probe: &ProbeReport, most: usize) -> String {
    struct Beginning(Vec<u8>, usize);
    impl Write for Beginning {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len());
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut beginning = Beginning(Vec::new(), most.saturating_add(8));
    if !probe.facts.is_empty() {
        // That it is full is no error: the rest is not wanted.
        serde_json::to_writer_pretty(&mut beginning, &probe.facts).ok();
    }
    String::from_utf8_lossy(&beginning.0).into_owned()
}

fn write_probe(
    page: Page<'_>,
    probe: &ProbeReport,
    caps: &Caps,
    out: &mut dyn Write,
) -> io::Result<()> {
    let enabled = probe.rules.iter().filter(|rule| rule.enabled);
    let result = Status::fold(enabled.map(|rule| rule.result)).unwrap_or(Status::Unknown);
    write!(
        out,
        "<li id=\"{}\"><details><summary>{} <b>{}</b> {} <small>{}</small>",
        Anchor('p', &probe.id),
        mark(page, result),
        Cut(&probe.id, 200),
        Esc(&probe.kind),
        Bdi(Cut(&probe.target, 200)),
    )?;
    if probe.outcome != Outcome::Observed {
        write!(
            out,
            " <span class=\"t w\">{}</span>",
            outcome(page, probe.outcome)
        )?;
    }
    write!(out, "</summary>")?;
    if let Some(cause) = &probe.cause {
        let name = page.say("Nothing was observed:", "未观测到任何内容：");
        write!(out, "<p><b>{name}</b> {}", Bdi(Cut(cause, 500)))?;
    }
    write!(
        out,
        "<p><small>{}, {:.1} ms, {}:{}</small>",
        probe.observed_at,
        probe.duration_ms,
        Cut(&probe.source.file, 200),
        probe.source.line
    )?;
    rules(page, &probe.rules, caps, out)?;
    let facts = facts(probe, caps.facts);
    if !facts.is_empty() {
        let name = page.say("Facts", "事实");
        write!(
            out,
            "<pre tabindex=0 role=region aria-label=\"{name}\"><code>{}</code></pre>",
            Cut(&facts, caps.facts)
        )?;
        if facts.len() > caps.facts {
            let more = page.say(
                "The rest of the facts is in the JSON report.",
                "其余事实见 JSON 报告。",
            );
            write!(out, "<p><small>{more}</small>")?;
        }
    }
    write!(out, "</details></li>")
}

fn rules(
    page: Page<'_>,
    rules: &[RuleVerdict],
    caps: &Caps,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "<ul class=rules>")?;
    for rule in rules.iter().take(caps.rules) {
        write!(
            out,
            "<li>{} {}",
            mark(page, rule.result),
            Cut(&rule.name, 200)
        )?;
        let expr = rule.expr.len().min(caps.rule / 2);
        write!(out, " <code>{}</code>", Cut(&rule.expr, expr))?;
        if !rule.reason.is_empty() {
            write!(out, " {}", Bdi(Cut(&rule.reason, caps.rule - expr)))?;
        }
        write!(out, "</li>")?;
    }
    if rules.len() > caps.rules {
        write!(out, "<li>+{}</li>", rules.len() - caps.rules)?;
    }
    write!(out, "</ul>")
}

fn outcome(page: Page<'_>, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Observed => page.say("observed", "已观测"),
        Outcome::TargetError => page.say("the target is broken", "目标故障"),
        Outcome::Denied => page.say("denied", "被拒绝"),
        Outcome::ProbeError => page.say("could not look", "无法观测"),
    }
}
