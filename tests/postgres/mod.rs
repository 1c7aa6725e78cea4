//! The `postgres` kind on real servers: each rule with its fault, and with the fault removed.

mod archiver;
mod audit;
mod cluster;
mod columns;
mod cut;
mod database;
mod hba;
mod indexes;
mod login;
mod migrations;
mod patroni;
mod pooler;
mod queries;
mod replication;
mod roles;
mod settings;

use crate::lab::postgres::{Postgres, authority};
use crate::lab::{Run, Verdict};

/// Probes `primary` as `probe`, with further parameters as TOML.
fn probe(primary: &Postgres, params: &str) -> Verdict {
    probe_dsn(&primary.dsn("probe"), params)
}

/// Probes by a connection string, with further parameters as TOML.
fn probe_dsn(dsn: &str, params: &str) -> Verdict {
    run(dsn, params).once()
}

/// The same, not started yet.
fn run(dsn: &str, params: &str) -> Run {
    run_with(dsn, params, "10s")
}

/// The same with another timeout.
fn run_with(dsn: &str, params: &str, timeout: &str) -> Run {
    let config = format!(
        "[[probe]]\nid = \"db\"\nkind = \"postgres\"\nprimary = {dsn:?}\nca_file = \"ca.pem\"\ntimeout = {timeout:?}\n{params}\n"
    );
    Run::with_config(&config).file("ca.pem", authority().pem())
}

/// Asserts that exactly these rules have these results and every other one passes or is moot.
fn assert_results(verdict: &Verdict, expected: &[(&str, &str)]) {
    assert_eq!(
        verdict.probe("db")["outcome"],
        "observed",
        "{:#}",
        verdict.json
    );
    for rule in verdict.probe("db")["rules"].as_array().expect("rules") {
        let name = rule["name"].as_str().expect("a name");
        let result = rule["result"].as_str().expect("a result");
        match expected.iter().find(|(expected, _)| *expected == name) {
            Some((_, expected)) => {
                assert_eq!(result, *expected, "{rule:#}\n{:#}", verdict.facts("db"));
            }
            None => assert!(
                ["pass", "na"].contains(&result),
                "{rule:#}\n{:#}",
                verdict.facts("db")
            ),
        }
    }
}

/// The reason of a rule.
fn reason(verdict: &Verdict, rule: &str) -> String {
    verdict.rule(&format!("db/{rule}"))["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// A file with the CA, for parameters that name one.
fn ca_file(postgres: &Postgres) -> String {
    let path = postgres.dir().join("ca.pem");
    std::fs::write(&path, authority().pem()).expect("write the CA");
    path.display().to_string()
}
