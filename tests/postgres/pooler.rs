//! A primary behind `PgBouncer`.

use std::process::Child;
use std::time::Duration;

use super::{assert_results, probe_dsn, reason};
use crate::lab::pgbouncer::PgBouncer;
use crate::lab::postgres::{PASSWORD, Postgres, Setup};

fn through(pooler: &PgBouncer, role: &str, postgres: &Postgres, sql: &str) -> Child {
    let mut command = postgres.psql("app", sql);
    command.env("PGPASSWORD", PASSWORD).args([
        "-h",
        "127.0.0.1",
        "-p",
        &pooler.port.to_string(),
        "-U",
        role,
    ]);
    command.spawn().expect("start psql")
}

#[test]
fn a_primary_behind_a_pooler_is_seen_and_no_setting_stays_behind() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("grant create on database app to probe");
    for more in [
        "stats_users = probe",
        "stats_users = probe\nignore_startup_parameters = options",
    ] {
        let pooler = PgBouncer::start(&primary, &["probe"], more);
        let verdict = probe_dsn(&pooler.dsn("probe"), "allow_writes = true");
        assert_results(&verdict, &[("commits", "pass"), ("pools", "pass")]);
        let facts = verdict.facts("db");
        assert_eq!(facts["pooler"]["kind"], "pgbouncer");
        let pools = facts["pooler"]["pools"].as_array().expect("pools");
        let own = pools
            .iter()
            .find(|pool| pool["name"] == "app/probe")
            .expect("our pool");
        assert_eq!(own["mode"], "transaction");
        // The one server connection is used by others next: it must still be as it was.
        let sql = "create table left_over (i int); drop table left_over";
        primary.sql("grant create on schema public to probe");
        let client = through(&pooler, "probe", &primary, sql).wait_with_output();
        assert!(client.expect("psql ends").status.success());
    }
}

#[test]
fn clients_that_wait_for_the_pool_warn() {
    let primary = Postgres::start(&Setup::default());
    primary.sql(&format!("create role app_rw login password '{PASSWORD}'"));
    let pooler = PgBouncer::start(&primary, &["probe", "app_rw"], "stats_users = probe");
    let mut clients = [
        through(&pooler, "app_rw", &primary, "select pg_sleep(30)"),
        through(&pooler, "app_rw", &primary, "select pg_sleep(30)"),
    ];
    std::thread::sleep(Duration::from_millis(1_800));
    let verdict = probe_dsn(&pooler.dsn("probe"), "");
    for client in &mut clients {
        client.kill().ok();
        client.wait().ok();
    }
    assert_results(&verdict, &[("pools", "warn")]);
    assert!(
        reason(&verdict, "pools").contains("app/app_rw"),
        "{}",
        reason(&verdict, "pools")
    );
}

#[test]
fn pools_that_may_not_be_seen_are_unknown() {
    let primary = Postgres::start(&Setup::default());
    let pooler = PgBouncer::start(&primary, &["probe"], "");
    let verdict = probe_dsn(&pooler.dsn("probe"), "");
    assert_eq!(
        verdict.result("db/pools"),
        "unknown",
        "{:#}",
        verdict.facts("db")
    );
    assert!(reason(&verdict, "pools").contains("stats_users"));
    assert_eq!(verdict.facts("db")["pooler"]["kind"], "pgbouncer");
}

#[test]
fn a_pool_without_a_free_connection_says_so() {
    let primary = Postgres::start(&Setup::default());
    let pooler = PgBouncer::start(&primary, &["probe"], "stats_users = probe");
    let mut holding = through(&pooler, "probe", &primary, "select pg_sleep(30)");
    primary.wait_for(
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep'",
        "1",
    );
    let verdict = super::run_with(&pooler.dsn("probe"), "", "4s").once();
    holding.kill().ok();
    holding.wait().ok();
    assert_eq!(verdict.probe("db")["outcome"], "target_error");
    let said = reason(&verdict, "servers-answer");
    assert!(
        said.contains("no server connection free in the pool app/probe"),
        "{said}"
    );
    assert!(said.contains("1 in use"), "{said}");
}
