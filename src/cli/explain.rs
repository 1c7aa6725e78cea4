//! `probe kinds` and `probe explain KIND`.

use std::fmt::Write as _;

use anyhow::anyhow;

use super::exit::Exit;
use super::terminal;
use crate::config::closest;
use crate::evidence::{Fact, FactType};
use crate::probes::{self, Effect, KINDS, KindEntry, Severity};

pub(super) fn kinds() -> Exit {
    let mut out = String::new();
    for kind in KINDS {
        let _ = writeln!(out, "{:<12} {}", kind.info.name, kind.info.summary);
    }
    terminal::print(&out)
}

pub(super) fn explain(name: &str) -> anyhow::Result<Exit> {
    let names = KINDS.iter().map(|kind| kind.info.name);
    let kind = probes::find(name).ok_or_else(|| match closest(name, names.clone()) {
        Some(best) => anyhow!("there is no kind `{name}`: did you mean `{best}`?"),
        None => anyhow!(
            "there is no kind `{name}`: there are {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    })?;
    Ok(terminal::print(&reference(kind)?))
}

/// Everything about a kind, as Markdown: the terminal shows it as it is, and docs/ keeps a copy.
pub fn reference(kind: &KindEntry) -> anyhow::Result<String> {
    let info = &kind.info;
    let mut out = format!("# {}\n\n{}.\n\n", info.name, capital(info.summary));
    let effect = match info.effect {
        Effect::Read => "reads only",
        Effect::Write => "may write, with `allow_writes = true`",
    };
    let _ = writeln!(out, "Privileges: {}.\n", info.privileges);
    let _ = writeln!(out, "Side effects: {effect}; {}.\n", info.side_effects);
    let _ = writeln!(
        out,
        "## Example\n\n```toml\n[[probe]]\nid = \"my-{}\"\nkind = \"{}\"\n{}\n```\n",
        info.name,
        info.name,
        info.example.trim_end()
    );
    parameters(&mut out, &(kind.params)().to_value());
    out.push_str("## Rules\n\n");
    for rule in (kind.rules)() {
        let severity = match rule.severity {
            Severity::Must => "must",
            Severity::Should => "should",
        };
        let _ = writeln!(out, "- `{}` ({severity}): {}", rule.name, rule.why);
        let _ = writeln!(out, "  - `{}`", rule.expr);
        if let Some(applies) = rule.applies {
            let _ = writeln!(out, "  - applies where `{applies}`");
        }
        if let Some(when) = rule.when {
            let _ = writeln!(out, "  - part of a probe when {when}");
        }
        let _ = writeln!(out, "  - source: {}", rule.source);
    }
    out.push_str("\n## Facts\n\n");
    for (name, fact) in &(kind.facts)()?.facts {
        describe(&mut out, name, fact, 0);
    }
    Ok(out)
}

fn parameters(out: &mut String, schema: &serde_json::Value) {
    out.push_str("## Parameters\n\n");
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let needed = if required.contains(&name.as_str()) {
            ", required"
        } else {
            ""
        };
        let doc = one_line(property["description"].as_str().unwrap_or_default());
        let _ = writeln!(out, "- `{name}`{needed}: {doc}");
    }
    out.push('\n');
}

fn describe(out: &mut String, name: &str, fact: &Fact, depth: usize) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(
        out,
        "{indent}- `{name}` ({}): {}",
        type_name(&fact.ty),
        one_line(&fact.doc)
    );
    if let Some(fields) = fields_of(&fact.ty) {
        for (name, fact) in fields {
            describe(out, name, fact, depth + 1);
        }
    }
}

fn fields_of(ty: &FactType) -> Option<&std::collections::BTreeMap<String, Fact>> {
    match ty {
        FactType::Record(fields) => Some(fields),
        FactType::List(inner) | FactType::Map(inner) | FactType::Observed(inner) => {
            fields_of(inner)
        }
        _ => None,
    }
}

fn type_name(ty: &FactType) -> String {
    match ty {
        FactType::Bool => "bool".to_owned(),
        FactType::Int => "int".to_owned(),
        FactType::Double => "double".to_owned(),
        FactType::String { values } if values.is_empty() => "string".to_owned(),
        FactType::String { values } => format!("one of {}", values.join(", ")),
        FactType::Timestamp => "timestamp".to_owned(),
        FactType::List(inner) => format!("list of {}", type_name(inner)),
        FactType::Record(_) => "record".to_owned(),
        FactType::Map(inner) => format!("map to {}", type_name(inner)),
        FactType::Dyn => "any".to_owned(),
        FactType::Observed(inner) => format!("{}, may be unknown", type_name(inner)),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
