//! Silences and inhibitions that hide a declared alert.

use serde_json::json;

use super::{OPS, assert_results, config, probe, reason};
use crate::lab::Alertmanager;

const DECLARED: &str = "[probe.alerts.Slow]\nteam = 'ops'\nseverity = 'warning'\n";

fn inhibiting() -> Alertmanager {
    let rules = "inhibit_rules:\n- source_match: {severity: critical}\n  target_match: {severity: warning}\n  equal: [team]\n\
                 - source_match: {alertname: NodeDown}\n  target_match: {severity: warning}\n  equal: [instance]\n";
    Alertmanager::start(&(config(OPS) + rules))
}

#[test]
fn an_alert_that_nothing_hides_passes() {
    let server = inhibiting();
    server.fire(&json!({"alertname": "Down", "severity": "critical", "team": "dev"}));
    server.fire(&json!({"alertname": "Slow", "severity": "warning", "team": "ops"}));
    server.silence(&json!([{"name": "team", "value": "dev", "isRegex": false}]));
    let verdict = probe(&server.url(), DECLARED);
    assert_results(&verdict, &[]);
    let alert = &verdict.facts("a")["declared_alerts"][0];
    assert_eq!(alert["firing"], 1);
    assert_eq!(alert["receivers"], json!(["oncall"]));
    assert_eq!(verdict.facts("a")["alerts_firing"], 2);
    assert_eq!(verdict.facts("a")["silences_active"], 1);
}

#[test]
fn a_silence_over_it_fails() {
    let server = inhibiting();
    let id = server.silence(&json!([
        {"name": "alertname", "value": "Sl.*", "isRegex": true},
        {"name": "team", "value": "dev", "isRegex": false, "isEqual": false},
    ]));
    let verdict = probe(&server.url(), DECLARED);
    assert_results(&verdict, &[("alerts-not-silenced", "fail")]);
    let alert = &verdict.facts("a")["declared_alerts"][0];
    assert_eq!(alert["silenced_by"], json!([id]));
    assert!(
        reason(&verdict, "alerts-not-silenced").contains("Slow"),
        "{}",
        verdict.json
    );
}

#[test]
fn a_silence_over_some_of_them_warns() {
    let server = inhibiting();
    server.silence(&json!([
        {"name": "team", "value": "ops", "isRegex": false},
        {"name": "instance", "value": "db1", "isRegex": false},
    ]));
    let verdict = probe(&server.url(), DECLARED);
    assert_results(&verdict, &[("alerts-not-partly-hidden", "warn")]);
}

#[test]
fn an_alert_that_inhibits_it_fails() {
    let server = inhibiting();
    server.fire(&json!({"alertname": "Down", "severity": "critical", "team": "ops"}));
    let verdict = probe(&server.url(), DECLARED);
    assert_results(&verdict, &[("alerts-not-inhibited", "fail")]);
    server.fire(&json!({"alertname": "Slow", "severity": "warning", "team": "ops"}));
    let verdict = probe(&server.url(), DECLARED);
    let expected = [
        ("alerts-not-inhibited", "fail"),
        ("firing-alerts-not-hidden", "fail"),
    ];
    assert_results(&verdict, &expected);
    assert_eq!(verdict.facts("a")["alerts_suppressed"], 1);
}

#[test]
fn an_alert_that_inhibits_some_of_them_warns() {
    let server = inhibiting();
    server.fire(&json!({"alertname": "NodeDown", "instance": "db1"}));
    let verdict = probe(&server.url(), DECLARED);
    assert_results(&verdict, &[("alerts-not-partly-hidden", "warn")]);
}

#[test]
fn an_alert_that_ends_at_a_receiver_without_an_integration_fails() {
    let server = Alertmanager::start(&config(OPS));
    let verdict = probe(&server.url(), "[probe.alerts.Slow]\nteam = 'dev'\n");
    assert_results(&verdict, &[("alerts-notify", "fail")]);
}
