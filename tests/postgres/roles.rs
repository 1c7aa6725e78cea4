//! Readers that could write.

use super::database::Database;
use super::{assert_results, reason};

/// A database with a table, and a reader that can only read it.
fn with_reader(reader: &str, statements: &[&str]) -> Database {
    let database = Database::new();
    for statement in [
        "create role {r} login",
        "create table account (id int primary key, email text)",
        "create sequence ticket",
        "grant usage on schema public to {r}",
        "grant select on account, ticket to {r}",
        "alter default privileges grant select on tables to {r}",
    ]
    .iter()
    .chain(statements)
    {
        database.sql(&statement.replace("{r}", reader));
    }
    database
}

/// Takes away what outlives the database.
fn clean_up(database: &Database, roles: &[&str]) {
    for role in roles {
        database.sql(&format!("drop owned by {role}"));
        database.server.sql_in(
            "postgres",
            &format!("drop owned by {role}; drop role {role}"),
        );
    }
}

#[test]
fn a_reader_that_only_reads_passes() {
    let database = with_reader("ro_clean", &[]);
    let verdict = database.probe("readers = [\"ro_clean\"]");
    assert_results(&verdict, &[]);
    let reader = &verdict.facts("db")["readers"][0];
    assert_eq!(
        reader["write_paths"].as_array().map(Vec::len),
        Some(0),
        "{reader:#}"
    );
    clean_up(&database, &["ro_clean"]);
}

/// What gives a reader a path, and the path in words.
const PATHS: &[(&str, &[&str], &str)] = &[
    (
        "parameter",
        &["grant alter system on parameter archive_command to {r}"],
        "ALTER SYSTEM on parameter archive_command",
    ),
    (
        "import",
        &["grant execute on function pg_catalog.lo_import(text) to {r}"],
        "EXECUTE on function lo_import(text)",
    ),
    (
        "direct",
        &["grant insert on account to {r}"],
        "INSERT on table public.account",
    ),
    (
        "column",
        &["grant update (email) on account to {r}"],
        "UPDATE on table public.account",
    ),
    (
        "truncate",
        &["grant truncate on account to {r}"],
        "TRUNCATE",
    ),
    (
        "public",
        &["grant delete on account to public"],
        "DELETE on table public.account",
    ),
    (
        "sequence",
        &["grant usage on ticket to {r}"],
        "USAGE on sequence public.ticket",
    ),
    (
        "owner",
        &["create table mine (a int)", "alter table mine owner to {r}"],
        "ownership",
    ),
    (
        "inherits",
        &[
            "create role {r}_w",
            "grant delete on account to {r}_w",
            "grant {r}_w to {r}",
        ],
        "DELETE on table public.account as ro_inherits_w",
    ),
    (
        "noinherit",
        &[
            "alter role {r} noinherit",
            "create role {r}_w",
            "grant insert on account to {r}_w",
            "grant {r}_w to {r}",
        ],
        "INSERT on table public.account as ro_noinherit_w",
    ),
    (
        "defaults",
        &["alter default privileges grant insert on tables to {r}"],
        "INSERT by default on tables that postgres creates",
    ),
    (
        "schema",
        &["grant create on schema public to {r}"],
        "CREATE on schema public",
    ),
    (
        "database",
        &["grant create on database {db} to {r}"],
        "CREATE on database db",
    ),
    (
        "predefined",
        &["grant pg_write_all_data to {r}"],
        "membership of pg_write_all_data",
    ),
    (
        "program",
        &["grant pg_execute_server_program to {r}"],
        "pg_execute_server_program",
    ),
    ("superuser", &["alter role {r} superuser"], "SUPERUSER"),
    ("createrole", &["alter role {r} createrole"], "CREATEROLE"),
    ("bypassrls", &["alter role {r} bypassrls"], "BYPASSRLS"),
    (
        "becomes_superuser",
        &["create role {r}_w superuser", "grant {r}_w to {r}"],
        "SUPERUSER as ro_becomes_superuser_w",
    ),
];

#[test]
fn every_path_to_a_write_is_found() {
    for (case, statements, path) in PATHS {
        let reader = format!("ro_{case}");
        let database = with_reader(&reader, statements);
        let verdict = database.probe(&format!("readers = [{reader:?}]"));
        assert_results(&verdict, &[("readers-cannot-write", "fail")]);
        let said = reason(&verdict, "readers-cannot-write");
        assert!(
            said.contains(&reader) && said.contains(path),
            "{case}: {said}"
        );
        let mut roles = vec![reader.clone()];
        let writer = format!("{reader}_w");
        roles.extend(
            statements
                .iter()
                .any(|s| s.contains("{r}_w"))
                .then_some(writer),
        );
        database.sql(&format!("alter role {reader} nosuperuser"));
        clean_up(
            &database,
            &roles.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn a_reader_that_does_not_exist_is_no_pass() {
    let verdict = Database::new().probe("readers = [\"ro_nobody\"]");
    assert_eq!(verdict.result("db/readers-cannot-write"), "fail");
    assert!(reason(&verdict, "readers-cannot-write").contains("ro_nobody"));
}

#[test]
fn a_function_with_its_owners_rights_warns() {
    let database = with_reader(
        "ro_definer",
        &[
            "create function wipe() returns void language sql security definer as 'delete from account'",
        ],
    );
    let verdict = database.probe("readers = [\"ro_definer\"]");
    assert_results(&verdict, &[("readers-call-no-definers", "warn")]);
    assert!(reason(&verdict, "readers-call-no-definers").contains("wipe()"));
    // A promise not to write binds nobody that is called from there.
    database.sql("alter function wipe() stable");
    let verdict = database.probe("readers = [\"ro_definer\"]");
    assert_results(&verdict, &[("readers-call-no-definers", "warn")]);
    database.sql("revoke execute on function wipe() from public");
    assert_results(&database.probe("readers = [\"ro_definer\"]"), &[]);
    clean_up(&database, &["ro_definer"]);
}
