//! The evaluator: three-valued, and bounded in work.

use std::cmp::Ordering;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json};

use super::ir::{Literal, Macro, MacroKind, Node, Operator};
use super::text::truncate;
use super::unparse;
use super::value::{Brief, List, Map, Slot, Text, Val, Why};

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
        match u32::try_from(steps)
            .ok()
            .and_then(|n| self.steps.checked_sub(n))
        {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Unknown::TooExpensive)
            }
        }
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
            Val::Map(map) => match map.get(name) {
                Some(slot) => self.read(node, &slot),
                None => {
                    let what = format!("`{}` has no `{name}`", unparse::text(operand));
                    self.trouble(node, &what)
                }
            },
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
    fn present(
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
                let slot = usize::try_from(*at).ok().and_then(|at| list.get(at));
                match slot {
                    Some(slot) => self.read(node, &slot),
                    None => {
                        let what = format!("there is no element {at} in a list of {}", list.len());
                        self.trouble(node, &what)
                    }
                }
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

    fn binary(
        &mut self,
        node: &'a Node,
        op: Operator,
        left: &'a Node,
        right: &'a Node,
    ) -> Outcome<'a> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        let order = |ordering: fn(Ordering) -> bool| match left.order(&right) {
            Some(order) => Ok(Val::Bool(ordering(order))),
            None => Err(()),
        };
        let ordered = match op {
            Operator::Equal => return self.equal(node, &left, &right).map(Val::Bool),
            Operator::NotEqual => return self.equal(node, &left, &right).map(|b| Val::Bool(!b)),
            Operator::In => return self.within(node, &left, &right).map(Val::Bool),
            Operator::Less => order(Ordering::is_lt),
            Operator::LessOrEqual => order(Ordering::is_le),
            Operator::Greater => order(Ordering::is_gt),
            Operator::GreaterOrEqual => order(Ordering::is_ge),
            _ => return self.arithmetic(node, op, &left, &right),
        };
        match ordered {
            Ok(value) => {
                if let (Val::Text(left), Val::Text(right)) = (&left, &right) {
                    self.step_text(left.as_str().len().min(right.as_str().len()))?;
                }
                Ok(value)
            }
            Err(()) => self.mismatch(node, &left, &right),
        }
    }

    fn mismatch<T>(&mut self, node: &Node, left: &Val<'_>, right: &Val<'_>) -> Result<T, Unknown> {
        let what = format!(
            "{} is compared with {}: observed {} and {}",
            left.describe(),
            right.describe(),
            Brief::of(left, MAX_SHOWN),
            Brief::of(right, MAX_SHOWN)
        );
        self.trouble(node, &what)
    }

    fn equal(&mut self, node: &Node, left: &Val<'a>, right: &Val<'a>) -> Result<bool, Unknown> {
        self.step(1)?;
        match (left, right) {
            (Val::Null, Val::Null) => Ok(true),
            (Val::Null, _) | (_, Val::Null) => Ok(false),
            (Val::Bool(left), Val::Bool(right)) => Ok(left == right),
            (Val::Text(left), Val::Text(right)) => {
                self.step_text(left.as_str().len().min(right.as_str().len()))?;
                Ok(left.as_str() == right.as_str())
            }
            (Val::List(left), Val::List(right)) => self.equal_lists(node, left, right),
            (Val::Map(left), Val::Map(right)) => self.equal_maps(node, left, right),
            (left, right) => match left.order(right) {
                Some(order) => Ok(order.is_eq()),
                None => self.mismatch(node, left, right),
            },
        }
    }

    fn equal_lists(
        &mut self,
        node: &Node,
        left: &List<'a>,
        right: &List<'a>,
    ) -> Result<bool, Unknown> {
        let mut same = left.len() == right.len();
        for at in 0..left.len().max(right.len()) {
            let left = left
                .get(at)
                .map(|slot| self.read(node, &slot))
                .transpose()?;
            let right = right
                .get(at)
                .map(|slot| self.read(node, &slot))
                .transpose()?;
            if let (Some(left), Some(right)) = (left, right) {
                same &= self.equal(node, &left, &right)?;
            } else {
                self.step(1)?;
            }
        }
        Ok(same)
    }

    fn equal_maps(
        &mut self,
        node: &Node,
        left: &Map<'a>,
        right: &Map<'a>,
    ) -> Result<bool, Unknown> {
        let mut same = left.len() == right.len();
        self.step(left.len())?;
        for key in left.keys() {
            let key = key.as_text().unwrap_or_default();
            let one = left
                .get(key)
                .map(|slot| self.read(node, &slot))
                .transpose()?;
            let other = right
                .get(key)
                .map(|slot| self.read(node, &slot))
                .transpose()?;
            match (one, other) {
                (Some(one), Some(other)) => same &= self.equal(node, &one, &other)?,
                _ => same = false,
            }
        }
        Ok(same)
    }

    fn within(&mut self, node: &'a Node, item: &Val<'a>, all: &Val<'a>) -> Result<bool, Unknown> {
        match (item, all) {
            (_, Val::List(list)) => {
                let mut unknown = None;
                for at in 0..list.len() {
                    let Some(slot) = list.get(at) else { break };
                    let same = self
                        .read(node, &slot)
                        .and_then(|value| self.equal(node, item, &value));
                    match same {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(Unknown::TooExpensive) => return Err(Unknown::TooExpensive),
                        Err(reason) => unknown = unknown.or(Some(reason)),
                    }
                }
                unknown.map_or(Ok(false), Err)
            }
            (Val::Text(key), Val::Map(map)) => {
                self.step(1)?;
                self.present(node, node, map, key.as_str())
            }
            (item, all) => {
                let what = format!("{} is looked for in {}", item.describe(), all.describe());
                self.trouble(node, &what)
            }
        }
    }

    fn arithmetic(
        &mut self,
        node: &'a Node,
        op: Operator,
        left: &Val<'a>,
        right: &Val<'a>,
    ) -> Outcome<'a> {
        use Operator::{Add, Subtract};
        let result = match (op, left, right) {
            (Add, Val::Text(left), Val::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                self.step_text(left.len() + right.len())?;
                Some(Val::made(format!("{left}{right}")))
            }
            (Add, Val::List(left), Val::List(right)) => {
                self.step(left.len() + right.len())?;
                let mut items = Vec::with_capacity(left.len() + right.len());
                for list in [left, right] {
                    for at in 0..list.len() {
                        if let Some(slot) = list.get(at) {
                            items.push(self.read(node, &slot)?);
                        }
                    }
                }
                Some(Val::list(items))
            }
            (Add, Val::Timestamp(at), Val::Duration(by))
            | (Add, Val::Duration(by), Val::Timestamp(at)) => {
                at.checked_add(*by).ok().map(Val::Timestamp)
            }
            (Subtract, Val::Timestamp(at), Val::Duration(by)) => {
                at.checked_sub(*by).ok().map(Val::Timestamp)
            }
            (Subtract, Val::Timestamp(left), Val::Timestamp(right)) => {
                Some(Val::Duration(left.duration_since(*right)))
            }
            (Add, Val::Duration(left), Val::Duration(right)) => {
                left.checked_add(*right).map(Val::Duration)
            }
            (Subtract, Val::Duration(left), Val::Duration(right)) => {
                left.checked_sub(*right).map(Val::Duration)
            }
            (op, left, right) => return self.numbers(node, op, left, right),
        };
        match result {
            Some(value) => Ok(value),
            None => self.trouble(node, "the result is out of range"),
        }
    }

    fn numbers(
        &mut self,
        node: &'a Node,
        op: Operator,
        left: &Val<'a>,
        right: &Val<'a>,
    ) -> Outcome<'a> {
        let divides = matches!(op, Operator::Divide | Operator::Remainder);
        if let (Some(left), Some(right)) = (left.as_whole(), right.as_whole()) {
            if divides && right == 0 {
                return self.trouble(node, "division by zero");
            }
            let result = match op {
                Operator::Add => left.checked_add(right),
                Operator::Subtract => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Divide => left.checked_div(right),
                _ => left.checked_rem(right),
            };
            return match result.and_then(Val::whole) {
                Some(value) => Ok(value),
                None => self.trouble(node, "the result is out of range"),
            };
        }
        let (Some(one), Some(other)) = (left.as_double(), right.as_double()) else {
            let what = format!(
                "`{}` does not take {} and {}",
                op.symbol(),
                left.describe(),
                right.describe()
            );
            return self.trouble(node, &what);
        };
        let result = match op {
            Operator::Add => one + other,
            Operator::Subtract => one - other,
            Operator::Multiply => one * other,
            Operator::Divide => one / other,
            _ => return self.trouble(node, "`%` takes whole numbers"),
        };
        if result.is_finite() {
            Ok(Val::Double(result))
        } else if divides && other == 0.0 {
            self.trouble(node, "division by zero")
        } else {
            self.trouble(node, "the result is out of range")
        }
    }

    /// The elements a macro goes over.
    pub(super) fn elements(&mut self, node: &Node, range: &'a Node) -> Result<List<'a>, Unknown> {
        match self.eval(range)? {
            Val::List(list) => Ok(list),
            Val::Map(map) => {
                self.step(map.len())?;
                Ok(List::Made(map.keys().into()))
            }
            other => {
                let what = format!("{} is neither a list nor a map", other.describe());
                self.trouble(node, &what)
            }
        }
    }

    /// Evaluates with the macro's variable set.
    pub(super) fn with_var<T>(&mut self, slot: Slot<'a>, f: impl FnOnce(&mut Self) -> T) -> T {
        self.vars.push(slot);
        let result = f(self);
        self.vars.pop();
        result
    }

    fn r#macro(&mut self, node: &'a Node, call: &'a Macro) -> Outcome<'a> {
        let list = self.elements(node, &call.range)?;
        match (call.kind, &call.condition) {
            (MacroKind::All, _) if list.len() == 0 => {
                let place = truncate(unparse::text(node), MAX_SHOWN);
                Err(self.unknown(format!(
                    "`{place}`: all over an empty list: nothing was seen"
                )))
            }
            (MacroKind::All, Some(condition)) => self.quantify(&list, condition, false),
            (MacroKind::Exists, Some(condition)) => self.quantify(&list, condition, true),
            (MacroKind::ExistsOne, Some(condition)) => {
                let mut found = 0_usize;
                for at in 0..list.len() {
                    found += usize::from(self.condition(&list, at, condition)?);
                }
                Ok(Val::Bool(found == 1))
            }
            _ => self.collect(&list, call),
        }
    }

    /// `all` is decided by one false, `exists` by one true.
    fn quantify(&mut self, list: &List<'a>, condition: &'a Node, decisive: bool) -> Outcome<'a> {
        let mut unknown = None;
        for at in 0..list.len() {
            match self.condition(list, at, condition) {
                Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(Unknown::TooExpensive) => return Err(Unknown::TooExpensive),
                Err(reason) => unknown = unknown.or(Some(reason)),
            }
        }
        match unknown {
            Some(reason) => Err(reason),
            None => Ok(Val::Bool(!decisive)),
        }
    }

    fn condition(
        &mut self,
        list: &List<'a>,
        at: usize,
        condition: &'a Node,
    ) -> Result<bool, Unknown> {
        let Some(slot) = list.get(at) else {
            return Err(self.unknown("an element went missing".to_owned()));
        };
        let result = self.with_var(slot.clone(), |run| run.boolean(condition));
        match result {
            Err(Unknown::Because(reason)) => {
                let subject = super::explain::subject(&slot, at);
                Err(self.unknown(format!("for {subject}: {reason}")))
            }
            other => other,
        }
    }

    fn collect(&mut self, list: &List<'a>, call: &'a Macro) -> Outcome<'a> {
        let mut made = Vec::new();
        for at in 0..list.len() {
            self.step(1)?;
            let wanted = match &call.condition {
                Some(condition) => self.condition(list, at, condition)?,
                None => true,
            };
            let Some(slot) = list.get(at).filter(|_| wanted) else {
                continue;
            };
            made.push(match &call.body {
                Some(body) => self.with_var(slot, |run| run.eval(body))?,
                None => self.read(&call.range, &slot)?,
            });
        }
        Ok(Val::list(made))
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
