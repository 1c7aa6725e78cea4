//! Files that are none, damaged or not ours to write; disks that are full.

use std::path::Path;
use std::time::Duration;

use probe::history::{Access, History, HistoryError, HistorySettings};
use probe::judge::Status;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::{ago, all_runs, at_us, child, flush, latest_of, open, reopen, run_at, told};

async fn refused(path: &Path, access: Access) -> HistoryError {
    match History::open(&HistorySettings::sqlite(path), "a", access).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_history_is_refused_and_not_touched() {
    let dir = TempDir::new().expect("a directory");
    let notes = dir.path().join("notes.txt");
    std::fs::write(&notes, "x".repeat(5_000)).expect("write");
    let sqlite = dir.path().join("app.db");
    let made = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t (a)'); c.commit()"])
        .arg(&sqlite)
        .status();
    assert!(made.expect("run python3").success());
    for path in [&notes, &sqlite] {
        let before = std::fs::read(path).expect("read");
        for access in [Access::Write, Access::Read] {
            assert_eq!(
                refused(path, access).await,
                HistoryError::NotOurs(path.clone())
            );
        }
        assert_eq!(std::fs::read(path).expect("read"), before);
    }
    let error = refused(dir.path(), Access::Write).await.to_string();
    assert!(error.contains("is a directory"), "{error}");
    let error = refused(&dir.path().join("no/probe.db"), Access::Write)
        .await
        .to_string();
    assert!(error.contains("no/probe.db"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_not_made_by_a_reader() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let error = refused(&path, Access::Read).await;
    assert_eq!(error, HistoryError::Missing(path.clone()));
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("a directory").count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    assert_eq!(
        refused(&path, Access::Write).await,
        HistoryError::Locked(path.clone())
    );
    drop(history);
    drop(reopen(&path).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    flush(&open(&path).await).await;
    wait_until_left(&path).await;
    let newer = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma user_version = 99'); c.commit()"])
        .arg(&path)
        .status();
    assert!(newer.expect("run python3").success());
    for access in [Access::Write, Access::Read] {
        let error = refused(&path, access).await;
        assert!(
            matches!(error, HistoryError::Newer { found: 99, .. }),
            "{error}"
        );
    }
}

async fn wait_until_left(path: &Path) {
    for _ in 0..1_000 {
        if !path.with_file_name("probe.db-wal").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the writer does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_set_aside_by_name() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    for second in 0..5_000 {
        history.record(run_at("api", ago(second), Status::Pass), None, false);
    }
    flush(&history).await;
    drop(history);
    wait_until_left(&path).await;
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xa5);
    std::fs::write(&path, &bytes).expect("write");
    let history = reopen(&path).await;
    let notice = history.status().notice.expect("it is told of");
    let aside = std::fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains("probe.db.corrupt-"))
        .expect("it was set aside");
    assert!(notice.contains(&*aside.to_string_lossy()), "{notice}");
    assert_eq!(std::fs::read(&aside).expect("read"), bytes);
    assert!(all_runs(&history, "api").await.is_empty());
    history.record(run_at("api", ago(1), Status::Pass), None, false);
    assert_eq!(all_runs(&history, "api").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_off_is_set_aside_too() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = open(&path).await;
    for second in 0..5_000 {
        history.record(run_at("api", ago(second), Status::Pass), None, false);
    }
    flush(&history).await;
    drop(history);
    wait_until_left(&path).await;
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("open");
    file.set_len(10_000).expect("cut");
    let history = reopen(&path).await;
    assert!(history.status().notice.is_some());
}

/// A limit on the size of files is a disk that is full, and can be lifted.
#[test]
fn a_full_disk_is_told_of_and_nothing_is_lost_when_there_is_room_again() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let env = [("HISTORY_FILE", path.to_str().expect("UTF-8"))];
    let mut limited = child("history::hostile::fills_the_disk", &env);
    assert!(limited.wait().expect("it ends").success());
}

#[test]
#[ignore = "limits its whole process: run by another test"]
fn fills_the_disk() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fill(Path::new(&told("HISTORY_FILE"))));
}

async fn fill(path: &Path) {
    const LIMIT: u64 = 400_000;
    const RUNS: i64 = 40_000;
    let history = open(path).await;
    let limit = getrlimit(Resource::Fsize);
    let limited = Rlimit {
        current: Some(LIMIT),
        ..limit
    };
    setrlimit(Resource::Fsize, limited).expect("limit");
    let begin = ago(80_000).as_microsecond();
    let mut recorded = 0;
    while history.status().error.is_none() {
        assert!(recorded < RUNS, "the limit does not hold");
        for _ in 0..500 {
            let run = run_at("api", at_us(begin + recorded * 1_000_000), Status::Pass);
            history.record(run, Some(latest_of("api", recorded)), false);
            recorded += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What was written before can be read, and recording goes on.
    let status = history.status();
    assert!(status.queued > 0 && status.dropped == 0, "{status:?}");
    assert!(!all_runs(&history, "api").await.is_empty());
    history.record(run_at("api", ago(1), Status::Fail), None, false);
    setrlimit(Resource::Fsize, limit).expect("lift the limit");
    flush(&history).await;
    let status = history.status();
    assert_eq!((status.error, status.dropped), (None, 0));
    let runs = all_runs(&history, "api").await;
    assert_eq!(i64::try_from(runs.len()), Ok(recorded + 1));
    assert_eq!(runs[0].must, Status::Fail);
}
