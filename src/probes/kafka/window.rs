//! How a group moves, over a window of looks: the rules of Burrow, a checker of consumer lag, for
//! looks from the outside.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::facts::LagState;
use super::native::Place;
use crate::evidence::{Observed, UnknownWhy};
use crate::probes::Earlier;

/// Looks below which nothing is said.
const FEWEST_LOOKS: usize = 10;

/// How often a consumer commits that was not told otherwise (`auto.commit.interval.ms`): one that has
/// members may commit nothing for so long though it reads.
const COMMITS_EVERY_MS: i64 = 5_000;
/// Looks are not quite as far apart as they should be.
const SLACK_MS: i64 = 500;
/// Commits below which each look counts, and not only what is left after a commit.
const FEWEST_COMMITS: usize = 3;
/// Of what came during the window, the share by which the lag must have grown; less is the time
/// between a commit and the look at it.
const LEAST_GROWTH: i64 = 10;

/// Where a group and the log were at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) committed: i64,
    pub(super) end: i64,
}

impl Position {
    fn lag(self) -> i64 {
        self.end.saturating_sub(self.committed).max(0)
    }
}

/// How a group moves, from where it was, oldest first.
pub(super) fn lag_state(positions: &[Position], has_members: bool) -> Observed<LagState> {
    let mut steps = positions.iter().zip(positions.iter().skip(1));
    // One step back is proof, however short the window.
    if steps.any(|(before, after)| after.committed < before.committed) {
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
    // Since when there is something to read, without a break.
    let window = tail(positions, |it| it.lag() > 0);
    if window.len() < FEWEST_LOOKS {
        return Observed::Value(LagState::Ok);
    }
    let last = window.last().map(|it| it.committed);
    // Since when nothing was committed.
    let still = tail(window, |it| Some(it.committed) == last);
    let since_ms = span_ms(still);
    let never_moved = still.len() == window.len();
    let due_ms = match (has_members, never_moved) {
        (false, _) => 0,
        (true, true) => COMMITS_EVERY_MS - SLACK_MS,
        // It has committed while there was something to read: more than one commit is overdue.
        (true, false) => 2 * COMMITS_EVERY_MS,
    };
    if still.len() >= FEWEST_LOOKS && since_ms >= due_ms {
        return Observed::Value(LagState::Stalled);
    }
    if never_moved {
        return Observed::unknown(
            UnknownWhy::NotObserved,
            format!(
                "nothing was committed for {since_ms} ms, and consumers commit every \
                 {COMMITS_EVERY_MS} ms if they are not told otherwise: watch for longer \
                 (`observe_for`)"
            ),
        );
    }
    Observed::Value(if falls_behind(window) {
        LagState::FallingBehind
    } else {
        LagState::Ok
    })
}

/// The last positions for which a test holds, without a break.
fn tail(positions: &[Position], test: impl Fn(&Position) -> bool) -> &[Position] {
    let count = positions.iter().rev().take_while(|it| test(it)).count();
    &positions[positions.len() - count..]
}

fn span_ms(positions: &[Position]) -> i64 {
    match (positions.first(), positions.last()) {
        (Some(first), Some(last)) => last.at_ms.saturating_sub(first.at_ms),
        _ => 0,
    }
}

/// Whether the lag grows all the time: it is larger throughout the later half than it ever was in the
/// earlier one. Between two commits it grows in any case, so it is compared after commits.
fn falls_behind(window: &[Position]) -> bool {
    let steps = window.iter().zip(window.iter().skip(1));
    let commits = steps.filter(|(before, after)| after.committed > before.committed);
    let mut lags: Vec<i64> = commits.map(|(_, after)| after.lag()).collect();
    if lags.len() < FEWEST_COMMITS {
        lags = window.iter().map(|it| it.lag()).collect();
    }
    let (earlier, later) = lags.split_at(lags.len() / 2);
    let (Some(most), Some(least)) = (earlier.iter().max(), later.iter().min()) else {
        return false;
    };
    let (Some(first), Some(last)) = (window.first(), window.last()) else {
        return false;
    };
    let came = last.end.saturating_sub(first.end);
    let grown = lags.last().unwrap_or(&0) - lags.first().unwrap_or(&0);
    least > most && grown.saturating_mul(LEAST_GROWTH) >= came
}

/// Where groups were in earlier runs.
pub(super) struct History {
    positions: BTreeMap<(String, Place), Vec<Position>>,
    /// The same moment on both clocks.
    now: (Timestamp, Instant),
}

impl History {
    /// Reads the facts of earlier runs, oldest first; what they do not tell is left out.
    pub(super) fn read(earlier: &[Earlier], now: Timestamp) -> Self {
        let mut history = Self {
            positions: BTreeMap::new(),
            now: (now, Instant::now()),
        };
        for run in earlier {
            history.add(run.observed_at.as_millisecond(), &run.facts);
        }
        history
    }

    /// A moment of this run on the wall clock, milliseconds since 1970.
    pub(super) fn at_ms(&self, moment: Instant) -> i64 {
        let (wall, read) = self.now;
        let ago = read.saturating_duration_since(moment).as_millis();
        let ago = i64::try_from(ago).unwrap_or(i64::MAX);
        wall.as_millisecond().saturating_sub(ago)
    }

    fn add(&mut self, at_ms: i64, facts: &Map<String, Value>) {
        for group in list(facts.get("groups")) {
            let Some(name) = group["name"].as_str() else {
                continue;
            };
            for topic in list(group.get("topics")) {
                let Some(topic_name) = topic["topic"].as_str() else {
                    continue;
                };
                for partition in list(topic.get("partitions")) {
                    self.add_partition(at_ms, name, topic_name, partition);
                }
            }
        }
    }

    fn add_partition(&mut self, at_ms: i64, group: &str, topic: &str, facts: &Value) {
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
            self.positions.entry(key).or_default().push(Position {
                at_ms,
                committed,
                end,
            });
        }
    }

    /// Where a group was in a partition.
    pub(super) fn of(&self, group: &str, place: &Place) -> Vec<Position> {
        let key = (group.to_owned(), place.clone());
        self.positions.get(&key).cloned().unwrap_or_default()
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state of a group with members, from a look each second.
    fn state(positions: &[(i64, i64)]) -> Option<LagState> {
        watched(positions, 1_000, true)
    }

    fn watched(positions: &[(i64, i64)], every_ms: i64, has_members: bool) -> Option<LagState> {
        let positions: Vec<Position> = (0..)
            .zip(positions)
            .map(|(at, (committed, end))| Position {
                at_ms: at * every_ms,
                committed: *committed,
                end: *end,
            })
            .collect();
        lag_state(&positions, has_members).value().copied()
    }

    fn looks(count: i64, at: impl Fn(i64) -> (i64, i64)) -> Vec<(i64, i64)> {
        (0..count).map(at).collect()
    }

    #[test]
    fn a_group_that_has_stopped_during_the_window_has_stalled() {
        let stopped = looks(20, |at| (at.min(5) * 10, at * 10 + 5));
        assert_eq!(state(&stopped), Some(LagState::Stalled));
        // Every fifth second it commits: it stands still in between, and not for good.
        let slow = looks(20, |at| (at / 5 * 50, at * 10 + 5));
        assert_eq!(state(&slow), Some(LagState::Ok));
    }

    #[test]
    fn a_short_watch_does_not_tell_a_stalled_group_from_one_that_commits_seldom() {
        let still = looks(20, |at| (0, 100 + at));
        assert_eq!(watched(&still, 100, true), None);
        assert_eq!(watched(&still, 250, true), Some(LagState::Stalled));
        // Nobody is there to commit.
        assert_eq!(watched(&still, 100, false), Some(LagState::Stalled));
    }

    #[test]
    fn a_group_that_reads_too_slowly_is_seen_through_its_commits() {
        // A hundred records a second, half of which are read, committed every fifth second.
        let slow = looks(25, |at| (at / 5 * 250, at * 100));
        assert_eq!(state(&slow), Some(LagState::FallingBehind));
        // All of them are read, and what comes in between commits is no growth.
        let sound = looks(25, |at| (at / 5 * 500, at * 100 + 1));
        assert_eq!(state(&sound), Some(LagState::Ok));
        let jitter = looks(20, |at| (at * 100, at * 100 + 3 + i64::from(at > 10)));
        assert_eq!(state(&jitter), Some(LagState::Ok));
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
        let history = History::read(&[run(3), run(5)], jiff::Timestamp::UNIX_EPOCH);
        let place = |partition| Place {
            topic: "t".to_owned(),
            partition,
        };
        let at = |committed| Position {
            at_ms: 0,
            committed,
            end: 9,
        };
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
