//! Shares, intervals, targets.

use proptest::prelude::*;

use super::display::percent;
use super::*;

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
