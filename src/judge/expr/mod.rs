//! Rules' expressions: CEL, checked against the facts of a kind when the configuration is read,
//! and evaluated with three values: true, false and unknown.
//!
//! A fact that was not seen makes what touches it unknown. `true || unknown` is true and
//! `false && unknown` is false, in either order; `all` over nothing is unknown. What goes wrong
//! at run time (a missing key, a wrong type, an overflow) is unknown too, never a default.

mod call;
mod check;
mod check_call;
mod check_operator;
mod eval;
mod explain;
mod functions;
mod ir;
mod macros;
mod operators;
mod parse;
mod syntax;
mod text;
mod types;
mod unparse;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::evidence::FactSchema;

/// A compiled rule. Cloning is cheap.
#[derive(Clone)]
pub struct Program(Arc<Compiled>);

struct Compiled {
    source: String,
    root: ir::Node,
}

/// What is wrong in an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Bytes of the source, within it and on character boundaries.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl ExprError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether it holds; `None`: unknown.
    pub value: Option<bool>,
    /// The deciding part of the expression with the values observed, or why it is unknown.
    pub reason: String,
}

impl Program {
    /// Compiles a rule and checks it against the facts of its kind.
    ///
    /// # Errors
    /// All that is wrong, in the order of the source; of syntax errors the first alone.
    pub fn compile(source: &str, facts: &FactSchema) -> Result<Self, Vec<ExprError>> {
        let tree = parse::parse(source).map_err(|error| vec![error])?;
        let root = check::check(&tree, facts)?;
        Ok(Self(Arc::new(Compiled {
            source: source.to_owned(),
            root,
        })))
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Evaluates it over facts, at a time. The work is bounded; past the bound it is unknown.
    pub fn evaluate(&self, facts: &Map<String, Value>, now: Timestamp) -> Evaluation {
        explain::evaluate(&self.0.root, facts, now)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({:?})", self.0.source)
    }
}
