//! Each fault on the real server, and without.

use std::time::{Duration, Instant};

use super::{not_passed, probe, reason};
use crate::lab::{NodeExporter, Prometheus, Reply, Run, Scripted, free_port};

const SOUND: &str = "- name: sound\n  rules:\n  - { alert: Down, expr: 'up == 0' }\n  - { record: 'job:up:sum', expr: 'sum by (job) (up)' }\n  - { alert: Few, expr: 'job:up:sum{job=\"self\"} < 1' }\n  - { alert: Gone, expr: 'absent(up{job=\"nowhere\"}) and on() vector(0) > 1' }\n  - { alert: Fallback, expr: '(no_such_errors_total or vector(0)) > 1' }\n  - { alert: Muted, expr: 'up == 0 unless on(job) no_such_maintenance' }";

#[test]
fn a_sound_server_passes() {
    let node = NodeExporter::start();
    let server = Prometheus::new()
        .prefix("/base")
        .rules(SOUND)
        .scrapes(&format!(
            "- job_name: node\n  static_configs: [{{ targets: ['127.0.0.1:{}'] }}]",
            node.port
        ))
        .start();
    server.wait_for_rules();
    server.wait_for_query("up{job=\"node\"} == 1");
    server.wait_for_query("job:up:sum{job=\"self\"} and on() job:up:sum{job=\"node\"}");
    let params = format!(
        "jobs = ['self', 'node']\ntargets = ['127.0.0.1:{}']\nmin_rules = 6\nmin_alerts = 5\n\
         rules.load = \"queries.load >= 0.0 && series.load.all(s, s.labels.job == 'node')\"\nqueries.load = 'node_load1'",
        node.port
    );
    for slash in ["", "/"] {
        let verdict =
            Run::with_config(&super::config(&format!("{}{slash}", server.url()), &params)).once();
        assert_eq!(not_passed(&verdict), [], "{:#}", verdict.probe("p"));
        assert_eq!(verdict.code, 0, "{:#}", verdict.json);
        assert_eq!(verdict.result("p/notifications"), "na");
        assert_eq!(verdict.facts("p")["rule_count"], 6);
        assert_eq!(verdict.facts("p")["alert_count"], 5);
    }
    // What is declared and not there.
    let verdict = probe(
        &server,
        "jobs = ['api']\ntargets = ['127.0.0.1:1']\nmin_rules = 7\nmin_alerts = 6\nmin_alertmanagers = 1",
    );
    let failed = [
        "rule-count",
        "alert-count",
        "jobs",
        "targets",
        "alertmanager-count",
    ];
    let failed: Vec<_> = failed
        .map(|rule| (rule.to_owned(), "fail".to_owned()))
        .into();
    assert_eq!(not_passed(&verdict), failed);
    assert!(
        reason(&verdict, "jobs").contains("for api"),
        "{}",
        reason(&verdict, "jobs")
    );
}

#[test]
fn a_rule_in_error_a_missing_metric_and_a_new_group() {
    let server = Prometheus::new()
        .rules(
            "- name: bad\n  rules:\n  - { alert: Bad, expr: 'scrape_samples_scraped * on() prometheus_engine_query_duration_seconds' }\n\
             - name: blind\n  rules:\n  - { alert: Blind, expr: 'rate(no_such_total{code=\"500\"}[5m]) > 1' }\n\
             \x20 - { alert: Typo, expr: 'up{job=\"sefl\"} == 0' }\n\
             \x20 - { record: 'empty', expr: 'up > 5' }\n\
             \x20 - { alert: OfEmpty, expr: 'empty > 1' }\n\
             - name: new\n  interval: 1h\n  rules:\n  - { alert: New, expr: 'up == 0' }",
        )
        .start();
    server.wait_for_query("up");
    server.wait("/api/v1/rules", |json| {
        json["data"]["groups"][0]["rules"][0]["health"] == "err"
            && json["data"]["groups"][1]["rules"][3]["health"] == "ok"
    });
    let verdict = probe(&server, "");
    assert_eq!(verdict.result("p/rules-healthy"), "fail");
    let said = reason(&verdict, "rules-healthy");
    assert!(
        said.contains("for Bad") && said.contains("\"err\""),
        "{said}"
    );
    assert_eq!(verdict.result("p/selectors-exist"), "warn");
    let said = reason(&verdict, "selectors-exist");
    assert!(said.contains("for no_such_total{code=\"500\"}"), "{said}");
    let missing: Vec<_> = verdict.facts("p")["selectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|selector| selector["state"] == "missing")
        .map(|selector| {
            (
                selector["name"].as_str().unwrap(),
                selector["rules"][0].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        missing,
        [
            ("no_such_total{code=\"500\"}", "Blind"),
            ("up{job=\"sefl\"}", "Typo")
        ]
    );
    let state = |name: &str| {
        let selectors = verdict.facts("p")["selectors"].as_array().unwrap();
        let found = selectors.iter().find(|selector| selector["name"] == name);
        found.unwrap()["state"].clone()
    };
    assert_eq!(state("empty"), "recorded");
    assert_eq!(state("up"), "present");

    let excused = probe(&server, "may_be_absent = ['no_such_total']");
    let said = reason(&excused, "selectors-exist");
    assert!(said.contains("for up{job=\"sefl\"}"), "{said}");

    // Without the rule in error, the group that was never evaluated is what is left.
    server.reload_rules(
        "groups:\n- name: new\n  interval: 1h\n  rules:\n  - { alert: New, expr: 'up == 0' }\n",
    );
    server.wait("/api/v1/rules", |json| {
        json["data"]["groups"][0]["name"] == "new"
    });
    let verdict = probe(&server, "");
    assert_eq!(verdict.result("p/rules-healthy"), "unknown");
    assert_eq!(verdict.result("p/rules-evaluated"), "unknown");
    let said = reason(&verdict, "rules-healthy");
    assert!(said.contains("not yet evaluated"), "{said}");
    assert_eq!(verdict.result("p/selectors-exist"), "pass");
    assert_eq!(verdict.code, 3, "{:?}", not_passed(&verdict));
}

#[test]
fn a_broken_configuration_after_a_reload() {
    let server = Prometheus::new().rules(SOUND).start();
    server.wait_for_rules();
    server.reload_rules("groups: [ nonsense");
    let verdict = probe(&server, "");
    assert_eq!(verdict.result("p/config-reloaded"), "fail");
    assert_eq!(verdict.code, 1);
    server.reload_rules("groups: []\n");
    let verdict = probe(&server, "");
    assert_eq!(not_passed(&verdict), []);
    assert_eq!(verdict.result("p/rules-healthy"), "na");
    // An agent of a kind that does evil would have found these open.
    assert!(!server.log().contains("admin"), "{}", server.log());
}

#[test]
fn jobs_that_are_down_empty_or_dropped() {
    let dead = free_port();
    let server = Prometheus::new()
        .scrapes(&format!(
            "- job_name: dead\n  static_configs: [{{ targets: ['127.0.0.1:{dead}'] }}]\n\
             - job_name: empty\n  file_sd_configs: [{{ files: ['nothing*.json'] }}]\n\
             - job_name: dropped\n  static_configs: [{{ targets: ['127.0.0.1:{dead}'] }}]\n\
             \x20 relabel_configs: [{{ action: drop, source_labels: [__address__], regex: '.*' }}]\n\
             - job_name: waiting\n  scrape_interval: 1h\n  static_configs: [{{ targets: ['127.0.0.1:{dead}'] }}]"
        ))
        .start();
    server.wait_for_query("up{job=\"dead\"} == 0");
    for (job, state) in [
        ("self", "up"),
        ("dead", "down"),
        ("empty", "absent"),
        ("dropped", "dropped"),
        ("nowhere", "absent"),
    ] {
        let verdict = probe(&server, &format!("jobs = ['{job}']"));
        let expected = if state == "up" { "pass" } else { "fail" };
        assert_eq!(verdict.result("p/jobs"), expected, "{job}");
        let facts = &verdict.facts("p")["jobs"][0];
        assert_eq!(facts["state"], state, "{facts:#}");
    }
    let verdict = probe(&server, "jobs = ['waiting']");
    assert_eq!(verdict.result("p/jobs"), "unknown");
    let verdict = probe(&server, &format!("targets = ['127.0.0.1:{dead}']"));
    assert_eq!(verdict.result("p/targets"), "fail");
    let down = &verdict.facts("p")["targets_down"];
    assert_eq!(down[0]["job"], "dead", "{down:#}");
    assert!(
        down[0]["last_error"].as_str().unwrap().contains("refused"),
        "{down:#}"
    );
}

const FIRING: &str = "- name: firing\n  rules:\n  - { alert: Always, expr: 'vector(1)' }";

#[test]
fn a_dead_alertmanager_is_still_listed() {
    let dead = free_port();
    let server = Prometheus::new()
        .rules(FIRING)
        .alertmanager(dead)
        .flag("--rules.alert.resend-delay=1s")
        .start();
    server.wait_for_rules();
    server.wait_for_query("prometheus_notifications_errors_total > 0");
    let verdict = probe(&server, "min_alertmanagers = 1");
    assert_eq!(
        verdict.result("p/alertmanager-count"),
        "pass",
        "it is listed"
    );
    assert_eq!(verdict.result("p/alertmanager-answers"), "fail");
    assert_eq!(verdict.result("p/every-alertmanager-answers"), "warn");
    assert_eq!(
        verdict.result("p/notifications"),
        "fail",
        "{:#}",
        verdict.facts("p")
    );
    assert!(
        reason(&verdict, "every-alertmanager-answers").contains(&dead.to_string()),
        "{}",
        reason(&verdict, "every-alertmanager-answers")
    );
}

#[test]
fn one_of_two_alertmanagers_is_dead() {
    let alive = Scripted::start(|asked| match asked.path.as_str() {
        "/api/v2/status" => Reply::json(&serde_json::json!({
            "cluster": { "status": "disabled" }, "config": { "original": "" },
            "versionInfo": { "version": "0.25.0" }, "uptime": "2026-01-01T00:00:00Z"
        })),
        "/api/v2/alerts" => Reply::new(200, ""),
        _ => Reply::new(404, ""),
    });
    let port = alive.url("").rsplit(':').next().unwrap().parse().unwrap();
    let server = Prometheus::new()
        .rules(FIRING)
        .alertmanager(port)
        .flag("--rules.alert.resend-delay=1s")
        .start();
    server.wait_for_query("prometheus_notifications_sent_total > 1");
    let verdict = probe(&server, "");
    assert_eq!(not_passed(&verdict), [], "{:#}", verdict.facts("p"));
    assert_eq!(verdict.result("p/notifications"), "pass");

    let server = Prometheus::new()
        .rules(FIRING)
        .alertmanager(port)
        .alertmanager(free_port())
        .flag("--rules.alert.resend-delay=1s")
        .start();
    server.wait_for_query("prometheus_notifications_errors_total > 0");
    let verdict = probe(&server, "");
    assert_eq!(verdict.result("p/alertmanager-answers"), "pass");
    assert_eq!(verdict.result("p/every-alertmanager-answers"), "warn");
    // Nothing but the status was asked of it, and alerts came from the server alone.
    let ours = alive.asked();
    let mut ours = ours
        .iter()
        .filter(|asked| asked.head.contains("user-agent: probe/"));
    assert!(ours.all(|asked| asked.method == "GET" && asked.path == "/api/v2/status"));
}

#[test]
fn an_alertmanager_that_takes_alerts_and_says_nothing_of_itself() {
    for (status, answers) in [
        (None, "fail"),
        (Some(404), "fail"),
        (Some(502), "fail"),
        // Who wants a login lets the server in, as it says itself.
        (Some(401), "pass"),
    ] {
        let there = Scripted::start(move |asked| match asked.path.as_str() {
            "/api/v2/alerts" => Reply::new(200, ""),
            _ => status.map_or_else(Reply::hang, |status| Reply::new(status, "{}")),
        });
        let port = there.url("").rsplit(':').next().unwrap().parse().unwrap();
        let server = Prometheus::new()
            .rules(FIRING)
            .alertmanager(port)
            .flag("--rules.alert.resend-delay=1s")
            .start();
        server.wait_for_query("increase(prometheus_notifications_sent_total[10m]) > 0");
        let config = super::config(&server.url(), "").replace("'10s'", "'2s'");
        let verdict = Run::with_config(&config).once();
        let facts = verdict.facts("p");
        assert_eq!(facts["scrapes_itself"], true, "{status:?} {facts:#}");
        let result = verdict.result("p/alertmanager-answers");
        assert_eq!(result, answers, "{status:?} {facts:#}");
    }
}

#[test]
fn alerts_that_go_to_no_alertmanager_at_all() {
    let server = Prometheus::new()
        .rules(FIRING)
        .flag("--rules.alert.resend-delay=1s")
        .start();
    server.wait_for_query("increase(prometheus_notifications_dropped_total[10m]) > 0");
    let verdict = probe(&server, "");
    let failed = ("alertmanager-discovered".to_owned(), "fail".to_owned());
    let warned = ("notifications-not-dropped".to_owned(), "warn".to_owned());
    assert_eq!(
        not_passed(&verdict),
        [failed, warned],
        "{:#}",
        verdict.facts("p")
    );

    let server = super::hostile::scripted(|name| match name {
        "alertmanagers" => Some(serde_json::json!({ "activeAlertmanagers": [],
            "droppedAlertmanagers": [{ "url": "http://127.0.0.1:1/api/v2/alerts" }] })),
        _ => None,
    });
    let verdict = super::judge(&server.url(""), "");
    assert_eq!(verdict.result("p/alertmanager-discovered"), "fail");
}

/// One that lists an Alertmanager, has sent to it and, with errors, to another that is gone.
fn sent(name: &str) -> Option<serde_json::Value> {
    match name {
        "alertmanagers" => Some(serde_json::json!({ "droppedAlertmanagers": [],
            "activeAlertmanagers": [{ "url": "http://user:word@127.0.0.1:1/api/v2/alerts" }] })),
        "metrics" => Some(serde_json::json!(
            "prometheus_build_info 1\nprocess_start_time_seconds 1\nprometheus_notifications_dropped_total 0\n\
             prometheus_notifications_sent_total{alertmanager=\"http://user:word@127.0.0.1:1/api/v2/alerts\"} 50\n\
             prometheus_notifications_errors_total{alertmanager=\"http://gone:1/api/v2/alerts\"} 50\n"
        )),
        "query" => Some(serde_json::json!({ "resultType": "vector", "result": [] })),
        _ => None,
    }
}

#[test]
fn notifications_are_counted_where_they_are_known_and_still_matter() {
    let server = super::hostile::scripted(sent);
    let verdict = super::judge(&server.url(""), "");
    let facts = verdict.facts("p");
    assert_eq!(verdict.result("p/notifications"), "pass", "{facts:#}");
    assert_eq!(facts["scrapes_itself"], false);
    assert_eq!(facts["notifications_over"], "since_start");
    assert!(!facts.to_string().contains("word"), "{facts:#}");
    // An error is no proof that it does not scrape itself.
    let server = super::hostile::scripted(|name| match name {
        "query" => Some(serde_json::Value::Null),
        _ => sent(name),
    });
    let verdict = super::judge(&server.url(""), "");
    assert_eq!(verdict.result("p/notifications"), "unknown");
    // What is counted depends on the version.
    let server = super::hostile::scripted(|name| match name {
        "status/buildinfo" => Some(serde_json::json!({})),
        _ => sent(name),
    });
    let verdict = super::judge(&server.url(""), "");
    assert_eq!(verdict.result("p/notifications"), "unknown");
}

#[test]
fn a_target_that_is_no_longer_scraped_is_not_up() {
    // The clock of the script shows 2026-01-01T00:00:00.5Z.
    for (last, expected) in [
        ("2025-12-31T23:59:30Z", "pass"),
        ("2025-12-31T23:58:30Z", "unknown"),
    ] {
        let server = super::hostile::scripted(move |name| {
            (name == "targets").then(|| {
                serde_json::json!({ "activeTargets": [{ "labels": { "job": "a", "instance": "b:1" },
                    "scrapePool": "a", "scrapeUrl": "http://u:word@b:1/metrics?token=word",
                    "health": "up", "lastScrape": last, "scrapeInterval": "15s" }] })
            })
        });
        let verdict = super::judge(&server.url(""), "jobs = ['a']\ntargets = ['b:1']");
        for rule in ["p/jobs", "p/targets"] {
            assert_eq!(
                verdict.result(rule),
                expected,
                "{last} {:#}",
                verdict.facts("p")
            );
        }
    }
}

#[test]
fn a_part_of_the_rules_is_not_the_rules() {
    let server = super::hostile::scripted(|name| {
        (name == "rules").then(|| serde_json::json!({ "groups": [], "groupNextToken": "x" }))
    });
    let verdict = super::judge(&server.url(""), "min_rules = 0");
    assert_eq!(verdict.result("p/rule-count"), "unknown");
}

#[test]
fn whose_clock_is_off_does_not_matter() {
    for offset in ["-1h", "+1h"] {
        let server = Prometheus::new().rules(SOUND).clock(offset).start();
        server.wait_for_rules();
        let verdict = probe(&server, "jobs = ['self']");
        assert_eq!(
            not_passed(&verdict),
            [],
            "{offset} {:#}",
            verdict.facts("p")
        );
        let group = &verdict.facts("p")["groups"][0];
        assert!(group["lag_seconds"].as_f64().unwrap() < 2.0, "{group:#}");
    }
}

#[test]
fn a_group_that_stopped_lags_by_the_servers_own_clock() {
    // A server whose evaluations hang cannot be had at will; one that says so can.
    let server = super::hostile::scripted(|name| match name {
        "rules" => Some(serde_json::json!({ "groups": [{
            "name": "stuck", "file": "f", "interval": 60, "evaluationTime": 70.5,
            "lastEvaluation": "2026-01-01T00:00:00Z",
            "rules": [{ "name": "A", "query": "up", "health": "ok", "type": "alerting" }]
        }]})),
        "time" => Some(serde_json::json!(1_767_225_600.0 + 150.0)),
        _ => None,
    });
    let verdict = super::judge(&server.url(""), "");
    assert_eq!(verdict.result("p/rules-evaluated"), "pass");
    assert_eq!(verdict.result("p/rules-on-time"), "warn");
    assert_eq!(verdict.result("p/rules-in-time"), "warn");
    let server = super::hostile::scripted(|name| match name {
        "rules" => Some(serde_json::json!({ "groups": [{
            "name": "stuck", "file": "f", "interval": 60, "evaluationTime": 0.5,
            "lastEvaluation": "2026-01-01T00:00:00Z",
            "rules": [{ "name": "A", "query": "up", "health": "ok", "type": "alerting" }]
        }]})),
        "time" => Some(serde_json::json!(1_767_225_600.0 + 200.0)),
        _ => None,
    });
    let verdict = super::judge(&server.url(""), "");
    assert_eq!(verdict.result("p/rules-evaluated"), "fail");
    assert!(reason(&verdict, "rules-evaluated").contains("for stuck"));
    assert_eq!(verdict.result("p/rules-in-time"), "pass");
}

#[test]
fn five_hundred_rules_within_a_second() {
    let mut groups = String::new();
    for group in 0..50 {
        groups += &format!("- name: g{group}\n  interval: 5s\n  rules:\n");
        for rule in 0..10 {
            groups += &format!(
                "  - {{ alert: A{rule}, expr: 'rate(prometheus_http_requests_total{{handler=\"/{group}/{rule}\"}}[5m]) > 1 and on() up' }}\n"
            );
        }
    }
    let server = Prometheus::new().rules(&groups).start();
    server.wait_for_rules();
    let begun = Instant::now();
    let verdict = probe(&server, "min_rules = 500");
    let took = begun.elapsed();
    assert_eq!(verdict.result("p/rule-count"), "pass");
    assert_eq!(
        verdict.facts("p")["selectors"].as_array().unwrap().len(),
        501
    );
    assert_eq!(verdict.result("p/selectors-exist"), "warn");
    let observed = verdict.probe("p")["duration_ms"].as_f64().unwrap();
    println!("500 rules, 501 selectors: observed in {observed} ms, {took:?} with start-up");
    assert!(observed < 1_000.0, "{observed} ms");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
