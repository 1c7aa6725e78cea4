//! Receivers, and the routes that lead there or do not.

use super::{OPS, assert_results, config, probe, probed, reason};
use crate::lab::Alertmanager;

const ONCALL: &str = "receivers = ['oncall']";

#[test]
fn a_receiver_that_a_route_reaches_passes() {
    let verdict = probed(OPS, ONCALL);
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("a");
    assert_eq!(facts["nodes"][0]["ready"], true);
    assert_eq!(facts["nodes"][0]["cluster_status"], "disabled");
    assert_eq!(facts["declared_receivers"][0]["integrations"], 1);
    let why = facts["declared_receivers"][0]["why"].as_str().unwrap();
    assert!(why.contains("team=\"ops\""), "{why}");
}

#[test]
fn a_receiver_that_no_route_names_fails() {
    let verdict = probed("[{receiver: default, match: {team: ops}}]", ONCALL);
    let expected = [
        ("receivers-reachable", "fail"),
        ("no-orphan-receivers", "warn"),
    ];
    assert_results(&verdict, &expected);
    assert!(
        reason(&verdict, "receivers-reachable").contains("oncall"),
        "{}",
        verdict.json
    );
    assert_eq!(verdict.code, 1);
}

#[test]
fn undeclared_it_warns() {
    let verdict = probed("[]", "");
    assert_results(&verdict, &[("no-orphan-receivers", "warn")]);
    assert_eq!(verdict.code, 0);
}

#[test]
fn a_receiver_that_does_not_exist_fails() {
    let verdict = probed(OPS, "receivers = ['oncall', 'offcall']");
    let expected = [
        ("receivers-reachable", "fail"),
        ("receivers-notify", "fail"),
    ];
    assert_results(&verdict, &expected);
    assert!(reason(&verdict, "receivers-reachable").contains("offcall"));
}

#[test]
fn a_receiver_without_an_integration_fails() {
    let verdict = probed(OPS, "receivers = ['default']");
    assert_results(&verdict, &[("receivers-notify", "fail")]);
}

#[test]
fn a_route_behind_a_sibling_that_takes_everything_fails() {
    for before in [
        "{receiver: default}",
        "{receiver: default, matchers: ['team=~\".*\"']}",
        "{receiver: default, matchers: ['team=~\"ops|dev\"']}",
        "{receiver: default, matchers: ['team!=\"dev\"']}",
        "{receiver: default, match_re: {team: o.*}}",
    ] {
        let routes =
            |more: &str| format!("[{before}{more}, {{receiver: oncall, match: {{team: ops}}}}]");
        let verdict = probed(&routes(""), ONCALL);
        assert_eq!(verdict.result("a/receivers-reachable"), "fail", "{before}");
        let going_on = before.replace('}', ", continue: true}");
        let going_on = routes("").replace(
            before,
            &going_on.replacen(", continue: true}, continue", "}, continue", 1),
        );
        let verdict = probed(&going_on, ONCALL);
        assert_eq!(
            verdict.result("a/receivers-reachable"),
            "pass",
            "{going_on}"
        );
    }
}

#[test]
fn what_patterns_do_not_tell_is_unknown() {
    let routes = "[{receiver: default, match_re: {team: '(o|p)+s'}}, {receiver: oncall, match_re: {team: '[op]+s'}}]";
    let verdict = probed(routes, ONCALL);
    let expected = [
        ("receivers-reachable", "unknown"),
        ("receivers-not-muted", "unknown"),
        ("no-orphan-receivers", "unknown"),
    ];
    assert_results(&verdict, &expected);
    assert_eq!(verdict.code, 3);
}

fn muted(interval: &str) -> String {
    let routes = "[{receiver: oncall, match: {team: ops}, mute_time_intervals: [quiet]}]";
    format!(
        "{}time_intervals:\n- name: quiet\n  time_intervals:\n  - {interval}\n",
        config(routes)
    )
}

#[test]
fn a_route_that_is_muted_at_all_times_is_not_reached() {
    let server = Alertmanager::start(&muted("times: [{start_time: '00:00', end_time: '24:00'}]"));
    let verdict = probe(&server.url(), ONCALL);
    let expected = [
        ("receivers-reachable", "fail"),
        ("no-orphan-receivers", "warn"),
    ];
    assert_results(&verdict, &expected);
    assert!(server.reload(&muted("years: ['1999']")));
    let verdict = probe(&server.url(), ONCALL);
    assert_results(&verdict, &[]);
}

#[test]
fn a_route_that_is_muted_now_warns() {
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC);
    let name = |day: jiff::Zoned| day.strftime("%A").to_string().to_lowercase();
    // Tomorrow too, should the day end meanwhile.
    let days = format!(
        "weekdays: ['{}', '{}']",
        name(today.clone()),
        name(today.tomorrow().unwrap())
    );
    let server = Alertmanager::start(&muted(&days));
    let verdict = probe(&server.url(), ONCALL);
    assert_results(&verdict, &[("receivers-not-muted", "warn")]);
    assert_eq!(
        verdict.facts("a")["declared_receivers"][0]["reachable"],
        true
    );
}
