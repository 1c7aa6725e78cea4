//! A database of its own for each test, on one server.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{probe_dsn, run};
use crate::lab::postgres::{Postgres, Setup, shared};
use crate::lab::{Run, Verdict};

/// A database with a role `probe` that may read nothing but what everybody may.
pub struct Database {
    pub server: &'static Postgres,
    pub name: String,
}

impl Database {
    pub fn new() -> Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let server = shared(&SERVER, || {
            Postgres::start(&Setup::conf(
                "max_connections = 60\nmax_prepared_transactions = 2",
            ))
        });
        let name = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
        // The template must not be in use by anybody else meanwhile.
        server.sql_in(
            "postgres",
            &format!("create database {name} template template0"),
        );
        Self { server, name }
    }

    /// The same with these statements run in it, one by one.
    pub fn with(statements: &[&str]) -> Self {
        let database = Self::new();
        for statement in statements {
            database.sql(statement);
        }
        database
    }

    /// Runs SQL as superuser. `{db}` stands for the name of the database.
    pub fn sql(&self, sql: &str) -> String {
        self.server.sql_in(&self.name, &self.fill(sql))
    }

    /// Puts the name of the database for `{db}`.
    pub fn fill(&self, text: &str) -> String {
        text.replace("{db}", &self.name)
    }

    pub fn dsn(&self, user: &str) -> String {
        let dsn = self.server.dsn(user);
        dsn.replace("dbname=app", &format!("dbname={}", self.name))
    }

    pub fn probe(&self, params: &str) -> Verdict {
        probe_dsn(&self.dsn("probe"), &self.fill(params))
    }

    pub fn run(&self, params: &str) -> Run {
        run(&self.dsn("probe"), &self.fill(params))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        self.server.try_sql("postgres", &drop);
    }
}

#[test]
fn what_is_declared_nowhere_is_not_judged() {
    let database = Database::with(&[
        "create table org (id int primary key)",
        "create table member (id int primary key, org int references org, email text)",
        "insert into org values (1)",
        "insert into member values (1, 1, 'alice@example.com')",
        "grant all on all tables in schema public to public",
        "create table alembic_version (version_num text primary key)",
        "create function poke() returns void language sql security definer as 'select 1'",
    ]);
    let verdict = database.probe("");
    super::assert_results(&verdict, &[]);
    let rules = verdict.probe("db")["rules"].as_array().expect("rules");
    let warned: Vec<_> = rules
        .iter()
        .filter(|rule| rule["result"] == "warn")
        .collect();
    assert!(warned.is_empty(), "{warned:#?}");
    for fact in ["readers", "audit", "encrypted_columns", "migrations", "hba"] {
        let why = &verdict.facts("db")[fact]["unknown"];
        assert_eq!(why, "not_applicable", "{fact}");
    }
}
