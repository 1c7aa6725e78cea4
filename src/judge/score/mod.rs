//! The score: a weighted share of items, always as an interval.

mod display;
mod tally;
mod targets;
#[cfg(test)]
mod tests;

pub(crate) use display::percent;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use tally::Tally;
pub use targets::{Category, Targets};

use super::Status;

/// Where an item's result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Rules over evidence.
    Derived,
    /// Somebody's word.
    Attested,
}

/// What the score needs to know of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreItem {
    /// Its category.
    pub category: Option<String>,
    /// Its weight; one that is negative or not a number counts as 1, so that no item is dropped
    /// through its weight.
    pub weight: f64,
    /// Its true result, also under a waiver.
    pub status: Status,
    /// Whether a waiver holds for it: it scores nothing.
    pub waived: bool,
    /// Where the result comes from.
    pub basis: Basis,
}

/// The shares of a set of items, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shares {
    /// The share reached, with every unknown counted as 0.
    pub low: f64,
    /// The share that is possible, with every unknown counted as 1.
    pub high: f64,
    /// The share of the applicable weight whose result is known.
    pub coverage: f64,
    /// The part of `low` that comes from evidence.
    pub derived: f64,
    /// The part of `low` that is somebody's word.
    pub attested: f64,
}

/// The score. Without an applicable item it has no shares: neither 0% nor 100%.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// How many items are applicable: all that are not `na`.
    pub applicable: usize,
    /// The shares; absent when no item is applicable.
    #[serde(flatten)]
    pub shares: Option<Shares>,
    /// The least share that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether it meets its target and every category its own; absent where no target is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// Each category by itself: in the order in which they are declared, then others by name; items without
    /// one come first.
    pub categories: Vec<CategoryScore>,
}

/// The score of one category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryScore {
    /// Its id; absent for the items without a category.
    pub category: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The title in other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub titles: BTreeMap<String, String>,
    /// How many items are applicable: all that are not `na`.
    pub applicable: usize,
    /// The shares; absent when no item is applicable.
    #[serde(flatten)]
    pub shares: Option<Shares>,
    /// The least share that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether what is known meets the target; absent where none is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

impl Score {
    /// Scores items, all together and by category.
    pub fn of(items: &[ScoreItem]) -> Self {
        let mut all = Tally::default();
        let mut by_category: BTreeMap<Option<&str>, Tally> = BTreeMap::new();
        for item in items {
            all.add(item);
            by_category
                .entry(item.category.as_deref())
                .or_default()
                .add(item);
        }
        Self {
            applicable: all.applicable,
            shares: all.shares(),
            target: None,
            met: None,
            categories: by_category
                .into_iter()
                .map(|(category, tally)| CategoryScore {
                    category: category.map(str::to_owned),
                    title: None,
                    titles: BTreeMap::new(),
                    applicable: tally.applicable,
                    shares: tally.shares(),
                    target: None,
                    met: None,
                })
                .collect(),
        }
    }
}
