//! Whether any label set satisfies some matchers and none of several groups of others.
//!
//! Decided over a finite set of values per label: those that the matchers speak of, one that no
//! matcher speaks of, and placeholders for all other strings, one for every way in which the open
//! patterns of that label may accept one. A label set of real values is a proof that there is one;
//! where not even a placeholder fits, there is none; between the two it is undecided.

use std::collections::{BTreeMap, BTreeSet};

use super::matcher::{Labels, Matcher, Test};
use super::pattern::Shape;

/// How many matchers are held against values before it is given up.
const MAX_STEPS: u32 = 200_000;
/// For more open patterns of one label there is a single placeholder, of which nothing is known.
const MAX_OPEN: usize = 5;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// A label set that satisfies all.
    Witness(Labels),
    /// There is none.
    Nothing,
    /// It could not be told.
    Undecided,
}

/// A value that a label may have.
#[derive(Debug, Clone)]
enum Value {
    Real(String),
    /// Any other string that these open patterns accept and no other.
    Other(BTreeSet<String>),
    /// Any other string.
    Any,
}

/// Looks for a label set that all of `wanted` match and none of `excluded`, of which each matches
/// when all its matchers do.
pub(super) fn find(wanted: &[&Matcher], excluded: &[&[Matcher]]) -> Found {
    if excluded
        .iter()
        .any(|group| group.iter().all(Matcher::is_universal))
    {
        return Found::Nothing;
    }
    let mut search = Search::new(wanted, excluded);
    if search.labels.iter().any(|label| label.values.is_empty()) {
        return Found::Nothing;
    }
    let mut chosen = vec![0; search.labels.len()];
    match search.descend(0, &mut chosen) {
        Some(witness) => Found::Witness(witness),
        None if search.is_doubtful || search.steps >= MAX_STEPS => Found::Undecided,
        None => Found::Nothing,
    }
}

struct Label<'m> {
    name: &'m str,
    /// With what the wanted matchers say to each: true, or cannot be told.
    values: Vec<(Value, bool)>,
}

struct Search<'m> {
    labels: Vec<Label<'m>>,
    /// Each group as matchers with the place of their label.
    groups: Vec<Vec<(usize, &'m Matcher)>>,
    steps: u32,
    is_doubtful: bool,
}

impl<'m> Search<'m> {
    fn new(wanted: &[&'m Matcher], excluded: &[&'m [Matcher]]) -> Self {
        let mut by_label: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
        for matcher in wanted
            .iter()
            .copied()
            .chain(excluded.iter().copied().flatten())
        {
            by_label.entry(&matcher.label).or_default().push(matcher);
        }
        let places: BTreeMap<&str, usize> = by_label.keys().copied().zip(0..).collect();
        let labels = by_label
            .iter()
            .map(|(name, matchers)| {
                let wanted = wanted
                    .iter()
                    .copied()
                    .filter(|matcher| matcher.label == *name);
                let wanted: Vec<&Matcher> = wanted.collect();
                Label {
                    name,
                    values: fitting(values(matchers), &wanted),
                }
            })
            .collect();
        let place = |matcher: &'m Matcher| {
            let at = places
                .get(matcher.label.as_str())
                .copied()
                .unwrap_or_default();
            (at, matcher)
        };
        let groups = excluded
            .iter()
            .map(|group| group.iter().map(place).collect())
            .collect();
        Self {
            labels,
            groups,
            steps: 0,
            is_doubtful: false,
        }
    }

    fn descend(&mut self, depth: usize, chosen: &mut Vec<usize>) -> Option<Labels> {
        if depth == self.labels.len() {
            return self.witness(chosen);
        }
        for at in 0..self.labels[depth].values.len() {
            chosen[depth] = at;
            if self.steps >= MAX_STEPS {
                return None;
            }
            if self.is_excluded(depth + 1, chosen) {
                continue;
            }
            if let Some(witness) = self.descend(depth + 1, chosen) {
                return Some(witness);
            }
        }
        None
    }

    /// Whether a group matches, whatever the labels are that are not chosen yet.
    fn is_excluded(&mut self, depth: usize, chosen: &[usize]) -> bool {
        let last = depth - 1;
        for group in &self.groups {
            // The others were looked at before.
            if !group.iter().any(|(at, _)| *at == last) {
                continue;
            }
            let mut all = true;
            for (at, matcher) in group {
                self.steps += 1;
                let value = |at: usize| &self.labels[at].values[chosen[at]].0;
                if *at >= depth || accepts(matcher, value(*at)) != Some(true) {
                    all = false;
                    break;
                }
            }
            if all {
                return true;
            }
        }
        false
    }

    /// The label set, if all its values are real and every answer is certain.
    fn witness(&mut self, chosen: &[usize]) -> Option<Labels> {
        let value = |at: usize| &self.labels[at].values[chosen[at]];
        let mut witness = Labels::new();
        let mut certain = true;
        for (at, label) in self.labels.iter().enumerate() {
            match value(at) {
                (Value::Real(text), true) if text.is_empty() => {}
                (Value::Real(text), true) => {
                    witness.insert(label.name.to_owned(), text.clone());
                }
                _ => certain = false,
            }
        }
        let apart = self.groups.iter().all(|group| {
            group
                .iter()
                .any(|(at, matcher)| accepts(matcher, &value(*at).0) == Some(false))
        });
        if certain && apart {
            return Some(witness);
        }
        self.is_doubtful = true;
        None
    }
}

/// Those that no wanted matcher refuses; the certain and real ones first.
fn fitting(values: Vec<Value>, wanted: &[&Matcher]) -> Vec<(Value, bool)> {
    let mut fitting: Vec<(Value, bool)> = values
        .into_iter()
        .filter_map(|value| {
            let said = super::matcher::all(wanted.iter().map(|matcher| accepts(matcher, &value)));
            (said != Some(false)).then_some((value, said == Some(true)))
        })
        .collect();
    fitting.sort_by_key(|(value, certain)| (!matches!(value, Value::Real(_)), !certain));
    fitting
}

/// The values that tell all strings apart, as far as these matchers can.
fn values(matchers: &[&Matcher]) -> Vec<Value> {
    let mut real = BTreeSet::from([String::new()]);
    let mut open = BTreeSet::new();
    for matcher in matchers {
        match &matcher.test {
            Test::Literal(text) => {
                real.insert(text.clone());
            }
            Test::Pattern(pattern) => match &pattern.shape {
                Shape::Every | Shape::NonEmpty => {}
                Shape::Finite(strings) => real.extend(strings.iter().cloned()),
                Shape::Open(strings) => {
                    real.extend(strings.iter().cloned());
                    open.insert(pattern.source.clone());
                }
            },
        }
    }
    let mut fresh = "other".to_owned();
    while real.contains(&fresh) {
        fresh.push('-');
    }
    // In the order in which they are tried: an absent label is the plainest.
    let mut values: Vec<Value> = real.into_iter().map(Value::Real).collect();
    values.push(Value::Real(fresh));
    if open.len() > MAX_OPEN {
        values.push(Value::Any);
    } else {
        let open: Vec<String> = open.into_iter().collect();
        for bits in 0..1_u32 << open.len() {
            let accepted = open
                .iter()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1);
            values.push(Value::Other(
                accepted.map(|(_, source)| source.clone()).collect(),
            ));
        }
    }
    values
}

fn accepts(matcher: &Matcher, value: &Value) -> Option<bool> {
    let open = match value {
        Value::Real(text) => return matcher.accepts(text),
        Value::Other(open) => Some(open),
        Value::Any => None,
    };
    let plain = match &matcher.test {
        Test::Literal(_) => Some(false),
        Test::Pattern(pattern) => match &pattern.shape {
            Shape::Every | Shape::NonEmpty => Some(true),
            Shape::Finite(_) => Some(false),
            Shape::Open(_) => open.map(|open| open.contains(&pattern.source)),
        },
    };
    plain.map(|plain| plain != matcher.negated)
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Patterns;
    use super::*;

    fn parse(text: &str) -> Result<Vec<Matcher>, String> {
        super::super::matcher::parse(text, &mut Patterns::default())
    }

    fn found(wanted: &str, excluded: &[&str]) -> Found {
        let wanted = parse(wanted).unwrap();
        let excluded: Vec<Vec<Matcher>> =
            excluded.iter().map(|text| parse(text).unwrap()).collect();
        let groups: Vec<&[Matcher]> = excluded.iter().map(Vec::as_slice).collect();
        find(&wanted.iter().collect::<Vec<_>>(), &groups)
    }

    fn is_found(wanted: &str, excluded: &[&str]) -> Option<bool> {
        match found(wanted, excluded) {
            Found::Witness(_) => Some(true),
            Found::Nothing => Some(false),
            Found::Undecided => None,
        }
    }

    #[test]
    fn a_witness_is_a_label_set_that_does_it() {
        let labels = Labels::from([("team".to_owned(), "ops".to_owned())]);
        assert_eq!(found("team=ops", &["team=dev"]), Found::Witness(labels));
        assert_eq!(is_found("", &["team=dev", "team=ops"]), Some(true));
        assert_eq!(is_found("", &["team!=ops"]), Some(true));
        assert_eq!(is_found("a=~\"api-.*\"", &["a=~\"db-.*\""]), Some(true));
        assert_eq!(is_found("a=~\"x.*\"", &["a=~\"x\"", "b=\"\""]), Some(true));
        assert_eq!(is_found("a=b", &["a=b, c=d"]), Some(true));
    }

    #[test]
    fn what_others_take_whole_is_nothing() {
        assert_eq!(is_found("team=ops", &[""]), Some(false));
        assert_eq!(is_found("team=ops", &["team=ops"]), Some(false));
        assert_eq!(is_found("team=ops", &["team=~\"ops|dev\""]), Some(false));
        assert_eq!(is_found("team=ops", &["team!=dev"]), Some(false));
        assert_eq!(is_found("team=ops, a=b", &["team=ops"]), Some(false));
        assert_eq!(is_found("team=ops", &["zone=~\".*\""]), Some(false));
        assert_eq!(is_found("team=ops, team=dev", &[]), Some(false));
        assert_eq!(
            is_found("team=~\"a|b\"", &["team=a", "team=b"]),
            Some(false)
        );
        assert_eq!(is_found("a=~\"x.*\"", &["a=~\"x.*\""]), Some(false));
        assert_eq!(is_found("a=~\"x.*\"", &["a=~\".+\""]), Some(false));
        assert_eq!(is_found("", &["a=\"\"", "a=~\".+\""]), Some(false));
        assert_eq!(is_found("", &["a=b", "a!=b"]), Some(false));
    }

    #[test]
    fn what_patterns_hide_is_undecided() {
        assert_eq!(is_found("a=~\"[xy]+z\"", &["a=~\"(x|y)+z\""]), None);
        assert_eq!(is_found("a=~\"[[a]b]\"", &[]), None);
        assert_eq!(is_found("a=b", &["a=~\"[[a]b]\""]), None);
    }

    #[test]
    fn a_search_that_grows_out_of_hand_is_given_up() {
        let wanted: Vec<String> = (0..16)
            .map(|at| format!("l{at}=~\"[ab]{{9,}}x\""))
            .collect();
        let groups: Vec<String> = (0..16)
            .map(|at| format!("l{at}=~\"(a|b){{9,}}x\""))
            .collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let begun = std::time::Instant::now();
        assert_eq!(is_found(&wanted.join(","), &groups), None);
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }

    fn matcher() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let value = prop_oneof!["x", "y", "x\\|y", "x\\.\\*", "\\.\\+", "\\.\\*", ""];
        ("[ab]", prop_oneof!["=", "!=", "=~", "!~"], value)
            .prop_map(|(label, sign, value)| format!("{label}{sign}\"{value}\""))
    }

    proptest::proptest! {
        #[test]
        fn the_answer_agrees_with_trying_all(
            wanted in proptest::collection::vec(matcher(), 0..3),
            excluded in proptest::collection::vec(proptest::collection::vec(matcher(), 1..3), 0..4),
        ) {
            let excluded: Vec<String> = excluded.into_iter().map(|group| group.join(",")).collect();
            let groups: Vec<&str> = excluded.iter().map(String::as_str).collect();
            let wanted = wanted.join(",");
            let tried = ["", "x", "y", "xx", "q", "x|y", "x.*", ".+", ".*"];
            let fits = tried.iter().any(|a| tried.iter().any(|b| {
                let labels = Labels::from([("a".to_owned(), (*a).to_owned()), ("b".to_owned(), (*b).to_owned())]);
                let holds = |text: &str| super::super::matcher::all_match(&parse(text).unwrap(), &labels) == Some(true);
                holds(&wanted) && !groups.iter().any(|group| holds(group))
            }));
            match is_found(&wanted, &groups) {
                Some(said) => proptest::prop_assert_eq!(said, fits),
                None => proptest::prop_assert!(false, "{} {:?}", wanted, groups),
            }
        }
    }
}
