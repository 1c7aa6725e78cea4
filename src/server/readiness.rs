//! The families `readiness_…`: items, gates, risks and the score of the current verdict. All are gauges,
//! which both text formats write alike.

use std::fmt::{self, Write as _};

use crate::agent::Snapshot;
use crate::judge::{Shares, Status};
use crate::plan::RiskLevel;
use crate::verdict::{Basis, Freshness};

/// The text of a snapshot.
pub fn render(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut out = Families {
        text: String::with_capacity(4_096 + snapshot.items.len() * 512),
    };
    items(snapshot, &mut out)?;
    gates(snapshot, &mut out)?;
    score(snapshot, &mut out)?;
    Ok(out.text)
}

struct Families {
    text: String,
}

type Labels<'l> = [(&'static str, &'l str)];

impl Families {
    fn family(&mut self, name: &str, help: &str) -> fmt::Result {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge")
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: f64) -> fmt::Result {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            write!(self.text, "{label}=\"")?;
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c if c.is_control() => self.text.push(' '),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let end = if labels.is_empty() { " " } else { "} " };
        writeln!(self.text, "{end}{value}")
    }

    /// One series per possible result, 1 for the one that is.
    fn states(&mut self, name: &str, labels: &Labels<'_>, result: Status) -> fmt::Result {
        for status in Status::ALL {
            let mut labels = labels.to_vec();
            labels.push(("result", status.as_str()));
            self.sample(name, &labels, flag(status == result))?;
        }
        Ok(())
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn items(snapshot: &Snapshot, out: &mut Families) -> fmt::Result {
    let all = || snapshot.plan.items.iter().zip(&snapshot.items);
    let name = "readiness_item_result";
    out.family(name, "The result of an item: 1 for the one that it has.")?;
    for (item, state) in all() {
        out.states(name, &[("item", &item.id)], state.result)?;
    }
    let name = "readiness_item_info";
    out.family(name, "What an item is called and who answers for it.")?;
    for (item, state) in all() {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (section, category, owner) =
            (text(&item.section), text(&item.category), text(&item.owner));
        let basis = match state.basis {
            Basis::Derived => "derived",
            Basis::Attested => "attested",
            Basis::Waived => "waived",
        };
        let labels = [
            ("item", item.id.as_str()),
            ("title", &item.title),
            ("section", &section),
            ("category", &category),
            ("owner", &owner),
            ("basis", basis),
        ];
        out.sample(name, &labels, 1.0)?;
    }
    let name = "readiness_item_waived";
    out.family(name, "Whether a waiver covers the result of an item.")?;
    for (item, state) in all() {
        out.sample(
            name,
            &[("item", &item.id)],
            flag(state.basis == Basis::Waived),
        )?;
    }
    let name = "readiness_item_stale";
    out.family(
        name,
        "Whether the evidence of an item is older than it may be.",
    )?;
    for (item, state) in all() {
        let stale = state.freshness == Freshness::Stale;
        out.sample(name, &[("item", &item.id)], flag(stale))?;
    }
    if snapshot
        .items
        .iter()
        .any(|state| state.observed_at.is_some())
    {
        let name = "readiness_item_observed_timestamp_seconds";
        out.family(name, "When the oldest evidence of an item was observed.")?;
        for (item, state) in all() {
            if let Some(observed_at) = state.observed_at {
                let seconds = observed_at.as_duration().as_secs_f64();
                out.sample(name, &[("item", &item.id)], seconds)?;
            }
        }
    }
    let name = "readiness_items";
    out.family(name, "How many items have each result.")?;
    for status in Status::ALL {
        let count = snapshot
            .items
            .iter()
            .filter(|state| state.result == status)
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
        out.sample(name, &[("result", status.as_str())], count as f64)?;
    }
    Ok(())
}

fn gates(snapshot: &Snapshot, out: &mut Families) -> fmt::Result {
    let name = "readiness_gate_result";
    out.family(name, "The result of a gate: 1 for the one that it has.")?;
    for gate in &snapshot.gates {
        out.states(name, &[("gate", &gate.id)], gate.result)?;
    }
    if !snapshot.risks.is_empty() {
        let name = "readiness_risk_result";
        let help = "The result of a risk: 1 for the one that it has; pass means mitigated.";
        out.family(name, help)?;
        for risk in &snapshot.risks {
            let level = match risk.level {
                RiskLevel::High => "high",
                RiskLevel::Medium => "medium",
                RiskLevel::Low => "low",
            };
            out.states(name, &[("risk", &risk.id), ("level", level)], risk.result)?;
        }
    }
    let name = "readiness_finished_timestamp_seconds";
    out.family(
        name,
        "When the latest evidence of this verdict was observed.",
    )?;
    out.sample(name, &[], snapshot.finished_at.as_duration().as_secs_f64())
}

/// The families of a score. Where nothing is applicable there is no series: neither 0 nor 1.
fn score(snapshot: &Snapshot, out: &mut Families) -> fmt::Result {
    let own = [(None, snapshot.score.shares, snapshot.score.target)];
    shares("readiness_score", &own, out)?;
    let categories: Vec<Scored<'_>> = snapshot
        .score
        .categories
        .iter()
        .filter_map(|category| {
            Some((
                Some(category.category.as_deref()?),
                category.shares,
                category.target,
            ))
        })
        .collect();
    shares("readiness_category_score", &categories, out)
}

type Scored<'s> = (Option<&'s str>, Option<Shares>, Option<f64>);

fn shares(name: &str, scores: &[Scored<'_>], out: &mut Families) -> fmt::Result {
    type Part = fn(&Shares) -> Vec<(&'static str, &'static str, f64)>;
    let parts: [(&str, &str, Part); 3] = [
        (
            "_ratio",
            "The weighted share of items that pass; what is unknown counts as nothing in the low bound and as passed in the high one.",
            |shares| vec![("bound", "low", shares.low), ("bound", "high", shares.high)],
        ),
        (
            "_coverage_ratio",
            "The share of the applicable weight whose result is known.",
            |shares| vec![("", "", shares.coverage)],
        ),
        (
            "_basis_ratio",
            "The part of the low bound by what it rests on.",
            |shares| {
                vec![
                    ("basis", "derived", shares.derived),
                    ("basis", "attested", shares.attested),
                ]
            },
        ),
    ];
    let known: Vec<(Option<&str>, Shares)> = scores
        .iter()
        .filter_map(|(category, shares, _)| Some((*category, (*shares)?)))
        .collect();
    for (suffix, help, part) in parts {
        if known.is_empty() {
            continue;
        }
        let name = format!("{name}{suffix}");
        out.family(&name, help)?;
        for (category, shares) in &known {
            for (label, value, share) in part(shares) {
                let mut labels: Vec<(&'static str, &str)> = Vec::new();
                labels.extend(category.map(|category| ("category", category)));
                labels.extend((!label.is_empty()).then_some((label, value)));
                out.sample(&name, &labels, share)?;
            }
        }
    }
    let targets: Vec<(Option<&str>, f64)> = scores
        .iter()
        .filter_map(|(category, _, target)| Some((*category, (*target)?)))
        .collect();
    if targets.is_empty() {
        return Ok(());
    }
    let name = format!("{name}_target_ratio");
    out.family(&name, "The least share that is wanted.")?;
    for (category, target) in targets {
        let labels: Vec<(&'static str, &str)> = category
            .map(|category| ("category", category))
            .into_iter()
            .collect();
        out.sample(&name, &labels, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = Families {
            text: String::new(),
        };
        out.sample("a", &[("x", "q\"b\\n\nt\t"), ("y", "ü")], 1.5)
            .unwrap();
        out.sample("b", &[], 0.0).unwrap();
        assert_eq!(out.text, "a{x=\"q\\\"b\\\\n\\nt \",y=\"ü\"} 1.5\nb 0\n");
    }
}
