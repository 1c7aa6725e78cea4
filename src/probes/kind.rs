//! The contract of a probe kind, and the type-erased form in which the rest of the program sees
//! every kind alike.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Context;
use super::template::{Sample, TargetParams};
use crate::evidence::{FactSchema, Failure, SchemaError};
use crate::net::api::BadParam;

/// How bad a rule that does not hold is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Not holding is a fail.
    Must,
    /// Not holding is a warning.
    Should,
}

/// What a kind does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reads only.
    Read,
    /// May write a canary of its own, with `allow_writes = true`.
    Write,
}

/// A built-in rule, as data: a named CEL expression over the kind's facts.
pub struct RuleSpec<C> {
    /// Kebab-case, unique within the kind.
    pub name: &'static str,
    /// The CEL expression; it yields a bool.
    pub expr: &'static str,
    /// A CEL predicate; where it is false, the rule is `na`.
    pub applies: Option<&'static str>,
    /// How bad it is when the rule does not hold.
    pub severity: Severity,
    /// One line: why anybody wants this.
    pub why: &'static str,
    /// Where the threshold comes from.
    pub source: &'static str,
    /// When the rule is part of a probe; `None`: always.
    pub when: Option<Condition<C>>,
}

/// A condition on a probe's parameters under which a rule is part of it.
pub struct Condition<C> {
    /// For people: "`expect = \"closed\"` is declared".
    pub text: &'static str,
    /// The test.
    pub holds: fn(&C) -> bool,
}

/// An environment variable that suggests a probe of this kind to `probe init`.
#[derive(Debug, Clone, Copy)]
pub struct InitHint {
    /// The variable's name, such as `DATABASE_URL`.
    pub variable: &'static str,
    /// TOML lines of a `[[probe]]` without `[[probe]]`, `id` and `kind`; `{variable}` stands for the name.
    pub toml: &'static str,
}

/// What is printed about a kind.
pub struct KindInfo {
    /// The name in `kind = "…"`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The least privileges it needs at the target.
    pub privileges: &'static str,
    /// What it does to the target.
    pub effect: Effect,
    /// The side effects in words.
    pub side_effects: &'static str,
    /// A minimal `[[probe]]`, TOML, for `probe explain` and `probe init`.
    pub example: &'static str,
    /// Variables that suggest such a probe.
    pub init: &'static [InitHint],
}

/// A parameter whose value makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// The parameter, as a dotted path; empty: the probe as a whole.
    pub param: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl ParamError {
    /// An error at one parameter.
    pub fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: param.into(),
            message: message.into(),
        }
    }
}

impl From<BadParam> for ParamError {
    fn from(bad: BadParam) -> Self {
        Self::new(bad.param, bad.message)
    }
}

/// A probe that reads the history of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOf<'p> {
    /// The parameter that names the other.
    pub param: &'static str,
    /// The id of the other.
    pub probe: &'p str,
    /// How far back it looks.
    pub window: Duration,
}

/// A kind of probe: it knows one kind of system, gathers facts, and never judges them.
///
/// `observe` must finish by [`Context::deadline`]: every await on the network has a deadline and
/// every read a cap. What was seen before a step hung is returned, with the rest
/// [`Observed::Unknown`](crate::evidence::Observed). It returns an error only when nothing was seen.
pub trait ProbeKind: Sized + Send + Sync + 'static {
    /// What is printed about it.
    const INFO: KindInfo;
    /// The built-in rules, in the order in which they are printed.
    const RULES: &'static [RuleSpec<Self::Config>];
    /// Which parameters are the target, where a `[[module]]` leaves it to the request.
    const TARGET: TargetParams = TargetParams::None;
    /// The parameters. Every field has rustdoc; `#[serde(deny_unknown_fields)]` is not needed.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;
    /// The facts. Every field has rustdoc, with units; no `Option`.
    type Facts: Serialize + JsonSchema + Send;

    /// Checks the parameters and reads the files they name. No network.
    ///
    /// # Errors
    /// All that is wrong, at once.
    fn new(config: Self::Config) -> Result<Self, Vec<ParamError>>;

    /// The parameters it was made from.
    fn config(&self) -> &Self::Config;

    /// The target, for people: `127.0.0.1:5432`, a URL without its secrets.
    fn target(&self) -> String;

    /// The most file descriptors one attempt has open at the same time.
    fn descriptors(&self) -> usize {
        1
    }

    /// Secrets that this kind makes itself, such as an encoded credential; those that stand in the
    /// configuration are known from the types of their parameters.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// How long it must watch beside the time that its answers take: an attempt may take the timeout
    /// and this.
    fn extra_time(&self) -> Duration {
        Duration::ZERO
    }

    /// How many earlier runs it compares with, where there is history.
    fn earlier_runs(&self) -> usize {
        0
    }

    /// What `blackbox_exporter` calls the numbers among these facts.
    fn samples(_facts: &Map<String, Value>) -> Vec<Sample> {
        Vec::new()
    }

    /// The probe whose history it reads, where it reads one.
    fn history_of(&self) -> Option<HistoryOf<'_>> {
        None
    }

    /// One attempt.
    fn observe(&self, ctx: &Context) -> impl Future<Output = Result<Self::Facts, Failure>> + Send;
}

/// A boxed future that borrows.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A configured probe of any kind.
pub trait Probe: Send + Sync {
    /// The target, for people.
    fn target(&self) -> String;
    /// The most file descriptors one attempt has open at the same time.
    fn descriptors(&self) -> usize;
    /// Secrets that this kind makes itself.
    fn secrets(&self) -> Vec<String>;
    /// What an attempt may take beside its timeout.
    fn extra_time(&self) -> Duration;
    /// How many earlier runs it compares with.
    fn earlier_runs(&self) -> usize;
    /// The probe whose history it reads.
    fn history_of(&self) -> Option<HistoryOf<'_>>;
    /// For each built-in rule in order: whether it is part of this probe.
    fn enabled(&self) -> Vec<bool>;
    /// One attempt; the facts as JSON.
    fn observe<'a>(
        &'a self,
        ctx: &'a Context,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failure>>;
}

impl<K: ProbeKind> Probe for K {
    fn target(&self) -> String {
        ProbeKind::target(self)
    }

    fn descriptors(&self) -> usize {
        ProbeKind::descriptors(self)
    }

    fn secrets(&self) -> Vec<String> {
        ProbeKind::secrets(self)
    }

    fn extra_time(&self) -> Duration {
        ProbeKind::extra_time(self)
    }

    fn earlier_runs(&self) -> usize {
        ProbeKind::earlier_runs(self)
    }

    fn history_of(&self) -> Option<HistoryOf<'_>> {
        ProbeKind::history_of(self)
    }

    fn enabled(&self) -> Vec<bool> {
        let config = self.config();
        K::RULES
            .iter()
            .map(|rule| rule.when.as_ref().is_none_or(|when| (when.holds)(config)))
            .collect()
    }

    fn observe<'a>(
        &'a self,
        ctx: &'a Context,
    ) -> BoxFuture<'a, Result<Map<String, Value>, Failure>> {
        Box::pin(async move {
            let facts = ProbeKind::observe(self, ctx).await?;
            match serde_json::to_value(facts) {
                Ok(Value::Object(map)) => Ok(map),
                Ok(_) => Err(Failure::probe("the facts of this kind are not an object")),
                Err(error) => Err(Failure::probe(format!("facts cannot be written: {error}"))),
            }
        })
    }
}

/// A built-in rule without its type parameter.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinRule {
    /// Kebab-case, unique within the kind.
    pub name: &'static str,
    /// The CEL expression.
    pub expr: &'static str,
    /// Where false, the rule is `na`.
    pub applies: Option<&'static str>,
    /// How bad it is when the rule does not hold.
    pub severity: Severity,
    /// One line.
    pub why: &'static str,
    /// Where the threshold comes from.
    pub source: &'static str,
    /// When the rule is part of a probe, for people; `None`: always.
    pub when: Option<&'static str>,
}

/// A configured probe, or what is wrong with its parameters.
pub type Built = Result<Box<dyn Probe>, BuildError>;

/// Why a probe could not be made from its parameters.
#[derive(Debug)]
pub enum BuildError {
    /// The parameters do not have the shape that the kind reads; the error knows its place.
    Shape(toml::de::Error),
    /// They have, and make no sense.
    Params(Vec<ParamError>),
}

/// An entry of the table of kinds.
pub struct KindEntry {
    /// What is printed about it.
    pub info: KindInfo,
    /// The built-in rules.
    pub rules: fn() -> Vec<BuiltinRule>,
    /// The types of the facts.
    pub facts: fn() -> Result<FactSchema, SchemaError>,
    /// The JSON Schema of the parameters.
    pub params: fn() -> schemars::Schema,
    /// Makes a probe from its parameters.
    pub build: fn(toml::de::ValueDeserializer<'_>) -> Built,
    /// Which parameters are the target.
    pub target: TargetParams,
    /// What `blackbox_exporter` calls the numbers among the facts.
    pub samples: fn(&Map<String, Value>) -> Vec<Sample>,
}

impl KindEntry {
    /// The entry of kind `K`.
    pub const fn of<K: ProbeKind>() -> Self {
        Self {
            info: K::INFO,
            rules: builtin_rules::<K>,
            facts: FactSchema::of::<K::Facts>,
            params: params_schema::<K>,
            build: build::<K>,
            target: K::TARGET,
            samples: K::samples,
        }
    }
}

fn builtin_rules<K: ProbeKind>() -> Vec<BuiltinRule> {
    K::RULES
        .iter()
        .map(|rule| BuiltinRule {
            name: rule.name,
            expr: rule.expr,
            applies: rule.applies,
            severity: rule.severity,
            why: rule.why,
            source: rule.source,
            when: rule.when.as_ref().map(|when| when.text),
        })
        .collect()
}

fn params_schema<K: ProbeKind>() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<K::Config>()
}

fn build<K: ProbeKind>(params: toml::de::ValueDeserializer<'_>) -> Built {
    let config = serde::Deserialize::deserialize(params).map_err(BuildError::Shape)?;
    let kind = K::new(config).map_err(BuildError::Params)?;
    Ok(Box::new(kind))
}
