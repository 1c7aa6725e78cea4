//! The history: real SQLite files, a real PostgreSQL, agents that are killed, disks that are full.

mod config;
mod embedded;
mod hostile;
mod kill;
mod scale;
pub mod shared;
mod window;

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use probe::evidence::{Envelope, Outcome};
use probe::history::{Access, History, HistorySettings, Latest, RunQuery, RunRecord};
use probe::judge::Status;
use tokio::time::Instant;

/// A run of `probe` that began then, with the result of its must rules.
fn run_at(probe: &str, started_at: Timestamp, must: Status) -> RunRecord {
    RunRecord {
        probe: probe.into(),
        started_at,
        duration: Duration::from_micros(1_500),
        outcome: Outcome::Observed,
        result: must,
        must,
        excluded: false,
        agent: "agent-1".into(),
    }
}

/// The microsecond of the epoch.
fn at_us(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).expect("a timestamp")
}

/// So many seconds ago, to the microsecond.
fn ago(seconds: i64) -> Timestamp {
    at_us(Timestamp::now().as_microsecond() - seconds * 1_000_000)
}

fn latest_of(probe: &str, fact: i64) -> Latest {
    let mut envelope = Envelope::not_observed(probe, ago(0), String::new());
    envelope.outcome = Outcome::Observed;
    envelope.cause = None;
    envelope.facts.insert("n".to_owned(), fact.into());
    Latest {
        probe: probe.into(),
        params_digest: "sha256:1".to_owned(),
        envelope: envelope.into(),
        state: serde_json::json!({ "streak": fact }),
        version: 0,
    }
}

async fn open(path: &Path) -> History {
    let opened = History::open(&HistorySettings::sqlite(path), "agent-1", Access::Write).await;
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Opens a file that its last user is about to leave.
async fn reopen(path: &Path) -> History {
    let begun = Instant::now();
    loop {
        match History::open(&HistorySettings::sqlite(path), "agent-1", Access::Write).await {
            Ok(history) => return history,
            Err(error) => {
                assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn flush(history: &History) {
    let written = history
        .flush(Instant::now() + Duration::from_secs(60))
        .await;
    assert!(written, "{:?}", history.status());
}

fn query(probe: &str, limit: usize) -> RunQuery {
    RunQuery {
        probe: probe.to_owned(),
        from: None,
        to: None,
        limit,
        cursor: None,
    }
}

/// All runs of a probe, page by page.
async fn all_runs(history: &History, probe: &str) -> Vec<RunRecord> {
    let mut query = query(probe, 1_000);
    let mut all = Vec::new();
    loop {
        let page = history.runs(&query).await.expect("a page");
        all.extend(page.runs);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
    }
}

/// Runs a test of this binary in a process of its own, so that it can be killed or limited.
fn child(test: &str, env: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args([
            test,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("start this binary")
}

/// Says it to a parent, or to who runs a script.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .expect("stdout");
}

/// What the parent of a child told it.
fn told(name: &str) -> String {
    let value = std::env::var_os(name).unwrap_or_else(|| panic!("{name} is set by a parent"));
    value.into_string().expect("UTF-8")
}
