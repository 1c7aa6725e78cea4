//! `Observed<T>`: a value that was seen, or the reason why there is none.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// Why a fact has no value. Serialised in `snake_case`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownWhy {
    /// The target refused to tell: a missing grant, a refused login.
    Denied,
    /// The target or its version cannot tell.
    Unsupported,
    /// The step that would have told did not finish in its share of the timeout.
    TimedOut,
    /// The question has no meaning for this target or configuration.
    NotApplicable,
    /// More was there than the configured cap: never a prefix.
    TooLarge,
    /// What came back could not be understood.
    Unparseable,
    /// The step that would have told was not reached or failed.
    NotObserved,
    /// Sources that should agree did not, so there is no single value.
    Inconsistent,
}

impl UnknownWhy {
    /// The words used in reasons printed for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::TimedOut => "timed out",
            Self::NotApplicable => "not applicable",
            Self::TooLarge => "too large",
            Self::Unparseable => "unparseable",
            Self::NotObserved => "not observed",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// The reason why a fact has no value, as it appears in JSON:
/// `{"unknown": "denied", "detail": "needs pg_monitor"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unknown {
    /// The class of the reason.
    #[serde(rename = "unknown")]
    pub why: UnknownWhy,
    /// What is missing and, where there is one, what to do about it.
    pub detail: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.why.as_str())
        } else {
            write!(f, "{}: {}", self.why.as_str(), self.detail)
        }
    }
}

/// A fact that was observed, or the reason why it was not. There is no default: a rule that
/// touches an unknown fact is itself unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed<T> {
    /// The value that was seen.
    Value(T),
    /// There is no value, and why.
    Unknown(Unknown),
}

impl<T> Observed<T> {
    /// An unknown with its reason.
    pub fn unknown(why: UnknownWhy, detail: impl Into<String>) -> Self {
        Self::Unknown(Unknown {
            why,
            detail: detail.into(),
        })
    }

    /// The value, where one was seen.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Applies `f` to the value; an unknown stays as it is.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Value(value) => Observed::Value(f(value)),
            Self::Unknown(unknown) => Observed::Unknown(unknown),
        }
    }

    /// Applies a step that may itself see nothing.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Observed<U>) -> Observed<U> {
        match self {
            Self::Value(value) => f(value),
            Self::Unknown(unknown) => Observed::Unknown(unknown),
        }
    }
}

impl<T> From<Unknown> for Observed<T> {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

impl<T: Serialize> Serialize for Observed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Unknown(unknown) => unknown.serialize(serializer),
        }
    }
}

/// Marks, in a fact schema, a place where the unknown object may stand.
pub(super) const OBSERVED_MARK: &str = "x-observed";

impl<T: JsonSchema> JsonSchema for Observed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Observed_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        let unknown = generator.subschema_for::<Unknown>();
        json_schema!({ OBSERVED_MARK: true, "anyOf": [value, unknown] })
    }
}
