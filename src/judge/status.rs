//! The result of a rule, an item or a gate, and the one fold that combines them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A result. The order is the order of the fold, so that the worst of two is the greater one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Moot here, by a predicate over facts; takes no part in a fold.
    Na,
    /// Seen, and as it should be.
    Pass,
    /// Seen; a `should` rule does not hold.
    Warn,
    /// Not seen: missing, denied, timed out, empty, stale or unparseable.
    Unknown,
    /// Seen, and not as it must be.
    Fail,
}

impl Status {
    /// Every status, best first.
    pub const ALL: [Self; 5] = [Self::Na, Self::Pass, Self::Warn, Self::Unknown, Self::Fail];

    /// The word used in JSON and in print.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Na => "na",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// The fold of two: fail, then unknown, then warn, then pass; `na` is the identity.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// The fold of any number. `None` when there is nothing to fold: what nothing means (unknown,
    /// for an item or a gate) is the caller's to say. All `na` is `na`.
    pub fn fold(statuses: impl IntoIterator<Item = Self>) -> Option<Self> {
        statuses.into_iter().reduce(Self::and)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status() -> impl Strategy<Value = Status> {
        prop::sample::select(Status::ALL.to_vec())
    }

    #[test]
    fn the_worst_wins_in_the_order_of_the_model() {
        use Status::{Fail, Na, Pass, Unknown, Warn};
        for (left, right, both) in [
            (Fail, Unknown, Fail),
            (Unknown, Warn, Unknown),
            (Warn, Pass, Warn),
            (Unknown, Pass, Unknown),
            (Na, Pass, Pass),
            (Na, Unknown, Unknown),
            (Na, Na, Na),
        ] {
            assert_eq!(left.and(right), both, "{left} and {right}");
        }
    }

    #[test]
    fn nothing_folds_to_nothing() {
        assert_eq!(Status::fold([]), None);
    }

    #[test]
    fn the_words_are_those_of_the_json() {
        for status in Status::ALL {
            assert_eq!(
                serde_json::to_value(status).expect("a status is json"),
                status.as_str()
            );
        }
    }

    proptest! {
        #[test]
        fn the_fold_is_commutative_associative_and_idempotent(
            a in status(), b in status(), c in status()
        ) {
            prop_assert_eq!(a.and(b), b.and(a));
            prop_assert_eq!(a.and(b).and(c), a.and(b.and(c)));
            prop_assert_eq!(a.and(a), a);
            prop_assert_eq!(a.and(Status::Na), a);
        }

        #[test]
        fn nothing_turns_unknown_or_fail_into_something_better(
            mut all in prop::collection::vec(status(), 0..8), at in 0usize..8
        ) {
            all.insert(at.min(all.len()), Status::Unknown);
            let folded = Status::fold(all.iter().copied()).expect("it is not empty");
            prop_assert!(matches!(folded, Status::Unknown | Status::Fail));
            prop_assert_eq!(folded == Status::Fail, all.contains(&Status::Fail));
        }

        #[test]
        fn order_does_not_matter(all in prop::collection::vec(status(), 0..8)) {
            let mut sorted = all.clone();
            sorted.sort();
            prop_assert_eq!(Status::fold(all), Status::fold(sorted));
        }
    }
}
