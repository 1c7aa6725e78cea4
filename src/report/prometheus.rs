//! Prometheus text: a file for the textfile collector, and the same families for a scrape.

use std::fmt::{self, Error};
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::text::{RANKED, one_line, run_seconds};
use crate::judge::{Score, Shares, Status};
use crate::plan::RiskLevel;
use crate::verdict::{Basis, Freshness, GateReport, RiskReport, Verdict};

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Readiness::of(verdict)));
    registry.register_collector(Box::new(Agent::of(verdict)));
    let mut out = Bytes { out, error: None };
    text::encode(&mut out, &registry).map_err(|_| {
        out.error
            .unwrap_or_else(|| io::Error::other("cannot encode"))
    })
}

/// Formatted text into a sink of bytes, whose error it keeps.
struct Bytes<'o> {
    out: &'o mut dyn Write,
    error: Option<io::Error>,
}

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

/// The families `readiness_…`: items, gates, risks and the score of one verdict.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    items: Arc<[Item]>,
    counts: [usize; 5],
    gates: Vec<(String, Status)>,
    risks: Vec<(String, RiskLevel, Status)>,
    score: Share,
    categories: Vec<(String, Share)>,
    finished_at: Timestamp,
}

#[derive(Debug)]
struct Item {
    id: String,
    title: String,
    section: String,
    category: String,
    owner: String,
    result: Status,
    basis: Basis,
    freshness: Freshness,
    observed_at: Option<Timestamp>,
}

impl Item {
    fn labels(&self) -> Labels<'_> {
        vec![("item", &self.id)]
    }
}

/// What the families say of an item.
#[derive(Debug, Clone, Copy)]
pub struct ItemLabels<'i> {
    /// Its id.
    pub id: &'i str,
    /// What people call it.
    pub title: &'i str,
    /// Its section.
    pub section: Option<&'i str>,
    /// Its category for the score.
    pub category: Option<&'i str>,
    /// Who answers for it.
    pub owner: Option<&'i str>,
    /// The true result.
    pub result: Status,
    /// How the result came about.
    pub basis: Basis,
    /// Whether its evidence is recent enough.
    pub freshness: Freshness,
    /// When the oldest evidence for it was observed, UTC.
    pub observed_at: Option<Timestamp>,
}

impl From<ItemLabels<'_>> for Item {
    fn from(item: ItemLabels<'_>) -> Self {
        let text = |text: Option<&str>| text.map(one_line).unwrap_or_default();
        Self {
            id: one_line(item.id),
            title: one_line(item.title),
            section: text(item.section),
            category: text(item.category),
            owner: text(item.owner),
            result: item.result,
            basis: item.basis,
            freshness: item.freshness,
            observed_at: item.observed_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    shares: Option<Shares>,
    target: Option<f64>,
}

impl Readiness {
    /// Those of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let items = verdict.items.iter().map(|item| ItemLabels {
            id: &item.id,
            title: &item.title,
            section: item.section.as_deref(),
            category: item.category.as_deref(),
            owner: item.owner.as_deref(),
            result: item.result,
            basis: item.basis,
            freshness: item.freshness,
            observed_at: item.observed_at,
        });
        Self::of_parts(
            items,
            &verdict.gates,
            &verdict.risks,
            &verdict.score,
            verdict.finished_at,
        )
    }

    /// Those of a verdict that is known in parts.
    pub fn of_parts<'i>(
        items: impl Iterator<Item = ItemLabels<'i>>,
        gates: &[GateReport],
        risks: &[RiskReport],
        score: &Score,
        finished_at: Timestamp,
    ) -> Self {
        let items: Arc<[Item]> = items.map(Item::from).collect();
        let count = |status: Status| items.iter().filter(|item| item.result == status).count();
        Self {
            counts: RANKED.map(count),
            gates: (gates.iter())
                .map(|gate| (one_line(&gate.id), gate.result))
                .collect(),
            risks: (risks.iter())
                .map(|risk| (one_line(&risk.id), risk.level, risk.result))
                .collect(),
            score: Share {
                shares: score.shares,
                target: score.target,
            },
            categories: (score.categories.iter())
                .filter_map(|category| {
                    let share = Share {
                        shares: category.shares,
                        target: category.target,
                    };
                    Some((one_line(category.category.as_ref()?), share))
                })
                .collect(),
            items,
            finished_at,
        }
    }
}

type Labels<'l> = Vec<(&'static str, &'l str)>;

/// One family of gauges: a name, what it means, and each value with its labels.
fn family<'l, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'l>, V)>,
) -> Result<(), Error> {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// One series per possible result, 1 for the one that is.
fn states(labels: Labels<'_>, result: Status) -> impl Iterator<Item = (Labels<'_>, i64)> {
    RANKED.into_iter().map(move |status| {
        let mut labels = labels.clone();
        labels.push(("result", status.as_str()));
        (labels, i64::from(status == result))
    })
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

impl Collector for Readiness {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        self.encode_items(&mut encoder)?;
        self.encode_gates(&mut encoder)?;
        self.encode_score(&mut encoder)
    }
}

impl Readiness {
    fn encode_items(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        family(
            encoder,
            "readiness_item_result",
            "The result of an item: 1 for the one that it has.",
            (self.items.iter()).flat_map(|item| states(item.labels(), item.result)),
        )?;
        family(
            encoder,
            "readiness_item_info",
            "What an item is called and who answers for it.",
            self.items.iter().map(|item| {
                let labels = vec![
                    ("item", item.id.as_str()),
                    ("title", &item.title),
                    ("section", &item.section),
                    ("category", &item.category),
                    ("owner", &item.owner),
                    ("basis", super::Language::En.basis(item.basis)),
                ];
                (labels, 1_i64)
            }),
        )?;
        family(
            encoder,
            "readiness_item_waived",
            "Whether a waiver covers the result of an item.",
            (self.items.iter()).map(|item| (item.labels(), i64::from(item.basis == Basis::Waived))),
        )?;
        family(
            encoder,
            "readiness_item_stale",
            "Whether the evidence of an item is older than it may be.",
            (self.items.iter())
                .map(|item| (item.labels(), i64::from(item.freshness == Freshness::Stale))),
        )?;
        family(
            encoder,
            "readiness_item_observed_timestamp_seconds",
            "When the oldest evidence of an item was observed.",
            (self.items.iter())
                .filter_map(|item| Some((item.labels(), seconds(item.observed_at?)))),
        )?;
        family(
            encoder,
            "readiness_items",
            "How many items have each result.",
            RANKED
                .into_iter()
                .zip(self.counts)
                .map(|(status, count)| (vec![("result", status.as_str())], count)),
        )
    }

    fn encode_gates(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        family(
            encoder,
            "readiness_gate_result",
            "The result of a gate: 1 for the one that it has.",
            (self.gates.iter()).flat_map(|(id, result)| states(vec![("gate", id)], *result)),
        )?;
        family(
            encoder,
            "readiness_risk_result",
            "The result of a risk: 1 for the one that it has; pass means mitigated.",
            self.risks.iter().flat_map(|(id, level, result)| {
                let level = match level {
                    RiskLevel::High => "high",
                    RiskLevel::Medium => "medium",
                    RiskLevel::Low => "low",
                };
                states(vec![("risk", id), ("level", level)], *result)
            }),
        )?;
        family(
            encoder,
            "readiness_finished_timestamp_seconds",
            "When the run that this verdict is about ended.",
            [(vec![], seconds(self.finished_at))],
        )
    }

    fn encode_score(&self, encoder: &mut DescriptorEncoder) -> Result<(), Error> {
        let own = [(Labels::new(), self.score)];
        shares(encoder, "readiness_score", &own)?;
        let categories: Vec<(Labels<'_>, Share)> = (self.categories.iter())
            .map(|(id, share)| (vec![("category", id.as_str())], *share))
            .collect();
        shares(encoder, "readiness_category_score", &categories)
    }
}

/// The families of a score. Where nothing is applicable there is no series: neither 0 nor 1.
fn shares(
    encoder: &mut DescriptorEncoder,
    name: &str,
    scores: &[(Labels<'_>, Share)],
) -> Result<(), Error> {
    let each = |suffix: &str| format!("{name}{suffix}");
    family(
        encoder,
        &each("_ratio"),
        "The weighted share of items that pass; what is unknown counts as nothing in the low bound and as passed in the high one.",
        scores.iter().flat_map(|(labels, share)| {
            let bounds = share
                .shares
                .map(|shares| [("low", shares.low), ("high", shares.high)]);
            bounds.into_iter().flatten().map(|(bound, value)| {
                let mut labels = labels.clone();
                labels.push(("bound", bound));
                (labels, value)
            })
        }),
    )?;
    family(
        encoder,
        &each("_coverage_ratio"),
        "The share of the applicable weight whose result is known.",
        (scores.iter())
            .filter_map(|(labels, share)| Some((labels.clone(), share.shares?.coverage))),
    )?;
    family(
        encoder,
        &each("_basis_ratio"),
        "The part of the low bound by what it rests on.",
        scores.iter().flat_map(|(labels, share)| {
            let parts = (share.shares)
                .map(|shares| [("derived", shares.derived), ("attested", shares.attested)]);
            parts.into_iter().flatten().map(|(basis, value)| {
                let mut labels = labels.clone();
                labels.push(("basis", basis));
                (labels, value)
            })
        }),
    )?;
    family(
        encoder,
        &each("_target_ratio"),
        "The least share that is wanted.",
        (scores.iter()).filter_map(|(labels, share)| Some((labels.clone(), share.target?))),
    )
}

/// The families `probe_agent_…` that one run gives.
#[derive(Debug)]
struct Agent {
    version: String,
    planned: usize,
    ran: usize,
    errored: usize,
    seconds: f64,
}

impl Agent {
    fn of(verdict: &Verdict) -> Self {
        Self {
            version: one_line(&verdict.tool.version),
            planned: verdict.health.planned,
            ran: verdict.health.ran,
            errored: verdict.health.errored,
            seconds: run_seconds(verdict),
        }
    }
}

impl Collector for Agent {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let states = [
            ("planned", self.planned),
            ("ran", self.ran),
            ("errored", self.errored),
        ];
        family(
            &mut encoder,
            "probe_agent_build_info",
            "The version of the agent.",
            [(vec![("version", self.version.as_str())], 1_i64)],
        )?;
        family(
            &mut encoder,
            "probe_agent_probes",
            "Probes of the last run: planned, ran, and errored because the agent could not look.",
            states.map(|(state, count)| (vec![("state", state)], count)),
        )?;
        family(
            &mut encoder,
            "probe_agent_run_duration_seconds",
            "How long the last run took.",
            [(vec![], self.seconds)],
        )
    }
}
