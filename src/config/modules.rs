//! `[[module]]` tables → probes without a target.

use serde::Deserialize;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table};

use super::probe_table::{ProbeReader, report};
use super::schema;
use super::shape::{Shaper, check_id, take};
use super::sources::Place;
use super::tables::ModuleTable;
use crate::plan::{Module, SourceRef};
use crate::probes::{KINDS, KindEntry, TargetParams, Template};

/// Without `timeout`: what Prometheus gives a scrape.
const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The schema of a `[[module]]` of one kind: the keys that every module has and the kind's own, all
/// but those of its target.
pub(super) fn of_module(kind: &KindEntry) -> Json {
    let mut schema = schema::with_params(schema::of::<ModuleTable>(), kind);
    for param in kind.target.params() {
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove(param);
        }
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|name| name != param);
        }
    }
    // A module only looks, whoever asks.
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("allow_writes");
    }
    schema
}

impl ProbeReader {
    /// One `[[module]]`; its errors go to the shaper's diagnostics.
    pub(super) fn read_module(
        &mut self,
        entry: &mut Spanned<DeValue<'_>>,
        shaper: &mut Shaper<'_>,
    ) -> Option<Module> {
        let span = entry.span();
        let place = Place {
            file: shaper.file,
            span: span.clone(),
        };
        let DeValue::Table(table) = entry.get_mut() else {
            shaper
                .diagnostics
                .error(place, "a module is a table: write [[module]]");
            return None;
        };
        let state = self.kind_of(table, &place, shaper, "module")?;
        let kind = state.rules.entry;
        if kind.target == TargetParams::None {
            let able = KINDS
                .iter()
                .filter(|kind| kind.target != TargetParams::None);
            let names: Vec<&str> = able.map(|kind| kind.info.name).collect();
            shaper
                .diagnostics
                .error(
                    place,
                    format!("`{}` takes no target from a request", kind.info.name),
                )
                .help(format!("modules can be of `{}`", names.join("`, `")));
            return None;
        }
        let mut rules = table.remove("rules");
        shaper.drop_absent(table);
        let mut fits = true;
        for param in kind.target.params() {
            if let Some(value) = table.get(param) {
                let place = Place {
                    file: shaper.file,
                    span: value.span(),
                };
                let message = format!("`{param}` is the target, which comes with the request");
                shaper.diagnostics.error(place, message).help("remove it");
                fits = false;
            }
        }
        fits = fits && shaper.table(table, span.clone(), &of_module(kind), "this module");
        let common: DeTable<'_> = ["id", "kind", "timeout"]
            .iter()
            .filter_map(|key| table.remove_entry(*key))
            .collect();
        let id_place = common.get("id").map_or(place, |id| Place {
            file: shaper.file,
            span: id.span(),
        });
        let common = take::<ModuleTable>(common, span.clone(), shaper);
        let checked = if fits {
            template(kind, table, &span, shaper)
        } else {
            None
        };
        let enabled = checked
            .as_ref()
            .map(|(_, enabled)| enabled.clone())
            .unwrap_or_default();
        let rules = state.rules.assemble(&enabled, rules.as_mut(), shaper);
        let (common, (template, _)) = (common?, checked?);
        let good = check_id(&common.id, &id_place, shaper.diagnostics);
        good.then(|| Module {
            id: common.id,
            template,
            timeout: common.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0),
            rules,
            source: SourceRef {
                file: shaper.sources.file(shaper.file).path.display().to_string(),
                line: shaper.sources.line(&id_place),
            },
        })
    }
}

/// The template, and which built-in rules are part of it.
fn template(
    kind: &'static KindEntry,
    table: &DeTable<'_>,
    span: &std::ops::Range<usize>,
    shaper: &mut Shaper<'_>,
) -> Option<(Template, Vec<bool>)> {
    let value = Spanned::new(span.clone(), DeValue::Table(table.clone()));
    let params = Table::deserialize(ValueDeserializer::from(value)).ok()?;
    let template = Template::new(kind, params);
    match template.check() {
        Ok(probe) => {
            // What the kind makes of its credentials is a secret, whatever the target.
            for secret in probe.secrets() {
                shaper.variables.secrets.add(&secret);
            }
            Some((template, probe.enabled()))
        }
        Err(error) => {
            report(error, table, span, shaper);
            None
        }
    }
}
