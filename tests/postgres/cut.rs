//! A run that is cut in the middle leaves nothing behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::run_with;
use crate::lab::Started;
use crate::lab::postgres::{Postgres, Setup};

/// How long what is left may take to go.
const SOON: Duration = Duration::from_secs(3);

/// A primary whose commits hang, because its synchronous standby is not there.
fn hanging() -> Postgres {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    primary.sql("alter system set synchronous_standby_names = 'standby1'");
    primary.reload();
    primary
}

fn start(primary: &Postgres, args: &[&str]) -> Started {
    run_with(&primary.dsn("probe"), "allow_writes = true", "60s")
        .args(args.iter().copied())
        .start()
}

const BACKENDS: &str =
    "begin read only; select count(*) from pg_stat_activity where usename = 'probe'";
const IN_SYNC_REP: &str = "begin read only; select count(*) from pg_stat_activity \
     where usename = 'probe' and wait_event = 'SyncRep'";
const SCHEMAS: &str =
    "begin read only; select count(*) from pg_namespace where nspname like 'probe_canary%'";

fn assert_nothing_left(primary: &Postgres, cut: Instant, how: &str) {
    for sql in [BACKENDS, SCHEMAS] {
        loop {
            let left = primary.sql(sql);
            if left == "0" {
                break;
            }
            assert!(cut.elapsed() < SOON, "{how}: {left} left: {sql}");
            sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_signal_during_a_commit_that_hangs_leaves_neither_backend_nor_schema() {
    let primary = hanging();
    for signal in ["TERM", "INT", "HUP"] {
        let run = start(&primary, &[]);
        primary.wait_for(IN_SYNC_REP, "1");
        let cut = Instant::now();
        run.signal(signal);
        let verdict = run.verdict();
        assert!(cut.elapsed() < SOON, "{signal}: {:?}", cut.elapsed());
        assert_eq!(verdict.code, 3, "{signal}");
        assert_eq!(verdict.result("db/commits"), "unknown");
        assert_nothing_left(&primary, cut, signal);
    }
}

#[test]
fn a_deadline_during_a_commit_that_hangs_leaves_neither_backend_nor_schema() {
    let primary = hanging();
    let run = start(&primary, &["--deadline", "2s"]);
    primary.wait_for(IN_SYNC_REP, "1");
    let verdict = run.verdict();
    assert_eq!(verdict.code, 3);
    assert_nothing_left(&primary, Instant::now(), "--deadline");
}

#[test]
fn a_second_signal_ends_at_once() {
    let primary = hanging();
    let run = start(&primary, &[]);
    primary.wait_for(IN_SYNC_REP, "1");
    // What hangs cannot be cleaned up after: the clean-up takes as long as it may.
    let backend = "begin read only; select pid from pg_stat_activity where usename = 'probe'";
    let backend = primary.sql(backend);
    primary.signal("STOP");
    stop(&backend, "STOP");
    run.signal("TERM");
    sleep(Duration::from_millis(400));
    let second = Instant::now();
    run.signal("TERM");
    let output = run.output();
    stop(&backend, "CONT");
    primary.signal("CONT");
    assert_eq!(output.status.code(), Some(3));
    assert!(
        second.elapsed() < Duration::from_secs(1),
        "{:?}",
        second.elapsed()
    );
}

fn stop(pid: &str, signal: &str) {
    let kill = std::process::Command::new("kill")
        .args([&format!("-{signal}"), pid])
        .status();
    assert!(kill.expect("run kill").success());
}

#[test]
fn a_signal_during_a_statement_ends_it_at_the_server() {
    let primary = Postgres::start(&Setup::default());
    let query = "queries.slow = \"select pg_sleep(15)\"";
    let run = run_with(&primary.dsn("probe"), query, "60s").start();
    let sleeping =
        "select count(*) from pg_stat_activity where usename = 'probe' and wait_event = 'PgSleep'";
    primary.wait_for(sleeping, "1");
    let cut = Instant::now();
    run.signal("TERM");
    run.verdict();
    assert_nothing_left(&primary, cut, "TERM");
}
