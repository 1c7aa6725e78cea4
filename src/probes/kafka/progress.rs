//! From the answers to how far a group is in a partition.

use super::facts::GroupPartition;
use super::groups::{Seen, observed};
use super::native::{Place, Trouble};
use super::survey::Survey;
use super::trouble::{not_seen, unknown, unknown_refused};
use super::window::{History, Position, lag_state};
use crate::evidence::{Observed, UnknownWhy};

/// How far a group is in one partition.
pub(super) fn group_partition(
    survey: &Survey,
    group: &str,
    topic: &str,
    partition: i32,
    seen: &Seen<'_>,
    history: &History,
) -> GroupPartition {
    let place = Place {
        topic: topic.to_owned(),
        partition,
    };
    // The last look is the newest.
    let last = survey.looks.last();
    let committed = observed(seen).and_then(|_| {
        last.map_or_else(not_asked, |look| {
            committed(look.committed.get(group), group, &place)
        })
    });
    let end = last.map_or_else(not_asked, |look| log_end(&look.ends, &place));
    let start = log_end(&survey.starts, &place);
    let positions = positions(survey, group, &place, history);
    GroupPartition {
        partition,
        lag_records: lag(&committed, &start, &end),
        removed_unread_records: removed_unread(&committed, &start, &end),
        committed_offset: committed,
        log_start_offset: start,
        log_end_offset: end,
        lag_state: observed(seen).and_then(|view| lag_state(&positions, !view.members.is_empty())),
    }
}

pub(super) fn not_asked<T>() -> Observed<T> {
    Observed::unknown(UnknownWhy::NotObserved, "it was not asked for")
}

/// The offset that a group has committed; not applicable: it has committed none.
fn committed(
    answer: Option<&Result<Vec<super::native::OffsetView>, Trouble>>,
    group: &str,
    place: &Place,
) -> Observed<i64> {
    let offsets = match answer {
        Some(Ok(offsets)) => offsets,
        Some(Err(trouble)) => {
            return unknown(trouble, &format!("Describe on group {group}")).into();
        }
        None => return not_asked(),
    };
    match offsets
        .iter()
        .find(|it| it.place == *place)
        .map(|it| &it.offset)
    {
        Some(Ok(offset)) if *offset >= 0 => Observed::Value(*offset),
        Some(Err(refused)) => {
            unknown_refused(refused, &format!("Describe on topic {}", place.topic)).into()
        }
        Some(Ok(_)) | None => Observed::unknown(
            UnknownWhy::NotApplicable,
            "the group has committed nothing here",
        ),
    }
}

fn log_end(ends: &super::survey::Ends, place: &Place) -> Observed<i64> {
    let right = format!("Describe on topic {}", place.topic);
    match ends.as_ref().map(|ends| ends.get(place)) {
        Ok(Some(Ok(offset))) if *offset >= 0 => Observed::Value(*offset),
        Ok(Some(Err(refused))) => unknown_refused(refused, &right).into(),
        Ok(Some(Ok(_))) => unknown(&Trouble::TimedOut, &right).into(),
        Ok(None) => Observed::unknown(UnknownWhy::NotObserved, "the partition has no leader"),
        Err(trouble) => unknown(trouble, &right).into(),
    }
}

/// Records between two offsets; none where the second lies before the first.
fn between(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

fn lag(committed: &Observed<i64>, start: &Observed<i64>, end: &Observed<i64>) -> Observed<u64> {
    let (start, end) = match (start, end) {
        (Observed::Value(start), Observed::Value(end)) => (*start, *end),
        (Observed::Unknown(why), _) | (_, Observed::Unknown(why)) => return not_seen(why),
    };
    match committed {
        Observed::Value(committed) if *committed > end => Observed::unknown(
            UnknownWhy::Inconsistent,
            format!("the committed offset {committed} lies beyond the end of the log, {end}"),
        ),
        Observed::Value(committed) => Observed::Value(between((*committed).max(start), end)),
        Observed::Unknown(why) if why.why != UnknownWhy::NotApplicable => not_seen(why),
        Observed::Unknown(_) if start == end => Observed::Value(0),
        Observed::Unknown(_) => Observed::unknown(
            UnknownWhy::NotObserved,
            "the group has committed nothing, and there are records",
        ),
    }
}

fn removed_unread(
    committed: &Observed<i64>,
    start: &Observed<i64>,
    end: &Observed<i64>,
) -> Observed<u64> {
    match (committed, start, end) {
        (Observed::Value(committed), Observed::Value(_), Observed::Value(end))
            if committed > end =>
        {
            Observed::unknown(
                UnknownWhy::Inconsistent,
                "the committed offset lies beyond the end of the log",
            )
        }
        (Observed::Value(committed), Observed::Value(start), _) => {
            Observed::Value(between(*committed, *start))
        }
        // It has committed nothing, and nothing was ever removed.
        (Observed::Unknown(why), Observed::Value(0), _) if why.why == UnknownWhy::NotApplicable => {
            Observed::Value(0)
        }
        (Observed::Unknown(why), _, _) | (_, Observed::Unknown(why), _) => not_seen(why),
    }
}

/// Where the group and the log were, oldest first, as far as both are known.
fn positions(survey: &Survey, group: &str, place: &Place, history: &History) -> Vec<Position> {
    let mut positions = history.of(group, place);
    for look in &survey.looks {
        let committed = committed(look.committed.get(group), group, place);
        let end = log_end(&look.ends, place);
        if let (Observed::Value(committed), Observed::Value(end)) = (committed, end) {
            let at_ms = history.at_ms(look.at);
            positions.push(Position {
                at_ms,
                committed,
                end,
            });
        }
    }
    positions
}
