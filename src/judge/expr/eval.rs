//! The evaluator: three-valued, and bounded in work.

use std::rc::Rc;

use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json};

use super::ir::{Literal, Node};
use super::text::truncate;
use super::unparse;
use super::value::{Brief, Map, Slot, Text, Val, Why};

/// Steps of one evaluation. A large body of a few ten thousand items is walked; a loop over a
/// loop over it is not.
const MAX_STEPS: u32 = 2_000_000;
/// Steps that making an explanation of an unknown counts as.
const UNKNOWN_STEPS: usize = 40;
/// Bytes of text that are looked at in one step.
const STEP_BYTES: usize = 32;
/// How much of an expression or a value is shown.
pub(super) const MAX_SHOWN: usize = 200;

/// Why there is no value.
#[derive(Debug, Clone)]
pub(super) enum Unknown {
    Because(Rc<str>),
    TooExpensive,
}

impl Unknown {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Because(text) => text,
            Self::TooExpensive => "the rule is too expensive over these facts",
        }
    }
}

pub(super) type Outcome<'a> = Result<Val<'a>, Unknown>;

/// One evaluation.
pub(super) struct Run<'a> {
    pub(super) facts: &'a JsonMap<String, Json>,
    pub(super) now: Timestamp,
    pub(super) vars: Vec<Slot<'a>>,
    steps: u32,
}

impl<'a> Run<'a> {
    pub(super) const fn new(facts: &'a JsonMap<String, Json>, now: Timestamp) -> Self {
        Self {
            facts,
            now,
            vars: Vec::new(),
            steps: MAX_STEPS,
        }
    }

    /// Counts work.
    pub(super) fn step(&mut self, steps: usize) -> Result<(), Unknown> {
        let left = u32::try_from(steps)
            .ok()
            .and_then(|steps| self.steps.checked_sub(steps));
        self.steps = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Unknown::TooExpensive)
    }

    /// Counts the work of looking at text.
    pub(super) fn step_text(&mut self, bytes: usize) -> Result<(), Unknown> {
        self.step(bytes / STEP_BYTES)
    }

    pub(super) fn unknown(&mut self, text: String) -> Unknown {
        match self.step(UNKNOWN_STEPS) {
            Ok(()) => Unknown::Because(text.into()),
            Err(unknown) => unknown,
        }
    }

    /// Something went wrong at `node`.
    pub(super) fn trouble<T>(&mut self, node: &Node, what: &str) -> Result<T, Unknown> {
        let place = truncate(unparse::text(node), MAX_SHOWN);
        Err(self.unknown(format!("`{place}`: {what}")))
    }

    fn blank<T>(&mut self, node: &Node, why: &Why<'_>) -> Result<T, Unknown> {
        let place = truncate(unparse::text(node), MAX_SHOWN);
        let text = match why {
            Why::Unknown(class, "") => {
                format!("`{place}` is unknown: {}", class.replace('_', " "))
            }
            Why::Unknown(class, detail) => {
                format!(
                    "`{place}` is unknown: {}: {detail}",
                    class.replace('_', " ")
                )
            }
            Why::Type(json, wanted) => {
                let shown = super::value::read(json, &super::value::DYN)
                    .map(|value| Brief::of(&value, MAX_SHOWN))
                    .unwrap_or_default();
                format!("`{place}` is not {wanted}: observed {shown}")
            }
        };
        Err(self.unknown(text))
    }

    pub(super) fn read(&mut self, node: &Node, slot: &Slot<'a>) -> Outcome<'a> {
        match slot.read() {
            Ok(value) => Ok(value),
            Err(why) => self.blank(node, &why),
        }
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Outcome<'a> {
        self.step(1)?;
        match node {
            Node::Literal(literal) => Ok(constant(literal)),
            Node::Fact { name, ty } => match self.facts.get(name) {
                Some(json) => self.read(node, &Slot::Json(json, ty)),
                None => Err(self.unknown(format!(
                    "`{name}` is unknown: this evidence does not have it"
                ))),
            },
            Node::Var { slot, .. } => match self.vars.get(*slot).cloned() {
                Some(slot) => self.read(node, &slot),
                None => self.trouble(node, "the variable has no value"),
            },
            Node::Field { operand, name } => {
                let value = self.eval(operand)?;
                self.field(node, operand, &value, name)
            }
            Node::Has { operand, name } => self.has(node, operand, name),
            Node::Index { operand, index } => self.index(node, operand, index),
            Node::Not(operand) => self.boolean(operand).map(|value| Val::Bool(!value)),
            Node::Negate(operand) => self.negate(node, operand),
            Node::And(terms) => self.junction(terms, false),
            Node::Or(terms) => self.junction(terms, true),
            Node::Binary { op, left, right } => self.binary(node, *op, left, right),
            Node::Ternary {
                condition,
                then,
                otherwise,
            } => {
                if self.boolean(condition)? {
                    self.eval(then)
                } else {
                    self.eval(otherwise)
                }
            }
            Node::List(items) => {
                let values: Result<Vec<_>, _> = items.iter().map(|item| self.eval(item)).collect();
                values.map(Val::list)
            }
            Node::Map(entries) => self.map(node, entries),
            Node::Macro(call) => self.r#macro(node, call),
            Node::Call { function, args, .. } => self.call(node, *function, args),
            Node::Matches { subject, pattern } => {
                let value = self.eval(subject)?;
                let Some(text) = value.as_text() else {
                    return self.trouble(node, &format!("{} is not a string", value.describe()));
                };
                self.step(text.len() / 8)?;
                Ok(Val::Bool(pattern.is_match(text)))
            }
        }
    }

    /// Evaluates what must be true or false.
    pub(super) fn boolean(&mut self, node: &'a Node) -> Result<bool, Unknown> {
        match self.eval(node)? {
            Val::Bool(value) => Ok(value),
            other => {
                let what = format!(
                    "{} is neither true nor false: observed {}",
                    other.describe(),
                    Brief::of(&other, MAX_SHOWN)
                );
                self.trouble(node, &what)
            }
        }
    }

    /// `&&` is decided by one false, `||` by one true, whatever the others are.
    fn junction(&mut self, terms: &'a [Node], decisive: bool) -> Outcome<'a> {
        let mut unknown = None;
        for term in terms {
            match self.boolean(term) {
                Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(reason) => unknown = unknown.or(Some(reason)),
            }
        }
        match unknown {
            Some(reason) => Err(reason),
            None => Ok(Val::Bool(!decisive)),
        }
    }

    fn field(&mut self, node: &Node, operand: &Node, value: &Val<'a>, name: &str) -> Outcome<'a> {
        match value {
            Val::Map(map) => {
                if let Some(slot) = map.get(name) {
                    return self.read(node, &slot);
                }
                let what = format!("`{}` has no `{name}`", unparse::text(operand));
                self.trouble(node, &what)
            }
            other => {
                let what = format!("{} has no `{name}`", other.describe());
                self.trouble(node, &what)
            }
        }
    }

    fn has(&mut self, node: &'a Node, operand: &'a Node, name: &str) -> Outcome<'a> {
        match self.eval(operand)? {
            Val::Map(map) => self.present(node, operand, &map, name).map(Val::Bool),
            other => {
                let what = format!("{} has no fields", other.describe());
                self.trouble(node, &what)
            }
        }
    }

    /// Whether a map has a key. A record has all its fields: one that is not there was not
    /// looked at, and one that is unknown was not seen.
    pub(super) fn present(
        &mut self,
        node: &Node,
        operand: &Node,
        map: &Map<'a>,
        name: &str,
    ) -> Result<bool, Unknown> {
        match (map, map.get(name)) {
            (_, Some(slot)) => self.read(node, &slot).map(|_| true),
            (Map::Record(_, fields), None) if fields.contains_key(name) => {
                let what = format!("`{}` has no `{name}`", unparse::text(operand));
                self.trouble(node, &what)
            }
            _ => Ok(false),
        }
    }

    fn index(&mut self, node: &'a Node, operand: &'a Node, index: &'a Node) -> Outcome<'a> {
        let value = self.eval(operand)?;
        let index = self.eval(index)?;
        match (&value, &index) {
            (Val::List(list), Val::Int(at)) => {
                if let Some(slot) = usize::try_from(*at).ok().and_then(|at| list.get(at)) {
                    return self.read(node, &slot);
                }
                let what = format!("there is no element {at} in a list of {}", list.len());
                self.trouble(node, &what)
            }
            (Val::Map(_), Val::Text(key)) => self.field(node, operand, &value, key.as_str()),
            (value, index) => {
                let what = format!("{} is indexed by {}", value.describe(), index.describe());
                self.trouble(node, &what)
            }
        }
    }

    fn negate(&mut self, node: &'a Node, operand: &'a Node) -> Outcome<'a> {
        let value = self.eval(operand)?;
        let negated = match &value {
            Val::Double(value) => Some(Val::Double(-value)),
            Val::Duration(value) => value.checked_neg().map(Val::Duration),
            other => other.as_whole().and_then(|value| Val::whole(-value)),
        };
        match negated {
            Some(value) => Ok(value),
            None => self.trouble(node, &format!("{} cannot be negated", value.describe())),
        }
    }

    fn map(&mut self, node: &'a Node, entries: &'a [(Node, Node)]) -> Outcome<'a> {
        let mut made: Vec<(Text<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Val::Text(key) = self.eval(key)? else {
                return self.trouble(node, "the keys of a map are strings");
            };
            if made.iter().any(|(other, _)| other.as_str() == key.as_str()) {
                return self.trouble(node, "a key is given twice");
            }
            made.push((key, self.eval(value)?));
        }
        Ok(Val::Map(Map::Made(made.into())))
    }
}

fn constant(literal: &Literal) -> Val<'_> {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(value) => Val::Bool(*value),
        Literal::Int(value) => Val::Int(*value),
        Literal::Uint(value) => i64::try_from(*value).map_or(Val::Uint(*value), Val::Int),
        Literal::Double(value) => Val::Double(*value),
        Literal::String(value) => Val::Text(Text::Seen(value)),
        Literal::Timestamp(at, _) => Val::Timestamp(*at),
        Literal::Duration(duration, _) => Val::Duration(*duration),
    }
}
