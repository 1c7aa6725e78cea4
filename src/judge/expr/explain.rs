//! Reasons: the part of an expression that decided, and what was observed there.

use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json};

use super::Evaluation;
use super::eval::{MAX_SHOWN, Run};
use super::ir::{Macro, MacroKind, Node};
use super::text::truncate;
use super::unparse;
use super::value::{Brief, List, Slot, Val};

/// The longest reason.
const MAX_REASON_CHARS: usize = 2_000;

/// Fields that name an element, best first.
const IDENTIFYING: &[&str] = &[
    "name",
    "id",
    "address",
    "resolver",
    "host",
    "slot",
    "application_name",
    "topic",
    "queue",
    "group",
    "partition",
    "role",
    "user",
    "subject",
    "url",
    "path",
    "key",
    "title",
];

/// Evaluates a rule and says why it came out as it did.
pub(super) fn evaluate(root: &Node, facts: &JsonMap<String, Json>, now: Timestamp) -> Evaluation {
    match Run::new(facts, now).boolean(root) {
        Ok(value) => Evaluation {
            value: Some(value),
            reason: truncate(Run::new(facts, now).explain(root, value), MAX_REASON_CHARS),
        },
        Err(unknown) => Evaluation {
            value: None,
            reason: truncate(unknown.text().to_owned(), MAX_REASON_CHARS),
        },
    }
}

/// What an element is called: by a field that names it, by its value, or by its place.
pub(super) fn subject(slot: &Slot<'_>, at: usize) -> String {
    let plain = |value: &Val<'_>| match value {
        Val::Text(text) => Some(truncate(
            text.as_str().chars().take(MAX_SHOWN).collect(),
            100,
        )),
        Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Bool(_) | Val::Timestamp(_) => {
            Some(Brief::of(value, 100))
        }
        _ => None,
    };
    let named = match slot.read() {
        Ok(Val::Map(map)) => IDENTIFYING.iter().find_map(|field| {
            let value = map.get(field)?.read().ok()?;
            plain(&value)
        }),
        Ok(value) => plain(&value),
        Err(_) => None,
    };
    named.unwrap_or_else(|| format!("element {at}"))
}

fn shown(node: &Node) -> String {
    truncate(unparse::text(node), MAX_SHOWN)
}

impl<'a> Run<'a> {
    /// Why `node` is `value`.
    fn explain(&mut self, node: &'a Node, value: bool) -> String {
        match node {
            Node::And(terms) => self.explain_junction(terms, value, false),
            Node::Or(terms) => self.explain_junction(terms, value, true),
            Node::Not(operand) => match operand.as_ref() {
                Node::And(_) | Node::Or(_) | Node::Macro(_) | Node::Ternary { .. } => {
                    format!("{}: {}", shown(node), self.explain(operand, !value))
                }
                operand => self.observed(node, &[operand]),
            },
            Node::Ternary {
                condition,
                then,
                otherwise,
            } => match self.boolean(condition) {
                Ok(holds) => {
                    let branch = if holds { then } else { otherwise };
                    format!(
                        "{} ({} is {holds})",
                        self.explain(branch, value),
                        shown(condition)
                    )
                }
                Err(_) => shown(node),
            },
            Node::Macro(call) => self.explain_macro(node, call, value),
            Node::Binary { left, right, .. } => self.observed(node, &[left, right]),
            Node::Call { args, .. } => {
                let args: Vec<_> = args.iter().collect();
                self.observed(node, &args)
            }
            Node::Matches { subject, .. } => self.observed(node, &[subject]),
            Node::Has { .. } => {
                format!(
                    "{}: {}",
                    shown(node),
                    if value { "present" } else { "absent" }
                )
            }
            Node::Literal(_) => shown(node),
            _ => self.observed(node, &[node]),
        }
    }

    /// One term that decided, or all of them where none could alone.
    fn explain_junction(&mut self, terms: &'a [Node], value: bool, decisive: bool) -> String {
        if value == decisive {
            let decided = terms
                .iter()
                .find(|term| self.boolean(term).is_ok_and(|it| it == decisive));
            return match decided {
                Some(term) => self.explain(term, decisive),
                None => String::new(),
            };
        }
        let mut parts = Vec::with_capacity(terms.len());
        let mut chars = 0;
        for term in terms {
            if chars > MAX_REASON_CHARS {
                break;
            }
            let part = self.explain(term, value);
            chars += part.len();
            parts.push(part);
        }
        parts.join("; ")
    }

    /// `text: observed values`, of what is not written in the expression itself.
    fn observed(&mut self, node: &'a Node, operands: &[&'a Node]) -> String {
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            if is_constant(operand) {
                continue;
            }
            if let Ok(value) = self.eval(operand) {
                values.push(Brief::of(&value, MAX_SHOWN));
            }
        }
        let text = shown(node);
        if values.is_empty() {
            text
        } else {
            format!("{text}: observed {}", values.join(" and "))
        }
    }

    fn explain_macro(&mut self, node: &'a Node, call: &'a Macro, value: bool) -> String {
        let text = shown(node);
        let Ok(list) = self.elements(node, &call.range) else {
            return text;
        };
        let Some(condition) = &call.condition else {
            return text;
        };
        match (call.kind, value) {
            (MacroKind::All, true) => format!("{text}: holds for all {}", list.len()),
            (MacroKind::All, false) | (MacroKind::Exists, true) => {
                match self.deciding(&list, condition, value) {
                    Some(part) => format!("{text}: {part}"),
                    None => text,
                }
            }
            (MacroKind::Exists, false) if list.len() == 0 => {
                format!("{text}: observed an empty list")
            }
            (MacroKind::Exists, false) => format!(
                "{text}: holds for none of {}: observed {}",
                list.len(),
                Brief::of(&Val::List(list), MAX_SHOWN)
            ),
            (MacroKind::ExistsOne, _) => {
                let mut found = 0_usize;
                for at in 0..list.len() {
                    let Some(slot) = list.get(at) else { break };
                    let holds = self.with_var(slot, |run| run.boolean(condition));
                    found += usize::from(holds.unwrap_or(false));
                }
                format!("{text}: holds for {found} of {}", list.len())
            }
            _ => text,
        }
    }

    /// The first element whose condition is `value`, and why it is.
    fn deciding(&mut self, list: &List<'a>, condition: &'a Node, value: bool) -> Option<String> {
        for at in 0..list.len() {
            let slot = list.get(at)?;
            let holds = self.with_var(slot.clone(), |run| run.boolean(condition));
            match holds {
                Ok(it) if it == value => {
                    let why = self.with_var(slot.clone(), |run| run.explain(condition, value));
                    return Some(format!("for {}: {why}", subject(&slot, at)));
                }
                Err(super::eval::Unknown::TooExpensive) => return None,
                _ => {}
            }
        }
        None
    }
}

fn is_constant(node: &Node) -> bool {
    match node {
        Node::Literal(_) => true,
        Node::List(items) => items.iter().all(is_constant),
        Node::Map(entries) => entries
            .iter()
            .all(|(key, value)| is_constant(key) && is_constant(value)),
        Node::Negate(operand) => is_constant(operand),
        _ => false,
    }
}
