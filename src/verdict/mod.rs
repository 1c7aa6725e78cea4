//! The verdict: the one document that every report is rendered from and that `probe replay` reads.
//! Versioned `probe.verdict/v1`, additive within v1; its JSON Schema is published in docs/schema.

mod attestation;
mod findings;
mod fold;
mod harmless;
mod item;
mod schema;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use findings::of_item as findings_of_item;
pub use fold::{Mode, Observation, Run, judge_probe, judge_run};
pub(crate) use fold::{
    chosen_gate, fold_gate, fold_risk, is_flaky, probe_report, score_item, subject, tool,
};
pub(crate) use harmless::{is_deceptive, write_json};
pub(crate) use item::{Evidence, Moment, fold_item, seen_by_gate};
pub use schema::verdict_schema;

use crate::evidence::{Outcome, Phase, Try};
use crate::judge::{RuleVerdict, Score, Status};
use crate::plan::{Claim, RiskLevel, SourceRef};

/// The version of the document.
pub const SCHEMA: &str = "probe.verdict/v1";

/// What a run concluded, and everything it saw.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Always `probe.verdict/v1`.
    pub schema: String,
    /// Unique per run.
    pub run_id: String,
    /// How this verdict came about.
    pub mode: Mode,
    /// What made it.
    pub tool: Tool,
    /// What it is about.
    pub subject: Subject,
    /// From where it was seen.
    pub vantage: Vantage,
    /// When the run began, UTC.
    pub started_at: Timestamp,
    /// When the last probe ended, UTC; freshness is judged at this moment.
    pub finished_at: Timestamp,
    /// The gate that was asked for, or the fold of all.
    pub gate: GateReport,
    /// Every gate.
    pub gates: Vec<GateReport>,
    /// The register of risks, each as well mitigated as the worst of its items.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<RiskReport>,
    /// The weighted share of items.
    pub score: Score,
    /// Every row of the checklist.
    pub items: Vec<ItemReport>,
    /// Every probe, with all facts.
    pub probes: Vec<ProbeReport>,
    /// What is odd about the configuration or the checklist.
    pub findings: Vec<Finding>,
    /// Whether the agent could look.
    pub health: Health,
}

/// What made a verdict.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// The version of probe.
    pub version: String,
    /// SHA-256 over what the configuration's files say, `[server]` apart.
    pub config_digest: String,
}

/// What a verdict is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `production`, `staging`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The commit that is being deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// The image digests that are being deployed.
    #[serde(default)]
    pub digests: Vec<String>,
}

/// From where a verdict was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Vantage {
    /// The host's name, or the name configured for this vantage point.
    pub host: String,
}

/// A gate's result.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// Its id; `all` for the fold of several.
    pub id: String,
    /// fail if any item fails, else unknown if any is, else warn or pass.
    pub result: Status,
    /// The items because of which it does not pass: those that fail or are unknown.
    pub blocking: Vec<String>,
}

/// A risk's state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RiskReport {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The title in other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub titles: BTreeMap<String, String>,
    /// How bad it is where nothing mitigates it.
    pub level: RiskLevel,
    /// pass: mitigated. Else as for a gate: fail if any of its items fails, else unknown if any is, else warn.
    pub result: Status,
    /// The items that mitigate it.
    pub items: Vec<String>,
    /// Those of them that fail or are unknown.
    pub open: Vec<String>,
}

/// How an item's result came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// From evidence.
    Derived,
    /// From somebody's word: an attestation that holds, where no rule decides. It is not signed.
    Attested,
    /// A waiver covers this result: gates see a warning.
    Waived,
}

/// Whether evidence is recent enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// Within the item's ttl, or it has none.
    Fresh,
    /// Older than the item's ttl, or the attestation behind it has expired or its document is another one:
    /// the result is unknown.
    Stale,
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl From<&SourceRef> for Source {
    fn from(source: &SourceRef) -> Self {
        Self {
            file: source.file.clone(),
            line: source.line,
        }
    }
}

/// An item's result.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ItemReport {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The title in other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub titles: BTreeMap<String, String>,
    /// Its section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Its category for the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its weight for the score.
    pub weight: f64,
    /// Where it was configured.
    pub source: Source,
    /// The true result, also where a waiver covers it.
    pub result: Status,
    /// Why, where it does not simply pass.
    pub reason: String,
    /// How the result came about.
    pub basis: Basis,
    /// Whether its evidence is recent enough.
    pub freshness: Freshness,
    /// Since when it has this result, UTC; in the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The result before staleness made it unknown, for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known: Option<Status>,
    /// When the oldest evidence for it was observed, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What the checklist claims of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Whether it is a row of the checklist that no item of the configuration answers for: unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmapped: bool,
    /// The verdicts that it folds.
    pub rules: Vec<RuleVerdict>,
    /// `PROBE@HASH` of the evidence behind it.
    pub evidence: Vec<String>,
    /// The waiver for it, expired or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverReport>,
    /// Somebody's word for it, whether it holds or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationReport>,
    /// The maintenance window in which this was judged; it changes no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceReport>,
    /// Evidence that is not gathered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<String>,
    /// What to do when it does not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// Whether a probe behind it passed only after a failed try.
    pub flaky: bool,
    /// Whether a rule that it needs keeps changing between failing and not: it is then at best a warning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
}

/// A declared window of maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceReport {
    /// When it began, UTC.
    pub start: Timestamp,
    /// When it ends, UTC.
    pub end: Timestamp,
    /// Why.
    pub reason: String,
}

/// A waiver as it was applied, or not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaiverReport {
    /// The result that it waives.
    pub result: Status,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds, UTC.
    pub expires: String,
    /// Whether it was applied: it has not expired, and names the result that the item has.
    pub applied: bool,
}

/// An attestation as it was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AttestationReport {
    /// Who answers for it.
    pub owner: String,
    /// The first day on which it holds, UTC.
    pub issued: String,
    /// The last day on which it holds, UTC.
    pub expires: String,
    /// The document, without secrets.
    pub url: String,
    /// SHA-256 of the document that was attested.
    pub sha256: String,
    /// The probe that fetched it; its facts have the hash that was seen.
    pub probe: String,
    /// Whether it holds: it is in force, and the document is the one that was attested.
    pub held: bool,
    /// Why it does not hold; empty where it does.
    pub reason: String,
}

/// What a probe saw, and what its rules made of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    /// Its id.
    pub id: String,
    /// The name of its kind.
    pub kind: String,
    /// The target, without secrets.
    pub target: String,
    /// SHA-256 over its kind and its parameters as written, rules apart: evidence answers for the
    /// question that was asked.
    pub params_digest: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where it was configured.
    pub source: Source,
    /// Whether it could look.
    pub outcome: Outcome,
    /// Why it observed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When its last attempt ended, UTC.
    pub observed_at: Timestamp,
    /// Every attempt; none when it was not run.
    pub tries: Vec<Try>,
    /// Whether it passed only after a failed try.
    pub flaky: bool,
    /// All attempts together, milliseconds.
    pub duration_ms: f64,
    /// The addresses that its last attempt dialled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// How long each phase of its last attempt took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// The verdicts of all its rules, also those switched off or not enabled.
    pub rules: Vec<RuleVerdict>,
    /// Everything it saw.
    pub facts: Map<String, Value>,
    /// SHA-256 over id, time, outcome, cause and facts.
    pub evidence_hash: String,
}

/// Something odd.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable code.
    pub code: String,
    /// The item it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// For people.
    pub text: String,
}

/// Whether the agent could look.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Probes in the configuration that were selected.
    pub planned: usize,
    /// Probes of which at least one attempt ended.
    pub ran: usize,
    /// Probes that could not look: `probe_error` or `denied`.
    pub errored: usize,
}
