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

#[test]
fn what_commits_wait_for_is_not_what_the_probe_alone_waits_for() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    primary.sql("alter role probe set synchronous_commit = local");
    assert_results(
        &probe(&primary, "allow_writes = true"),
        &[("commits", "pass")],
    );
    primary.sql("alter system set synchronous_standby_names = 'standby1'");
    primary.reload();
    for dsn in [
        primary.dsn("probe"),
        format!(
            "{} options=-csynchronous_commit=local",
            primary.dsn("probe")
        ),
    ] {
        let verdict = super::run_with(&dsn, "allow_writes = true", "4s").once();
        assert_eq!(verdict.result("db/sync-standbys"), "unknown");
        assert_eq!(verdict.result("db/commits"), "unknown");
        assert_eq!(verdict.code, 3);
        // The commit of this one must wait for nobody.
        primary.sql("set synchronous_commit = local; alter role probe reset all");
    }
}

#[test]
fn a_slot_of_a_standby_is_judged_too() {
    let primary = Postgres::start(&Setup::default());
    let standby = primary.standby("standby1", "max_slot_wal_keep_size = 16MB");
    primary.wait_for("select state from pg_stat_replication", "streaming");
    standby.sql("select pg_create_physical_replication_slot('cascade', true)");
    let params = format!(
        "standbys = [{:?}]\nrules.replay-lag-small = false\nrules.replay-lag = false",
        standby.dsn("probe")
    );
    switch_wal(&primary, 6);
    primary.sql("checkpoint");
    primary.wait_for(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) = 0 from pg_stat_replication",
        "t",
    );
    standby.sql("checkpoint");
    standby.wait_for("select wal_status from pg_replication_slots", "lost");
    let verdict = probe(&primary, &params);
    assert_eq!(verdict.result("db/slots-not-lost"), "fail");
    let said = reason(&verdict, "slots-not-lost");
    assert!(said.contains(&standby.port.to_string()), "{said}");
}

#[test]
fn what_only_stores_wal_is_no_standby() {
    let primary = Postgres::start(&Setup::default());
    let mut storing = primary.pg_receivewal("standby2");
    primary.wait_for(
        "select state, write_lsn is not null from pg_stat_replication",
        "streaming|t",
    );
    let verdict = probe(&primary, "expect_standbys = [\"standby2\"]");
    storing.kill().ok();
    storing.wait().ok();
    assert_eq!(verdict.facts("db")["standbys"][0]["kind"], "storage");
    assert_eq!(
        verdict.facts("db")["expected_standbys"][0]["state"],
        "absent"
    );
    assert_eq!(verdict.result("db/expected-standbys"), "fail");
}

#[test]
fn a_removal_that_waits_for_a_lock_ends_and_leaves_nothing_under_way() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    primary.sql("create schema probe_canary_1700000000_ab authorization probe");
    primary.sql("create table probe_canary_1700000000_ab.canary (i int)");
    let mut holder = primary
        .psql(
            "app",
            "begin; lock table probe_canary_1700000000_ab.canary; select pg_sleep(60)",
        )
        .spawn()
        .expect("start psql");
    primary.wait_for(
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep'",
        "1",
    );
    let verdict = super::run_with(&primary.dsn("probe"), "allow_writes = true", "4s").once();
    assert_results(&verdict, &[("commits", "pass"), ("canary-removed", "warn")]);
    assert!(reason(&verdict, "canary-removed").contains("probe_canary_1700000000_ab"));
    primary.wait_for(
        "select count(*) from pg_stat_activity where usename = 'probe'",
        "0",
    );
    holder.kill().ok();
    holder.wait().ok();
}
