//! How a group moves, over a window of looks: the rules of Burrow, a checker of consumer lag, for
//! looks from the outside.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::facts::LagState;
use super::native::Place;
use crate::evidence::{Observed, UnknownWhy};
use crate::probes::Earlier;

/// Looks below which nothing is said.
const FEWEST_LOOKS: usize = 10;

/// Where a group and the log were at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) committed: i64,
    pub(super) end: i64,
}

impl Position {
    fn lag(self) -> i64 {
        (self.end - self.committed).max(0)
    }
}

/// How a group moves, from where it was, oldest first.
pub(super) fn lag_state(positions: &[Position]) -> Observed<LagState> {
    let steps = || positions.iter().zip(positions.iter().skip(1));
    // One step back is proof, however short the window.
    if steps().any(|(before, after)| after.committed < before.committed) {
        return Observed::Value(LagState::Rewound);
    }
    if positions.len() < FEWEST_LOOKS {
        return Observed::unknown(
            UnknownWhy::NotObserved,
            format!(
                "seen {} times, and {FEWEST_LOOKS} are needed to tell a group that stands still \
                 from a busy one: set `observe_for`",
                positions.len()
            ),
        );
    }
    let stands = steps().all(|(before, after)| before.committed == after.committed);
    // Since when there is something to read, without a break.
    let waiting = positions.iter().rev().take_while(|it| it.lag() > 0).count();
    let window = &positions[positions.len() - waiting.min(positions.len())..];
    Observed::Value(if waiting < FEWEST_LOOKS {
        LagState::Ok
    } else if stands {
        LagState::Stalled
    } else if window
        .iter()
        .zip(window.iter().skip(1))
        .all(|(before, after)| after.lag() > before.lag())
    {
        LagState::FallingBehind
    } else {
        LagState::Ok
    })
}

/// Where groups were in earlier runs.
#[derive(Default)]
pub(super) struct History(BTreeMap<(String, Place), Vec<Position>>);

impl History {
    /// Reads the facts of earlier runs, oldest first; what they do not tell is left out.
    pub(super) fn read(earlier: &[Earlier]) -> Self {
        let mut history = Self::default();
        for run in earlier {
            history.add(&run.facts);
        }
        history
    }

    fn add(&mut self, facts: &Map<String, Value>) {
        for group in list(facts.get("groups")) {
            let Some(name) = group["name"].as_str() else {
                continue;
            };
            for topic in list(group.get("topics")) {
                let Some(topic_name) = topic["topic"].as_str() else {
                    continue;
                };
                for partition in list(topic.get("partitions")) {
                    self.add_partition(name, topic_name, partition);
                }
            }
        }
    }

    fn add_partition(&mut self, group: &str, topic: &str, facts: &Value) {
        let number = |name: &str| facts.get(name).and_then(Value::as_i64);
        let partition = number("partition").and_then(|it| i32::try_from(it).ok());
        if let (Some(partition), Some(committed), Some(end)) = (
            partition,
            number("committed_offset"),
            number("log_end_offset"),
        ) {
            let place = Place {
                topic: topic.to_owned(),
                partition,
            };
            let key = (group.to_owned(), place);
            self.0
                .entry(key)
                .or_default()
                .push(Position { committed, end });
        }
    }

    /// Where a group was in a partition.
    pub(super) fn of(&self, group: &str, place: &Place) -> Vec<Position> {
        let key = (group.to_owned(), place.clone());
        self.0.get(&key).cloned().unwrap_or_default()
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(positions: &[(i64, i64)]) -> Option<LagState> {
        let positions: Vec<Position> = positions
            .iter()
            .map(|(committed, end)| Position {
                committed: *committed,
                end: *end,
            })
            .collect();
        lag_state(&positions).value().copied()
    }

    fn looks(count: i64, at: impl Fn(i64) -> (i64, i64)) -> Vec<(i64, i64)> {
        (0..count).map(at).collect()
    }

    #[test]
    fn what_earlier_runs_saw_is_part_of_the_window() {
        let run = |committed: i64| {
            Earlier {
            observed_at: jiff::Timestamp::UNIX_EPOCH,
            facts: serde_json::from_value(serde_json::json!({ "groups": [{
                "name": "g",
                "topics": [
                    { "topic": "t", "partitions": [
                        { "partition": 0, "committed_offset": committed, "log_end_offset": 9 },
                        { "partition": 1, "committed_offset": { "unknown": "denied" }, "log_end_offset": 9 },
                    ] },
                    { "topic": "u", "partitions": { "unknown": "timed_out" } },
                ],
            }] }))
            .expect("facts"),
        }
        };
        let history = History::read(&[run(3), run(5)]);
        let place = |partition| Place {
            topic: "t".to_owned(),
            partition,
        };
        let at = |committed| Position { committed, end: 9 };
        assert_eq!(history.of("g", &place(0)), [at(3), at(5)]);
        assert_eq!(history.of("g", &place(1)), []);
        assert_eq!(history.of("other", &place(0)), []);
    }

    #[test]
    fn a_single_look_tells_nothing() {
        assert_eq!(state(&[(0, 100)]), None);
        assert_eq!(state(&looks(9, |_| (0, 100))), None);
    }

    #[test]
    fn a_group_that_commits_nothing_while_there_are_records_has_stalled() {
        assert_eq!(state(&looks(10, |_| (0, 100))), Some(LagState::Stalled));
        assert_eq!(state(&looks(20, |at| (5, 5 + at))), Some(LagState::Stalled));
    }

    #[test]
    fn a_group_with_nothing_to_read_has_not_stalled() {
        assert_eq!(state(&looks(20, |_| (7, 7))), Some(LagState::Ok));
        // Records came a moment ago: its next commit may be due.
        assert_eq!(
            state(&looks(20, |at| (7, if at > 15 { 8 } else { 7 }))),
            Some(LagState::Ok)
        );
    }

    #[test]
    fn a_busy_group_is_told_from_one_that_falls_behind() {
        let busy = looks(20, |at| (at * 10, at * 10 + 5 + at % 3));
        assert_eq!(state(&busy), Some(LagState::Ok));
        let behind = looks(20, |at| (at, at * 3 + 1));
        assert_eq!(state(&behind), Some(LagState::FallingBehind));
    }

    #[test]
    fn an_offset_that_goes_back_is_seen_at_once() {
        assert_eq!(state(&[(100, 100), (40, 100)]), Some(LagState::Rewound));
        let caught_up = looks(20, |at| (if at == 5 { 1 } else { 2 }, 2));
        assert_eq!(state(&caught_up), Some(LagState::Rewound));
    }
}
