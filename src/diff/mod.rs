//! What changed between two verdicts, and whether it got worse.

mod render;

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

pub use render::{DiffFormat, write};

use crate::judge::{Score, Status};
use crate::verdict::{Basis, GateReport, ItemReport, Verdict};

/// The version of the JSON form.
pub const SCHEMA: &str = "probe.diff/v1";

/// What changed from one verdict to a later one.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// Always `probe.diff/v1`.
    pub schema: &'static str,
    /// Whether anything got worse.
    pub regression: bool,
    /// The earlier verdict.
    pub old: Side,
    /// The later one.
    pub new: Side,
    /// The gates that differ: those that got worse first.
    pub gates: Vec<Change>,
    /// The items that differ: those that got worse first.
    pub items: Vec<Change>,
    /// How many items are in both, with the same result and basis.
    pub unchanged: usize,
}

/// One of two verdicts.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Its run.
    pub run_id: String,
    /// When its last probe ended.
    pub finished_at: jiff::Timestamp,
    /// The gate that decided.
    pub gate: GateReport,
    /// Its score.
    pub score: Score,
}

/// An item or a gate that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it differs.
    pub change: Kind,
    /// Whether that is a regression.
    pub regression: bool,
    /// Its earlier state; absent where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<State>,
    /// Its later state; absent where it vanished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<State>,
    /// Why its later result is what it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A result, and whether a waiver covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct State {
    /// The result.
    pub result: Status,
    /// Whether a waiver covers it.
    pub waived: bool,
}

/// How an item or a gate differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Its result is worse.
    Worse,
    /// It is there no more.
    Vanished,
    /// It was not there before.
    New,
    /// Its result is better.
    Better,
    /// Its result is as good as before; a waiver came or went, or it applies (no more).
    Changed,
}

/// Two verdicts that cannot be compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is in it twice")]
pub struct Twice(pub String);

impl Diff {
    /// Compares two verdicts.
    ///
    /// # Errors
    /// Where the ids of one are not unique: `Ok` and `Err` tell which.
    pub fn of(old: &Verdict, new: &Verdict) -> Result<Self, Which<Twice>> {
        let old_items = by_id(&old.items, |item| &item.id).map_err(Which::Old)?;
        let new_items = by_id(&new.items, |item| &item.id).map_err(Which::New)?;
        let old_gates = by_id(&old.gates, |gate| &gate.id).map_err(Which::Old)?;
        let new_gates = by_id(&new.gates, |gate| &gate.id).map_err(Which::New)?;
        let (items, unchanged) = changes(
            (&old.items, &old_items),
            (&new.items, &new_items),
            Subject::of_item,
        );
        let (gates, _) = changes(
            (&old.gates, &old_gates),
            (&new.gates, &new_gates),
            Subject::of_gate,
        );
        Ok(Self {
            schema: SCHEMA,
            regression: items.iter().chain(&gates).any(|change| change.regression),
            old: Side::of(old),
            new: Side::of(new),
            gates,
            items,
            unchanged,
        })
    }
}

/// Something about one of two verdicts.
#[derive(Debug, PartialEq, Eq)]
pub enum Which<T> {
    /// About the earlier one.
    Old(T),
    /// About the later one.
    New(T),
}

impl Side {
    fn of(verdict: &Verdict) -> Self {
        Self {
            run_id: verdict.run_id.clone(),
            finished_at: verdict.finished_at,
            gate: verdict.gate.clone(),
            score: verdict.score.clone(),
        }
    }
}

/// An item or a gate, as far as it is compared.
struct Subject<'v> {
    id: &'v str,
    title: Option<&'v str>,
    state: State,
    reason: String,
}

impl<'v> Subject<'v> {
    fn of_item(item: &'v ItemReport) -> Self {
        Self {
            id: &item.id,
            title: Some(&item.title),
            state: State {
                result: item.result,
                waived: item.basis == Basis::Waived,
            },
            reason: item.reason.clone(),
        }
    }

    fn of_gate(gate: &'v GateReport) -> Self {
        const SHOWN: usize = 12;
        let blocking = gate.blocking.iter().take(SHOWN).cloned();
        let mut reason = blocking.collect::<Vec<_>>().join(", ");
        if gate.blocking.len() > SHOWN {
            let _ = write!(reason, " and {} more", gate.blocking.len() - SHOWN);
        }
        if !reason.is_empty() {
            reason.insert_str(0, "blocked by ");
        }
        Self {
            id: &gate.id,
            title: None,
            state: State {
                result: gate.result,
                waived: false,
            },
            reason,
        }
    }
}

type ById<'v, T> = HashMap<&'v str, &'v T>;

fn by_id<T>(list: &[T], id: impl Fn(&T) -> &String) -> Result<ById<'_, T>, Twice> {
    let mut map = HashMap::with_capacity(list.len());
    for entry in list {
        if map.insert(id(entry).as_str(), entry).is_some() {
            return Err(Twice(id(entry).clone()));
        }
    }
    Ok(map)
}

/// What differs, and how much does not.
fn changes<'v, T>(
    (old, old_by_id): (&'v [T], &ById<'v, T>),
    (new, new_by_id): (&'v [T], &ById<'v, T>),
    subject: impl Fn(&'v T) -> Subject<'v>,
) -> (Vec<Change>, usize) {
    let mut changes = Vec::new();
    let mut unchanged = 0;
    for new in new.iter().map(&subject) {
        let old = old_by_id.get(new.id).map(|old| subject(old).state);
        if old == Some(new.state) {
            unchanged += 1;
        } else {
            changes.push(change(&new, old, Some(new.state)));
        }
    }
    let vanished = old.iter().map(&subject);
    for old in vanished.filter(|old| !new_by_id.contains_key(old.id)) {
        changes.push(change(&old, Some(old.state), None));
    }
    // Stable: within a kind of change the order of the verdict.
    changes.sort_by_key(|change| (!change.regression, change.change));
    (changes, unchanged)
}

fn change(subject: &Subject<'_>, old: Option<State>, new: Option<State>) -> Change {
    let (kind, regression) = match (old, new) {
        (_, None) => (Kind::Vanished, true),
        (None, Some(new)) => {
            let bad = matches!(new.result, Status::Fail | Status::Unknown);
            (Kind::New, bad && !new.waived)
        }
        (Some(old), Some(new)) => match badness(new.result).cmp(&badness(old.result)) {
            std::cmp::Ordering::Less => (Kind::Better, false),
            std::cmp::Ordering::Equal => (Kind::Changed, false),
            // Somebody answers for it by name, until a date; the gate shows what is left of it.
            std::cmp::Ordering::Greater => (Kind::Worse, old.waived || !new.waived),
        },
    };
    Change {
        id: subject.id.to_owned(),
        title: subject.title.map(str::to_owned),
        change: kind,
        regression,
        old,
        new,
        reason: if new.is_some() {
            subject.reason.clone()
        } else {
            String::new()
        },
    }
}

/// Worse is greater. What does not apply is as good as what passes.
fn badness(status: Status) -> u8 {
    match status {
        Status::Na | Status::Pass => 0,
        Status::Warn => 1,
        Status::Unknown => 2,
        Status::Fail => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(result: Status) -> State {
        State {
            result,
            waived: false,
        }
    }

    fn waived(result: Status) -> State {
        State {
            result,
            waived: true,
        }
    }

    fn compared(old: Option<State>, new: Option<State>) -> (Kind, bool) {
        let subject = Subject {
            id: "i",
            title: None,
            state: state(Status::Pass),
            reason: String::new(),
        };
        let change = change(&subject, old, new);
        (change.change, change.regression)
    }

    #[test]
    fn worse_is_worse_in_the_order_pass_warn_unknown_fail() {
        let order = [Status::Pass, Status::Warn, Status::Unknown, Status::Fail];
        for (i, old) in order.iter().enumerate() {
            for (j, new) in order.iter().enumerate().filter(|(j, _)| *j != i) {
                let expected = if j > i {
                    (Kind::Worse, true)
                } else {
                    (Kind::Better, false)
                };
                assert_eq!(
                    compared(Some(state(*old)), Some(state(*new))),
                    expected,
                    "{old} to {new}"
                );
            }
        }
    }

    #[test]
    fn what_does_not_apply_is_as_good_as_what_passes() {
        let na = Some(state(Status::Na));
        let pass = Some(state(Status::Pass));
        assert_eq!(compared(na, pass), (Kind::Changed, false));
        assert_eq!(compared(pass, na), (Kind::Changed, false));
        assert_eq!(compared(na, Some(state(Status::Warn))), (Kind::Worse, true));
    }

    #[test]
    fn what_vanished_and_what_is_new_and_bad_are_regressions() {
        for status in Status::ALL {
            assert_eq!(compared(Some(state(status)), None), (Kind::Vanished, true));
            let bad = matches!(status, Status::Fail | Status::Unknown);
            assert_eq!(compared(None, Some(state(status))), (Kind::New, bad));
            assert_eq!(compared(None, Some(waived(status))), (Kind::New, false));
        }
    }

    #[test]
    fn newly_waived_is_none() {
        let fail = Some(state(Status::Fail));
        let unknown = Some(waived(Status::Unknown));
        let failing = Some(waived(Status::Fail));
        assert_eq!(compared(fail, failing), (Kind::Changed, false));
        assert_eq!(
            compared(Some(state(Status::Pass)), failing),
            (Kind::Worse, false)
        );
        assert_eq!(compared(unknown, failing), (Kind::Worse, true), "not newly");
        assert_eq!(compared(failing, fail), (Kind::Changed, false));
    }
}
