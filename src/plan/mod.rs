//! The plan: what runs, how it is judged, and how verdicts fold into items and gates. Made by
//! `config`, read by everything after it; nothing in it can be invalid any more.

mod claim;
mod item;
mod module;
mod select;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use claim::{Claim, ClaimStatus};
pub use item::{Attestation, EXPIRES_SOON_DAYS, Item, Need, Waiver, days_until};
pub use module::Module;
pub use select::SelectError;
pub use server::{PUBLIC, ServerSettings, TlsFiles, TokenHash, is_loopback};

use crate::evidence::Redactor;
use crate::history::HistorySettings;
use crate::judge::{Rule, Soft, Targets};
use crate::probes::Probe;

/// Everything a run needs.
pub struct Plan {
    /// Who runs and for what.
    pub agent: Agent,
    /// The probes, in the order of the configuration.
    pub probes: Vec<PlannedProbe>,
    /// The items, in the order of the configuration.
    pub items: Vec<Item>,
    /// The gates, in the order of the configuration.
    pub gates: Vec<Gate>,
    /// The register of risks, in the order of the configuration.
    pub risks: Vec<Risk>,
    /// The declared windows of maintenance, in the order of the configuration.
    pub maintenance: Vec<Maintenance>,
    /// The categories that are declared, and what the score is to reach.
    pub targets: Targets,
    /// Probes without a target, for whoever names one.
    pub modules: Vec<Module>,
    /// How the daemon is asked.
    pub server: ServerSettings,
    /// Where runs are kept, where that is configured.
    pub history: Option<HistorySettings>,
    /// Keeps the configuration's secrets out of everything printed.
    pub redactor: Arc<Redactor>,
    /// SHA-256 over what the configuration's files say, `[server]` apart, as `sha256:…`.
    pub config_digest: String,
}

/// `[agent]`.
#[derive(Debug, Clone, Default)]
pub struct Agent {
    /// `production`, `staging`, …
    pub environment: Option<String>,
    /// The service that the checklist is about.
    pub service: Option<String>,
    /// The commit that is being deployed.
    pub git_commit: Option<String>,
    /// The image digests that are being deployed.
    pub digests: Vec<String>,
    /// Where the digest that is deployed is observed.
    pub digest_from: Option<FactRef>,
    /// The name of this vantage point; the host's name where it is not set.
    pub vantage: Option<String>,
    /// The most probes at a time that may look at one target; none: no bound.
    pub max_per_target: Option<usize>,
}

/// A fact of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRef {
    /// Index of the probe.
    pub probe: usize,
    /// The fact's name, and names within it.
    pub path: Vec<String>,
}

/// Where something was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// One configured probe.
pub struct PlannedProbe {
    /// Its id.
    pub id: String,
    /// The name of its kind.
    pub kind: &'static str,
    /// What runs.
    pub probe: Box<dyn Probe>,
    /// The target, redacted.
    pub target: String,
    /// SHA-256 over its kind and its parameters as written, as `sha256:…`.
    pub params_digest: String,
    /// SHA-256 over its kind and its parameters with variables put in: never printed, because secrets are
    /// among them. Equal ones ask the same question.
    pub question: [u8; 32],
    /// How often the daemon runs it.
    pub interval: Duration,
    /// How many bad runs make a fail hard; none: the first.
    pub soft: Option<Soft>,
    /// Bounds one attempt, beside the time for which the kind must watch.
    pub timeout: Duration,
    /// Further attempts after one that observed nothing.
    pub retries: u32,
    /// Whether an attempt whose must rule failed is repeated too.
    pub retry_on_fail: bool,
    /// Labels for `--select tag:…`.
    pub tags: Vec<String>,
    /// Indices of probes that must pass or warn first.
    pub depends_on: Vec<usize>,
    /// Built-in rules first, then one's own.
    pub rules: Vec<Rule>,
    /// Where it was configured.
    pub source: SourceRef,
}

impl PlannedProbe {
    /// What one attempt may take in all.
    pub fn longest_attempt(&self) -> Duration {
        self.timeout + self.probe.extra_time()
    }
}

/// A declared window of maintenance. It changes no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// When it begins.
    pub start: Timestamp,
    /// When it has ended.
    pub end: Timestamp,
    /// Why.
    pub reason: String,
    /// Indices of the items that are shown with it: those that it names, and those that need a probe that
    /// it names.
    pub items: Vec<usize>,
    /// Indices of the probes whose slots are excluded: those that it names, and those that an item that it
    /// names needs.
    pub probes: Vec<usize>,
}

impl Maintenance {
    /// Whether it holds at that moment.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// A set of items that must pass at one phase.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Its id.
    pub id: String,
    /// Indices of its items.
    pub items: Vec<usize>,
    /// The ids that it names, `*` as wildcard.
    pub patterns: Vec<String>,
}

/// How bad a risk is where nothing mitigates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RiskLevel {
    /// It stops a deploy.
    High,
    /// It needs a plan.
    Medium,
    /// It is watched.
    Low,
}

/// What may go wrong, and the items that mitigate it.
#[derive(Debug, Clone)]
pub struct Risk {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The title in other languages.
    pub titles: BTreeMap<String, String>,
    /// How bad it is where nothing mitigates it.
    pub level: RiskLevel,
    /// Indices of the items that mitigate it.
    pub items: Vec<usize>,
    /// What they were named by: rows of a checklist that are no items yet join by it.
    pub patterns: Vec<String>,
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
///
/// ```
/// use probe::plan::wildcard;
///
/// assert!(wildcard("F1.*", "F1.12"));
/// assert!(!wildcard("F1.*", "F10"));
/// ```
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = tail.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards() {
        for (pattern, text, matches) in [
            ("F1.*", "F1.1", true),
            ("F1.*", "F11", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("api", "api2", false),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
