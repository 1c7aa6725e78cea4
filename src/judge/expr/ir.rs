//! The checked form of an expression: every name is resolved, every literal argument is parsed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::functions::Function;
use super::types::Type;

/// A checked expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A fact of the probe.
    Fact {
        name: String,
        ty: Type,
    },
    /// A macro's variable: its place on the stack of variables.
    Var {
        name: String,
        slot: usize,
    },
    Field {
        operand: Box<Self>,
        name: String,
    },
    Has {
        operand: Box<Self>,
        name: String,
    },
    Index {
        operand: Box<Self>,
        index: Box<Self>,
    },
    Not(Box<Self>),
    Negate(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Binary {
        op: Operator,
        left: Box<Self>,
        right: Box<Self>,
    },
    Ternary {
        condition: Box<Self>,
        then: Box<Self>,
        otherwise: Box<Self>,
    },
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Macro(Box<Macro>),
    Call {
        function: Function,
        method: bool,
        args: Vec<Self>,
    },
    /// `matches` with a literal pattern.
    Matches {
        subject: Box<Self>,
        pattern: Regex,
    },
}

#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    /// `timestamp("…")`, parsed, with its text.
    Timestamp(Timestamp, Arc<str>),
    /// `duration("…")`, parsed, with its text.
    Duration(SignedDuration, Arc<str>),
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) kind: MacroKind,
    pub(super) range: Node,
    pub(super) var: String,
    /// The condition; `map` with two arguments has none.
    pub(super) condition: Option<Node>,
    /// What `map` makes of an element.
    pub(super) body: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacroKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl MacroKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    pub(super) const fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder
        )
    }
}
