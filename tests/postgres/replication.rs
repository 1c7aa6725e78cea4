//! Slots, synchronous replication and the canary.

use super::{assert_results, probe, reason};
use crate::lab::postgres::{Postgres, Setup};

fn switch_wal(primary: &Postgres, segments: u32) {
    for _ in 0..segments {
        primary.sql("create table if not exists t (i int)");
        primary.sql("insert into t values (1)");
        primary.sql("select pg_switch_wal()");
    }
}

#[test]
fn a_slot_that_nobody_uses_warns_piles_up_and_is_lost() {
    let primary = Postgres::start(&Setup::conf(
        "max_wal_size = 32MB\nmin_wal_size = 32MB\nmax_slot_wal_keep_size = 96MB",
    ));
    primary.sql("select pg_create_physical_replication_slot('never_used')");
    assert_results(&probe(&primary, ""), &[]);
    primary.sql("select pg_create_physical_replication_slot('forgotten', true)");
    assert_results(&probe(&primary, ""), &[]);
    switch_wal(&primary, 2);
    let verdict = probe(&primary, "");
    assert_results(&verdict, &[("slots-used", "warn")]);
    assert!(reason(&verdict, "slots-used").contains("forgotten"));
    switch_wal(&primary, 2);
    primary.sql("checkpoint");
    let verdict = probe(&primary, "");
    assert_results(
        &verdict,
        &[("slots-used", "warn"), ("slots-not-piling-up", "fail")],
    );
    switch_wal(&primary, 6);
    primary.sql("checkpoint");
    primary.wait_for(
        "select wal_status from pg_replication_slots where slot_name = 'forgotten'",
        "lost",
    );
    let verdict = probe(&primary, "");
    assert_results(&verdict, &[("slots-not-lost", "fail")]);
    assert!(reason(&verdict, "slots-not-lost").contains("forgotten"));
    let slots = verdict.facts("db")["slots"].as_array().expect("slots");
    let lost = slots
        .iter()
        .find(|slot| slot["slot"] == "forgotten")
        .expect("the slot");
    assert_eq!(
        lost["retained_bytes"]["unknown"], "not_applicable",
        "never a zero"
    );
    primary.sql("select pg_drop_replication_slot('forgotten')");
    assert_results(&probe(&primary, ""), &[]);
}

fn schemas(primary: &Postgres) -> String {
    primary.sql("select count(*) from pg_namespace where nspname like 'probe_canary%'")
}

#[test]
fn a_commit_is_confirmed_and_nothing_is_left_behind() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    let verdict = probe(&primary, "allow_writes = true");
    assert_results(&verdict, &[("commits", "pass"), ("canary-removed", "pass")]);
    assert_eq!(schemas(&primary), "0");
    let canary = &verdict.facts("db")["canary"];
    assert!(
        canary["commit_ms"].as_f64().is_some_and(|ms| ms < 5_000.0),
        "{canary:#}"
    );
    // What was left by a run that was killed goes with the next one.
    primary.sql("create schema probe_canary_1700000000_ab authorization probe");
    probe(&primary, "allow_writes = true");
    assert_eq!(schemas(&primary), "0");
}

#[test]
fn without_permission_nothing_is_written() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    let before = primary.sql("select pg_current_xact_id()");
    let verdict = probe(&primary, "");
    assert_eq!(verdict.rule("db/commits")["enabled"], false);
    let after: u64 = primary
        .sql("select pg_current_xact_id()")
        .parse()
        .expect("a number");
    assert_eq!(
        after,
        before.parse::<u64>().expect("a number") + 1,
        "no transaction of ours wrote"
    );
}

#[test]
fn a_canary_without_the_grant_is_unknown_and_names_it() {
    let primary = Postgres::start(&Setup::default());
    let verdict = probe(&primary, "allow_writes = true");
    assert_eq!(verdict.code, 3);
    assert_eq!(verdict.result("db/commits"), "unknown");
    assert!(reason(&verdict, "commits").contains("GRANT CREATE ON DATABASE"));
}

#[test]
fn a_missing_synchronous_standby_makes_commits_hang_and_the_canary_goes_all_the_same() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    primary.sql("alter system set synchronous_standby_names = 'standby1'");
    primary.reload();
    let params = "allow_writes = true";
    let verdict = super::run_with(&primary.dsn("probe"), params, "4s").once();
    assert_results(&verdict, &[("sync-standbys", "fail"), ("commits", "fail")]);
    assert_eq!(verdict.facts("db")["canary"]["commit"], "hanging");
    let left =
        "begin read only; select count(*) from pg_namespace where nspname like 'probe_canary%'";
    assert_eq!(primary.sql(left), "0");
    primary.wait_for(
        "select count(*) from pg_stat_activity where usename = 'probe'",
        "0",
    );

    let _standby = primary.standby("standby1", "");
    primary.wait_for("select sync_state from pg_stat_replication", "sync");
    assert_results(
        &probe(&primary, params),
        &[("sync-standbys", "pass"), ("commits", "pass")],
    );
}
