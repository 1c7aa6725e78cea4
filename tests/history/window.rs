//! The kind `history` over real files.

use std::time::Duration;

use jiff::Timestamp;
use probe::evidence::Outcome;
use probe::history::{Access, History, HistorySettings};
use probe::judge::Status;
use serde_json::json;
use tempfile::TempDir;

use super::{at_us, flush, open, run_at};
use crate::lab::{Attempt, attempt_with, wrong_params};

const TIMEOUT: Duration = Duration::from_secs(20);
const MINUTE_US: i64 = 60_000_000;

async fn look(history: &History, params: &str) -> Attempt {
    let params = format!("of = \"api\"\n{params}");
    attempt_with("history", &params, TIMEOUT, Some(history.clone())).await
}

/// Ten slots of a minute that are over, the oldest first.
fn first_slot() -> i64 {
    Timestamp::now().as_microsecond() / MINUTE_US * MINUTE_US - 10 * MINUTE_US
}

fn record(history: &History, slot: i64, must: Status, outcome: Outcome) {
    let mut run = run_at("api", at_us(slot + 30_000_000), must);
    run.outcome = outcome;
    history.record(run, None, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_counts_what_was_seen_and_what_was_not() {
    let dir = TempDir::new().expect("a directory");
    let history = open(&dir.path().join("probe.db")).await;
    let begin = first_slot();
    // Two more than the window, so that it may have moved by the time it is looked at.
    for slot in -2..13 {
        let (must, outcome) = match slot {
            3 => (Status::Fail, Outcome::Observed),
            4 => (Status::Fail, Outcome::TargetError),
            5 => (Status::Unknown, Outcome::ProbeError),
            6 => continue,
            _ => (Status::Pass, Outcome::Observed),
        };
        record(&history, begin + slot * MINUTE_US, must, outcome);
    }
    flush(&history).await;
    let seen = look(&history, "window = \"10m\"\nobjective = 0.7").await;
    assert_eq!(*seen.fact("good"), 6);
    assert_eq!(*seen.fact("bad"), 2);
    assert_eq!(*seen.fact("unmeasured"), 2);
    assert_eq!(*seen.fact("excluded"), 0);
    assert_eq!(*seen.fact("point"), 0.75);
    assert_eq!(*seen.fact("lower_bound"), 0.6);
    assert_eq!(*seen.fact("upper_bound"), 0.8);
    assert_eq!(seen.unknown("availability"), "not_observed");
    // Decidable when the first bad one has left: the fourth slot.
    let end: Timestamp = serde_json::from_value(seen.fact("window_end").clone()).expect("a time");
    let when: Timestamp =
        serde_json::from_value(seen.fact("decidable_at").clone()).expect("a time");
    let moved = (end.as_microsecond() - begin) / MINUTE_US - 10;
    assert_eq!(
        (when.as_microsecond() - end.as_microsecond()) / MINUTE_US,
        4 - moved
    );
    // Known to be bad is worse than unknown: two of ten are past a budget of one.
    let strict = look(&history, "window = \"10m\"\nobjective = 0.9").await;
    assert_eq!(strict.fact("decidable_at"), strict.fact("window_end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_begins_anew_and_maintenance_is_left_out() {
    let dir = TempDir::new().expect("a directory");
    let history = open(&dir.path().join("probe.db")).await;
    let begin = first_slot();
    for slot in 0..13 {
        if slot != 7 {
            record(
                &history,
                begin + slot * MINUTE_US,
                Status::Pass,
                Outcome::Observed,
            );
        }
    }
    let since = at_us(begin + 5 * MINUTE_US);
    history.keep(
        "deployment",
        json!({ "digest": "sha256:new", "since": since }),
    );
    history.keep(
        "maintenance",
        json!([{ "probes": ["api"], "start": at_us(begin + 7 * MINUTE_US), "end": at_us(begin + 8 * MINUTE_US) }]),
    );
    flush(&history).await;
    let seen = look(&history, "window = \"10m\"\nobjective = 0.9").await;
    let moved = seen.fact("good").as_u64().expect("a number") - 4;
    assert!(moved <= 2, "{moved}");
    assert_eq!(*seen.fact("unmeasured"), 5 - moved);
    assert_eq!(*seen.fact("excluded"), 1);
    assert_eq!(*seen.fact("deployed_digest"), "sha256:new");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_windows_of_short_slots_count_too() {
    let dir = TempDir::new().expect("a directory");
    let history = open(&dir.path().join("probe.db")).await;
    let begin = Timestamp::now().as_microsecond() - 20_000_000;
    for at in 0..300 {
        history.record(
            run_at("api", at_us(begin + at * 100_000), Status::Pass),
            None,
            false,
        );
    }
    flush(&history).await;
    let seen = look(
        &history,
        "window = \"10s\"\nslot = \"1s\"\nobjective = 1.0\nstable_for = \"10s\"",
    )
    .await;
    assert_eq!(*seen.fact("lower_bound"), 1.0);
    assert_eq!(*seen.fact("availability"), 1.0);
    assert_eq!(*seen.fact("good_seconds"), 10.0);
    assert_eq!(*seen.fact("seconds_since_bad"), 10.0);
    assert_eq!(seen.unknown("burn_rate_1h"), "not_applicable");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_history_is_no_evidence() {
    let nothing = attempt_with("history", "of = \"api\"\nwindow = \"1h\"", TIMEOUT, None).await;
    assert_eq!(nothing.outcome(), Outcome::ProbeError);
    assert!(nothing.failure().detail().contains("[history]"));
    let memory = History::open(&HistorySettings::memory(), "a", Access::Write).await;
    let seen = look(&memory.expect("memory"), "window = \"1h\"\nobjective = 0.9").await;
    assert_eq!(*seen.fact("unmeasured"), 60);
    assert_eq!(*seen.fact("lower_bound"), 0.0);
    assert_eq!(seen.unknown("point"), "not_observed");
}

#[test]
fn wrong_parameters_are_named() {
    let wrong = |params: &str| wrong_params("history", params);
    assert!(wrong("of = \"a\"\nwindow = \"7d\"").is_empty());
    assert_eq!(wrong("of = \"a\"\nwindow = \"61s\""), ["window"]);
    assert_eq!(wrong("of = \"a\"\nwindow = \"9000d\""), ["window"]);
    assert_eq!(
        wrong("of = \"a\"\nwindow = \"1h\"\nslot = \"1ms\""),
        ["slot"]
    );
    assert_eq!(
        wrong("of = \"a\"\nwindow = \"1h\"\nobjective = 0.0"),
        ["objective"]
    );
    assert_eq!(
        wrong("of = \"a\"\nwindow = \"1h\"\nstable_for = \"2h\""),
        ["stable_for"]
    );
}
