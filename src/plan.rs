//! The plan: what runs, how it is judged, and how verdicts fold into items and gates. Made by
//! `config`, read by everything after it; nothing in it can be invalid any more.

mod module;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checklist::{Checklist, Claim};
use crate::evidence::Redactor;
use crate::history::HistorySettings;
use crate::judge::{Rule, Soft, Status};
use crate::probes::Probe;

pub use module::Module;
pub use server::{PUBLIC, ServerSettings, TlsFiles, TokenHash, is_loopback};

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
    /// The document that people tick, where one is given.
    pub checklist: Option<Checklist>,
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

/// A row of the checklist.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The title in other languages.
    pub titles: BTreeMap<String, String>,
    /// Its section.
    pub section: Option<String>,
    /// Its category for the score.
    pub category: Option<String>,
    /// Its weight for the score.
    pub weight: f64,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The rules that decide it.
    pub needs: Vec<Need>,
    /// How old evidence may be; none: as old as it is.
    pub ttl: Option<Duration>,
    /// Evidence that is not gathered yet: the item is then at best a warning.
    pub misses: Option<String>,
    /// What to do when it does not pass.
    pub remediation: Option<String>,
    /// The waiver for it, expired or not.
    pub waiver: Option<Waiver>,
    /// The item that is the same as this one, in another place of the checklist: its index.
    pub alias_of: Option<usize>,
    /// Indices of items without which this one cannot hold.
    pub prerequisites: Vec<usize>,
    /// What the checklist claims of it.
    pub claim: Option<Claim>,
    /// Whether it is a row of the checklist that no item answers for.
    pub unmapped: bool,
    /// Where it was configured; a probe that is an item of its own has its probe's place, a row of
    /// the checklist that no item answers for its line.
    pub source: SourceRef,
}

impl Item {
    /// All text that people wrote for people.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [
            &mut self.section,
            &mut self.category,
            &mut self.owner,
            &mut self.misses,
            &mut self.remediation,
        ];
        let waiver = self.waiver.iter_mut();
        std::iter::once(&mut self.title)
            .chain(self.titles.values_mut())
            .chain(optional.into_iter().flatten())
            .chain(waiver.flat_map(|waiver| [&mut waiver.owner, &mut waiver.reason]))
    }
}

/// One rule that an item needs: indices into the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// Index of the probe.
    pub probe: usize,
    /// Index of the rule within the probe.
    pub rule: usize,
}

/// Whoever answers for a waiver is warned this long before it expires.
pub const EXPIRES_SOON_DAYS: i64 = 14;

/// A stated, dated exception for one result of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The result that is waived.
    pub result: Status,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds, UTC.
    pub expires: Date,
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

/// What the score is to reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    /// The least share of all items, from 0 to 1.
    pub overall: Option<f64>,
    /// The categories, in the order of the configuration.
    pub categories: Vec<Category>,
}

/// A category of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Category {
    /// Its id, as items name it.
    pub id: String,
    /// What people call it.
    pub title: Option<String>,
    /// The title in other languages.
    pub titles: BTreeMap<String, String>,
    /// The least share of its items, from 0 to 1.
    pub target: Option<f64>,
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

/// A selection that names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No probe, tag or item of that name.
    #[error("--select {0}: no probe, tag or item of that name")]
    NoMatch(String),
}

impl Plan {
    /// Which probes run: those that `patterns` (`ID` or `tag:NAME`, `*` as wildcard; an item's id stands for
    /// its probes) select, and what they depend on. No pattern selects all.
    ///
    /// # Errors
    /// When a pattern matches nothing.
    pub fn select(&self, patterns: &[String]) -> Result<Vec<bool>, SelectError> {
        if patterns.is_empty() {
            return Ok(vec![true; self.probes.len()]);
        }
        let mut selected = vec![false; self.probes.len()];
        for pattern in patterns {
            let matched = self.matching(pattern);
            if matched.is_empty() {
                return Err(SelectError::NoMatch(pattern.clone()));
            }
            for index in matched {
                self.select_with_dependencies(index, &mut selected);
            }
        }
        Ok(selected)
    }

    fn matching(&self, pattern: &str) -> Vec<usize> {
        let indices = 0..self.probes.len();
        if let Some(tag) = pattern.strip_prefix("tag:") {
            return indices
                .filter(|i| self.probes[*i].tags.iter().any(|t| wildcard(tag, t)))
                .collect();
        }
        let by_id: Vec<usize> = indices
            .filter(|i| wildcard(pattern, &self.probes[*i].id))
            .collect();
        if !by_id.is_empty() {
            return by_id;
        }
        self.items
            .iter()
            .filter(|item| wildcard(pattern, &item.id))
            .flat_map(|item| item.needs.iter().map(|need| need.probe))
            .collect()
    }

    fn select_with_dependencies(&self, index: usize, selected: &mut [bool]) {
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut selected[index], true) {
                open.extend(&self.probes[index].depends_on);
            }
        }
    }
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
