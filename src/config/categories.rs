//! `[[category]]` and `[score]`: what the score is to reach.

use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::shape::check_id;
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::{CategoryTable, ItemTable, ScoreTable};
use crate::judge::{Category, Targets};

/// Resolves the categories. Where any is declared, items may name no other.
pub(super) fn targets(
    score: &ScoreTable,
    tables: Vec<(usize, CategoryTable)>,
    items: &[(usize, ItemTable)],
    diagnostics: &mut Diagnostics,
) -> Targets {
    let mut categories: Vec<Category> = Vec::with_capacity(tables.len());
    for (file, table) in tables {
        let place = Place {
            file,
            span: table.id.span(),
        };
        check_id(table.id.get_ref(), &place, diagnostics);
        if categories
            .iter()
            .any(|category| category.id == *table.id.get_ref())
        {
            diagnostics.error(
                place,
                format!("a second category with the id `{}`", table.id.get_ref()),
            );
        }
        categories.push(Category {
            id: table.id.into_inner(),
            title: table.title,
            titles: table.titles,
            target: table.target,
        });
    }
    let named = items
        .iter()
        .filter_map(|(file, item)| Some((*file, item.category.as_ref()?)));
    for (file, category) in named.filter(|_| !categories.is_empty()) {
        known(file, category, &categories, diagnostics);
    }
    Targets {
        overall: score.target,
        categories,
    }
}

fn known(
    file: usize,
    category: &Spanned<String>,
    categories: &[Category],
    diagnostics: &mut Diagnostics,
) {
    let ids = categories.iter().map(|category| category.id.as_str());
    let name = category.get_ref().as_str();
    if ids.clone().any(|id| id == name) {
        return;
    }
    let place = Place {
        file,
        span: category.span(),
    };
    diagnostics
        .error(place, format!("there is no category `{name}`"))
        .help(did_you_mean(name, ids));
}
