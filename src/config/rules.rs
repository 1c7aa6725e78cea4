//! The rules of a probe: the kind's own, overridden and extended from the configuration.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::Diagnostics;
use super::shape::{Shaper, is_slug, take, within};
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::RuleTable;
use crate::evidence::FactSchema;
use crate::judge::expr::{ExprError, Program};
use crate::judge::{Rule, RuleState};
use crate::probes::{BuiltinRule, KindEntry, Severity};

/// What is the same for every probe of a kind, made once per load.
pub(super) struct KindRules {
    pub(super) entry: &'static KindEntry,
    facts: FactSchema,
    builtin: Vec<BuiltinRule>,
    compiled: HashMap<String, Result<Program, Vec<ExprError>>>,
}

/// How a rule that is written in the configuration differs from what it overrides.
#[derive(Default)]
struct Override {
    table: RuleTable,
    /// The expression as written, before variables were put in, to find its place again.
    expr_span: Option<std::ops::Range<usize>>,
    applies_span: Option<std::ops::Range<usize>>,
}

impl KindRules {
    pub(super) fn new(entry: &'static KindEntry) -> Result<Self, String> {
        let facts = (entry.facts)().map_err(|error| error.to_string())?;
        Ok(Self {
            entry,
            facts,
            builtin: (entry.rules)(),
            compiled: HashMap::new(),
        })
    }

    /// The types of the facts that its rules may name.
    pub(super) const fn facts(&self) -> &FactSchema {
        &self.facts
    }

    /// Equal expressions are compiled once per load.
    fn compile(&mut self, source: &str) -> Result<Program, Vec<ExprError>> {
        if let Some(compiled) = self.compiled.get(source) {
            return compiled.clone();
        }
        let compiled = Program::compile(source, &self.facts);
        self.compiled.insert(source.to_owned(), compiled.clone());
        compiled
    }

    /// The rules of one probe. `enabled` says, for each built-in rule, whether it is part of it.
    pub(super) fn assemble(
        &mut self,
        enabled: &[bool],
        written: Option<&mut Spanned<DeValue<'_>>>,
        shaper: &mut Shaper<'_>,
    ) -> Vec<Rule> {
        let mut overrides = read_overrides(written, shaper);
        let mut rules = Vec::with_capacity(self.builtin.len() + overrides.len());
        for index in 0..self.builtin.len() {
            let builtin = self.builtin[index];
            let on = enabled.get(index).copied().unwrap_or(true);
            let change = overrides
                .iter()
                .position(|(name, _)| name.get_ref() == builtin.name)
                .map(|at| overrides.remove(at).1);
            rules.extend(self.builtin_rule(&builtin, on, change, shaper));
        }
        for (name, change) in overrides {
            rules.extend(self.own_rule(&name, change, shaper));
        }
        rules
    }

    fn builtin_rule(
        &mut self,
        builtin: &BuiltinRule,
        on: bool,
        change: Option<Override>,
        shaper: &mut Shaper<'_>,
    ) -> Option<Rule> {
        let Some(change) = change else {
            let expr = self.compile_builtin(builtin.expr, shaper.diagnostics)?;
            let applies = match builtin.applies {
                Some(applies) => Some(self.compile_builtin(applies, shaper.diagnostics)?),
                None => None,
            };
            return Some(Rule {
                name: builtin.name.to_owned(),
                severity: builtin.severity,
                expr,
                applies,
                why: builtin.why.to_owned(),
                source: builtin.source.to_owned(),
                builtin: true,
                state: state(builtin, on, None),
                hold: None,
            });
        };
        let own_expr = change.table.expr.is_some();
        let expr = match &change.table.expr {
            Some(expr) => self.compile_written(expr, change.expr_span.as_ref(), shaper)?,
            None => self.compile_builtin(builtin.expr, shaper.diagnostics)?,
        };
        let applies = match (&change.table.applies, builtin.applies) {
            (Some(applies), _) => {
                Some(self.compile_written(applies, change.applies_span.as_ref(), shaper)?)
            }
            (None, Some(applies)) => Some(self.compile_builtin(applies, shaper.diagnostics)?),
            (None, None) => None,
        };
        let wanted = change.table.enabled.or(own_expr.then_some(true));
        Some(Rule {
            name: builtin.name.to_owned(),
            severity: change.table.severity.unwrap_or(builtin.severity),
            expr,
            applies,
            why: change.table.why.unwrap_or_else(|| builtin.why.to_owned()),
            source: if own_expr {
                "configuration"
            } else {
                builtin.source
            }
            .to_owned(),
            builtin: true,
            state: state(builtin, on, wanted),
            hold: change.table.hold.map(|hold| hold.0),
        })
    }

    fn own_rule(
        &mut self,
        name: &Spanned<String>,
        change: Override,
        shaper: &mut Shaper<'_>,
    ) -> Option<Rule> {
        let place = Place {
            file: shaper.file,
            span: name.span(),
        };
        if !is_slug(name.get_ref()) {
            shaper
                .diagnostics
                .error(
                    place,
                    format!("`{}` is not a name of a rule", name.get_ref()),
                )
                .help("write lower-case words joined by `-`, such as answers-fast");
            return None;
        }
        let Some(written) = &change.table.expr else {
            let names = self.builtin.iter().map(|rule| rule.name);
            shaper
                .diagnostics
                .error(
                    place,
                    format!(
                        "`{}` is not a built-in rule of {}, and has no `expr`",
                        name.get_ref(),
                        self.entry.info.name
                    ),
                )
                .help(did_you_mean(name.get_ref(), names));
            return None;
        };
        let expr = self.compile_written(written, change.expr_span.as_ref(), shaper)?;
        let applies = match &change.table.applies {
            Some(applies) => {
                Some(self.compile_written(applies, change.applies_span.as_ref(), shaper)?)
            }
            None => None,
        };
        Some(Rule {
            name: name.get_ref().clone(),
            severity: change.table.severity.unwrap_or(Severity::Must),
            expr,
            applies,
            why: change.table.why.unwrap_or_default(),
            source: "configuration".to_owned(),
            builtin: false,
            state: match change.table.enabled {
                Some(false) => RuleState::Off,
                _ => RuleState::Enabled,
            },
            hold: change.table.hold.map(|hold| hold.0),
        })
    }

    /// A built-in rule that does not compile is a defect of ours; a test compiles them all.
    fn compile_builtin(&mut self, source: &str, diagnostics: &mut Diagnostics) -> Option<Program> {
        match self.compile(source) {
            Ok(program) => Some(program),
            Err(errors) => {
                let text: Vec<String> = errors.into_iter().map(|error| error.message).collect();
                diagnostics.error(
                    None,
                    format!(
                        "built-in rule `{source}` of {}: {}",
                        self.entry.info.name,
                        text.join("; ")
                    ),
                );
                None
            }
        }
    }

    fn compile_written(
        &mut self,
        written: &Spanned<String>,
        span: Option<&std::ops::Range<usize>>,
        shaper: &mut Shaper<'_>,
    ) -> Option<Program> {
        let text = written.get_ref();
        let outer = span.cloned().unwrap_or_else(|| written.span());
        match self.compile(text) {
            Ok(program) => Some(program),
            Err(errors) => {
                for error in errors {
                    let span = within(shaper.sources, shaper.file, &outer, text, &error.span);
                    let place = Place {
                        file: shaper.file,
                        span,
                    };
                    let diagnostic = shaper.diagnostics.error(place, error.message);
                    if let Some(help) = error.help {
                        diagnostic.help(help);
                    }
                }
                None
            }
        }
    }
}

fn state(builtin: &BuiltinRule, on: bool, wanted: Option<bool>) -> RuleState {
    match (wanted, on, builtin.when) {
        (Some(false), _, _) => RuleState::Off,
        (Some(true), _, _) | (None, true, _) | (None, false, None) => RuleState::Enabled,
        (None, false, Some(when)) => RuleState::NotEnabled {
            why: format!("part of a probe when {when}"),
        },
    }
}

/// Reads `rules.NAME = "expr" | false | true | { … }`.
fn read_overrides(
    written: Option<&mut Spanned<DeValue<'_>>>,
    shaper: &mut Shaper<'_>,
) -> Vec<(Spanned<String>, Override)> {
    let Some(written) = written else {
        return Vec::new();
    };
    let place = Place {
        file: shaper.file,
        span: written.span(),
    };
    let DeValue::Table(table) = written.get_mut() else {
        shaper
            .diagnostics
            .error(place, "`rules` is a table of rules")
            .help("for example rules.answers = \"status == 200\"");
        return Vec::new();
    };
    let mut overrides = Vec::with_capacity(table.len());
    for (name, value) in table.iter_mut() {
        let name = Spanned::new(name.span(), name.get_ref().clone().into_owned());
        if let Some(change) = read_override(name.get_ref(), value, shaper) {
            overrides.push((name, change));
        }
    }
    overrides
}

fn read_override(
    name: &str,
    value: &mut Spanned<DeValue<'_>>,
    shaper: &mut Shaper<'_>,
) -> Option<Override> {
    if let Some(enabled) = value.get_ref().as_bool() {
        let mut change = Override::default();
        change.table.enabled = Some(enabled);
        return Some(change);
    }
    let span = value.span();
    if value.get_ref().is_str() {
        // The short form is the long form with one key.
        let key = Spanned::new(span.clone(), std::borrow::Cow::Borrowed("expr"));
        let inner = std::mem::replace(value, Spanned::new(span.clone(), DeValue::Boolean(false)));
        let table: DeTable<'_> = [(key, inner)].into_iter().collect();
        *value = Spanned::new(span.clone(), DeValue::Table(table));
    }
    let what = format!("rule `{name}`");
    let DeValue::Table(table) = value.get_mut() else {
        let place = Place {
            file: shaper.file,
            span,
        };
        shaper
            .diagnostics
            .error(place, format!("{what} is an expression, a table or false"));
        return None;
    };
    let schema = super::schema::of_rule();
    if !shaper.table(table, span.clone(), schema, &what) {
        return None;
    }
    let span_of = |key: &str| table.get(key).map(Spanned::span);
    let (expr_span, applies_span) = (span_of("expr"), span_of("applies"));
    take::<RuleTable>(std::mem::take(table), span, shaper).map(|table| Override {
        table,
        expr_span,
        applies_span,
    })
}
