//! Answers that are none, and answers that are too much.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{config, judge, not_passed};
use crate::lab::{Hostile, Reply, Run, Scripted, free_port};

/// A server whose API answers, for each endpoint, what the script says or what a sound server with one rule
/// says. `time` is the clock, `metrics` is text.
pub fn scripted(script: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Scripted {
    scripted_with(|_| true, script)
}

/// The same behind a login.
pub fn scripted_with(
    admits: impl Fn(&crate::lab::Asked) -> bool + Send + Sync + 'static,
    script: impl Fn(&str) -> Option<Value> + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |asked| {
        if !admits(asked) {
            return Reply::new(401, "who are you?");
        }
        let name = asked
            .path
            .trim_start_matches("/base")
            .trim_start_matches('/');
        let name = name.trim_start_matches("api/v1/");
        let is_time = asked.param("query").as_deref() == Some("time()");
        let name = if is_time { "time" } else { name };
        let answer = script(name).unwrap_or_else(|| sound(name, asked.param("query")));
        match (name, answer) {
            ("metrics", Value::String(text)) => Reply::new(200, text),
            ("time", time) => {
                let time = json!({ "resultType": "scalar", "result": [time, time.to_string()] });
                Reply::json(&json!({ "status": "success", "data": time }))
            }
            (_, data) => Reply::json(&json!({ "status": "success", "data": data })),
        }
    })
}

fn sound(name: &str, query: Option<String>) -> Value {
    match name {
        "time" => json!(1_767_225_600.5),
        "status/buildinfo" => json!({ "version": "2.42.0" }),
        "status/runtimeinfo" => json!({
            "startTime": "2025-12-01T00:00:00Z", "reloadConfigSuccess": true,
            "lastConfigTime": "2025-12-01T00:00:00Z", "corruptionCount": 0, "storageRetention": "15d"
        }),
        "rules" => json!({ "groups": [{
            "name": "g", "file": "f", "interval": 60, "evaluationTime": 0.1,
            "lastEvaluation": "2026-01-01T00:00:00Z",
            "rules": [{ "name": "A", "query": "up == 0", "health": "ok", "type": "alerting" }]
        }]}),
        "targets" => json!({ "activeTargets": [], "droppedTargets": [] }),
        "alertmanagers" => json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }),
        "metrics" => json!(
            "prometheus_build_info 1\nprocess_start_time_seconds 1764547200\nprometheus_notifications_dropped_total 0\nprometheus_tsdb_compactions_failed_total 0\nprometheus_tsdb_reloads_failures_total 0\n\
             prometheus_tsdb_head_truncations_failed_total 0\nprometheus_tsdb_wal_writes_failed_total 0\n"
        ),
        // Everything that is asked for exists.
        "query" => {
            let tags = query.unwrap_or_default();
            let tags = tags.split("__probe_selector\",\"").skip(1);
            let series: Vec<Value> = tags
                .map(|rest| rest.split('"').next().unwrap_or_default())
                .map(|tag| json!({ "metric": { "__probe_selector": tag }, "value": [0, "1"] }))
                .collect();
            json!({ "resultType": "vector", "result": series })
        }
        _ => Value::Null,
    }
}

#[test]
fn the_script_itself_is_sound() {
    let server = scripted(|_| None);
    let verdict = judge(&server.url(""), "");
    assert_eq!(not_passed(&verdict), [], "{:#}", verdict.probe("p"));
    assert!(server.asked().iter().all(|asked| asked.method == "GET"));
}

#[test]
fn what_is_not_prometheus_never_passes() {
    for (status, body) in [
        (200, "<html>Sign in</html>"),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, r#"{"data": null, "status": "success"}"#),
        (200, r#"{"status": "success"}"#),
        (200, r#"{"status": "success", "data": {}}"#),
        (200, r#"{"status": "success", "data": []}"#),
        (
            200,
            r#"{"status": "error", "error": "no", "data": {"groups": []}}"#,
        ),
        (
            200,
            r#"{"status": "success", "data": {"groups": [{"name": "g""#,
        ),
        (
            200,
            r#"{"cluster": {"status": "ready"}, "versionInfo": {}}"#,
        ),
        (404, "not found"),
        (500, "oops"),
        (302, ""),
    ] {
        let server = Scripted::start(move |_| Reply::new(status, body));
        let verdict = judge(
            &server.url("/base"),
            "queries.one = 'up'\nrules.one = 'queries.one > 0.0'\nmin_rules = 0",
        );
        assert_ne!(verdict.code, 0, "{status} {body}");
        assert_eq!(
            verdict.probe("p")["outcome"],
            "target_error",
            "{status} {body}"
        );
        assert_eq!(
            verdict.result("p/config-reloaded"),
            "fail",
            "{status} {body}"
        );
        assert_eq!(verdict.result("p/one"), "unknown", "{status} {body}");
    }
    let server = Scripted::start(|_| Reply::new(403, "no"));
    let verdict = judge(&server.url(""), "");
    assert_eq!(verdict.probe("p")["outcome"], "denied");
    let verdict = judge(&format!("http://127.0.0.1:{}", free_port()), "");
    assert_eq!(verdict.probe("p")["outcome"], "target_error");
    let verdict = judge("http://no-such-host.invalid", "");
    assert_eq!(verdict.probe("p")["outcome"], "probe_error");
}

#[test]
fn each_endpoint_alone_can_be_wrong_and_costs_its_own_facts() {
    for (name, rule) in [
        ("status/runtimeinfo", "config-reloaded"),
        ("rules", "rules-healthy"),
        ("targets", "jobs"),
        ("query", "selectors-exist"),
        ("time", "rules-on-time"),
        ("metrics", "tsdb-works"),
        ("alertmanagers", "alertmanager-answers"),
    ] {
        for wrong in [Value::Null, json!({}), json!([]), json!("text")] {
            let shown = wrong.clone();
            let server = scripted(move |asked| (asked == name).then(|| wrong.clone()));
            let verdict = judge(&server.url(""), "jobs = ['a']");
            assert_eq!(verdict.probe("p")["outcome"], "observed", "{name} {shown}");
            // The clock has a second source: the head of the answer.
            if name != "time" {
                assert_eq!(
                    verdict.result(&format!("p/{rule}")),
                    "unknown",
                    "{name} {shown}"
                );
            }
            if name != "status/runtimeinfo" {
                assert_eq!(
                    verdict.result("p/config-reloaded"),
                    "pass",
                    "{name} {shown}"
                );
            }
        }
    }
}

#[test]
fn a_hang_costs_its_own_facts_and_no_more_than_the_timeout() {
    for name in ["rules", "metrics", "targets", "query"] {
        let server = Scripted::start(move |asked| {
            let path = asked
                .path
                .trim_start_matches("/api/v1/")
                .trim_start_matches('/');
            let is_time = asked.param("query").as_deref() == Some("time()");
            if path == name && !is_time {
                return Reply::hang();
            }
            let data = sound(if is_time { "time" } else { path }, asked.param("query"));
            match (path, data) {
                ("metrics", Value::String(text)) => Reply::new(200, text),
                (_, time) if is_time => Reply::json(&json!({ "status": "success", "data":
                    { "resultType": "scalar", "result": [time, time.to_string()] } })),
                (_, data) => Reply::json(&json!({ "status": "success", "data": data })),
            }
        });
        let begun = Instant::now();
        let params = "timeout = '2s'\nqueries.one = 'up'\njobs = ['a']";
        let config = config(&server.url(""), params).replace("timeout = '10s'\n", "");
        let verdict = Run::with_config(&config).once();
        assert!(begun.elapsed() < Duration::from_secs(4), "{name}");
        assert_eq!(verdict.probe("p")["outcome"], "observed", "{name}");
        assert_eq!(verdict.result("p/config-reloaded"), "pass", "{name}");
        let unknown = [
            ("rules", "rules-healthy"),
            ("metrics", "tsdb-works"),
            ("targets", "jobs"),
            ("query", "selectors-exist"),
        ];
        for (hung, rule) in unknown {
            let result = verdict.result(&format!("p/{rule}"));
            assert_eq!(
                result == "unknown",
                hung == name || (hung, name) == ("query", "rules"),
                "{name} {rule}"
            );
        }
    }
}

#[test]
fn a_broken_server_fails_and_never_panics() {
    let hostile = Hostile::start();
    for behaviour in [
        "/hang",
        "/reset",
        "/garbage",
        "/body-hang",
        "/body-1gb",
        "/endless-head",
        "/redirect-loop",
    ] {
        let config =
            config(&hostile.url(behaviour), "timeout = '1s'").replace("timeout = '10s'\n", "");
        let verdict = Run::with_config(&config).once();
        assert_ne!(verdict.code, 0, "{behaviour}");
        assert!(!verdict.stderr.contains("panic"), "{}", verdict.stderr);
    }
}

/// The most memory that a run held, in KiB.
fn peak_kib(url: &str, params: &str) -> u64 {
    Run::with_config(&config(url, params)).peak_kib()
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    const MIB: usize = 1 << 20;
    // head, what is repeated, how often
    let cases: [(&str, &str, usize); 9] = [
        ("{\"status\":\"success\",\"data\":[[]", ",[]", 31 * MIB / 3),
        (
            "{\"status\":\"success\",\"data\":{\"groups\":[{\"rules\":[{}",
            ",{}",
            31 * MIB / 3,
        ),
        (
            "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[0,\"1\"]}",
            ",{\"metric\":{},\"value\":[0,\"1\"]}",
            31 * MIB / 31,
        ),
        (
            "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"a\":\"b\"",
            ",\"a\":\"b\"",
            31 * MIB / 8,
        ),
        ("{\"data\":{\"result\":[[0]", ",[0]", 31 * MIB / 4),
        (
            "{\"data\":{\"result\":[{\"\":1}",
            ",{\"\":1}",
            (32 * MIB / 16 - 100) / 3,
        ),
        ("{\"status\":\"", "aaaaaaaaaaaaaaaa", 31 * MIB / 16),
        (
            "{\"status\":\"success\",\"warnings\":[\"\"",
            ",\"\"",
            31 * MIB / 3,
        ),
        (
            "{\"status\":\"success\",\"data\":{\"activeTargets\":[{\"labels\":{},\"scrapePool\":\"\",\"scrapeUrl\":\"\",\"health\":\"down\"}",
            ",{\"labels\":{\"aa\":\"bb\",\"cc\":\"dd\"},\"scrapePool\":\"\",\"scrapeUrl\":\"\",\"health\":\"down\"}",
            31 * MIB / 82,
        ),
    ];
    for (head, part, times) in cases {
        let part_many = part.repeat(1024);
        let server =
            Scripted::start(move |_| Reply::new(200, head).repeat(part_many.clone(), times / 1024));
        let peak = peak_kib(&server.url(""), "queries.one = 'up'\njobs = ['a']");
        println!("{} MiB for {part}", peak / 1024);
        assert!(peak < 300 * 1024, "{} MiB for {part}", peak / 1024);
    }
}

#[test]
fn memory_is_bounded_by_answers_that_are_well_formed() {
    // As many as fit into the caps on bytes and on values: 32 MiB, and one value for every 16 bytes.
    const BYTES: usize = 31 << 20;
    const VALUES: usize = (32 << 20) / 16;
    let vector = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[0,\"1\"]}";
    let rule = "{\"name\":\"\",\"query\":\"\",\"health\":\"ok\",\"type\":\"alerting\"}";
    let names: Vec<String> = (0..1_000).map(|at| format!("metric_{at}")).collect();
    let sums = names.join("+");
    let long =
        format!("{{\"name\":\"\",\"query\":\"{sums}\",\"health\":\"ok\",\"type\":\"alerting\"}}");
    let group = |rules: &str| {
        format!(
            "{{\"name\":\"\",\"file\":\"\",\"interval\":1,\"evaluationTime\":1,\"lastEvaluation\":\"2026-01-01T00:00:00Z\",\"rules\":[{rules}]}}"
        )
    };
    let groups = "{\"status\":\"success\",\"data\":{\"groups\":[";
    let open_group = format!("{groups}{}", group(rule).trim_end_matches("]}"));
    let target =
        "{\"labels\":{\"a\":\"b\"},\"scrapePool\":\"\",\"scrapeUrl\":\"\",\"health\":\"down\"}";
    let targets = format!("{{\"status\":\"success\",\"data\":{{\"activeTargets\":[{target}");
    // which endpoint, head, what is repeated, end
    let cases: [(&'static str, String, String, &'static str); 7] = [
        (
            "query",
            vector.to_owned(),
            ",{\"metric\":{},\"value\":[0,\"1\"]}".into(),
            "]}}",
        ),
        (
            "query",
            vector.to_owned(),
            ",{\"metric\":{\"a\":\"b\"},\"value\":[0,\"1\"]}".into(),
            "]}}",
        ),
        (
            "query",
            vector
                .replace("\"metric\":{}", "\"metric\":{\"a\":\"b\"")
                .replace(",\"value\":[0,\"1\"]}", ""),
            ",\"a\":\"b\"".into(),
            "},\"value\":[0,\"1\"]}]}}",
        ),
        ("rules", open_group.clone(), format!(",{rule}"), "]}]}}"),
        ("rules", open_group, format!(",{long}"), "]}]}}"),
        (
            "rules",
            format!("{groups}{}", group("")),
            format!(",{}", group("")),
            "]}}",
        ),
        ("targets", targets, format!(",{target}"), "]}}"),
    ];
    for (name, head, part, end) in cases {
        let values = part.matches([',', ':', '[', '{']).count();
        let times = (BYTES / part.len()).min(VALUES / values - 100);
        let many = 64;
        let repeated = part.repeat(many);
        let shown = format!("{times} x {}", &part[..part.len().min(60)]);
        let script = move |asked: &crate::lab::Asked| {
            let path = asked
                .path
                .trim_start_matches("/api/v1/")
                .trim_start_matches('/');
            let query = asked.param("query");
            let is_time = query.as_deref() == Some("time()");
            if path == name && !is_time {
                return Reply::new(200, head.as_bytes())
                    .repeat(repeated.as_bytes(), times / many)
                    .end(end);
            }
            match sound(if is_time { "time" } else { path }, query) {
                Value::String(text) if path == "metrics" => Reply::new(200, text),
                time if is_time => Reply::json(&json!({ "status": "success", "data":
                    { "resultType": "scalar", "result": [time, time.to_string()] } })),
                data => Reply::json(&json!({ "status": "success", "data": data })),
            }
        };
        let server = Scripted::start(script);
        let peak = peak_kib(&server.url(""), "queries.one = 'up'\njobs = ['a']");
        println!("{} MiB for {name}: {shown}", peak / 1024);
        assert!(peak < 300 * 1024, "{} MiB for {shown}", peak / 1024);
    }
}
