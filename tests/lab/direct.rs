//! Runs a kind through the library: its facts or its failure, and how long that took.

use std::sync::Arc;
use std::time::Duration;

use probe::evidence::{Failure, Outcome, RedactorBuilder, Trail};
use probe::history::History;
use probe::net::Dialler;
use probe::probes::{BuildError, Context, Probe, find};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// One attempt of one probe.
#[derive(Debug)]
pub struct Attempt {
    /// The facts, or why there are none.
    pub result: Result<Map<String, Value>, Failure>,
    /// What was left behind on the way.
    pub trail: Trail,
    /// How long it took.
    pub took: Duration,
}

impl Attempt {
    /// The fact of that name; panics where nothing was observed.
    pub fn fact(&self, name: &str) -> &Value {
        match &self.result {
            Ok(facts) => &facts[name],
            Err(failure) => panic!("nothing was observed: {failure}"),
        }
    }

    /// Why the fact of that name is unknown; empty where it is known.
    pub fn unknown(&self, name: &str) -> &str {
        self.fact(name)["unknown"].as_str().unwrap_or_default()
    }

    /// Whose fault it is that nothing was observed.
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Ok(facts) => panic!("observed {facts:#?}"),
            Err(failure) => failure,
        }
    }

    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        match &self.result {
            Ok(_) => Outcome::Observed,
            Err(failure) => failure.outcome(),
        }
    }
}

/// A probe of `kind` with these parameters (TOML), or what is wrong with them.
pub fn build(kind: &str, params: &str) -> Result<Box<dyn Probe>, BuildError> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let table: toml::Table = toml::from_str(params).expect("parameters in TOML");
    let inline = toml::Value::Table(table).to_string();
    let deserializer = toml::de::ValueDeserializer::parse(&inline).expect("an inline table");
    (find(kind).expect("a kind of that name").build)(deserializer)
}

/// The parameters that are wrong.
pub fn wrong_params(kind: &str, params: &str) -> Vec<String> {
    match build(kind, params) {
        Ok(_) => Vec::new(),
        Err(BuildError::Params(errors)) => errors.into_iter().map(|error| error.param).collect(),
        Err(BuildError::Shape(error)) => panic!("the shape is wrong: {error}"),
    }
}

/// One attempt with this timeout.
pub async fn attempt(kind: &str, params: &str, timeout: Duration) -> Attempt {
    attempt_with(kind, params, timeout, None).await
}

/// The same where there is a history.
pub async fn attempt_with(
    kind: &str,
    params: &str,
    timeout: Duration,
    history: Option<History>,
) -> Attempt {
    let probe = build(kind, params).unwrap_or_else(|error| panic!("{params}: {error:?}"));
    let begun = Instant::now();
    let context = Context::new(Arc::new(Dialler::new()), begun + timeout).with_history(history);
    let mut result = probe.observe(&context).await;
    // As the engine does it: what the kind names as its own secrets is not in the facts.
    let mut secrets = RedactorBuilder::default();
    probe
        .secrets()
        .iter()
        .for_each(|secret| secrets.add(secret));
    if let Ok(facts) = &mut result {
        secrets.build().facts(facts);
    }
    Attempt {
        result,
        trail: context.take_trail(),
        took: begun.elapsed(),
    }
}
