//! The static check of calls.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::ExprError;
use super::check::{Checker, broken, suggest};
use super::functions::{Function, SIGNATURES, Signature, Style};
use super::ir::{Literal, Node};
use super::parse::{Kind, Tree};
use super::text::parse_duration;
use super::types::Type;

/// The largest compiled pattern; a rule's needs are far below.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Compiles a pattern within the bound.
pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .nest_limit(50)
        .build()
}

const MACROS: &[(&str, &str)] = &[
    ("has", "has(json.field)"),
    ("all", "list.all(x, x > 0)"),
    ("exists", "list.exists(x, x > 0)"),
    ("exists_one", "list.exists_one(x, x > 0)"),
    ("existsOne", "list.exists_one(x, x > 0)"),
    ("filter", "list.filter(x, x > 0)"),
    ("map", "list.map(x, x + 1)"),
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: &Range<usize>,
        target: Option<&Tree>,
        args: &[Tree],
        span: &Range<usize>,
    ) -> (Node, Type) {
        let Some(signature) = SIGNATURES
            .iter()
            .find(|signature| signature.function.name() == name)
        else {
            self.no_such_function(name, name_span);
            return broken();
        };
        let method = target.is_some();
        let style_fits = match signature.style {
            Style::Both => true,
            Style::Method => method,
            Style::Global => !method,
        };
        let given: Vec<&Tree> = target.into_iter().chain(args).collect();
        let most = signature.takes.len();
        let least = most - signature.optional;
        let count_fits = given.len() >= least && (signature.variadic || given.len() <= most);
        if !style_fits || !count_fits {
            let message = if style_fits {
                format!("`{name}` is called with the wrong number of arguments")
            } else {
                format!("`{name}` is not called like this")
            };
            self.error(
                ExprError::new(span.clone(), message).help(format!("write {}", signature.usage)),
            );
            return broken();
        }
        let (nodes, types): (Vec<_>, Vec<_>) = given.iter().map(|arg| self.check(arg)).unzip();
        if !self.arguments_fit(signature, &given, &types) {
            return broken();
        }
        self.with_literals(signature.function, method, &given, nodes, &types)
    }

    fn arguments_fit(&mut self, signature: &Signature, given: &[&Tree], types: &[Type]) -> bool {
        let mut fit = true;
        let Some(last) = signature.takes.last() else {
            return true;
        };
        for (at, (arg, ty)) in given.iter().zip(types).enumerate() {
            let wants = signature.takes.get(at).unwrap_or(last);
            if wants.accepts(ty) {
                continue;
            }
            fit = false;
            let error = ExprError::new(
                arg.span.clone(),
                format!(
                    "`{}` wants {}; this is {}",
                    signature.function.name(),
                    wants.describe(),
                    ty.describe()
                ),
            );
            let is_list = matches!(ty, Type::List(_));
            self.error(if is_list && signature.function == Function::Contains {
                error.help("write x in list")
            } else {
                error.help(format!("write {}", signature.usage))
            });
        }
        fit
    }

    /// Literal arguments are parsed now, once, and reported if they do not parse.
    fn with_literals(
        &mut self,
        function: Function,
        method: bool,
        given: &[&Tree],
        mut nodes: Vec<Node>,
        types: &[Type],
    ) -> (Node, Type) {
        let ty = function.gives(types);
        let literal = given.last().and_then(|arg| match &arg.kind {
            Kind::String(text) => Some((text.as_str(), arg.span.clone())),
            _ => None,
        });
        let Some((text, span)) = literal else {
            let args = nodes;
            return (
                Node::Call {
                    function,
                    method,
                    args,
                },
                ty,
            );
        };
        let parsed = match function {
            Function::Timestamp => match text.parse() {
                Ok(at) => Ok(Node::Literal(Literal::Timestamp(at, text.into()))),
                Err(_) => Err("write an RFC 3339 time, such as \"2026-12-31T00:00:00Z\"".into()),
            },
            Function::Duration => match parse_duration(text) {
                Some(duration) => Ok(Node::Literal(Literal::Duration(duration, text.into()))),
                None => Err("write a duration such as \"72h\", \"1h30m\" or \"250ms\"".into()),
            },
            Function::Matches => match pattern(text) {
                Ok(pattern) => Ok(Node::Matches {
                    subject: Box::new(nodes.swap_remove(0)),
                    pattern,
                }),
                Err(error) => Err(last_line(&error.to_string())),
            },
            _ => Ok(Node::Call {
                function,
                method,
                args: nodes,
            }),
        };
        match parsed {
            Ok(node) => (node, ty),
            Err(help) => {
                let what = match function {
                    Function::Timestamp => "a timestamp",
                    Function::Duration => "a duration",
                    _ => "a regular expression",
                };
                self.error(ExprError::new(span, format!("this is not {what}")).help(help));
                broken()
            }
        }
    }

    fn no_such_function(&mut self, name: &str, span: &Range<usize>) {
        let span = span.clone();
        if let Some((_, usage)) = MACROS.iter().find(|(r#macro, _)| *r#macro == name) {
            let error = ExprError::new(span, format!("`{name}` is not called like this"));
            self.error(error.help(format!("write {usage}")));
            return;
        }
        if self.facts.facts.contains_key(name) {
            self.error(
                ExprError::new(span, format!("`{name}` is a fact, not a function"))
                    .help(format!("write {name}, without the brackets")),
            );
            return;
        }
        let known = SIGNATURES
            .iter()
            .map(|signature| signature.function.name())
            .chain(MACROS.iter().map(|(name, _)| *name));
        let help = suggest(name, known.clone(), "the functions are", known);
        self.error(ExprError::new(span, format!("there is no function `{name}`")).help(help));
    }
}

/// The pattern's errors come as a drawing of several lines; the last says what is wrong.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
