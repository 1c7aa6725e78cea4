//! What the operators do.

use std::cmp::Ordering;

use super::eval::{MAX_SHOWN, Outcome, Run, Unknown};
use super::ir::{Node, Operator};
use super::value::{Brief, List, Map, Val};

impl<'a> Run<'a> {
    pub(super) fn binary(
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
}
