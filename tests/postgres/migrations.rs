//! Alembic's heads against the version table.

use super::database::Database;
use super::{assert_results, reason};
use crate::lab::Verdict;

/// Revisions a → b and a → c, which `merged` joins in d.
fn probe(database: &Database, merged: bool, params: &str) -> Verdict {
    let run = database.run(&format!("migrations = \"versions\"\n{params}"));
    let dir = run.dir().join("versions");
    std::fs::create_dir(&dir).expect("make a directory");
    let mut files = vec![
        ("a.py", "revision = 'a'\ndown_revision = None\n"),
        (
            "b.py",
            "revision: str = 'b'\ndown_revision: Union[str, None] = 'a'\n",
        ),
        ("c.py", "revision = \"c\"\ndown_revision = \"a\"\n"),
        ("__init__.py", ""),
        ("README", "not Python"),
    ];
    if merged {
        files.push(("d.py", "revision = 'd'\ndown_revision = ('b', 'c')\n"));
    }
    for (name, text) in files {
        std::fs::write(dir.join(name), text).expect("write a revision");
    }
    run.once()
}

const TABLE: &str = "create table alembic_version (version_num varchar(32) primary key)";

#[test]
fn the_database_must_be_at_every_head() {
    let database = Database::with(&[]);
    let judged = |merged: bool, result: &str, part: &str| {
        let verdict = probe(&database, merged, "");
        let expected = [("migrations-applied", result)];
        assert_results(&verdict, if result == "pass" { &[] } else { &expected });
        let said = reason(&verdict, "migrations-applied");
        assert!(said.contains(part), "{said}");
    };
    judged(true, "fail", "table_exists");
    database.sql(TABLE);
    judged(true, "unknown", "GRANT SELECT ON public.alembic_version");
    database.sql("grant select on alembic_version to probe");
    judged(true, "fail", "applied.size() > 0");
    database.sql("insert into alembic_version values ('b')");
    judged(true, "fail", "missing_heads");
    judged(false, "fail", "missing_heads");
    database.sql("insert into alembic_version values ('c')");
    judged(true, "fail", "missing_heads");
    judged(false, "pass", "");
    database.sql("delete from alembic_version; insert into alembic_version values ('d')");
    judged(true, "pass", "");
    judged(false, "fail", "missing_heads");
    database.sql("insert into alembic_version values ('z')");
    judged(true, "fail", "unknown_revisions");
    database.sql("update alembic_version set version_num = 'a' where version_num = 'z'");
    judged(true, "fail", "redundant_revisions");
}

#[test]
fn the_version_table_may_be_in_another_schema() {
    let database = Database::with(&[
        "create schema one; grant usage on schema one to probe",
        "create table one.alembic_version as select 'd'::text as version_num",
        "grant select on one.alembic_version to probe",
    ]);
    assert_results(&probe(&database, true, ""), &[]);
    database.sql("create schema two; create table two.alembic_version (version_num text)");
    let verdict = probe(&database, true, "");
    assert_results(&verdict, &[("migrations-applied", "unknown")]);
    assert!(reason(&verdict, "migrations-applied").contains("migrations_table"));
    assert_results(
        &probe(
            &database,
            true,
            "migrations_table = \"one.alembic_version\"",
        ),
        &[],
    );
    database.sql("alter role probe in database {db} set search_path = two");
    database
        .sql("grant usage on schema two to probe; grant select on two.alembic_version to probe");
    let verdict = probe(&database, true, "");
    assert_results(&verdict, &[("migrations-applied", "fail")]);
    assert_eq!(
        verdict.facts("db")["migrations"]["table"],
        "two.alembic_version"
    );
}

#[test]
fn a_directory_that_cannot_be_read_is_a_configuration_error() {
    let database = Database::new();
    for (file, text) in [
        ("versions/a.py", "revision = make_id()\n"),
        ("versions/README", "nothing"),
        ("elsewhere", ""),
    ] {
        let run = database.run("migrations = \"versions\"");
        let path = run.dir().join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        std::fs::write(path, text).expect("write a file");
        let output = run.args(["--once"]).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("migrations"), "{said}");
    }
}
