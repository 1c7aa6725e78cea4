//! The current verdict, in parts that are rendered once: what did not change is not rendered again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::strip::Strip;
use crate::evidence::Outcome;
use crate::judge::{Score, Status};
use crate::plan::Plan;
use crate::verdict::{Basis, Finding, Freshness, GateReport, Health, RiskReport, Verdict};

/// What a probe's latest run came to.
#[derive(Debug)]
pub struct ProbeState {
    /// Whether there is any evidence: a run here, or one that history remembers.
    pub seen: bool,
    /// Whether it could look.
    pub outcome: Outcome,
    /// The fold of its enabled rules.
    pub result: Status,
    /// The fold of its enabled must rules; unknown where it has none.
    pub must: Status,
    /// The result and the reason of each of its rules, in the order of the plan.
    pub rules: Box<[RuleState]>,
    /// When its last attempt began, UTC; none when it was not run.
    pub started_at: Option<Timestamp>,
    /// When its last attempt ended, UTC.
    pub observed_at: Timestamp,
    /// All attempts together.
    pub duration: Duration,
    /// How many attempts there were.
    pub tries: usize,
    /// Whether it passed only after a failed try.
    pub flaky: bool,
    /// SHA-256 over id, time, outcome, cause and facts.
    pub evidence_hash: Box<str>,
    /// The probe's part of the verdict, as it stands in its JSON.
    pub json: Bytes,
}

/// A rule's result, without what the plan knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// The result.
    pub result: Status,
    /// What decided.
    pub reason: Box<str>,
    /// Whether it keeps changing between holding and not.
    pub flapping: bool,
}

/// An item's result.
#[derive(Debug)]
pub struct ItemState {
    /// The true result, also where a waiver covers it.
    pub result: Status,
    /// What a gate sees of it.
    pub gate_result: Status,
    /// Why, where it does not simply pass.
    pub reason: Box<str>,
    /// How the result came about.
    pub basis: Basis,
    /// Whether its evidence is recent enough.
    pub freshness: Freshness,
    /// Since when it has this result, UTC; none before there is any evidence.
    pub since: Option<Timestamp>,
    /// When the oldest evidence for it was observed, UTC.
    pub observed_at: Option<Timestamp>,
    /// Whether a probe behind it passed only after a failed try.
    pub flaky: bool,
    /// Whether a rule that it needs keeps changing.
    pub flapping: bool,
    /// Whether it is in a maintenance window.
    pub in_maintenance: bool,
    /// The item's part of the verdict, as it stands in its JSON.
    pub json: Bytes,
    pub(super) findings: Box<[Finding]>,
    /// The moment at which it becomes stale.
    pub(super) stale_at: Option<Timestamp>,
    pub(super) strip: Strip,
}

impl ItemState {
    /// What it was lately, the oldest first: its worst result in each interval of its slowest probe, up to a moment.
    pub fn lately(&self, until: Timestamp) -> Vec<Status> {
        self.strip.until(until)
    }
}

/// The verdict of one moment. Cheap to hold; it never changes.
pub struct Snapshot {
    /// Grows with each snapshot of this process.
    pub version: u64,
    /// A strong entity tag, in quotes: equal tags, equal bytes.
    pub etag: String,
    /// What the verdict is about.
    pub plan: Arc<Plan>,
    /// When the latest of its evidence was observed, or became stale, UTC.
    pub finished_at: Timestamp,
    /// The fold of all gates, or the only one.
    pub gate: GateReport,
    /// Every gate, in the order of the plan.
    pub gates: Vec<GateReport>,
    /// The register of risks, in the order of the plan.
    pub risks: Vec<RiskReport>,
    /// The weighted share of items.
    pub score: Score,
    /// What is odd.
    pub findings: Vec<Finding>,
    /// Whether the agent could look.
    pub health: Health,
    /// Every item, in the order of the plan.
    pub items: Vec<Arc<ItemState>>,
    /// Every probe, in the order of the plan.
    pub probes: Vec<Arc<ProbeState>>,
    pub(super) index: Arc<Index>,
    /// The JSON before the items, with their opening bracket.
    pub(super) head: Bytes,
    /// The JSON after the probes, with their closing bracket.
    pub(super) tail: Bytes,
}

/// Where the things of a plan are, by their ids.
#[derive(Debug, Default)]
pub struct Index {
    items: HashMap<Box<str>, usize>,
    probes: HashMap<Box<str>, usize>,
}

impl Index {
    pub(super) fn of(plan: &Plan) -> Self {
        let by_id = |ids: &mut dyn Iterator<Item = &String>| {
            ids.enumerate()
                .map(|(at, id)| (id.as_str().into(), at))
                .collect()
        };
        Self {
            items: by_id(&mut plan.items.iter().map(|item| &item.id)),
            probes: by_id(&mut plan.probes.iter().map(|probe| &probe.id)),
        }
    }

    /// The position of a probe.
    pub fn probe(&self, id: &str) -> Option<usize> {
        self.probes.get(id).copied()
    }

    /// The position of an item.
    pub fn item(&self, id: &str) -> Option<usize> {
        self.items.get(id).copied()
    }
}

const BETWEEN: &[u8] = b"],\"probes\":[";

impl Snapshot {
    /// The gate of that name.
    pub fn gate(&self, id: &str) -> Option<&GateReport> {
        self.gates.iter().find(|gate| gate.id == id)
    }

    /// The item of that id.
    pub fn item(&self, id: &str) -> Option<&Arc<ItemState>> {
        self.items.get(self.index.item(id)?)
    }

    /// The probe of that id.
    pub fn probe(&self, id: &str) -> Option<&Arc<ProbeState>> {
        self.probes.get(self.index.probe(id)?)
    }

    /// Where items and probes are, by id.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The JSON of the verdict in parts, a line break at its end: byte for byte what a report writes.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        let items = self.items.iter().map(|item| item.json.clone());
        let probes = self.probes.iter().map(|probe| probe.json.clone());
        std::iter::once(self.head.clone())
            .chain(separated(items))
            .chain([Bytes::from_static(BETWEEN)])
            .chain(separated(probes))
            .chain([self.tail.clone()])
    }

    /// How many bytes the JSON has.
    pub fn json_bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|item| item.json.len() + 1).sum();
        let probes: usize = self.probes.iter().map(|probe| probe.json.len() + 1).sum();
        let commas = usize::from(items > 0) + usize::from(probes > 0);
        self.head.len() + items + BETWEEN.len() + probes + self.tail.len() - commas
    }

    /// The JSON in one piece.
    pub fn json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.json_bytes());
        for chunk in self.chunks() {
            json.extend_from_slice(&chunk);
        }
        json
    }

    /// The verdict as the other reports need it: read back from its JSON, because a second copy of all
    /// facts would double the memory of the agent.
    ///
    /// # Errors
    /// When the JSON is none; that would be a defect.
    pub fn verdict(&self) -> Result<Verdict, serde_json::Error> {
        serde_json::from_slice(&self.json())
    }
}

fn separated(parts: impl Iterator<Item = Bytes>) -> impl Iterator<Item = Bytes> {
    parts.enumerate().flat_map(|(at, part)| {
        let comma = (at > 0).then(|| Bytes::from_static(b","));
        comma.into_iter().chain([part])
    })
}
