//! The score held against what it is to reach.

use std::collections::BTreeMap;

use super::{CategoryScore, Score, Shares};

/// What the score is to reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    /// The least share of all items, from 0 to 1.
    pub overall: Option<f64>,
    /// The categories, in the order of the configuration.
    pub categories: Vec<Category>,
}

/// A category of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Category {
    /// Its id, as items name it.
    pub id: String,
    /// What people call it.
    pub title: Option<String>,
    /// The title in other languages.
    pub titles: BTreeMap<String, String>,
    /// The least share of its items, from 0 to 1.
    pub target: Option<f64>,
}

impl Score {
    /// The same, held against what is wanted. What is unknown counts as nothing; a category without an
    /// applicable item has shown nothing and meets no target.
    #[must_use]
    pub fn held_against(mut self, targets: &Targets) -> Self {
        for declared in &targets.categories {
            let id = Some(&declared.id);
            if !self
                .categories
                .iter()
                .any(|category| category.category.as_ref() == id)
            {
                self.categories.push(CategoryScore::empty(&declared.id));
            }
        }
        let order = |category: &CategoryScore| {
            let id = category.category.as_ref()?;
            let at = targets
                .categories
                .iter()
                .position(|declared| declared.id == *id);
            Some(at.unwrap_or(usize::MAX))
        };
        self.categories.sort_by_key(order);
        for category in &mut self.categories {
            let id = category.category.as_ref();
            let Some(declared) = targets.categories.iter().find(|one| Some(&one.id) == id) else {
                continue;
            };
            category.title.clone_from(&declared.title);
            category.titles.clone_from(&declared.titles);
            category.target = declared.target;
            category.met = meets(declared.target, category.shares);
        }
        self.target = targets.overall;
        let own = meets(targets.overall, self.shares);
        let all = self
            .categories
            .iter()
            .map(|category| category.met)
            .chain([own]);
        self.met = all.flatten().reduce(|one, other| one && other);
        self
    }
}

impl CategoryScore {
    fn empty(id: &str) -> Self {
        Self {
            category: Some(id.to_owned()),
            title: None,
            titles: BTreeMap::new(),
            applicable: 0,
            shares: None,
            target: None,
            met: None,
        }
    }
}

fn meets(target: Option<f64>, shares: Option<Shares>) -> Option<bool> {
    // What binary fractions lose must not decide.
    let reached = |target: f64| shares.is_some_and(|shares| shares.low + 1e-9 >= target);
    target.map(reached)
}
