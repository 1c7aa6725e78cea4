//! `[[risk]]` tables: the register of risks, each with the items that mitigate it.

use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::gates::members;
use super::shape::check_id;
use super::sources::Place;
use super::tables::RiskTable;
use crate::plan::{Item, Risk};

/// Resolves the risks; errors go to `diagnostics`.
pub(super) fn risks(
    tables: Vec<(usize, RiskTable)>,
    items: &[Item],
    diagnostics: &mut Diagnostics,
) -> Vec<Risk> {
    let mut all: Vec<Risk> = Vec::with_capacity(tables.len());
    for (file, table) in tables {
        let span = table.id.span();
        let place = Place { file, span };
        check_id(table.id.get_ref(), &place, diagnostics);
        if all.iter().any(|risk| risk.id == *table.id.get_ref()) {
            let text = format!("a second risk with the id `{}`", table.id.get_ref());
            diagnostics.error(place, text);
        }
        all.push(Risk {
            items: members(&table.items, file, items, diagnostics),
            title: table.title.unwrap_or_else(|| table.id.get_ref().clone()),
            id: table.id.into_inner(),
            titles: table.titles,
            level: table.level,
            patterns: table.items.into_iter().map(Spanned::into_inner).collect(),
        });
    }
    all
}
