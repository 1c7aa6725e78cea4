//! The score: a weighted share of items, always as an interval.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Status;
use crate::plan::Targets;

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

#[derive(Default)]
struct Tally {
    applicable: usize,
    total: f64,
    unknown: f64,
    /// Unknown and not waived: what may still be reached.
    open: f64,
    derived: f64,
    attested: f64,
}

/// Keeps sums of weights finite.
const MAX_WEIGHT: f64 = 1e9;

impl Tally {
    fn add(&mut self, item: &ScoreItem) {
        if item.status == Status::Na {
            return;
        }
        let weight = if item.weight >= 0.0 {
            item.weight.min(MAX_WEIGHT)
        } else {
            1.0
        };
        self.applicable += 1;
        self.total += weight;
        let value = match item.status {
            Status::Pass => 1.0,
            Status::Warn => 0.5,
            Status::Na | Status::Unknown | Status::Fail => 0.0,
        };
        if item.status == Status::Unknown {
            self.unknown += weight;
        }
        if item.waived {
            return;
        }
        if item.status == Status::Unknown {
            self.open += weight;
        }
        match item.basis {
            Basis::Derived => self.derived += weight * value,
            Basis::Attested => self.attested += weight * value,
        }
    }

    fn shares(&self) -> Option<Shares> {
        if self.total <= 0.0 {
            return None;
        }
        let share = |part: f64| (part / self.total).clamp(0.0, 1.0);
        Some(Shares {
            low: share(self.derived + self.attested),
            high: share(self.derived + self.attested + self.open),
            coverage: share(self.total - self.unknown),
            derived: share(self.derived),
            attested: share(self.attested),
        })
    }
}

/// Whole per cent, rounded down: 99.9% is not 100%. The small addition takes back what binary
/// fractions lose (0.29 × 100 is 28.999…).
pub(crate) fn percent(share: f64) -> f64 {
    (share * 100.0 + 1e-9).floor()
}

/// `62% [62–84], coverage 78%, derived 55 + attested 7`. Each number is rounded down by itself.
impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = percent(self.low);
        write!(
            f,
            "{low}% [{low}–{}], coverage {}%, derived {} + attested {}",
            percent(self.high),
            percent(self.coverage),
            percent(self.derived),
            percent(self.attested)
        )
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_shares(self.shares, f)?;
        write_target(self.target, self.met, f)
    }
}

impl fmt::Display for CategoryScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_shares(self.shares, f)?;
        write_target(self.target, self.met, f)
    }
}

fn write_shares(shares: Option<Shares>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match shares {
        Some(shares) => write!(f, "{shares}"),
        None => f.write_str("no applicable item"),
    }
}

fn write_target(target: Option<f64>, met: Option<bool>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(target) = target {
        write!(f, "; target {}%", percent(target))?;
    }
    match met {
        Some(true) => f.write_str(", met"),
        Some(false) => f.write_str(", not met"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Category;

    fn item(status: Status, weight: f64) -> ScoreItem {
        ScoreItem {
            category: None,
            weight,
            status,
            waived: false,
            basis: Basis::Derived,
        }
    }

    #[test]
    fn it_prints_as_in_the_model() {
        let mut attested = item(Status::Pass, 7.0);
        attested.basis = Basis::Attested;
        let score = Score::of(&[
            item(Status::Pass, 55.0),
            attested,
            item(Status::Unknown, 22.0),
            item(Status::Fail, 16.0),
        ]);
        assert_eq!(
            score.to_string(),
            "62% [62–84], coverage 78%, derived 55 + attested 7"
        );
    }

    #[test]
    fn nothing_applicable_is_neither_none_nor_all() {
        for items in [
            vec![],
            vec![item(Status::Na, 1.0)],
            vec![item(Status::Pass, 0.0)],
        ] {
            let score = Score::of(&items);
            assert_eq!(score.shares, None);
            assert_eq!(score.to_string(), "no applicable item");
            let json = serde_json::to_value(&score).expect("a score is json");
            assert!(json.get("low").is_none());
            let back: Score = serde_json::from_value(json).expect("and can be read");
            assert_eq!(back, score);
        }
    }

    #[test]
    fn it_is_rounded_down() {
        let score = Score::of(&[item(Status::Pass, 999.0), item(Status::Fail, 1.0)]);
        assert!(score.to_string().starts_with("99% [99–99]"));
        let score = Score::of(&[item(Status::Pass, 29.0), item(Status::Fail, 71.0)]);
        assert!(score.to_string().starts_with("29% "));
    }

    #[test]
    fn a_waived_item_scores_nothing_and_cannot() {
        let mut waived = item(Status::Warn, 1.0);
        waived.waived = true;
        let mut open = item(Status::Unknown, 1.0);
        open.waived = true;
        let shares = Score::of(&[waived, open, item(Status::Pass, 2.0)])
            .shares
            .expect("there are applicable items");
        assert!((shares.low - 0.5).abs() < 1e-9);
        assert!((shares.high - 0.5).abs() < 1e-9);
        assert!((shares.coverage - 0.75).abs() < 1e-9);
    }

    #[test]
    fn it_is_met_only_when_every_category_meets_its_own_target() {
        let category = |id: &str, target: f64| Category {
            id: id.to_owned(),
            title: None,
            titles: BTreeMap::new(),
            target: Some(target),
        };
        let in_category = |id: &str, status: Status| ScoreItem {
            category: Some(id.to_owned()),
            ..item(status, 1.0)
        };
        let mut items = vec![in_category("a", Status::Pass); 9];
        items.push(in_category("b", Status::Unknown));
        let mut targets = Targets {
            overall: Some(0.9),
            categories: vec![category("b", 0.5), category("a", 1.0)],
        };
        let score = Score::of(&items).held_against(&targets);
        assert_eq!(score.met, Some(false));
        let met: Vec<_> = score
            .categories
            .iter()
            .map(|category| category.met)
            .collect();
        assert_eq!(met, [Some(false), Some(true)]);
        assert!(
            score.to_string().ends_with("; target 90%, not met"),
            "{score}"
        );
        items[9].status = Status::Warn;
        assert_eq!(Score::of(&items).held_against(&targets).met, Some(true));
        // A category that nothing was seen of meets nothing.
        targets.categories.push(category("c", 0.0));
        assert_eq!(Score::of(&items).held_against(&targets).met, Some(false));
        assert_eq!(
            Score::of(&items).held_against(&Targets::default()).met,
            None
        );
    }

    #[test]
    fn categories_are_scored_by_themselves() {
        let mut security = item(Status::Fail, 1.0);
        security.category = Some("security".to_owned());
        let mut moot = item(Status::Na, 1.0);
        moot.category = Some("moot".to_owned());
        let score = Score::of(&[security, moot, item(Status::Pass, 1.0)]);
        let lines: Vec<_> = score
            .categories
            .iter()
            .map(|category| {
                (
                    category.category.as_deref(),
                    category.shares.map(|shares| percent(shares.low)),
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                (None, Some(100.0)),
                (Some("moot"), None),
                (Some("security"), Some(0.0))
            ]
        );
    }

    fn any_item() -> impl Strategy<Value = ScoreItem> {
        (
            prop::option::of("[ab]"),
            prop_oneof![0.0..100.0, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)],
            prop::sample::select(Status::ALL.to_vec()),
            any::<bool>(),
            prop::sample::select(vec![Basis::Derived, Basis::Attested]),
        )
            .prop_map(|(category, weight, status, waived, basis)| ScoreItem {
                category,
                weight,
                status,
                waived,
                basis,
            })
    }

    proptest! {
        #[test]
        fn the_interval_is_one_and_lies_within_bounds(
            items in prop::collection::vec(any_item(), 0..20)
        ) {
            let score = Score::of(&items);
            let parts = score.categories.iter().filter_map(|category| category.shares);
            for shares in parts.chain(score.shares) {
                prop_assert!(0.0 <= shares.low && shares.low <= shares.high && shares.high <= 1.0);
                prop_assert!((0.0..=1.0).contains(&shares.coverage));
                prop_assert!((shares.derived + shares.attested - shares.low).abs() < 1e-9);
            }
        }

        #[test]
        fn an_unknown_raises_nothing_and_encloses_what_it_hides(
            mut items in prop::collection::vec(any_item(), 1..20), at in 0usize..20
        ) {
            let at = at % items.len();
            prop_assume!(items[at].status != Status::Na);
            let known = Score::of(&items).shares;
            items[at].status = Status::Unknown;
            if let (Some(known), Some(hidden)) = (known, Score::of(&items).shares) {
                prop_assert!(hidden.low <= known.low + 1e-9);
                prop_assert!(hidden.high >= known.high - 1e-9);
                prop_assert!(hidden.coverage <= known.coverage + 1e-9);
            }
        }
    }
}
