//! The delivery canary, delivered and in every way not.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{OPS, assert_results, config_to, probe, reason};
use crate::lab::{Alertmanager, Run, Verdict, attempt, free_port};

fn params(port: u16) -> String {
    format!(
        "allow_writes = true\ncanary = {{ labels = {{ team = \"ops\" }}, listen = \"127.0.0.1:{port}\" }}\n"
    )
}

fn lab(routes: &str) -> (Alertmanager, u16) {
    let port = free_port();
    (Alertmanager::start(&config_to(port, routes)), port)
}

fn short(server: &Alertmanager, port: u16) -> Verdict {
    probe(
        &server.url(),
        &(params(port) + "rules.no-orphan-receivers = false\n"),
    )
}

fn assert_gone(server: &Alertmanager) {
    let alerts = server.alerts();
    let left: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["labels"]["alertname"] == "ProbeCanary")
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_canary_that_arrives_passes_and_is_resolved() {
    let (server, port) = lab(OPS);
    let verdict = short(&server, port);
    assert_results(&verdict, &[]);
    let canary = &verdict.facts("a")["canary"];
    assert_eq!(canary["delivered"], true);
    assert_eq!(canary["resolved"], true);
    assert_eq!(canary["received_from"], "oncall");
    assert_eq!(canary["receivers"], json!(["oncall"]));
    let took = canary["delivery_ms"].as_f64().unwrap();
    assert!((100.0..5_000.0).contains(&took), "{took}");
    assert_gone(&server);
    // Again at once: the group of the first is not waited for.
    assert_results(&short(&server, port), &[]);
}

#[test]
fn a_silenced_canary_fails_at_once() {
    let (server, port) = lab(OPS);
    let id = server.silence(&json!([{"name": "team", "value": "ops", "isRegex": false}]));
    let verdict = short(&server, port);
    assert_results(&verdict, &[("canary-delivered", "fail")]);
    assert_eq!(verdict.facts("a")["canary"]["silenced_by"], json!([id]));
    assert!(verdict.probe("a")["duration_ms"].as_f64().unwrap() < 5_000.0);
    assert_gone(&server);
}

#[test]
fn an_inhibited_canary_fails() {
    let port = free_port();
    let rules =
        "inhibit_rules:\n- source_match: {alertname: Watchdog}\n  target_match: {team: ops}\n";
    let server = Alertmanager::start(&(config_to(port, OPS) + rules));
    server.fire(&json!({"alertname": "Watchdog"}));
    let verdict = short(&server, port);
    assert_results(&verdict, &[("canary-delivered", "fail")]);
    assert_gone(&server);
}

#[test]
fn a_canary_that_is_routed_elsewhere_fails() {
    let (server, port) =
        lab("[{receiver: default, match: {team: ops}}, {receiver: oncall, match: {team: dev}}]");
    let verdict = short(&server, port);
    assert_results(&verdict, &[("canary-delivered", "fail")]);
    assert_eq!(
        verdict.facts("a")["canary"]["receivers"],
        json!(["default"])
    );
    assert_gone(&server);
}

#[test]
fn a_canary_that_may_yet_arrive_is_unknown() {
    let (server, port) = lab("[{receiver: oncall, match: {team: ops}, group_wait: 1m}]");
    let verdict = short(&server, port);
    assert_results(&verdict, &[("canary-delivered", "unknown")]);
    assert!(
        reason(&verdict, "canary-delivered").contains("canary.wait"),
        "{}",
        verdict.json
    );
    assert_gone(&server);
}

#[test]
fn a_canary_is_waited_for_beside_the_timeout() {
    let (server, port) = lab("[{receiver: oncall, match: {team: ops}, group_wait: 3s}]");
    let params = params(port).replace(" }\n", ", wait = \"8s\" }\n");
    let config = format!("timeout = \"1s\"\nrules.no-orphan-receivers = false\n{params}");
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"alertmanager\"\nurl = \"{}\"\n{config}",
        server.url()
    );
    let verdict = Run::with_config(&config).once();
    assert_results(&verdict, &[]);
    let took = verdict.facts("a")["canary"]["delivery_ms"]
        .as_f64()
        .unwrap();
    assert!(took >= 3_000.0, "{took}");
}

#[test]
fn a_port_that_is_taken_is_unknown_and_nothing_is_posted() {
    let (server, port) = lab(OPS);
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let verdict = short(&server, port);
    let expected = [
        ("canary-delivered", "unknown"),
        ("canary-resolved", "unknown"),
    ];
    assert_results(&verdict, &expected);
    assert!(reason(&verdict, "canary-delivered").contains(&port.to_string()));
    assert_eq!(verdict.code, 3);
    assert!(server.alerts().is_empty());
}

/// What somebody else posts to the listener while it listens.
fn disturb(port: u16, bodies: &[String]) -> usize {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < Duration::from_secs(7) {
        for body in bodies {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            let head = format!(
                "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let done = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body.as_bytes()));
            sent += usize::from(done.is_ok());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    sent
}

#[test]
fn other_alerts_at_the_listener_do_not_count() {
    let (server, port) = lab("[{receiver: oncall, match: {team: other}}]");
    server.fire(&json!({"alertname": "Other", "team": "other"}));
    let alert = |labels: serde_json::Value, status: &str| {
        json!({"version": "4", "receiver": "oncall", "status": status, "alerts": [{"status": status, "labels": labels}]}).to_string()
    };
    let bodies = [
        alert(json!({"alertname": "ProbeCanary", "team": "ops"}), "firing"),
        alert(
            json!({"alertname": "ProbeCanary", "team": "ops", "probe_nonce": "0".repeat(32)}),
            "firing",
        ),
        "{}".to_owned(),
        "not json".to_owned(),
        "x".repeat(2 * 1024 * 1024),
        String::new(),
    ];
    let disturbing = std::thread::spawn(move || disturb(port, &bodies));
    let verdict = short(&server, port);
    assert!(disturbing.join().unwrap() > 0);
    assert_results(&verdict, &[("canary-delivered", "fail")]);
    let others = verdict.facts("a")["canary"]["others_received"]
        .as_u64()
        .unwrap();
    assert!(others > 5, "{others}");
}

#[test]
fn connections_that_say_nothing_do_not_keep_the_canary_out() {
    let (server, port) = lab(OPS);
    let holding = std::thread::spawn(move || {
        let begun = Instant::now();
        let mut held = Vec::new();
        while begun.elapsed() < Duration::from_secs(2) && held.len() < 20 {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => held.push(stream),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        std::thread::sleep(Duration::from_secs(2));
    });
    let verdict = short(&server, port);
    holding.join().unwrap();
    assert_results(&verdict, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_canary_is_resolved_too() {
    let (server, port) = lab("[{receiver: oncall, match: {team: ops}, group_wait: 1m}]");
    let text = format!("url = '{}'\n{}", server.url(), params(port));
    let attempt = attempt("alertmanager", &text, Duration::from_secs(30));
    assert!(
        tokio::time::timeout(Duration::from_secs(2), attempt)
            .await
            .is_err()
    );
    let begun = Instant::now();
    while !server.alerts().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:#?}",
            server.alerts()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_run_that_is_cut_resolves_its_canary_before_it_ends() {
    let (server, port) = lab("[{receiver: oncall, match: {team: ops}, group_wait: 1m}]");
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"alertmanager\"\nurl = \"{}\"\ntimeout = \"60s\"\n{}",
        server.url(),
        params(port)
    );
    let posted = || {
        let begun = Instant::now();
        while server.alerts().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing posted");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for signal in ["TERM", "HUP"] {
        let run = Run::with_config(&config).start();
        posted();
        run.signal(signal);
        assert_eq!(run.verdict().code, 3);
        assert_gone(&server);
    }
    let run = Run::with_config(&config).args(["--deadline", "2s"]).start();
    posted();
    assert_eq!(run.verdict().code, 3);
    assert_gone(&server);
}

#[test]
fn the_word_that_it_is_resolved_finds_somebody() {
    let (server, port) =
        lab("[{receiver: oncall, match: {team: ops}, group_wait: 100ms, group_interval: 1s}]");
    let verdict = short(&server, port);
    assert_results(&verdict, &[]);
    let canary = &verdict.facts("a")["canary"];
    assert_eq!(canary["resolved_received"], true, "{canary:#}");
    // Where it would come after the probe has gone, it is not waited for.
    let (server, port) = lab(OPS);
    let canary = short(&server, port).facts("a")["canary"].clone();
    assert_eq!(canary["resolved_received"]["unknown"], "not_applicable");
}

#[test]
fn what_kept_a_canary_away_is_said() {
    let (server, port) = lab(OPS);
    let id = server.silence(&json!([{"name": "team", "value": "ops", "isRegex": false}]));
    let said = reason(&short(&server, port), "canary-delivered").to_owned();
    assert!(said.contains(&format!("silenced by {id}")), "{said}");
    let (server, port) = lab("[{receiver: oncall, match: {team: dev}}]");
    let verdict = short(&server, port);
    let said = reason(&verdict, "canary-delivered");
    assert!(said.contains("routes the canary to default"), "{said}");
    let canary = &verdict.facts("a")["canary"];
    assert_eq!(canary["resolved_received"]["unknown"], "not_applicable");
    let verdict = probe(&server.url(), "receivers = [\"gone\"]");
    let said = reason(&verdict, "receivers-reachable");
    assert!(said.contains("there is no receiver of that name"), "{said}");
}
