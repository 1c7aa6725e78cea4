//! The `alertmanager` kind on real Alertmanagers: each rule with its fault and without.

mod canary;
mod cluster;
mod hiding;
mod routes;
mod wrong;

use crate::lab::{Alertmanager, Run, Verdict};

/// A receiver `default` and one `oncall` with a webhook on a port that nobody listens on, and these
/// routes (YAML, one list).
fn config(routes: &str) -> String {
    config_to(9, routes)
}

/// The same with a webhook on that port of 127.0.0.1.
fn config_to(port: u16, routes: &str) -> String {
    format!(
        "route:\n  receiver: default\n  group_by: ['...']\n  group_wait: 100ms\n  routes: {routes}\n\
         receivers:\n- name: default\n- name: oncall\n  webhook_configs:\n  - url: http://127.0.0.1:{port}/\n"
    )
}

const OPS: &str = "[{receiver: oncall, match: {team: ops}}]";

/// A probe `a` with further parameters as TOML.
fn probe(url: &str, params: &str) -> Verdict {
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"alertmanager\"\nurl = \"{url}\"\ntimeout = \"10s\"\n{params}\n"
    );
    Run::with_config(&config).once()
}

fn probed(routes: &str, params: &str) -> Verdict {
    let server = Alertmanager::start(&config(routes));
    probe(&server.url(), params)
}

fn reason<'v>(verdict: &'v Verdict, rule: &str) -> &'v str {
    verdict.rule(&format!("a/{rule}"))["reason"]
        .as_str()
        .unwrap_or_default()
}

/// Asserts that the rules named have these results, and all others pass or are moot.
fn assert_results(verdict: &Verdict, expected: &[(&str, &str)]) {
    for rule in verdict.probe("a")["rules"].as_array().expect("rules") {
        if rule["enabled"] == false || rule["result"].is_null() {
            continue;
        }
        let name = rule["id"].as_str().expect("an id").trim_start_matches("a/");
        let result = rule["result"].as_str().expect("a result");
        match expected.iter().find(|(known, _)| *known == name) {
            Some((_, wanted)) => assert_eq!(result, *wanted, "{rule:#}\n{:#}", verdict.facts("a")),
            None => assert!(
                ["pass", "na"].contains(&result) || is_off(rule),
                "{rule:#}\n{:#}",
                verdict.facts("a")
            ),
        }
    }
}

fn is_off(rule: &serde_json::Value) -> bool {
    rule["reason"]
        .as_str()
        .is_some_and(|reason| reason.contains("is declared"))
}
