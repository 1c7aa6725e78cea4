//! Declared settings, on every server.

use super::{assert_results, probe, reason};
use crate::lab::postgres::{Postgres, Setup};

const DECLARED: &str = "settings = { shared_buffers = \"16MB\", work_mem = \"4MB\", wal_level = \"replica\", \
     statement_timeout = 0, default_transaction_read_only = false, checkpoint_completion_target = 0.9 }";

#[test]
fn equal_values_pass_in_any_unit_and_others_fail_by_name() {
    let primary = Postgres::start(&Setup::default());
    assert_results(&probe(&primary, DECLARED), &[("settings", "pass")]);
    primary.sql("alter system set work_mem = '8MB'");
    primary.reload();
    let verdict = probe(&primary, DECLARED);
    assert_results(&verdict, &[("settings", "fail")]);
    let why = reason(&verdict, "settings");
    assert!(why.contains("work_mem on 127.0.0.1"), "{why}");
}

#[test]
fn a_value_of_a_role_or_a_database_is_another_value() {
    let primary = Postgres::start(&Setup::default());
    primary.sql("create role app_rw login");
    primary.sql("alter role app_rw set work_mem = '1GB'");
    let verdict = probe(&primary, DECLARED);
    assert_results(&verdict, &[("settings", "fail")]);
    assert!(
        reason(&verdict, "settings").contains("role app_rw: 1GB"),
        "{}",
        reason(&verdict, "settings")
    );
    primary.sql("alter role app_rw set work_mem = '4096kB'");
    assert_results(&probe(&primary, DECLARED), &[("settings", "pass")]);
    primary.sql("alter database app set work_mem = '5MB'");
    assert_eq!(probe(&primary, DECLARED).result("db/settings"), "fail");
}

#[test]
fn a_value_that_waits_for_a_restart_warns_and_the_old_one_is_judged() {
    let mut primary = Postgres::start(&Setup::default());
    primary.sql("alter system set shared_buffers = '32MB'");
    primary.reload();
    let verdict = probe(&primary, DECLARED);
    assert_results(
        &verdict,
        &[("pending-restart", "warn"), ("settings", "pass")],
    );
    assert!(reason(&verdict, "pending-restart").contains("shared_buffers"));
    primary.restart();
    assert_results(&probe(&primary, DECLARED), &[("settings", "fail")]);
}

#[test]
fn every_server_is_judged() {
    let primary = Postgres::start(&Setup::default());
    let standby = primary.standby("standby1", "work_mem = 5MB");
    primary.wait_for("select state from pg_stat_replication", "streaming");
    let params = format!("{DECLARED}\nstandbys = [{:?}]", standby.dsn("probe"));
    let verdict = probe(&primary, &params);
    assert_eq!(verdict.result("db/settings"), "fail");
    assert!(reason(&verdict, "settings").contains(&standby.port.to_string()));
}

#[test]
fn a_hidden_setting_is_unknown_and_names_the_grant() {
    let primary = Postgres::start(&Setup::default());
    let declared = "settings = { shared_preload_libraries = \"\" }";
    assert_results(&probe(&primary, declared), &[("settings", "pass")]);
    primary.sql("revoke pg_monitor from probe");
    let verdict = probe(&primary, declared);
    assert_eq!(verdict.result("db/settings"), "unknown");
    assert!(reason(&verdict, "settings").contains("pg_read_all_settings"));
    let nonsense = probe(&primary, "settings = { no_such_setting = 1 }");
    assert_eq!(nonsense.result("db/settings"), "unknown");
}

#[test]
fn a_value_of_the_probe_alone_hides_the_servers() {
    let primary = Postgres::start(&Setup::conf("work_mem = 64MB"));
    let declared = "settings = { work_mem = \"4MB\" }";
    assert_eq!(probe(&primary, declared).result("db/settings"), "fail");
    for (on, off) in [
        (
            "alter role probe set work_mem = '4MB'",
            "alter role probe reset all",
        ),
        (
            "alter role probe in database app set work_mem = '4MB'",
            "alter role probe in database app reset all",
        ),
        (
            "alter database app set work_mem = '4MB'",
            "alter database app reset all",
        ),
        (
            "alter role all in database app set work_mem = '4MB'",
            "alter role all in database app reset all",
        ),
    ] {
        primary.sql(on);
        assert_eq!(
            probe(&primary, declared).result("db/settings"),
            "unknown",
            "{on}"
        );
        primary.sql(off);
    }
    let dsn = format!("{} options=-cwork_mem=4MB", primary.dsn("probe"));
    let verdict = super::probe_dsn(&dsn, declared);
    assert_eq!(verdict.result("db/settings"), "unknown");
    assert!(reason(&verdict, "settings").contains("hides"));
    // What the session changes itself is judged by what was there before.
    let timeout = "settings = { statement_timeout = 7000 }";
    assert_eq!(probe(&primary, timeout).result("db/settings"), "fail");
    primary.sql("alter role probe set statement_timeout = 7000");
    assert_eq!(probe(&primary, timeout).result("db/settings"), "unknown");
}
