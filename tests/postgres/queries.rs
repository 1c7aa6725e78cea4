//! SQL of the user's own.

use std::time::Instant;

use serde_json::{Value, json};

use super::assert_results;
use super::database::Database;
use crate::lab::Verdict;

fn rows(verdict: &Verdict, query: &str) -> Value {
    verdict.facts("db")["queries"][query]["rows"].clone()
}

#[test]
fn every_common_type_becomes_a_fact() {
    let database =
        Database::with(&["create table orphan as select g as id from generate_series(1, 3) g"]);
    database.sql("grant select on orphan to probe");
    let params = r#"
queries.orphans = "select count(*) as n from orphan;"
queries.types = '''
-- what a rule can meet
select true as b, 7::int2 as i, 9007199254740993::int8 as l, 2.5::float8 as d, 12.50::numeric as x,
  20.0::numeric(10, 0) as whole, 'é"\'::text as t, timestamptz '2026-11-23 12:00:00.5+02' as at,
  date '2026-11-23' as day, '{"a": [1, null]}'::jsonb as j, array[1, 2] as xs, null::int as nothing,
  '\x00ff'::bytea as bytes, '6f1f6a3e-0000-4000-8000-000000000001'::uuid as id, interval '90 min' as span,
  'NaN'::float8 as nan
'''
queries.shown = "show server_version_num"
queries.plan = "explain (format json) select 1"
queries.listed = "values (1, 'a'), (2, 'b')"
queries.cte = "WITH a AS (SELECT 1 AS n) SELECT n FROM a /* ; */ ; -- done"
queries.none = "select 1 as n where false"
rules.few = "queries.orphans.rows[0].n == 3"
rules.at = "timestamp(queries.types.rows[0].at) == timestamp('2026-11-23T10:00:00.5Z')"
rules.whole = "queries.types.rows[0].l == 9007199254740993 && queries.types.rows[0].x == 12.5"
rules.listed = "queries.listed.rows.exists(r, r.column1 == 2 && r.column2 == 'b')"
rules.null = "queries.types.rows[0].nothing == 0"
rules.nan = "queries.types.rows[0].nan < 1.0"
rules.no-row = "queries.none.rows[0].n == 1"
rules.no-rows = "queries.none.rows.size() == 0"
"#;
    let verdict = database.probe(params);
    let unknown = ["null", "nan", "no-row"].map(|rule| (rule, "unknown"));
    assert_results(&verdict, &unknown);
    let first = &rows(&verdict, "types")[0];
    assert_eq!(first["b"], json!(true));
    assert_eq!(first["l"], json!(9_007_199_254_740_993_i64));
    assert_eq!(first["whole"], json!(20));
    assert_eq!(first["t"], json!("é\"\\"));
    assert_eq!(first["at"], json!("2026-11-23T10:00:00.5+00:00"));
    assert_eq!(first["day"], json!("2026-11-23"));
    assert_eq!(first["j"], json!({"a": [1, null]}));
    assert_eq!(first["xs"], json!([1, 2]));
    assert_eq!(first["nothing"]["detail"], "NULL");
    assert_eq!(first["bytes"], json!("\\x00ff"));
    assert_eq!(first["span"], json!("PT1H30M"));
    assert!(rows(&verdict, "shown")[0]["server_version_num"].is_string());
    assert!(rows(&verdict, "plan")[0]["QUERY PLAN"][0]["Plan"].is_object());
    assert_eq!(rows(&verdict, "cte")[0]["n"], 1);
}

#[test]
fn nothing_is_left_behind_by_what_tries_to_write() {
    let database = Database::with(&[
        "create table t (id serial, v text)",
        "create function sly() returns int language plpgsql volatile as $$ begin \
         perform set_config('transaction_read_only', 'off', false); insert into t (v) values ('sly'); return 1; end $$",
        "create procedure sneak(out x int) language plpgsql as $$ begin commit; insert into t (v) values ('sneak'); end $$",
        "grant all on all tables in schema public to probe; grant all on all sequences in schema public to probe",
        "grant create, usage on schema public to probe",
    ]);
    let attempts = [
        "insert into t (v) values ('x')",
        "insert into t (v) values ('x') returning id",
        "with w as (insert into t (v) values ('x') returning id) select * from w",
        "update t set v = 'x'",
        "select 1; insert into t (v) values ('x')",
        "commit; insert into t (v) values ('x')",
        "rollback; insert into t (v) values ('x'); select 1",
        "commit",
        "rollback",
        "set transaction_read_only = off",
        "set transaction_read_only = off; insert into t (v) values ('x')",
        "set session characteristics as transaction read write",
        "begin read write",
        "select set_config('transaction_read_only', 'off', false), nextval('t_id_seq')",
        "select nextval('t_id_seq')",
        "select setval('t_id_seq', 99)",
        "select sly()",
        "call sneak(null)",
        "do $$ begin insert into t (v) values ('do'); end $$",
        "select * into made from t",
        "create table made (a int)",
        "create temp table made (a int)",
        "copy t from '/etc/hostname'",
        "select lo_create(4242)",
        "select pg_notify('c', 'x')",
        "select * from t for update",
        "lock table t",
        "select 1) q; insert into t (v) values ('x'); select (1",
        "select 1 as a) q, lateral (insert into t (v) values ('x') returning id",
        "explain analyze insert into t (v) values ('x')",
        "prepare p as insert into t (v) values ('x')",
        "select pg_create_physical_replication_slot('probe_slot')",
        "select pg_advisory_lock(1)",
        "listen c",
    ];
    let mut params = String::from("queries.after = \"select count(*) as n from t\"\n");
    for (at, sql) in attempts.iter().enumerate() {
        params.push_str(&format!("queries.w{at:02} = {sql:?}\n"));
    }
    params.push_str("rules.intact = \"queries.after.rows[0].n == 0\"\n");
    // As superuser too: the transaction holds, not the grants alone.
    for user in ["probe", "boss"] {
        if user == "boss" {
            database.sql("create role boss login superuser password 'correct-horse-battery'");
        }
        let verdict = super::run(&database.dsn(user), &params).once();
        assert_results(&verdict, &[]);
        for (at, sql) in attempts.iter().enumerate() {
            // These are undone with their transaction, or refused by newer servers.
            if ["lo_create", "pg_notify"]
                .iter()
                .any(|name| sql.contains(name))
            {
                continue;
            }
            let facts = rows(&verdict, &format!("w{at:02}"));
            assert!(facts["unknown"].is_string(), "{sql}: {facts}");
        }
        assert_eq!(database.sql("select count(*) from t"), "0");
        assert_eq!(database.sql("select is_called from t_id_seq"), "f");
        assert_eq!(
            database.sql("select count(*) from pg_largeobject_metadata"),
            "0"
        );
        assert_eq!(
            database.sql("select count(*) from pg_class where relname = 'made'"),
            "0"
        );
        assert_eq!(
            database.sql("select count(*) from pg_replication_slots"),
            "0"
        );
    }
    database.server.sql_in("postgres", "drop role boss");
}

#[test]
fn beyond_a_cap_there_is_no_prefix() {
    let database = Database::new();
    let params = r#"
queries.fits = "select generate_series(1, 1000) as n"
queries.rows = "select generate_series(1, 1001) as n"
queries.endless = "select generate_series(1, 2000000000) as n"
queries.bytes = "select repeat('x', 11000) as v from generate_series(1, 100)"
queries.one = "select repeat('x', 20000000) as v"
queries.small = "select 1 as n"
"#;
    let begun = Instant::now();
    let verdict = database.probe(params);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_eq!(rows(&verdict, "fits").as_array().map(Vec::len), Some(1000));
    for query in ["rows", "endless", "bytes", "one"] {
        assert_eq!(rows(&verdict, query)["unknown"], "too_large", "{query}");
    }
    assert_eq!(rows(&verdict, "small")[0]["n"], 1);
    let verdict = database.probe(
        "max_rows = 2\nmax_bytes = 40\nqueries.two = \"values (1), (2)\"\nqueries.three = \"values (1), (2), (3)\"\nqueries.wide = \"select repeat('x', 40) as v\"",
    );
    assert_eq!(rows(&verdict, "two").as_array().map(Vec::len), Some(2));
    assert_eq!(rows(&verdict, "three")["unknown"], "too_large");
    assert_eq!(rows(&verdict, "wide")["unknown"], "too_large");
}

#[test]
fn an_error_costs_its_own_facts_alone() {
    let database = Database::with(&["create table hidden (a int)"]);
    let params = r#"
timeout = "4s"
queries.a_typo = "selct 1"
queries.b_missing = "select * from nowhere"
queries.c_denied = "select * from hidden"
queries.d_zero = "select 1 / 0 as n"
queries.e_slow = "select pg_sleep(30)"
queries.f_twice = "select 1 as a, 2 as a"
queries.g_param = "select $1::int as a"
queries.h_good = "select 1 as n"
rules.good = "queries.h_good.rows[0].n == 1"
"#;
    let verdict = super::probe_dsn(
        &database.dsn("probe"),
        &params.replace("timeout = \"4s\"\n", ""),
    );
    assert_results(&verdict, &[]);
    for (query, part) in [
        ("a_typo", "selct"),
        ("b_missing", "SQLSTATE 42P01"),
        ("c_denied", "SQLSTATE 42501"),
        ("d_zero", "SQLSTATE 22012"),
        ("e_slow", "SQLSTATE 57014"),
        ("f_twice", "two columns"),
        ("g_param", ""),
    ] {
        let facts = rows(&verdict, query);
        let said = facts["detail"].as_str().unwrap_or_default();
        assert!(
            facts["unknown"].is_string() && said.contains(part),
            "{query}: {facts}"
        );
    }
    assert_eq!(rows(&verdict, "c_denied")["unknown"], "denied");
    assert_eq!(rows(&verdict, "e_slow")["unknown"], "timed_out");
}

#[test]
fn names_and_caps_that_make_no_sense_are_configuration_errors() {
    use crate::lab::wrong_params;
    let dsn = "primary = \"host=127.0.0.1 user=probe dbname=app sslmode=disable\"";
    for (param, line) in [
        ("queries.Big", "queries.Big = \"select 1\""),
        ("queries.empty", "queries.empty = \" \""),
        ("max_rows", "max_rows = 0"),
        ("max_bytes", "max_bytes = 4000000000"),
        ("readers.0", "readers = [\"\"]"),
        ("encrypted_columns.0", "encrypted_columns = [\"email\"]"),
        ("migrations_table", "migrations_table = \"a.b\""),
    ] {
        let wrong = wrong_params("postgres", &format!("{dsn}\n{line}"));
        assert_eq!(wrong, [param], "{line}");
    }
}

#[test]
fn behind_a_pooler_a_query_reads_and_cannot_write_either() {
    use crate::lab::pgbouncer::PgBouncer;
    use crate::lab::postgres::{Postgres, Setup};
    let primary = Postgres::start(&Setup::default());
    primary.sql("create table t (id serial, v text)");
    primary.sql("grant all on t, t_id_seq to probe");
    let pooler = PgBouncer::start(&primary, &["probe"], "");
    let params = r#"
queries.insert = "insert into t (v) values ('x') returning id"
queries.next = "select nextval('t_id_seq')"
queries.commit = "commit; insert into t (v) values ('x')"
queries.read = "select count(*) as n, current_setting('transaction_read_only') as read_only from t"
rules.reads = "queries.read.rows[0].n == 0 && queries.read.rows[0].read_only == 'on'"
"#;
    let verdict = super::probe_dsn(&pooler.dsn("probe"), params);
    assert_eq!(verdict.result("db/reads"), "pass");
    for query in ["insert", "next", "commit"] {
        assert!(rows(&verdict, query)["unknown"].is_string(), "{query}");
    }
    assert_eq!(
        rows(&verdict, "next")["detail"]
            .as_str()
            .map(|said| said.contains("25006")),
        Some(true)
    );
    assert_eq!(
        primary.sql("select count(*), (select is_called from t_id_seq) from t"),
        "0|f"
    );
}
