//! Members of a cluster, reloads and failing notifications.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{OPS, assert_results, config, config_to, probe, reason};
use crate::lab::{Alertmanager, free_port};

fn peers(member: &Alertmanager) -> String {
    format!("peers = ['{}/']", member.url())
}

#[test]
fn two_members_that_agree_pass_and_one_that_dies_fails() {
    let mut members = Alertmanager::cluster(&[&config(OPS), &config(OPS)]);
    let second = members.pop().unwrap();
    let params = peers(&second);
    let verdict = probe(&members[0].url(), &params);
    assert_results(&verdict, &[]);
    let facts = verdict.facts("a");
    assert_eq!(facts["nodes"][1]["cluster_members"], 2);
    assert_eq!(facts["config_hashes"].as_array().unwrap().len(), 1);
    drop(second);
    let verdict = probe(&members[0].url(), &params);
    assert_eq!(verdict.result("a/ready"), "fail");
    for rule in ["reloaded", "config-equal", "cluster-formed"] {
        assert_ne!(verdict.result(&format!("a/{rule}")), "pass", "{rule}");
    }
    let begun = Instant::now();
    loop {
        // Undeclared, its loss is seen as soon as the other one has noticed it.
        let verdict = probe(&members[0].url(), "");
        if verdict.result("a/no-lost-peers") == "warn" {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:#}",
            verdict.facts("a")
        );
    }
}

#[test]
fn members_with_different_configurations_fail() {
    let other = config("[{receiver: oncall, match: {team: dev}}]");
    let members = Alertmanager::cluster(&[&config(OPS), &other]);
    let verdict = probe(&members[0].url(), &peers(&members[1]));
    assert_results(&verdict, &[("config-equal", "fail")]);
}

#[test]
fn members_that_do_not_know_one_another_fail() {
    let members = [
        Alertmanager::start(&config(OPS)),
        Alertmanager::start(&config(OPS)),
    ];
    let verdict = probe(&members[0].url(), &peers(&members[1]));
    assert_results(&verdict, &[("cluster-formed", "fail")]);
}

#[test]
fn a_reload_that_failed_fails_and_one_that_worked_passes() {
    let server = Alertmanager::start(&config(OPS));
    assert!(!server.reload("route: {receiver: nobody}\n"));
    let verdict = probe(&server.url(), "receivers = ['oncall']");
    assert_results(&verdict, &[("reloaded", "fail")]);
    assert!(server.reload(&config(OPS)));
    assert_results(&probe(&server.url(), "receivers = ['oncall']"), &[]);
}

#[test]
fn notifications_that_fail_warn() {
    let server = Alertmanager::start(&config_to(free_port(), OPS));
    server.fire(&json!({"alertname": "Down", "team": "ops"}));
    let begun = Instant::now();
    loop {
        let verdict = probe(&server.url(), "");
        if verdict.result("a/notifications-succeed") == "warn" {
            let node = &verdict.facts("a")["nodes"][0];
            assert!(node["notification_requests"].as_u64() > Some(0), "{node:#}");
            assert!(reason(&verdict, "notifications-succeed").contains("notification_requests"));
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:#}",
            verdict.facts("a")
        );
    }
}

#[test]
fn a_base_path_works_with_and_without_its_slash() {
    let server = Alertmanager::start_below("/base", &config(OPS));
    for path in ["/base", "/base/"] {
        assert_results(
            &probe(&(server.url() + path), "receivers = ['oncall']"),
            &[],
        );
    }
    let verdict = probe(&server.url(), "receivers = ['oncall']");
    assert_eq!(verdict.probe("a")["outcome"], "target_error");
    assert_eq!(verdict.code, 1);
}
