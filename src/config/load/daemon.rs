//! The sections that only the daemon reads, and the facts that it follows.

use toml::Spanned;
use toml::de::DeValue;

use super::Loader;
use crate::config::diagnostics::Diagnostics;
use crate::config::history::{HistoryTable, history};
use crate::config::include::Document;
use crate::config::link::Probes;
use crate::config::probe_table::ProbeReader;
use crate::config::shape::take;
use crate::config::sources::Place;
use crate::config::suggest::did_you_mean;
use crate::config::tables::{MaintenanceTable, ServerTable};
use crate::config::{maintenance, schema, server};
use crate::history::HistorySettings;
use crate::plan::{FactRef, Item, Maintenance, Module, PlannedProbe, ServerSettings};

impl Loader<'_> {
    pub(super) fn history(&mut self, documents: &mut [Document<'_>]) -> Option<HistorySettings> {
        let (file, table) = self.optional::<HistoryTable>(documents, "history")?;
        history(table, file, &self.dir(file), self.diagnostics)
    }

    pub(super) fn modules(
        &mut self,
        documents: &mut [Document<'_>],
        reader: &mut ProbeReader,
    ) -> Vec<Module> {
        let mut modules: Vec<Module> = Vec::new();
        for document in documents {
            let file = document.file;
            for entry in self.entries(document, "module") {
                let place = Self::place(file, entry.span());
                let Some(module) = self.shaped(file, |shaper| reader.read_module(entry, shaper))
                else {
                    continue;
                };
                if modules.iter().any(|other| other.id == module.id) {
                    let message = format!("a second module with the id `{}`", module.id);
                    self.diagnostics.error(place, message);
                }
                modules.push(module);
            }
        }
        modules
    }

    /// `[server]`. Nothing in it is left out because its variables are empty: without its tokens the
    /// daemon would be open.
    pub(super) fn server(&mut self, documents: &mut [Document<'_>]) -> ServerSettings {
        let schema = schema::of::<ServerTable>();
        let mut found: Option<ServerSettings> = None;
        for document in documents {
            let file = document.file;
            let Some(entry) = document.table.get_mut().get_mut("server") else {
                continue;
            };
            let span = entry.span();
            let place = Self::place(file, span.clone());
            if found.is_some() {
                self.diagnostics.error(place, "[server] is in two files");
                continue;
            }
            let DeValue::Table(table) = entry.get_mut() else {
                self.diagnostics.error(place, "[server] is a table");
                continue;
            };
            let table = self.shaped(file, |shaper| {
                let fits = shaper.table(table, span.clone(), &schema, "[server]");
                fits.then(|| take::<ServerTable>(std::mem::take(table), span, shaper))
                    .flatten()
            });
            found = table.map(|table| server::settings(table, file, self.diagnostics));
        }
        found.unwrap_or_default()
    }

    pub(super) fn maintenance(
        &mut self,
        documents: &mut [Document<'_>],
        items: &[Item],
        probes: &[PlannedProbe],
    ) -> Vec<Maintenance> {
        self.list::<MaintenanceTable>(documents, "maintenance")
            .into_iter()
            .filter_map(|(file, table)| {
                maintenance::maintenance(table, file, items, probes, self.diagnostics)
            })
            .collect()
    }
}

/// The fact that `PROBE/fact` names.
pub(super) fn fact_of(
    written: &Spanned<String>,
    file: usize,
    probes: &Probes,
    diagnostics: &mut Diagnostics,
) -> Option<FactRef> {
    let span = written.span();
    let place = Place { file, span };
    let text = written.get_ref();
    let Some((id, fact)) = text.split_once('/') else {
        diagnostics
            .error(place, format!("`{text}` names no fact"))
            .help("write PROBE/fact, such as app/image_digest");
        return None;
    };
    if probes.broken.iter().any(|broken| broken == id) {
        return None;
    }
    let Some(probe) = probes.index.get(id).copied() else {
        let ids = probes.index.keys().map(String::as_str);
        diagnostics
            .error(place, format!("there is no probe `{id}`"))
            .help(did_you_mean(id, ids));
        return None;
    };
    let kind = probes.list[probe].kind;
    let known = crate::probes::find(kind).and_then(|entry| (entry.facts)().ok())?;
    let first = fact.split('.').next().unwrap_or_default();
    if !known.facts.contains_key(first) {
        diagnostics
            .error(place, format!("the kind `{kind}` has no fact `{first}`"))
            .help(did_you_mean(first, known.facts.keys().map(String::as_str)));
        return None;
    }
    Some(FactRef {
        probe,
        path: fact.split('.').map(str::to_owned).collect(),
    })
}
