//! An agent that is killed at any moment loses at most what it had not yet committed, and leaves a file
//! that holds together.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use probe::judge::Status;
use tempfile::TempDir;

/// Runs are this far apart.
const APART_US: i64 = 200_000;

use super::{all_runs, at_us, child, flush, latest_of, open, reopen, run_at, say, told};

/// The start of the first run.
fn begin() -> i64 {
    told("HISTORY_BEGIN_US").parse().expect("a number")
}

#[test]
fn what_was_committed_survives_kill_9() {
    rounds(3);
}

#[test]
#[ignore = "as long as scripts/kill-history says"]
fn what_was_committed_survives_many_kills() {
    rounds(told("HISTORY_ROUNDS").parse().expect("a number"));
}

fn rounds(count: u64) {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let begin = super::ago(86_000).as_microsecond();
    let mut confirmed = 0;
    for round in 0..count {
        let env = [
            ("HISTORY_FILE", path.to_str().expect("UTF-8")),
            ("HISTORY_BEGIN_US", &begin.to_string()),
            ("HISTORY_FIRST", &confirmed.to_string()),
        ];
        let mut writer = child("history::kill::writes_until_killed", &env);
        let lines = BufReader::new(writer.stdout.take().expect("its output")).lines();
        let reader = std::thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            lines
                .filter_map(|line| line.strip_prefix("confirmed ")?.parse::<i64>().ok())
                .last()
        });
        // Another moment in each round.
        std::thread::sleep(Duration::from_millis(700 + round * 379 % 1_300));
        writer.kill().expect("kill -9");
        writer.wait().expect("it is dead");
        let last = reader.join().expect("the reader").unwrap_or(confirmed);
        confirmed = last.max(confirmed);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(verify(&path, begin, confirmed, round));
    }
    say(&format!(
        "{count} kills, {confirmed} confirmed runs, none lost"
    ));
}

/// Everything that was confirmed is there, each run once, and the file is sound.
async fn verify(path: &Path, begin: i64, confirmed: i64, round: u64) {
    // Opening it checks every page.
    let history = reopen(path).await;
    assert_eq!(history.status().notice, None, "round {round}");
    let runs = all_runs(&history, "api").await;
    let mut numbers: Vec<i64> = runs
        .iter()
        .map(|run| (run.started_at.as_microsecond() - begin) / APART_US)
        .collect();
    numbers.sort_unstable();
    let distinct = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(distinct, "round {round}: a run is there twice");
    let missing = (0..confirmed).find(|number| numbers.binary_search(number).is_err());
    assert_eq!(
        missing, None,
        "round {round}: of {confirmed} confirmed runs"
    );
    flush(&history).await;
}

#[test]
#[ignore = "writes until it is killed: run by another test"]
fn writes_until_killed() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(write(&told("HISTORY_FILE")));
}

async fn write(path: &str) {
    let first: i64 = told("HISTORY_FIRST").parse().expect("a number");
    let history = if Path::new(path).exists() {
        reopen(Path::new(path)).await
    } else {
        open(Path::new(path)).await
    };
    let begin = begin();
    let mut number = first;
    loop {
        for _ in 0..97 {
            let run = run_at("api", at_us(begin + number * APART_US), Status::Pass);
            history.record(run, Some(latest_of("api", number)), number % 50 == 0);
            number += 1;
        }
        flush(&history).await;
        say(&format!("confirmed {number}"));
    }
}
