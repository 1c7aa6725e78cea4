//! The canary: a record to every partition of a topic of the probe's own, and back.

mod topic;
pub(super) mod trip;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::client::Settings;
use super::config::Config;
use super::{Kafka, pool};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::probes::{Condition, Context, RuleSpec, Severity};

/// The canary's topic: one for all probes and all runs.
const TOPIC: &str = "probe-canary";

/// The most clients that it has at the same time: one that asks and one that makes the topic.
pub(super) const CLIENTS: usize = 2;

/// What became of the canary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CanaryFacts {
    /// The topic that it is written to, which is the probe's own.
    pub topic: String,
    /// What went wrong first: no topic, no acknowledgement by all in-sync replicas, no record that came
    /// back. Empty: every partition took its record and gave it back.
    pub problem: Observed<String>,
    /// The partitions of the topic.
    pub partitions: Observed<Vec<CanaryPartition>>,
    /// The longest time until a record was acknowledged by all in-sync replicas, milliseconds.
    pub slowest_produce_ms: Observed<f64>,
    /// The longest time until a record was acknowledged and had come back, milliseconds.
    pub slowest_round_trip_ms: Observed<f64>,
}

/// What became of the record in one partition.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CanaryPartition {
    /// The partition.
    pub partition: i32,
    /// What went wrong. Empty: the record came back.
    pub problem: Observed<String>,
    /// The offset at which the record was stored.
    pub offset: Observed<i64>,
    /// How long it took until all in-sync replicas had acknowledged it, milliseconds.
    pub produce_ms: Observed<f64>,
    /// How long it took from asking for it until it was there, milliseconds.
    pub fetch_ms: Observed<f64>,
}

const WRITES: Option<Condition<Config>> = Some(Condition {
    text: "`allow_writes = true` is declared",
    holds: |config| config.allow_writes,
});

/// It comes back.
pub(super) const RETURNS: RuleSpec<Config> = RuleSpec {
    name: "canary",
    expr: "canary.problem == ''",
    applies: None,
    severity: Severity::Must,
    why: "that brokers answer does not show that a record can be stored by all in-sync replicas and read again",
    source: "Apache Kafka documentation: acks=all and min.insync.replicas",
    when: WRITES,
};

/// It is acknowledged soon.
pub(super) const PRODUCE_TIME: RuleSpec<Config> = RuleSpec {
    name: "canary-produce-time",
    expr: "canary.slowest_produce_ms <= 5000.0",
    applies: None,
    severity: Severity::Must,
    why: "a write that waits for its replicas this long has stalled its producers",
    source: "our own: 5 s",
    when: WRITES,
};

/// It comes back soon.
pub(super) const ROUND_TRIP_TIME: RuleSpec<Config> = RuleSpec {
    name: "canary-round-trip-time",
    expr: "canary.slowest_round_trip_ms <= 20000.0",
    applies: None,
    severity: Severity::Must,
    why: "a record that is this late for a waiting reader is late for every consumer",
    source: "our own: 20 s",
    when: WRITES,
};

/// Writes and reads it, where that is allowed. It ends before the attempt does.
pub(super) async fn read(
    ctx: &Context,
    kafka: &Kafka,
    settings: &Settings,
) -> Observed<CanaryFacts> {
    if !kafka.config.allow_writes {
        return Observed::unknown(UnknownWhy::NotApplicable, "`allow_writes` is not set");
    }
    let end = Instant::now() + ctx.remaining().mul_f64(0.9);
    let wanted = topic::Wanted::of(&kafka.config);
    let (settings, runtime) = (settings.clone(), Handle::current());
    let flown = pool::run(end, move |work| {
        let partitions = topic::ensure(&settings, &wanted, &runtime, &work.share(2))?;
        trip::fly(&settings, &partitions, work)
    });
    let flown = flown.await;
    Observed::Value(match flown {
        Ok(Ok(partitions)) => summary(partitions),
        Ok(Err(trouble)) => grounded(trouble),
        Err(failure) => grounded(Trouble::from(failure)),
    })
}

/// Why the canary did not get off the ground.
enum Trouble {
    /// The cluster does not take it.
    Problem(String),
    /// Nobody knows whether it would.
    Unknown(Unknown),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let why = match failure.outcome() {
            Outcome::Denied => UnknownWhy::Denied,
            Outcome::TargetError => return Self::Problem(failure.detail().to_owned()),
            _ => UnknownWhy::NotObserved,
        };
        Self::Unknown(Unknown {
            why,
            detail: failure.detail().to_owned(),
        })
    }
}

fn grounded(trouble: Trouble) -> CanaryFacts {
    let (problem, unknown) = match trouble {
        Trouble::Problem(text) => {
            let unknown = Unknown {
                why: UnknownWhy::NotObserved,
                detail: text.clone(),
            };
            (Observed::Value(text), unknown)
        }
        Trouble::Unknown(unknown) => (unknown.clone().into(), unknown),
    };
    CanaryFacts {
        topic: TOPIC.to_owned(),
        problem,
        partitions: unknown.clone().into(),
        slowest_produce_ms: unknown.clone().into(),
        slowest_round_trip_ms: unknown.into(),
    }
}

fn summary(partitions: Vec<CanaryPartition>) -> CanaryFacts {
    let first = partitions
        .iter()
        .find(|one| one.problem.value().is_none_or(|text| !text.is_empty()));
    let problem = match first {
        Some(one) => (one.problem.clone())
            .map(|text| format!("partition {} of {TOPIC}: {text}", one.partition)),
        None => Observed::Value(String::new()),
    };
    let round_trip = |one: &CanaryPartition| {
        let produce_ms = one.produce_ms.clone();
        produce_ms.and_then(|produce| one.fetch_ms.clone().map(|fetch| produce + fetch))
    };
    CanaryFacts {
        topic: TOPIC.to_owned(),
        problem,
        slowest_produce_ms: slowest(&partitions, |one| one.produce_ms.clone()),
        slowest_round_trip_ms: slowest(&partitions, round_trip),
        partitions: Observed::Value(partitions),
    }
}

/// The largest of the times; unknown where one of them is.
fn slowest(
    partitions: &[CanaryPartition],
    time: impl Fn(&CanaryPartition) -> Observed<f64>,
) -> Observed<f64> {
    let none = Observed::unknown(UnknownWhy::NotObserved, "the topic has no partition");
    let times = partitions.iter().map(time);
    times
        .reduce(|a, b| a.and_then(|a| b.map(|b| a.max(b))))
        .unwrap_or(none)
}
