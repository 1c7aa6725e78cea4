//! The archiver: off, empty, failing, discarding, idle and at work.

use super::{assert_results, probe, reason};
use crate::lab::postgres::{Postgres, Setup};

fn archiving(command: &str) -> Postgres {
    Postgres::start(&Setup::conf(&format!(
        "archive_mode = on\narchive_command = '{command}'"
    )))
}

fn switch_wal(primary: &Postgres, segments: u32) {
    primary.sql("create table if not exists t (i int)");
    for _ in 0..segments {
        primary.sql("insert into t values (1)");
        primary.sql("select pg_switch_wal()");
    }
}

const DECLARED: &str = "archiving = true";

#[test]
fn archiving_that_is_off_fails_only_where_it_is_declared() {
    let primary = Postgres::start(&Setup::default());
    let verdict = probe(&primary, "");
    assert_results(&verdict, &[("archiver-works", "na")]);
    assert_eq!(probe(&primary, DECLARED).result("db/archiving"), "fail");
}

#[test]
fn an_archiver_at_work_passes() {
    let primary = archiving("cp %p ../%f.archived");
    let idle = probe(&primary, DECLARED);
    assert_eq!(
        idle.result("db/archiving"),
        "unknown",
        "nothing was there to archive"
    );
    assert_eq!(idle.result("db/archiver-works"), "pass");
    switch_wal(&primary, 1);
    primary.wait_for("select archived_count > 0 from pg_stat_archiver", "t");
    let verdict = probe(&primary, DECLARED);
    assert_results(
        &verdict,
        &[("archiving", "pass"), ("archiver-works", "pass")],
    );
    assert_eq!(verdict.facts("db")["archiver"]["waiting_segments"], 0);
}

#[test]
fn an_empty_command_fails_although_nothing_failed() {
    let primary = archiving("");
    switch_wal(&primary, 12);
    let verdict = probe(&primary, DECLARED);
    assert_results(
        &verdict,
        &[
            ("archiver-works", "fail"),
            ("archiving", "fail"),
            ("archiver-backlog-small", "warn"),
        ],
    );
    let archiver = &verdict.facts("db")["archiver"];
    assert_eq!(archiver["failed_count"], 0);
    assert_eq!(archiver["command"], "empty");
    switch_wal(&primary, 4);
    assert_eq!(probe(&primary, "").result("db/archiver-backlog"), "fail");
}

#[test]
fn a_failing_command_fails_until_it_works_again() {
    let primary = archiving("false");
    switch_wal(&primary, 1);
    primary.wait_for("select failed_count > 0 from pg_stat_archiver", "t");
    let verdict = probe(&primary, DECLARED);
    assert_results(
        &verdict,
        &[("archiver-works", "fail"), ("archiving", "fail")],
    );
    assert!(reason(&verdict, "archiver-works").contains("archiver.failing"));
    primary.sql("alter system set archive_command = 'cp %p ../%f.archived'");
    primary.reload();
    switch_wal(&primary, 1);
    primary.wait_for(
        "select last_archived_time > last_failed_time from pg_stat_archiver",
        "t",
    );
    primary.wait_for(
        "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'",
        "0",
    );
    assert_results(
        &probe(&primary, DECLARED),
        &[("archiver-works", "pass"), ("archiving", "pass")],
    );
}

#[test]
fn a_command_that_stores_nothing_does_not_meet_the_declaration() {
    let primary = archiving("/bin/true");
    switch_wal(&primary, 1);
    primary.wait_for("select archived_count > 0 from pg_stat_archiver", "t");
    let verdict = probe(&primary, DECLARED);
    assert_results(&verdict, &[("archiving", "fail")]);
    assert_eq!(verdict.facts("db")["archiver"]["command"], "discards");
}

#[test]
fn a_command_that_throws_away_does_not_meet_the_declaration() {
    let primary = archiving("cp %p /dev/null");
    switch_wal(&primary, 1);
    primary.wait_for("select archived_count > 0 from pg_stat_archiver", "t");
    assert_results(&probe(&primary, DECLARED), &[("archiving", "fail")]);
}

#[test]
fn a_command_that_hangs_shows_by_what_waits() {
    let primary = archiving("cp %p ../%f.archived");
    switch_wal(&primary, 1);
    primary.wait_for("select archived_count > 0 from pg_stat_archiver", "t");
    primary.sql("alter system set archive_command = 'sleep 1000; cp %p ../%f.archived'");
    primary.reload();
    switch_wal(&primary, 1);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let verdict = probe(
        &primary,
        "rules.archiver-backlog = \"archiver.stalled_seconds < 1.0\"",
    );
    assert_results(&verdict, &[("archiver-backlog", "fail")]);
    assert_eq!(verdict.facts("db")["archiver"]["failed_count"], 0);
}

#[test]
fn without_pg_monitor_the_backlog_is_unknown_and_the_counts_are_seen() {
    let primary = archiving("cp %p ../%f.archived");
    primary.sql("revoke pg_monitor from probe");
    let verdict = probe(&primary, "");
    assert_eq!(verdict.result("db/archiver-backlog"), "unknown");
    assert!(reason(&verdict, "archiver-backlog").contains("pg_monitor"));
    assert_eq!(verdict.facts("db")["archiver"]["failed_count"], 0);
}
