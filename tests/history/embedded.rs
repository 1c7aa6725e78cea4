//! What is recorded is there again: pages, slots, what was last seen.

use std::time::Duration;

use probe::evidence::Outcome;
use probe::history::{Access, History, HistoryError, HistorySettings, Slot};
use probe::judge::Status;
use serde_json::json;
use tempfile::TempDir;

use super::{ago, all_runs, at_us, flush, latest_of, open, query, reopen, run_at};

#[tokio::test(flavor = "multi_thread")]
async fn runs_come_back_newest_first_and_page_by_page() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    let begin = ago(3 * 3_600).as_microsecond();
    let recorded: Vec<_> = (0..25)
        .map(|at| run_at("api", at_us(begin + at * 360_000_001), Status::Pass))
        .collect();
    for run in &recorded {
        history.record(run.clone(), None, false);
    }
    history.record(run_at("other", ago(10), Status::Fail), None, false);
    let newest_first: Vec<_> = recorded.iter().rev().cloned().collect();
    let mut asked = query("api", 10);
    let mut seen = Vec::new();
    loop {
        let page = history.runs(&asked).await.expect("a page");
        assert!(page.runs.len() <= 10);
        seen.extend(page.runs);
        // A run that comes in meanwhile moves no page.
        history.record(run_at("api", ago(0), Status::Pass), None, false);
        match page.next {
            Some(next) => asked.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, newest_first);
    // The start is part of it, the end is not.
    asked.cursor = None;
    asked.from = Some(recorded[3].started_at);
    asked.to = Some(recorded[7].started_at);
    let part = history.runs(&asked).await.expect("a page");
    assert_eq!(part.runs, newest_first[18..22]);
    assert_eq!(part.next, None);
    asked.cursor = Some("nonsense".to_owned());
    assert_eq!(history.runs(&asked).await, Err(HistoryError::BadCursor));
    let nothing = history.runs(&query("unknown", 10)).await.expect("a page");
    assert!(nothing.runs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    let mut bad = run_at("api", ago(60), Status::Fail);
    bad.outcome = Outcome::TargetError;
    bad.excluded = true;
    history.record(bad.clone(), Some(latest_of("api", 1)), true);
    history.record(
        run_at("api", ago(30), Status::Pass),
        Some(latest_of("api", 2)),
        true,
    );
    history.record(
        run_at("db", ago(20), Status::Pass),
        Some(latest_of("db", 3)),
        false,
    );
    history.keep(
        "deployment",
        json!({ "digest": "sha256:a", "since": "2026-01-01T00:00:00Z" }),
    );
    history.keep("gone", json!(1));
    history.keep("gone", json!(null));
    flush(&history).await;
    drop(history);
    let history = reopen(&path).await;
    assert_eq!(all_runs(&history, "api").await[1], bad);
    let latest = history.latest(0).await.expect("what was last seen");
    let facts = |probe: &str| {
        let latest = latest.iter().find(|latest| &*latest.probe == probe);
        let latest = latest.expect("it was seen");
        (
            latest.envelope.facts["n"].clone(),
            latest.state["streak"].clone(),
        )
    };
    assert_eq!(facts("api"), (json!(2), json!(2)));
    assert_eq!(facts("db"), (json!(3), json!(3)));
    assert!(latest[0].version < latest[1].version);
    let newer = history.latest(latest[0].version).await.expect("newer");
    assert_eq!(newer, latest[1..]);
    let changes = history.changes("api", 10).await.expect("changes");
    let facts: Vec<_> = changes.iter().map(|seen| seen.facts["n"].clone()).collect();
    assert_eq!(facts, [json!(2), json!(1)]);
    assert!(history.changes("db", 10).await.expect("changes").is_empty());
    let kept = history.kept().await.expect("kept");
    assert_eq!(kept["deployment"]["digest"], "sha256:a");
    assert_eq!(kept["gone"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_on_a_fixed_grid() {
    let dir = TempDir::new().expect("a directory");
    let history = open(&dir.path().join("probe.db")).await;
    let minute = 60_000_000;
    let begin = ago(7_200).as_microsecond() / minute * minute;
    let add = |us: i64, must: Status, outcome: Outcome| {
        let mut run = run_at("api", at_us(begin + us), must);
        run.outcome = outcome;
        history.record(run, None, false);
    };
    // The last microsecond before the window, and the first one after it.
    add(-1, Status::Fail, Outcome::Observed);
    add(0, Status::Pass, Outcome::Observed);
    add(minute + 1, Status::Pass, Outcome::Observed);
    add(minute + 2, Status::Fail, Outcome::Observed);
    add(minute + 3, Status::Pass, Outcome::Observed);
    add(2 * minute, Status::Unknown, Outcome::ProbeError);
    add(4 * minute - 1, Status::Pass, Outcome::Observed);
    add(5 * minute, Status::Fail, Outcome::Observed);
    flush(&history).await;
    let slots = |from: i64, to: i64, slot: i64| {
        let history = history.clone();
        async move {
            let slot = Duration::from_micros(slot.unsigned_abs());
            let (from, to) = (at_us(begin + from), at_us(begin + to));
            history.slots("api", from, to, slot).await.expect("slots")
        }
    };
    let (bad, good, none) = (Slot::Bad, Slot::Good, Slot::Unmeasured);
    let by_minute = slots(0, 5 * minute, minute).await;
    assert_eq!(by_minute, [good, bad, none, good, none]);
    let by_second = slots(minute, minute + 2_000_000, 1_000_000).await;
    assert_eq!(by_second, [bad, none]);
    let unknown = history.slots(
        "x",
        at_us(begin),
        at_us(begin + minute),
        Duration::from_secs(60),
    );
    assert_eq!(unknown.await.expect("slots"), [none]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_it_is_the_same_until_the_restart() {
    let history = History::open(&HistorySettings::memory(), "a", Access::Write).await;
    let history = history.expect("memory");
    history.record(
        run_at("api", ago(5), Status::Pass),
        Some(latest_of("api", 1)),
        true,
    );
    history.keep("k", json!(1));
    assert_eq!(all_runs(&history, "api").await.len(), 1);
    assert_eq!(history.latest(0).await.expect("latest").len(), 1);
    assert_eq!(history.kept().await.expect("kept")["k"], 1);
    assert_eq!(history.status().store, "memory");
    // A day and no longer.
    history.record(run_at("api", ago(90_000), Status::Pass), None, false);
    assert_eq!(all_runs(&history, "api").await.len(), 1);
    assert!(!history.is_shared());
    assert_eq!(history.lease(&[("api", ago(0))]).await, Ok(vec![true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_beside_a_writer_is_current_and_writes_nothing() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    history.record(run_at("api", ago(5), Status::Pass), None, false);
    flush(&history).await;
    let reader = History::open(&HistorySettings::sqlite(&path), "b", Access::Read).await;
    let reader = reader.expect("a reader beside the writer");
    assert_eq!(all_runs(&reader, "api").await.len(), 1);
    history.record(run_at("api", ago(4), Status::Pass), None, false);
    flush(&history).await;
    assert_eq!(all_runs(&reader, "api").await.len(), 2);
    drop(history);
    drop(reopen(&path).await);
    // Once nobody writes, a reader leaves the directory as it is.
    let begun = std::time::Instant::now();
    while path.with_file_name("probe.db-wal").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the writer ends");
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = listing(&dir);
    assert_eq!(all_runs(&reader, "api").await.len(), 2);
    assert_eq!(listing(&dir), before);
}

/// Names, sizes and times of all files.
fn listing(dir: &TempDir) -> Vec<(std::ffi::OsString, u64, std::time::SystemTime)> {
    let entries = std::fs::read_dir(dir.path()).expect("a directory");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let data = entry.metadata().expect("metadata");
            (
                entry.file_name(),
                data.len(),
                data.modified().expect("a time"),
            )
        })
        .collect();
    files.sort();
    files
}
