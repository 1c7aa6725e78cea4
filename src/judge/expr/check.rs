//! The static check: names, fields and types, against the schema of the facts.

use std::ops::Range;
use std::sync::Arc;

use super::ExprError;
use super::ir::{Literal, Macro, MacroKind, Node};
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
    pub(super) errors: Vec<ExprError>,
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
}

fn join(types: &[Type]) -> Type {
    types
        .iter()
        .cloned()
        .reduce(|left, right| left.join(&right))
        .unwrap_or(Type::Dyn)
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
