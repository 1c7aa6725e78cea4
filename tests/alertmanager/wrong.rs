//! What is no Alertmanager, or none that means well.

use std::time::Duration;

use serde_json::json;

use super::probe;
use crate::lab::{Reply, Run, Scripted, attempt};

const PARAMS: &str = "receivers = ['oncall']\n[probe.alerts.Down]\n";

fn status(config: &str) -> Reply {
    Reply::json(&json!({
        "cluster": {"status": "disabled", "peers": []}, "config": {"original": config},
        "uptime": "2026-01-01T00:00:00Z", "versionInfo": {"version": "0.25.0"},
    }))
}

fn config() -> String {
    super::config(super::OPS)
}

/// A server that answers all as an Alertmanager does but for one path.
fn but(path: &'static str, reply: fn() -> Reply) -> Scripted {
    Scripted::start(move |asked| match asked.path.as_str() {
        other if other == path => reply(),
        "/-/ready" => Reply::new(200, "OK"),
        "/api/v2/status" => status(&config()),
        "/api/v2/silences" | "/api/v2/alerts" => Reply::json(&json!([])),
        "/metrics" => Reply::new(
            200,
            "alertmanager_config_last_reload_successful 1\nalertmanager_notification_requests_total 0\nalertmanager_notification_requests_failed_total 0\n",
        ),
        _ => Reply::new(404, "not found"),
    })
}

#[test]
fn the_imitation_passes_when_nothing_is_wrong_with_it() {
    let server = but("", || Reply::new(404, ""));
    let verdict = probe(&server.url(""), PARAMS);
    assert_eq!(verdict.result("a/receivers-reachable"), "pass");
    assert_eq!(verdict.result("a/alerts-not-silenced"), "pass");
}

#[test]
fn another_answer_is_never_a_pass() {
    let answers: [fn() -> Reply; 9] = [
        || Reply::new(200, "<html>Sign in</html>"),
        || Reply::new(200, "{}"),
        || Reply::new(200, "{\"data\":null}"),
        || Reply::new(200, "null"),
        || Reply::new(200, "{\"error\":\"broken\"}"),
        || Reply::new(200, "[{\"id\":\"a"),
        || Reply::new(500, "broken"),
        || Reply::new(403, "no"),
        || Reply::new(200, "").repeat("[[[[[[[[", 100_000),
    ];
    let hurt = [
        ("/-/ready", "ready"),
        ("/api/v2/status", "receivers-reachable"),
        ("/api/v2/silences", "alerts-not-silenced"),
        ("/api/v2/alerts", "alerts-not-inhibited"),
        ("/metrics", "reloaded"),
    ];
    for (path, rule) in hurt {
        for answer in answers {
            let server = but(path, answer);
            let verdict = probe(&server.url(""), PARAMS);
            let result = verdict.result(&format!("a/{rule}"));
            assert!(
                ["fail", "unknown"].contains(&result),
                "{path}: {:#}",
                verdict.facts("a")
            );
            assert_ne!(verdict.code, 0);
        }
    }
}

#[test]
fn configurations_that_cannot_be_read_are_unknown() {
    let bomb = "a: &a [x,x,x]\nb: &b [*a,*a,*a,*a]\nroute: {receiver: oncall}\nreceivers: [{name: oncall}]\n";
    let deep = format!(
        "route: {{receiver: oncall, routes: {}1{}}}\n",
        "[{routes: ".repeat(2_000),
        "}]".repeat(2_000)
    );
    for config in ["", "null", "{}", "route: 5", "<html>", bomb, &deep] {
        let config = config.to_owned();
        let server = Scripted::start(move |asked| match asked.path.as_str() {
            "/api/v2/status" => status(&config),
            "/-/ready" => Reply::new(200, "OK"),
            _ => Reply::json(&json!([])),
        });
        let verdict = probe(&server.url(""), PARAMS);
        assert_eq!(
            verdict.result("a/receivers-reachable"),
            "unknown",
            "{:#}",
            verdict.facts("a")
        );
        assert_eq!(verdict.result("a/ready"), "pass");
    }
}

#[tokio::test]
async fn what_was_seen_before_one_answer_hung_is_kept() {
    for path in [
        "/api/v2/status",
        "/api/v2/silences",
        "/metrics",
        "/api/v2/alerts",
    ] {
        let server = but(path, Reply::hang);
        let params = format!(
            "url = '{}'\nreceivers = ['oncall']\n[alerts.Down]\n",
            server.url("")
        );
        let seen = attempt("alertmanager", &params, Duration::from_millis(800)).await;
        assert_eq!(seen.fact("nodes")[0]["ready"], true, "{path}");
        assert!(
            seen.took < Duration::from_millis(1_100),
            "{path}: {:?}",
            seen.took
        );
    }
}

#[tokio::test]
async fn nothing_but_get_is_asked_without_a_canary() {
    let server = but("", || Reply::new(404, ""));
    let params = format!("url = '{}'\n", server.url(""));
    attempt("alertmanager", &params, Duration::from_secs(2)).await;
    let asked = server.asked();
    assert!(asked.len() >= 5);
    for one in asked {
        assert_eq!(one.method, "GET", "{}", one.path);
        assert!(!one.path.contains("reload") && !one.path.contains("quit"));
    }
}

#[test]
fn a_canary_without_leave_to_write_is_a_config_error() {
    let config = "[[probe]]\nid = \"a\"\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9\"\ncanary = { labels = { team = \"ops\" }, listen = \"127.0.0.1:9099\" }\n";
    let output = Run::with_config(config).args(["--once"]).output();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("allow_writes = true"), "{text}");
}
