//! The `redis` kind, rule by rule: with the very fault on a real server, and with the fault removed.

mod canary;
mod cluster;
mod hostile;
mod memory;
mod persistence;
mod replication;
mod security;
mod sentinel;

use crate::lab::{Redis, Run, Verdict};

/// Probes `url` with further parameters as TOML.
fn probe(url: &str, params: &str) -> Verdict {
    run(url, params).once()
}

fn run(url: &str, params: &str) -> Run {
    let config = format!(
        "[[probe]]\nid = \"r\"\nkind = \"redis\"\nurl = \"{url}\"\ntimeout = \"10s\"\n{params}\n"
    );
    Run::with_config(&config)
}

/// Asserts that exactly these rules have these results and every other one passes or is moot.
fn assert_results(verdict: &Verdict, expected: &[(&str, &str)]) {
    assert_eq!(
        verdict.probe("r")["outcome"],
        "observed",
        "{:#}",
        verdict.json
    );
    let rules = verdict.probe("r")["rules"].as_array().expect("rules");
    for (name, _) in expected {
        assert!(
            rules.iter().any(|rule| rule["name"] == *name),
            "no rule {name}"
        );
    }
    for rule in rules {
        let name = rule["name"].as_str().expect("a name");
        let result = rule["result"].as_str().expect("a result");
        match expected.iter().find(|(wanted, _)| *wanted == name) {
            Some((_, wanted)) => assert_eq!(result, *wanted, "{rule:#}"),
            None => assert!(["pass", "na"].contains(&result), "{rule:#}"),
        }
    }
}

fn reason<'v>(verdict: &'v Verdict, rule: &str) -> &'v str {
    verdict.rule(&format!("r/{rule}"))["reason"]
        .as_str()
        .expect("a reason")
}

/// Commands that a server was sent since `config resetstat`, without those of replication and of the
/// lab itself.
fn calls(server: &Redis) -> u32 {
    let stats = server.cli("info commandstats");
    let others = ["replconf", "psync", "config|resetstat"];
    stats
        .lines()
        .filter(|line| !others.iter().any(|other| line.contains(other)))
        .filter_map(|line| {
            let calls = line.split_once("calls=")?.1;
            calls.split(',').next()?.parse::<u32>().ok()
        })
        .sum()
}
