//! pgaudit: loaded, created, and switched on for everybody.

use super::{assert_results, probe, reason};
use crate::lab::Verdict;
use crate::lab::postgres::{Postgres, Setup};

const DECLARED: &str = "audit = \"pgaudit\"";

fn assert_off(verdict: &Verdict, part: &str) {
    assert_results(verdict, &[("audit-on", "fail")]);
    let said = reason(verdict, "audit-on");
    assert!(said.contains(part), "{said}");
}

#[test]
fn all_three_conditions_must_hold() {
    let mut server = Postgres::start(&Setup::default());
    // The library only defines its settings where it is preloaded: alone the extension cannot
    // even be created, so that it is created first and the library taken away again.
    assert_off(&probe(&server, DECLARED), "preloaded");
    server.configure("shared_preload_libraries = 'pgaudit'", "");
    server.restart();
    assert_off(&probe(&server, DECLARED), "extension");
    server.sql("create extension pgaudit");
    assert_off(&probe(&server, DECLARED), "unlogged_roles");
    server.configure(
        "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'ddl, role'",
        "",
    );
    server.reload();
    assert_results(&probe(&server, DECLARED), &[]);
    server.configure("", "");
    server.restart();
    assert_off(&probe(&server, DECLARED), "preloaded");
}

#[test]
fn an_override_to_none_is_found_at_every_level() {
    let server = Postgres::start(&Setup::conf(
        "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'all'",
    ));
    server.sql("create extension pgaudit; create role app_user login");
    server.sql("create database other");
    assert_results(&probe(&server, DECLARED), &[]);
    for (on, off, role) in [
        (
            "alter role app_user set pgaudit.log = 'none'",
            "alter role app_user reset all",
            "app_user",
        ),
        (
            "alter role app_user in database app set pgaudit.log = 'read, -read'",
            "alter role app_user in database app reset all",
            "app_user",
        ),
        (
            "alter database app set pgaudit.log = 'none'",
            "alter database app reset all",
            "postgres",
        ),
        (
            "alter role all set pgaudit.log = 'none'",
            "alter role all reset all",
            "postgres",
        ),
    ] {
        server.sql(on);
        assert_off(&probe(&server, DECLARED), role);
        server.sql(off);
        assert_results(&probe(&server, DECLARED), &[]);
    }
    // Elsewhere, for somebody who cannot log in, or overruled by something narrower: no fault.
    server.sql("alter role app_user in database other set pgaudit.log = 'none'");
    server.sql("create role nobody nologin; alter role nobody set pgaudit.log = 'none'");
    server.sql("alter database app set pgaudit.log = 'none'");
    server.sql("alter role app_user set pgaudit.log = 'write'");
    let verdict = probe(&server, DECLARED);
    let unlogged = &verdict.facts("db")["audit"]["unlogged_roles"];
    assert_eq!(*unlogged, serde_json::json!(["postgres", "probe"]));
}

#[test]
fn what_is_below_the_least_level_is_not_logged() {
    let server = Postgres::start(&Setup::conf(
        "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'all'\npgaudit.log_level = 'notice'",
    ));
    server.sql("create extension pgaudit");
    assert_off(&probe(&server, DECLARED), "reaches_log");
    server.sql("alter system set log_min_messages = 'notice'");
    server.reload();
    assert_results(&probe(&server, DECLARED), &[]);
}

#[test]
fn without_pg_monitor_it_is_unknown() {
    let server = Postgres::start(&Setup::conf(
        "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'all'",
    ));
    server.sql("create extension pgaudit; revoke pg_monitor from probe");
    let verdict = probe(&server, DECLARED);
    assert_eq!(verdict.result("db/audit-on"), "unknown");
    let said = reason(&verdict, "audit-on");
    assert!(said.contains("pg_read_all_settings"), "{said}");
}
