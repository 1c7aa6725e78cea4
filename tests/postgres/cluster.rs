//! A primary and its standbys: who is what, who receives, who replays.

use std::time::Duration;

use serde_json::Value;

use super::{assert_results, probe, probe_dsn, reason};
use crate::lab::postgres::{Postgres, Setup};
use crate::lab::{Verdict, attempt};

/// Whether the only standby has replayed everything.
const CAUGHT_UP: &str =
    "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) = 0 from pg_stat_replication";

fn pair() -> (Postgres, Postgres) {
    let primary = Postgres::start(&Setup::default());
    let standby = primary.standby("standby1", "");
    primary.wait_for("select state from pg_stat_replication", "streaming");
    primary.wait_for(CAUGHT_UP, "t");
    (primary, standby)
}

fn probe_pair(primary: &Postgres, standby: &Postgres) -> Verdict {
    let params = format!(
        "standbys = [{:?}]\nexpect_standbys = [\"standby1\"]",
        standby.dsn("probe")
    );
    probe(primary, &params)
}

fn write_wal(primary: &Postgres, mebibytes: u32) {
    primary.sql("create table if not exists filler (t text)");
    primary.sql(&format!(
        "insert into filler select repeat(md5(i::text), 32) from generate_series(1, {}) i",
        mebibytes * 1_000
    ));
}

#[test]
fn a_healthy_cluster_passes_and_shows_its_facts() {
    let (primary, standby) = pair();
    let verdict = probe_pair(&primary, &standby);
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("db");
    let servers = facts["servers"].as_array().expect("servers");
    assert_eq!(servers[0]["role"], "primary");
    assert_eq!(servers[1]["role"], "standby");
    assert_eq!(servers[1]["encrypted"], true);
    assert_eq!(servers[1]["receiver"], "streaming");
    assert_eq!(servers[1]["lag_seconds"], 0.0);
    assert_eq!(facts["timeline"], 1);
    assert_eq!(facts["standbys"][0]["name"], "standby1");
    assert_eq!(facts["expected_standbys"][0]["state"], "streaming");
    let version = facts["server_version_num"].as_i64().expect("a version");
    assert!(version >= 120_000, "{version}");
}

#[test]
fn a_cluster_of_three_is_observed_quickly_over_at_most_two_connections_each() {
    let (primary, standby) = pair();
    let other = primary.standby("standby2", "");
    primary.sql("grant create on database app to probe");
    primary.sql("alter system set log_connections = on");
    primary.reload();
    let params = format!(
        "primary = {:?}\nstandbys = [{:?}, {:?}]\nca_file = {:?}\nplaintext = \"refused\"\nallow_writes = true",
        primary.dsn("probe"),
        standby.dsn("probe"),
        other.dsn("probe"),
        super::ca_file(&primary),
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen = runtime.block_on(attempt("postgres", &params, Duration::from_secs(10)));
    assert_eq!(seen.fact("servers").as_array().map(Vec::len), Some(3));
    let connecting: f64 = seen
        .trail
        .phases
        .iter()
        .map(|phase| phase.ms)
        .fold(0.0, f64::max);
    let took = seen.took.as_secs_f64() * 1_000.0;
    println!("{took:.1} ms, of which {connecting:.1} ms is the slowest login");
    // Generous: tests run side by side. Alone it is some 20 ms after the logins.
    assert!(
        took - connecting < 600.0,
        "{took} ms, of which {connecting} ms is one login"
    );
    let connections = primary
        .log()
        .matches("connection received: host=127.0.0.1")
        .count();
    assert!(connections <= 2, "{}", primary.log());
    primary.wait_for(
        "select count(*) from pg_stat_activity where usename = 'probe'",
        "0",
    );
}

#[test]
fn a_standby_promoted_beside_a_living_primary_is_a_split_brain() {
    let (primary, standby) = pair();
    standby.promote();
    standby.wait_for("select pg_is_in_recovery()", "f");
    standby.sql("create table other_history (i int)");
    let verdict = probe_pair(&primary, &standby);
    assert_eq!(verdict.code, 1);
    for rule in [
        "one-primary",
        "roles-as-declared",
        "same-timeline",
        "expected-standbys",
    ] {
        assert_eq!(
            verdict.result(&format!("db/{rule}")),
            "fail",
            "{rule}: {:#}",
            verdict.json
        );
    }
    let name = format!("127.0.0.1:{}", standby.port);
    assert!(
        reason(&verdict, "one-primary").contains(&name),
        "{:#}",
        verdict.json
    );
}

#[test]
fn a_standby_swapped_with_the_primary_does_not_pass() {
    let (primary, standby) = pair();
    let verdict = probe_pair(&standby, &primary);
    assert_eq!(verdict.code, 1);
    assert_eq!(verdict.result("db/roles-as-declared"), "fail");
    assert_ne!(verdict.result("db/receiving"), "pass");
    assert_ne!(verdict.result("db/replay-lag"), "pass");
}

#[test]
fn the_primary_named_as_its_own_standby_does_not_pass() {
    let primary = Postgres::start(&Setup::default());
    let params = format!("standbys = [{:?}]", primary.dsn("probe"));
    let verdict = probe(&primary, &params);
    assert_eq!(verdict.code, 1);
    assert_eq!(verdict.result("db/roles-as-declared"), "fail");
}

#[test]
fn a_standby_of_another_cluster_does_not_pass() {
    let primary = Postgres::start(&Setup::default());
    let (_other, standby) = {
        // Made from the other template, it is another database cluster.
        let other = Postgres::start(&Setup {
            no_checksums: true,
            ..Setup::default()
        });
        let standby = other.standby("standby1", "");
        (other, standby)
    };
    let verdict = probe(
        &primary,
        &format!("standbys = [{:?}]", standby.dsn("probe")),
    );
    assert_eq!(verdict.code, 1);
    assert_eq!(verdict.result("db/same-cluster"), "fail");
    assert!(reason(&verdict, "same-cluster").contains(&standby.port.to_string()));
}

#[test]
fn a_standby_that_is_down_fails_and_the_primary_is_still_seen() {
    let (primary, mut standby) = pair();
    standby.stop();
    let verdict = probe_pair(&primary, &standby);
    assert_eq!(verdict.probe("db")["outcome"], "observed");
    assert_eq!(verdict.result("db/servers-answer"), "fail");
    assert!(reason(&verdict, "servers-answer").contains("refused"));
    assert_eq!(verdict.result("db/expected-standbys"), "fail");
    assert_eq!(verdict.facts("db")["servers"][0]["role"], "primary");
    assert_eq!(verdict.result("db/connections"), "pass");
}

#[test]
fn a_standby_that_hangs_fails_and_the_primary_is_still_seen() {
    let (primary, standby) = pair();
    standby.signal("STOP");
    let params = format!(
        "standbys = [{:?}]\nrules.replay-lag-small = false",
        standby.dsn("probe")
    );
    let verdict = super::run_with(&primary.dsn("probe"), &params, "3s").once();
    standby.signal("CONT");
    assert_eq!(
        verdict.probe("db")["outcome"],
        "observed",
        "{:#}",
        verdict.json
    );
    assert_eq!(verdict.result("db/servers-answer"), "fail");
    assert_eq!(verdict.result("db/connections"), "pass");
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_standby_whose_login_is_refused_is_unknown_and_says_why() {
    let (primary, standby) = pair();
    let wrong = standby.dsn("probe").replace("password=", "password=x");
    let verdict = probe(&primary, &format!("standbys = [{wrong:?}]"));
    assert_eq!(verdict.code, 3, "{:#}", verdict.json);
    assert_eq!(verdict.result("db/servers-answer"), "unknown");
    assert!(
        reason(&verdict, "servers-answer").contains("28P01"),
        "{:#}",
        verdict.json
    );
}

#[test]
fn a_cut_receiver_fails_until_it_streams_again() {
    let (primary, standby) = pair();
    let source = standby.sql("show primary_conninfo");
    standby.sql("alter system set primary_conninfo = ''");
    standby.reload();
    standby.wait_for("select count(*) from pg_stat_wal_receiver", "0");
    let verdict = probe_pair(&primary, &standby);
    assert_eq!(verdict.result("db/receiving"), "fail");
    assert_eq!(verdict.result("db/expected-standbys"), "fail");
    assert!(reason(&verdict, "expected-standbys").contains("standby1"));
    let server = &verdict.facts("db")["servers"][1];
    assert_eq!(server["receiver"], "absent");
    // Nothing is received, so that no age may stand there, least of all a zero.
    assert_eq!(server["lag_seconds"]["unknown"], "not_observed");
    standby.sql(&format!(
        "alter system set primary_conninfo = '{}'",
        source.replace('\'', "''")
    ));
    standby.reload();
    primary.wait_for("select state from pg_stat_replication", "streaming");
    assert_results(&probe_pair(&primary, &standby), &[]);
}

#[test]
fn a_frozen_receiver_that_still_says_streaming_fails_by_bytes() {
    let (primary, standby) = pair();
    let receiver = standby.sql("select pid from pg_stat_wal_receiver");
    let signal = |name: &str| {
        let done = std::process::Command::new("kill")
            .args([name, &receiver])
            .status();
        assert!(done.expect("run kill").success());
    };
    signal("-STOP");
    write_wal(&primary, 20);
    let verdict = probe_pair(&primary, &standby);
    signal("-CONT");
    assert_eq!(verdict.facts("db")["servers"][1]["receiver"], "streaming");
    assert_eq!(
        verdict.result("db/replay-lag"),
        "fail",
        "{:#}",
        verdict.json
    );
    assert_eq!(verdict.result("db/expected-standbys"), "fail");
    assert_eq!(verdict.result("db/replay-lag-small"), "warn");
    assert_eq!(verdict.result("db/standbys-healthy"), "warn");
    let behind =
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) = 0 from pg_stat_replication";
    primary.wait_for(behind, "t");
    assert_results(&probe_pair(&primary, &standby), &[]);
}

#[test]
fn paused_replay_fails_until_it_is_resumed() {
    let (primary, standby) = pair();
    write_wal(&primary, 1);
    primary.wait_for(CAUGHT_UP, "t");
    standby.sql("select pg_wal_replay_pause()");
    write_wal(&primary, 3);
    standby.wait_for("select pg_get_wal_replay_pause_state()", "paused");
    std::thread::sleep(Duration::from_millis(200));
    let verdict = probe_pair(&primary, &standby);
    assert_results(
        &verdict,
        &[("replay-running", "fail"), ("replay-lag-small", "warn")],
    );
    assert!(reason(&verdict, "replay-running").contains(&standby.port.to_string()));
    standby.sql("select pg_wal_replay_resume()");
    let behind =
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) = 0 from pg_stat_replication";
    primary.wait_for(behind, "t");
    assert_results(&probe_pair(&primary, &standby), &[]);
}

#[test]
fn a_role_without_pg_monitor_sees_unknown_and_the_grant_to_give() {
    let (primary, standby) = pair();
    primary.sql("revoke pg_monitor from probe");
    primary.wait_for(CAUGHT_UP, "t");
    let verdict = probe_pair(&primary, &standby);
    assert_eq!(verdict.code, 3, "{:#}", verdict.json);
    for rule in [
        "expected-standbys",
        "standbys-healthy",
        "receiving",
        "connections",
    ] {
        assert_eq!(
            verdict.result(&format!("db/{rule}")),
            "unknown",
            "{rule}: {:#}",
            verdict.facts("db")
        );
        assert!(
            reason(&verdict, rule).contains("pg_monitor"),
            "{}",
            reason(&verdict, rule)
        );
    }
    assert_eq!(verdict.result("db/servers-answer"), "pass");
    assert_eq!(verdict.result("db/same-cluster"), "pass");
    assert_eq!(verdict.facts("db")["standbys"][0]["name"], "standby1");
}

#[test]
fn an_undeclared_standby_is_seen_and_only_warned_about() {
    let (primary, standby) = pair();
    let receiver = standby.sql("select pid from pg_stat_wal_receiver");
    let signal = |name: &str| {
        let done = std::process::Command::new("kill")
            .args([name, &receiver])
            .status();
        assert!(done.expect("run kill").success());
    };
    signal("-STOP");
    write_wal(&primary, 20);
    let verdict = probe_dsn(&primary.dsn("probe"), "");
    signal("-CONT");
    assert_results(&verdict, &[("standbys-healthy", "warn")]);
    assert_eq!(verdict.code, 0);
    assert!(verdict.facts("db")["standbys"][0]["replay_lag_bytes"].as_i64() > Some(1 << 24));
}

#[test]
fn checksums_that_are_off_warn_and_failures_count() {
    let off = Postgres::start(&Setup {
        no_checksums: true,
        ..Setup::default()
    });
    let verdict = probe(&off, "");
    assert_results(
        &verdict,
        &[("checksums", "warn"), ("checksum-failures", "na")],
    );
    assert_eq!(
        verdict.facts("db")["servers"][0]["checksum_failures"]["unknown"],
        "not_applicable"
    );

    let mut on = Postgres::start(&Setup::default());
    assert_results(&probe(&on, ""), &[("checksum-failures", "pass")]);
    on.sql("create table damaged as select generate_series(1, 1000) i");
    on.sql("checkpoint");
    let file = on
        .dir()
        .join("data")
        .join(on.sql("select pg_relation_filepath('damaged')"));
    on.stop();
    let mut bytes = std::fs::read(&file).expect("read the table");
    bytes[4_000..4_100].fill(0x55);
    std::fs::write(&file, bytes).expect("damage the table");
    on.up();
    assert!(
        !on.try_sql("app", "select sum(i) from damaged")
            .status
            .success()
    );
    on.wait_for(
        "select sum(checksum_failures) > 0 from pg_stat_database",
        "t",
    );
    assert_results(&probe(&on, ""), &[("checksum-failures", "fail")]);
}

#[test]
fn the_age_of_transactions_is_judged() {
    let primary = Postgres::start(&Setup::conf("max_prepared_transactions = 2"));
    primary.sql("create table t (i int)");
    primary.sql("begin; insert into t values (1); prepare transaction 'forgotten'");
    std::thread::sleep(Duration::from_millis(300));
    let verdict = probe(
        &primary,
        "rules.prepared-transactions = \"transactions.oldest_prepared_seconds < 0.1\"\nrules.wraparound = \"wraparound.xid_age < 1\"",
    );
    assert_results(
        &verdict,
        &[("prepared-transactions", "warn"), ("wraparound", "fail")],
    );
    let facts = verdict.facts("db");
    assert_eq!(facts["transactions"]["prepared"], 1);
    assert!(facts["wraparound"]["mxid_age"].is_i64(), "{facts:#}");
    primary.sql("rollback prepared 'forgotten'");
    assert_eq!(
        probe(&primary, "").facts("db")["transactions"]["oldest_prepared_seconds"],
        Value::from(0.0)
    );
}

#[test]
fn a_receiver_that_is_dead_does_not_count_as_streaming_for_ever() {
    let (primary, standby) = pair();
    // Whoever asks for less patience sees it sooner.
    let params = |seconds: u32| {
        format!(
            "standbys = [{:?}]\nrules.receiving = \"servers.all(s, s.declared == 'primary' || (s.receiver == 'streaming' && (s.receiver_silent_seconds < {seconds}.0 || standbys.exists(p, p.name == s.receiver_name && p.reply_age_seconds < {seconds}.0))))\"",
            standby.dsn("probe")
        )
    };
    let healthy = probe(&primary, &params(60));
    assert_eq!(
        healthy.facts("db")["servers"][1]["receiver_name"],
        "standby1"
    );
    assert_eq!(healthy.result("db/receiving"), "pass");
    let receiver = standby.sql("select pid from pg_stat_wal_receiver");
    let signal = |name: &str| {
        let done = std::process::Command::new("kill")
            .args([name, &receiver])
            .status();
        assert!(done.expect("run kill").success());
    };
    signal("-STOP");
    primary.sql("select pg_terminate_backend(pid) from pg_stat_replication");
    primary.wait_for("select count(*) from pg_stat_replication", "0");
    write_wal(&primary, 2);
    std::thread::sleep(Duration::from_secs(2));
    let verdict = probe(&primary, &params(1));
    signal("-CONT");
    assert_eq!(
        verdict.result("db/receiving"),
        "fail",
        "{:#}",
        verdict.facts("db")
    );
    let server = &verdict.facts("db")["servers"][1];
    assert_eq!(server["receiver"], "streaming");
    assert_ne!(server["lag_seconds"], 0.0, "{server:#}");
}
