//! Invalid, unfinished and doubled indexes.

use std::process::{Child, Stdio};

use super::database::Database;
use super::{assert_results, reason};

/// A client that runs SQL until it is killed or dropped.
struct Client(Child);

impl Client {
    fn start(database: &Database, sql: &str) -> Self {
        let mut command = database.server.psql(&database.name, sql);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("start psql"))
    }

    fn stop(mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_failed_concurrent_build_is_found() {
    let database = Database::with(&[
        "create table account as select 1 as id, 'x' as code from generate_series(1, 2)",
    ]);
    let failed = database.server.try_sql(
        &database.name,
        "create unique index concurrently account_code on account (code)",
    );
    assert!(!failed.status.success());
    let verdict = database.probe("");
    assert_results(&verdict, &[("indexes-valid", "fail")]);
    let said = reason(&verdict, "indexes-valid");
    assert!(said.contains("public.account_code on account"), "{said}");
    database.sql("drop index account_code");
    assert_results(&database.probe(""), &[]);
}

#[test]
fn a_partitioned_index_without_its_parts_is_found() {
    let database = Database::with(&[
        "create table event (id int, at date) partition by range (at)",
        "create table event_1 partition of event for values from ('2026-01-01') to ('2027-01-01')",
        "create index event_at on only event (at)",
    ]);
    assert_results(&database.probe(""), &[("indexes-valid", "fail")]);
    database.sql("create index event_1_at on event_1 (at)");
    database.sql("alter index event_at attach partition event_1_at");
    assert_results(&database.probe(""), &[]);
}

#[test]
fn an_index_that_is_being_built_is_no_fault() {
    let database = Database::with(&["create table account as select 1 as id"]);
    let writer = Client::start(
        &database,
        "begin; insert into account values (2); select pg_sleep(60)",
    );
    database.server.wait_for(
        "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and wait_event = 'PgSleep'",
        "1",
    );
    let builder = Client::start(
        &database,
        "create index concurrently account_id on account (id)",
    );
    let progress = "select count(*) from pg_stat_progress_create_index";
    database.server.wait_for(progress, "1");
    let verdict = database.probe("");
    assert_results(&verdict, &[]);
    let indexes = &verdict.facts("db")["indexes"];
    assert_eq!(
        indexes["in_progress"][0], "public.account_id on account",
        "{indexes:#}"
    );
    // The role cannot see what others are building: it must not be told apart by guessing.
    database.sql("create role blind login password 'correct-horse-battery'");
    let blind = super::probe_dsn(&database.dsn("blind"), "");
    assert_eq!(blind.result("db/indexes-valid"), "unknown");
    assert!(reason(&blind, "indexes-valid").contains("pg_read_all_stats"));
    builder.stop();
    writer.stop();
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{db}' and pid <> pg_backend_pid()");
    database.server.wait_for(progress, "0");
    database.server.sql_in("postgres", "drop role blind");
    assert_results(&database.probe(""), &[("indexes-valid", "fail")]);
}

#[test]
fn twins_warn_and_relatives_do_not() {
    let database = Database::with(&[
        "create table account (id int primary key, code text, at int)",
        "create index one on account (lower(code), at desc) where at > 0",
        "create index other_where on account (lower(code), at desc) where at > 1",
        "create index other_order on account (lower(code), at) where at > 0",
        "create index code_c on account (code collate \"C\")",
        "create index code_pattern on account (code text_pattern_ops)",
    ]);
    assert_results(&database.probe(""), &[]);
    database.sql("create index two on account (lower(code), at desc) where at > 0");
    let verdict = database.probe("");
    assert_results(&verdict, &[("indexes-distinct", "warn")]);
    let said = reason(&verdict, "indexes-distinct");
    assert!(said.contains("account: one, two"), "{said}");
}

#[test]
fn foreign_keys_are_judged_where_that_is_declared() {
    let database = Database::with(&[
        "create table org (a int, b int, primary key (a, b))",
        "create table member (id int, a int, b int, foreign key (a, b) references org)",
        "create index member_partial on member (a, b) where id > 0",
        "create index member_late on member (id, a, b)",
    ]);
    assert_results(&database.probe(""), &[]);
    let declared = "foreign_key_indexes = true";
    let verdict = database.probe(declared);
    assert_results(&verdict, &[("foreign-keys-indexed", "warn")]);
    assert!(reason(&verdict, "foreign-keys-indexed").contains("member_a_b_fkey"));
    database.sql("create index member_org on member (b, a, id)");
    assert_results(&database.probe(declared), &[]);
}

#[test]
fn work_on_another_index_of_the_table_hides_nothing() {
    let database = Database::with(&[
        "create table account as select 1 as id, 'x' as code from generate_series(1, 2)",
    ]);
    let failed = database.server.try_sql(
        &database.name,
        "create unique index concurrently account_code on account (code)",
    );
    assert!(!failed.status.success());
    // An expression that takes its time keeps a plain build of another index under way.
    database.sql("create function slow(i int) returns int immutable language plpgsql as 'begin perform pg_sleep(30); return i; end'");
    let builder = Client::start(&database, "create index account_slow on account (slow(id))");
    let progress = "select count(*) from pg_stat_progress_create_index";
    database.server.wait_for(progress, "1");
    let verdict = database.probe("");
    builder.stop();
    database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{db}' and pid <> pg_backend_pid()");
    assert_eq!(
        verdict.result("db/indexes-valid"),
        "fail",
        "{:#}",
        verdict.facts("db")
    );
    assert!(reason(&verdict, "indexes-valid").contains("account_code"));
}
