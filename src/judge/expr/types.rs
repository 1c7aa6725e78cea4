//! The static types of expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::evidence::FactType;

/// A static type. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Null,
    Bool,
    /// A whole number of either sign; unsigned ones included.
    Int,
    Double,
    /// Text; the only values possible, empty when any is.
    String(Arc<[String]>),
    Timestamp,
    Duration,
    List(Arc<Type>),
    Record(Arc<BTreeMap<String, Type>>),
    Map(Arc<Type>),
    /// Known at run time only. Also the type of what is wrong already, so that one mistake is
    /// reported once.
    Dyn,
    /// A place where the unknown object may stand.
    Observed(Arc<Type>),
}

impl Type {
    pub(super) fn of(fact: &FactType) -> Self {
        match fact {
            FactType::Bool => Self::Bool,
            FactType::Int => Self::Int,
            FactType::Double => Self::Double,
            FactType::String { values } => Self::String(values.as_slice().into()),
            FactType::Timestamp => Self::Timestamp,
            FactType::List(item) => Self::List(Arc::new(Self::of(item))),
            FactType::Record(fields) => Self::Record(Arc::new(
                fields
                    .iter()
                    .map(|(name, fact)| (name.clone(), Self::of(&fact.ty)))
                    .collect(),
            )),
            FactType::Map(value) => Self::Map(Arc::new(Self::of(value))),
            FactType::Dyn => Self::Dyn,
            FactType::Observed(inner) => Self::Observed(Arc::new(Self::of(inner))),
        }
    }

    pub(super) fn text() -> Self {
        Self::String(Arc::new([]))
    }

    /// The type of the value, where there is one.
    pub(super) fn seen(&self) -> &Self {
        match self {
            Self::Observed(inner) => inner.seen(),
            other => other,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Dyn)
    }

    /// With its article, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self.seen() {
            Self::Null => "null",
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Double => "a double",
            Self::String(_) => "a string",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
            Self::Map(_) => "a map",
            Self::Dyn | Self::Observed(_) => "a value of any type",
        }
    }

    /// Whether values of the two can be equal.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        match (self.seen(), other.seen()) {
            (Self::Dyn, _)
            | (_, Self::Dyn)
            | (Self::Int | Self::Double, Self::Int | Self::Double)
            | (Self::Null, Self::Null)
            | (Self::Bool, Self::Bool)
            | (Self::String(_), Self::String(_))
            | (Self::Timestamp, Self::Timestamp)
            | (Self::Duration, Self::Duration)
            | (Self::Record(_) | Self::Map(_), Self::Record(_) | Self::Map(_)) => true,
            (Self::List(left), Self::List(right)) => left.comparable(right),
            _ => false,
        }
    }

    /// The type that holds values of both; `Dyn` where there is no other.
    pub(super) fn join(&self, other: &Self) -> Self {
        match (self.seen(), other.seen()) {
            (left, right) if left == right => left.clone(),
            (Self::Int | Self::Double, Self::Int | Self::Double) => Self::Double,
            (Self::String(_), Self::String(_)) => Self::text(),
            (Self::List(left), Self::List(right)) => Self::List(Arc::new(left.join(right))),
            (Self::Map(left), Self::Map(right)) => Self::Map(Arc::new(left.join(right))),
            _ => Self::Dyn,
        }
    }
}
