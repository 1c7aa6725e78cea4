//! The static check of operators.

use std::ops::Range;
use std::sync::Arc;

use super::ExprError;
use super::check::{Checker, suggest};
use super::ir::{Node, Operator};
use super::parse::{Kind, Tree};
use super::types::Type;

impl Checker<'_> {
    pub(super) fn binary(
        &mut self,
        op: Operator,
        left: &Tree,
        right: &Tree,
        span: &Range<usize>,
    ) -> (Node, Type) {
        let (left_node, left_ty) = self.check(left);
        let (right_node, right_ty) = self.check(right);
        let ty = if op.is_arithmetic() {
            self.arithmetic(op, &left_ty, &right_ty, span)
        } else {
            self.relation(op, (left, &left_ty), (right, &right_ty), span);
            Type::Bool
        };
        let node = Node::Binary {
            op,
            left: Box::new(left_node),
            right: Box::new(right_node),
        };
        (node, ty)
    }

    fn arithmetic(&mut self, op: Operator, left: &Type, right: &Type, span: &Range<usize>) -> Type {
        use Operator::{Add, Remainder, Subtract};
        use Type::{Double, Duration, Dyn, Int, List, String, Timestamp};
        let ty = match (op, left, right) {
            (_, Dyn, _) | (_, _, Dyn) => Some(Dyn),
            (_, Int, Int) => Some(Int),
            (Remainder, Double, _) | (Remainder, _, Double) => None,
            (_, Int | Double, Int | Double) => Some(Double),
            (Add, String(_), String(_)) => Some(Type::text()),
            (Add, List(left), List(right)) => Some(List(Arc::new(left.join(right)))),
            (Add | Subtract, Timestamp, Duration) | (Add, Duration, Timestamp) => Some(Timestamp),
            (Subtract, Timestamp, Timestamp) | (Add | Subtract, Duration, Duration) => {
                Some(Duration)
            }
            _ => None,
        };
        ty.unwrap_or_else(|| {
            self.error(ExprError::new(
                span.clone(),
                format!(
                    "`{}` does not take {} and {}",
                    op.symbol(),
                    left.describe(),
                    right.describe()
                ),
            ));
            Dyn
        })
    }

    fn relation(
        &mut self,
        op: Operator,
        left: (&Tree, &Type),
        right: (&Tree, &Type),
        span: &Range<usize>,
    ) {
        match op {
            Operator::In => self.membership(left, right),
            Operator::Equal | Operator::NotEqual => self.equality(left, right, span),
            _ => {
                let ordered = |ty: &Type| {
                    ty.is_number()
                        || matches!(ty, Type::String(_) | Type::Timestamp | Type::Duration)
                };
                if ordered(left.1) && ordered(right.1) {
                    self.equality(left, right, span);
                    return;
                }
                let culprit = if ordered(left.1) { right } else { left };
                let error = ExprError::new(
                    span.clone(),
                    format!(
                        "`{}` orders numbers, strings, timestamps and durations; this is {}",
                        op.symbol(),
                        culprit.1.describe()
                    ),
                );
                self.error(match culprit.0.kind {
                    Kind::Binary(..) => error.help("write a < x && x < b"),
                    _ => error,
                });
            }
        }
    }

    fn equality(&mut self, left: (&Tree, &Type), right: (&Tree, &Type), span: &Range<usize>) {
        if !left.1.comparable(right.1) {
            let error = ExprError::new(
                span.clone(),
                format!(
                    "{} is compared with {}",
                    left.1.describe(),
                    right.1.describe()
                ),
            );
            let help = comparison_help(left, right).or_else(|| comparison_help(right, left));
            self.error(match help {
                Some(help) => error.help(help),
                None => error,
            });
            return;
        }
        self.possible(left.1, right.0);
        self.possible(right.1, left.0);
    }

    fn membership(&mut self, item: (&Tree, &Type), within: (&Tree, &Type)) {
        match within.1 {
            Type::Dyn => {}
            Type::List(_) => {
                if let Kind::List(literals) = &within.0.kind {
                    for literal in literals {
                        let errors = self.errors.len();
                        let (_, ty) = self.check(literal);
                        self.errors.truncate(errors);
                        self.equality(item, (literal, &ty), &literal.span);
                    }
                } else if let Type::List(inner) = within.1 {
                    self.equality(item, (within.0, inner.seen()), &within.0.span);
                }
            }
            Type::Map(_) | Type::Record(_) => {
                if !matches!(item.1, Type::String(_) | Type::Dyn) {
                    self.error(ExprError::new(
                        item.0.span.clone(),
                        format!(
                            "the keys of a map are strings; this is {}",
                            item.1.describe()
                        ),
                    ));
                }
            }
            other => {
                let error = ExprError::new(
                    within.0.span.clone(),
                    format!(
                        "`in` looks into a list or the keys of a map; this is {}",
                        other.describe()
                    ),
                );
                self.error(match other {
                    Type::String(_) => error.help("write text.contains(part)"),
                    _ => error,
                });
            }
        }
    }

    /// A literal that a fact with few values never takes.
    fn possible(&mut self, ty: &Type, literal: &Tree) {
        let (Type::String(values), Kind::String(text)) = (ty, &literal.kind) else {
            return;
        };
        if values.is_empty() || values.contains(text) {
            return;
        }
        let known = values.iter().map(String::as_str);
        let help = suggest(text, known.clone(), "the values are", known);
        self.error(
            ExprError::new(literal.span.clone(), format!("this never is \"{text}\"")).help(help),
        );
    }
}

fn comparison_help(one: (&Tree, &Type), other: (&Tree, &Type)) -> Option<String> {
    match (one.1, &other.0.kind) {
        (Type::Int | Type::Double, Kind::String(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("write {text}, without the quotes"))
        }
        (Type::String(_), Kind::Int(number)) => Some(format!("write \"{number}\", in quotes")),
        (Type::Timestamp, Kind::String(text)) => Some(format!("write timestamp(\"{text}\")")),
        (Type::Duration, Kind::String(text)) => Some(format!("write duration(\"{text}\")")),
        (_, Kind::Null) => Some(
            "a fact is never null: one that was not seen makes the rule unknown by itself"
                .to_owned(),
        ),
        _ => None,
    }
}
