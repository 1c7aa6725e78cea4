//! The static check: names, fields and types, against the schema of the facts.

use std::ops::Range;
use std::sync::Arc;

use super::ExprError;
use super::ir::{Literal, Macro, MacroKind, Node, Operator};
use super::parse::{Kind, Tree};
use super::types::Type;
use crate::evidence::FactSchema;

/// Checks a rule.
pub(super) fn check(tree: &Tree, facts: &FactSchema) -> Result<Node, Vec<ExprError>> {
    let mut checker = Checker {
        facts,
        scope: Vec::new(),
        errors: Vec::new(),
    };
    let (node, ty) = checker.check(tree);
    if !matches!(ty, Type::Bool | Type::Dyn) {
        checker.error(
            ExprError::new(
                tree.span.clone(),
                format!("a rule must be true or false; this is {}", ty.describe()),
            )
            .help("compare it with what it should be"),
        );
    }
    if checker.errors.is_empty() {
        Ok(node)
    } else {
        checker.errors.sort_by_key(|error| error.span.start);
        Err(checker.errors)
    }
}

/// Stands where an error was reported; the tree is thrown away.
pub(super) const fn broken() -> (Node, Type) {
    (Node::Literal(Literal::Null), Type::Dyn)
}

pub(super) struct Checker<'s> {
    pub(super) facts: &'s FactSchema,
    scope: Vec<(String, Type)>,
    errors: Vec<ExprError>,
}

impl Checker<'_> {
    pub(super) fn error(&mut self, error: ExprError) {
        self.errors.push(error);
    }

    pub(super) fn check(&mut self, tree: &Tree) -> (Node, Type) {
        let literal = |literal, ty| (Node::Literal(literal), ty);
        match &tree.kind {
            Kind::Null => literal(Literal::Null, Type::Null),
            Kind::Bool(value) => literal(Literal::Bool(*value), Type::Bool),
            Kind::Int(value) => literal(Literal::Int(*value), Type::Int),
            Kind::Uint(value) => literal(Literal::Uint(*value), Type::Int),
            Kind::Double(value) => literal(Literal::Double(*value), Type::Double),
            Kind::String(value) => literal(Literal::String(value.as_str().into()), Type::text()),
            Kind::Name(name) => self.name(name, &tree.span),
            Kind::Select {
                operand,
                field,
                field_span,
                has,
            } => self.select(operand, field, field_span, *has),
            Kind::Index(operand, index) => self.index(operand, index),
            Kind::Not(operand) => {
                let node = self.boolean(operand, "!");
                (Node::Not(Box::new(node)), Type::Bool)
            }
            Kind::Negate(operand) => self.negate(operand),
            Kind::And(terms) => (Node::And(self.booleans(terms, "&&")), Type::Bool),
            Kind::Or(terms) => (Node::Or(self.booleans(terms, "||")), Type::Bool),
            Kind::Binary(op, left, right) => self.binary(*op, left, right, &tree.span),
            Kind::Ternary(condition, then, otherwise) => {
                let condition = Box::new(self.boolean(condition, "?"));
                let (then, left) = self.check(then);
                let (otherwise, right) = self.check(otherwise);
                let ty = left.join(&right);
                let node = Node::Ternary {
                    condition,
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                };
                (node, ty)
            }
            Kind::List(items) => {
                let (nodes, types): (Vec<_>, Vec<_>) =
                    items.iter().map(|item| self.check(item)).unzip();
                (Node::List(nodes), Type::List(Arc::new(join(&types))))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Macro {
                kind,
                range,
                var,
                condition,
                body,
            } => self.r#macro(*kind, range, var, condition.as_deref(), body.as_deref()),
            Kind::Call {
                name,
                name_span,
                target,
                args,
            } => self.call(name, name_span, target.as_deref(), args, &tree.span),
        }
    }

    fn booleans(&mut self, terms: &[Tree], operator: &str) -> Vec<Node> {
        terms
            .iter()
            .map(|term| self.boolean(term, operator))
            .collect()
    }

    fn boolean(&mut self, tree: &Tree, operator: &str) -> Node {
        let (node, ty) = self.check(tree);
        if !matches!(ty, Type::Bool | Type::Dyn) {
            self.error(
                ExprError::new(
                    tree.span.clone(),
                    format!(
                        "`{operator}` wants true or false; this is {}",
                        ty.describe()
                    ),
                )
                .help("compare it with what it should be"),
            );
        }
        node
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> (Node, Type) {
        if let Some(slot) = self.scope.iter().rposition(|(var, _)| var == name) {
            let ty = self.scope[slot].1.clone();
            let name = name.to_owned();
            return (Node::Var { name, slot }, ty);
        }
        if let Some(fact) = self.facts.facts.get(name) {
            let ty = Type::of(&fact.ty);
            let seen = ty.seen().clone();
            let name = name.to_owned();
            return (Node::Fact { name, ty }, seen);
        }
        let known = self.facts.facts.keys().map(String::as_str);
        let vars = self.scope.iter().map(|(var, _)| var.as_str());
        let help = suggest(name, known.clone().chain(vars), "the facts are", known);
        self.error(ExprError::new(span.clone(), format!("there is no fact `{name}`")).help(help));
        broken()
    }

    fn select(
        &mut self,
        operand: &Tree,
        field: &str,
        field_span: &Range<usize>,
        has: bool,
    ) -> (Node, Type) {
        let (node, ty) = self.check(operand);
        let found = match &ty {
            Type::Dyn => Some(Type::Dyn),
            Type::Map(value) => Some(value.seen().clone()),
            Type::Record(fields) => {
                let found = fields.get(field).map(|ty| ty.seen().clone());
                if found.is_none() {
                    let known = fields.keys().map(String::as_str);
                    let help = suggest(field, known.clone(), "the fields are", known);
                    self.error(
                        ExprError::new(
                            field_span.clone(),
                            format!("there is no field `{field}` here"),
                        )
                        .help(help),
                    );
                }
                found
            }
            other => {
                self.error(ExprError::new(
                    field_span.clone(),
                    format!("{} has no field `{field}`", other.describe()),
                ));
                None
            }
        };
        let Some(ty) = found else {
            return broken();
        };
        let (operand, name) = (Box::new(node), field.to_owned());
        if has {
            (Node::Has { operand, name }, Type::Bool)
        } else {
            (Node::Field { operand, name }, ty)
        }
    }

    fn index(&mut self, operand: &Tree, index: &Tree) -> (Node, Type) {
        // A record's field may be written either way.
        if let Kind::String(field) = &index.kind {
            let errors = self.errors.len();
            let (node, ty) = self.check(operand);
            if let Type::Record(_) = ty {
                self.errors.truncate(errors);
                return self.select(operand, field, &index.span, false);
            }
            return self.indexed(node, &ty, index);
        }
        let (node, ty) = self.check(operand);
        self.indexed(node, &ty, index)
    }

    fn indexed(&mut self, operand: Node, ty: &Type, index: &Tree) -> (Node, Type) {
        let (index_node, index_ty) = self.check(index);
        let (wanted, result) = match ty {
            Type::List(item) => ("an int", item.seen().clone()),
            Type::Map(value) => ("a string", value.seen().clone()),
            Type::Dyn => ("an int or a string", Type::Dyn),
            other => {
                self.error(ExprError::new(
                    index.span.clone(),
                    format!("{} cannot be indexed", other.describe()),
                ));
                return broken();
            }
        };
        let fits = match (ty, &index_ty) {
            (_, Type::Dyn) => true,
            (Type::List(_), index) => *index == Type::Int,
            (Type::Map(_), index) => matches!(index, Type::String(_)),
            (_, index) => matches!(index, Type::Int | Type::String(_)),
        };
        if !fits {
            self.error(ExprError::new(
                index.span.clone(),
                format!(
                    "{} is indexed by {wanted}; this is {}",
                    ty.describe(),
                    index_ty.describe()
                ),
            ));
        }
        let node = Node::Index {
            operand: Box::new(operand),
            index: Box::new(index_node),
        };
        (node, result)
    }

    fn negate(&mut self, operand: &Tree) -> (Node, Type) {
        let (node, ty) = self.check(operand);
        if !ty.is_number() && ty != Type::Duration {
            self.error(ExprError::new(
                operand.span.clone(),
                format!("`-` wants a number; this is {}", ty.describe()),
            ));
        }
        (Node::Negate(Box::new(node)), ty)
    }

    fn map(&mut self, entries: &[(Tree, Tree)]) -> (Node, Type) {
        let mut nodes = Vec::with_capacity(entries.len());
        let mut types = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key_node, key_ty) = self.check(key);
            if !matches!(key_ty, Type::String(_) | Type::Dyn) {
                self.error(ExprError::new(
                    key.span.clone(),
                    format!(
                        "the keys of a map are strings; this is {}",
                        key_ty.describe()
                    ),
                ));
            }
            let (value_node, value_ty) = self.check(value);
            nodes.push((key_node, value_node));
            types.push(value_ty);
        }
        (Node::Map(nodes), Type::Map(Arc::new(join(&types))))
    }

    fn r#macro(
        &mut self,
        kind: MacroKind,
        range: &Tree,
        var: &str,
        condition: Option<&Tree>,
        body: Option<&Tree>,
    ) -> (Node, Type) {
        let (range_node, range_ty) = self.check(range);
        let item = match &range_ty {
            Type::List(item) => item.seen().clone(),
            Type::Map(_) => Type::text(),
            Type::Dyn => Type::Dyn,
            other => {
                self.error(ExprError::new(
                    range.span.clone(),
                    format!(
                        "`{}` goes over a list or the keys of a map; this is {}",
                        kind.name(),
                        other.describe()
                    ),
                ));
                Type::Dyn
            }
        };
        self.scope.push((var.to_owned(), item.clone()));
        let condition = condition.map(|condition| self.boolean(condition, kind.name()));
        let body = body.map(|body| self.check(body));
        self.scope.pop();
        let ty = match (kind, &body) {
            (MacroKind::Filter, _) => Type::List(Arc::new(item)),
            (MacroKind::Map, Some((_, ty))) => Type::List(Arc::new(ty.clone())),
            _ => Type::Bool,
        };
        let node = Node::Macro(Box::new(Macro {
            kind,
            range: range_node,
            var: var.to_owned(),
            condition,
            body: body.map(|(node, _)| node),
        }));
        (node, ty)
    }

    fn binary(
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

fn join(types: &[Type]) -> Type {
    types
        .iter()
        .cloned()
        .reduce(|left, right| left.join(&right))
        .unwrap_or(Type::Dyn)
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

/// The nearest known word, or all of them.
pub(super) fn suggest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
    intro: &str,
    all: impl Iterator<Item = &'a str>,
) -> String {
    let nearest = candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + candidate.len() / 4 => {
            format!("did you mean `{candidate}`?")
        }
        _ => {
            let all: Vec<_> = all.collect();
            format!("{intro}: {}", all.join(", "))
        }
    }
}
