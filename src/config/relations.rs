//! What items are to each other: aliases and prerequisites.

use std::collections::HashMap;

use super::diagnostics::Diagnostics;
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::ItemTable;
use crate::plan::Item;

/// The names that the items call each other, with their places.
pub(super) struct Relations {
    /// By item, in order.
    list: Vec<(Option<Name>, Vec<Name>)>,
}

struct Name {
    id: String,
    place: Place,
}

impl Relations {
    /// Those of all items.
    pub(super) fn of(tables: &[(usize, ItemTable)]) -> Self {
        let name = |file: usize, name: &toml::Spanned<String>| Name {
            id: name.get_ref().clone(),
            place: Place {
                file,
                span: name.span(),
            },
        };
        let of_item = |(file, table): &(usize, ItemTable)| {
            let alias = table.alias_of.as_ref().map(|alias| name(*file, alias));
            let prerequisites = table.prerequisites.iter();
            (alias, prerequisites.map(|one| name(*file, one)).collect())
        };
        Self {
            list: tables.iter().map(of_item).collect(),
        }
    }

    /// Resolves them; names that are none, and items that name themselves, are errors.
    pub(super) fn resolve(self, items: &mut [Item], diagnostics: &mut Diagnostics) {
        let index: HashMap<String, usize> = items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.id.clone(), at))
            .collect();
        let mut aliases: Vec<Option<Place>> = Vec::with_capacity(items.len());
        for (at, (alias, prerequisites)) in self.list.into_iter().enumerate() {
            items[at].alias_of = alias
                .as_ref()
                .and_then(|alias| find(alias, at, "an alias of", &index, diagnostics));
            items[at].prerequisites = prerequisites
                .iter()
                .filter_map(|name| find(name, at, "a prerequisite of", &index, diagnostics))
                .collect();
            aliases.push(alias.map(|alias| alias.place));
        }
        for (at, place) in aliases.into_iter().enumerate() {
            let Some(of) = items[at].alias_of else {
                continue;
            };
            if items[of].alias_of.is_some() {
                let text = format!(
                    "`{}` is an alias itself: name the item that it stands for",
                    items[of].id
                );
                diagnostics.error(place, text);
                items[at].alias_of = None;
                continue;
            }
            decided_by(items, at, of);
        }
    }
}

/// An alias without rules of its own is decided by those of the other, and knows no more than that one does.
fn decided_by(items: &mut [Item], at: usize, of: usize) {
    if !items[at].needs.is_empty() {
        return;
    }
    let other = &items[of];
    let (needs, ttl, misses) = (other.needs.clone(), other.ttl, other.misses.clone());
    let item = &mut items[at];
    item.needs = needs;
    item.ttl = item.ttl.or(ttl);
    item.misses = item.misses.take().or(misses);
}

fn find(
    name: &Name,
    at: usize,
    what: &str,
    index: &HashMap<String, usize>,
    diagnostics: &mut Diagnostics,
) -> Option<usize> {
    match index.get(&name.id) {
        Some(found) if *found == at => {
            let text = format!("`{}` is {what} itself", name.id);
            diagnostics.error(name.place.clone(), text);
            None
        }
        Some(found) => Some(*found),
        None => {
            let searching = diagnostics.is_short();
            let text = format!("there is no item `{}`", name.id);
            let diagnostic = diagnostics.error(name.place.clone(), text);
            if searching {
                diagnostic.help(did_you_mean(&name.id, index.keys().map(String::as_str)));
            }
            None
        }
    }
}
