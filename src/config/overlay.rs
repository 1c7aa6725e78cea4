//! What a file says wins over what it includes: a variable, or a probe, item, category, gate,
//! risk or module of the same id.
//! So a project takes a profile and changes what is different about itself.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::include::Document;
use super::sources::Sources;

/// The lists whose entries have ids.
const LISTS: [&str; 6] = ["probe", "item", "category", "gate", "risk", "module"];

/// Removes from each document what a document that includes it says itself.
pub(super) fn overlay(documents: &mut [Document<'_>], sources: &Sources) {
    let mut said = Said {
        sources,
        by: HashMap::new(),
    };
    for document in documents {
        let file = document.file;
        let table = document.table.get_mut();
        if let Some(DeValue::Table(vars)) = table.get_mut("vars").map(Spanned::get_mut) {
            said.drop_vars(vars, file);
        }
        for list in LISTS {
            if let Some(DeValue::Array(entries)) = table.get_mut(list).map(Spanned::get_mut) {
                for entry in std::mem::replace(entries, DeArray::new()) {
                    if id_of(&entry).is_none_or(|id| said.is_kept(list, id, file)) {
                        entries.push(entry);
                    }
                }
            }
        }
    }
}

fn id_of<'e>(entry: &'e Spanned<DeValue<'_>>) -> Option<&'e str> {
    entry.get_ref().as_table()?.get("id")?.get_ref().as_str()
}

/// Who said what first. Files come in the order in which they were read: who includes before what
/// is included.
struct Said<'s> {
    sources: &'s Sources,
    by: HashMap<(&'static str, String), usize>,
}

impl Said<'_> {
    fn drop_vars(&mut self, vars: &mut DeTable<'_>, file: usize) {
        let names: Vec<String> = vars.keys().map(|key| key.get_ref().to_string()).collect();
        for name in names {
            if !self.is_kept("vars", &name, file) {
                vars.remove(name.as_str());
            }
        }
    }

    /// Whether what `file` says of that name stands.
    fn is_kept(&mut self, section: &'static str, name: &str, file: usize) -> bool {
        let first = *self.by.entry((section, name.to_owned())).or_insert(file);
        first == file || !self.sources.includes(first, file)
    }
}
