//! The envelope of one run of one probe: what was tried, when, against which addresses, how long
//! each phase took, what came out, and a hash over the facts.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Whether a probe could look, and if not, whose fault that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Facts were gathered; single facts may still be unknown.
    Observed,
    /// The target is broken: the kind's built-in `must` rules fail.
    TargetError,
    /// The target refused us: unknown.
    Denied,
    /// The agent could not look: unknown.
    ProbeError,
}

/// A named step of an attempt and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// `dns`, `connect`, `tls`, …
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
}

impl Phase {
    /// Seconds.
    pub fn seconds(&self) -> f64 {
        self.ms / 1_000.0
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Try {
    /// When it began, UTC.
    pub started_at: Timestamp,
    /// How long it took, milliseconds.
    pub duration_ms: f64,
    /// Whether it could look.
    pub outcome: Outcome,
    /// Why it observed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an attempt leaves behind on its way, kept whether or not it succeeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    /// Every address that was dialled, in order, without repeats.
    pub addresses: Vec<SocketAddr>,
    /// Every phase that ended, in order.
    pub phases: Vec<Phase>,
}

impl Trail {
    /// Records an address that is about to be dialled.
    pub fn address(&mut self, address: SocketAddr) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    /// Records a phase that has ended.
    pub fn phase(&mut self, name: &str, took: Duration) {
        self.phases.push(Phase {
            name: name.to_owned(),
            ms: millis(took),
        });
    }
}

/// Milliseconds with microsecond resolution: more digits are noise and cost bytes.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// What one run of one probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The probe's id.
    pub probe: String,
    /// When the last attempt ended, UTC; freshness is counted from here.
    pub observed_at: Timestamp,
    /// All attempts together.
    pub duration: Duration,
    /// The outcome of the last attempt.
    pub outcome: Outcome,
    /// Why nothing was observed; always set unless `outcome` is observed.
    pub cause: Option<String>,
    /// All attempts, in order.
    pub tries: Vec<Try>,
    /// Addresses and phases of the last attempt.
    pub trail: Trail,
    /// The facts, `snake_case` keys; empty when nothing was observed.
    pub facts: Map<String, Value>,
}

impl Envelope {
    /// The envelope of a probe that was not run, or of which there is no evidence.
    pub fn not_observed(probe: &str, observed_at: Timestamp, cause: String) -> Self {
        Self {
            probe: probe.to_owned(),
            observed_at,
            duration: Duration::ZERO,
            outcome: Outcome::ProbeError,
            cause: Some(cause),
            tries: Vec::new(),
            trail: Trail::default(),
            facts: Map::new(),
        }
    }

    /// SHA-256 over the canonical JSON (sorted keys, no spaces) of id, time, outcome, cause and facts, as
    /// `sha256:…`. It binds a verdict to what was seen.
    pub fn hash(&self) -> String {
        let canonical = serde_json::json!({
            "probe": self.probe,
            "observed_at": self.observed_at,
            "outcome": self.outcome,
            "cause": self.cause,
            "facts": self.facts,
        });
        let digest = Sha256::digest(canonical.to_string().as_bytes());
        format!("sha256:{digest:x}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::Envelope;

    proptest! {
        // A replay reads what was printed: a number that came back a little different would be
        // evidence that somebody changed.
        #[test]
        fn what_was_printed_hashes_as_what_was_seen(number in any::<f64>().prop_filter("JSON", |n| n.is_finite())) {
            let mut seen = Envelope::not_observed("p", jiff::Timestamp::UNIX_EPOCH, String::new());
            seen.duration = Duration::ZERO;
            seen.facts = Map::from_iter([("n".to_owned(), number.into())]);
            let mut read = Envelope::not_observed("p", jiff::Timestamp::UNIX_EPOCH, String::new());
            let printed = serde_json::to_string(&seen.facts).expect("prints");
            read.facts = serde_json::from_str(&printed).expect("reads");
            prop_assert_eq!(seen.hash(), read.hash());
        }
    }
}
