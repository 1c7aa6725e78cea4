//! `pg_hba.conf` that lets too much in.

use super::{assert_results, probe, reason};
use crate::lab::postgres::{Postgres, Setup};

const DECLARED: &str = "hba = \"restricted\"";

/// The rules that look at the lines.
const OF_LINES: [&str; 4] = [
    "hba-no-trust",
    "hba-strong-passwords",
    "hba-not-open",
    "hba-encrypted",
];

fn granted(setup: &Setup) -> Postgres {
    let server = Postgres::start(setup);
    server.sql("grant select on pg_hba_file_rules to probe; grant execute on function pg_hba_file_rules() to probe");
    server
}

#[test]
fn each_fault_of_the_file_is_named() {
    let server = granted(&Setup::default());
    assert_results(&probe(&server, DECLARED), &[]);
    for (line, rules) in [
        ("hostssl all other 10.0.0.0/8 trust", &["hba-no-trust"][..]),
        (
            "hostssl all other 10.0.0.0/8 md5",
            &["hba-strong-passwords"],
        ),
        (
            "hostssl all other 10.0.0.0/8 password",
            &["hba-strong-passwords"],
        ),
        (
            "hostssl all other 0.0.0.0/0 scram-sha-256",
            &["hba-not-open"],
        ),
        (
            "hostssl all other 0.0.0.0/1 scram-sha-256",
            &["hba-not-open"],
        ),
        ("hostssl all other ::/0 scram-sha-256", &["hba-not-open"]),
        ("hostssl all other all scram-sha-256", &["hba-not-open"]),
        (
            "host all other 10.0.0.0/8 scram-sha-256",
            &["hba-encrypted"],
        ),
        (
            "hostnossl all other 10.0.0.0/8 scram-sha-256",
            &["hba-encrypted"],
        ),
        (
            "host all other 0.0.0.0/0 trust",
            &["hba-no-trust", "hba-not-open", "hba-encrypted"],
        ),
        ("host all all somewhere nonsense", &["hba-loads"]),
    ] {
        server.configure("", line);
        let verdict = probe(&server, DECLARED);
        let mut expected: Vec<(&str, &str)> = rules.iter().map(|rule| (*rule, "fail")).collect();
        if rules == ["hba-loads"] {
            // What the server cannot read it has not loaded.
            expected.extend(OF_LINES.map(|rule| (rule, "unknown")));
        }
        assert_results(&verdict, &expected);
        for rule in rules {
            let said = reason(&verdict, rule);
            assert!(said.contains("line 1"), "{line}: {said}");
        }
    }
    server.configure("", "hostnossl all all 0.0.0.0/0 reject\nhost all other 10.0.0.0/8 scram-sha-256\nhost all other 127.0.0.1/32 scram-sha-256\nlocal all all trust");
    assert_results(&probe(&server, DECLARED), &[]);
}

#[test]
fn a_file_that_is_not_loaded_says_nothing() {
    let server = granted(&Setup::default());
    server.configure("", "hostssl all probe 127.0.0.1/32 reject");
    let verdict = probe(&server, DECLARED);
    for rule in ["hba-no-trust", "hba-not-open", "hba-encrypted"] {
        assert_eq!(verdict.result(&format!("db/{rule}")), "unknown");
    }
    assert!(reason(&verdict, "hba-no-trust").contains("reload"));
}

#[test]
fn without_its_grants_it_is_unknown() {
    let server = Postgres::start(&Setup::default());
    let verdict = probe(&server, DECLARED);
    assert_eq!(verdict.result("db/hba-no-trust"), "unknown");
    let said = reason(&verdict, "hba-no-trust");
    assert!(said.contains("GRANT SELECT ON pg_hba_file_rules"), "{said}");
    assert!(
        said.contains("GRANT EXECUTE ON FUNCTION pg_hba_file_rules()"),
        "{said}"
    );
}

#[test]
fn trust_that_is_loaded_is_seen_behind_a_file_that_has_none() {
    let server = granted(&Setup::default());
    server.configure("", "hostssl all probe 127.0.0.1/32 trust");
    server.reload();
    server.configure("", "");
    let verdict = probe(&server, DECLARED);
    assert_results(&verdict, &[("hba-no-trust", "fail")]);
    assert_eq!(verdict.facts("db")["hba"][0]["login_asked"], "nothing");
    server.reload();
    assert_results(&probe(&server, DECLARED), &[]);

    // With the grant a file that is newer than what is loaded says nothing, whatever is in it.
    server.sql("grant execute on function pg_stat_file(text) to probe");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server.reload();
    assert_results(&probe(&server, DECLARED), &[]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server.configure("", "");
    let verdict = probe(&server, DECLARED);
    assert_eq!(verdict.result("db/hba-not-open"), "unknown");
    assert!(reason(&verdict, "hba-not-open").contains("reload"));
}

#[test]
fn a_name_for_loopback_is_loopback() {
    let server = granted(&Setup::default());
    server.configure("", "host all all localhost scram-sha-256");
    assert_results(&probe(&server, DECLARED), &[]);
}
