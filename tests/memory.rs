//! How much memory a server can cost that sends as much as it may, well-formed and compressed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::lab::{Asked, Reply, Run, Scripted};

/// The caps on answers: 32 MiB, and one value for every 16 bytes of it.
const BYTES: usize = 31 << 20;
const VALUES: usize = (31 << 20) / 16;
const MOST_KIB: u64 = 300 * 1024;

/// `head`, as many times `part` (with so many values in it) as fit, `end`; compressed.
fn bomb(head: &str, part: &str, values: usize, end: &str) -> Reply {
    let times = (BYTES / part.len()).min(VALUES / values);
    let many = part.repeat(1024);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(head.as_bytes()).unwrap();
    for _ in 0..times / 1024 {
        gzip.write_all(many.as_bytes()).unwrap();
    }
    gzip.write_all(end.as_bytes()).unwrap();
    Reply::new(200, gzip.finish().unwrap())
        .header("content-type: application/json")
        .header("content-encoding: gzip")
}

/// A probe of `kind` at a server that answers `path` with `bomb`, and the rest as `sound` does.
fn assert_bounded(
    kind: &str,
    params: &str,
    (path, bomb): (&'static str, Reply),
    sound: fn(&Asked) -> Reply,
) {
    let server = Scripted::start(move |asked| {
        if asked.path.contains(path) {
            bomb.clone()
        } else {
            sound(asked)
        }
    });
    let config = format!(
        "[[probe]]\nid = \"p\"\nkind = \"{kind}\"\nurl = \"{}\"\ntimeout = \"20s\"\n{params}\n",
        server.url("")
    );
    let peak = Run::with_config(&config).peak_kib();
    assert!(server.asked().iter().any(|asked| asked.path.contains(path)));
    assert!(peak < MOST_KIB, "{kind} {path}: {} MiB", peak / 1024);
}

#[test]
fn that_of_loki_is_bounded() {
    let sound = |asked: &Asked| match asked.path.as_str() {
        "/ready" => Reply::new(200, "ready"),
        _ => Reply::json(&json!({"version": "3.0.0"})),
    };
    let head = "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{},\"values\":[[\"1\",\"\"]";
    let streams = "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{},\"values\":[]}";
    for bomb in [
        bomb(head, ",[\"1\",\"\"]", 3, "]}]}}"),
        bomb(streams, ",{\"values\":[]}", 3, "]}}"),
    ] {
        let apps = "apps = { api = '{app=\"api\"}' }\nmax_age = \"5m\"";
        assert_bounded("loki", apps, ("/query_range", bomb), sound);
    }
}

#[test]
fn that_of_elasticsearch_is_bounded() {
    let sound = |asked: &Asked| match asked.path.as_str() {
        "/" => Reply::json(&json!({"cluster_name": "c", "version": {"number": "8.0.0"}})),
        _ => Reply::json(
            &json!([{"epoch": "1", "status": "green", "node.total": "1", "unassign": "0"}]),
        ),
    };
    let head = "{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":{\"hits\":[{\"_index\":\"a\",\"fields\":{\"x\":[1]";
    let apps = "apps = { api = { index = \"logs\" } }\nmax_age = \"5m\"";
    let search = bomb(head, ",\"x\":[1]", 3, "}}]}}");
    assert_bounded("elasticsearch", apps, ("_search", search), sound);
    let health = bomb("[{}", ",{}", 2, "]");
    assert_bounded("elasticsearch", apps, ("_cat/health", health), sound);
}

#[test]
fn that_of_grafana_is_bounded() {
    let sound = |asked: &Asked| match asked.path.as_str() {
        "/api/health" => Reply::json(&json!({"database": "ok", "version": "11.2.0"})),
        "/api/search" => Reply::json(&json!([{"uid": "a", "title": "A", "type": "dash-db"}])),
        _ => Reply::json(&json!([])),
    };
    let hit = "{\"uid\":\"\",\"title\":\"\",\"type\":\"dash-db\"}";
    let source = "{\"uid\":\"\",\"name\":\"\",\"type\":\"\"}";
    let cases = [
        (
            "/api/search",
            bomb(&format!("[{hit}"), &format!(",{hit}"), 8, "]"),
        ),
        (
            "/api/datasources",
            bomb(&format!("[{source}"), &format!(",{source}"), 8, "]"),
        ),
        (
            "/api/dashboards/uid",
            bomb("{\"dashboard\":{\"panels\":[{}", ",{}", 2, "]}}"),
        ),
        (
            "/api/dashboards/uid",
            bomb(
                "{\"dashboard\":{\"panels\":[{\"targets\":[1",
                ",1",
                1,
                "]}]}}",
            ),
        ),
    ];
    for case in cases {
        let params = "min_dashboards = 1\ncheck_panels = true";
        assert_bounded("grafana", params, case, sound);
    }
}

#[test]
fn that_of_alertmanager_is_bounded() {
    let sound = |asked: &Asked| match asked.path.as_str() {
        "/-/ready" => Reply::new(200, "OK"),
        "/metrics" => Reply::new(200, "alertmanager_config_last_reload_successful 1\n"),
        "/api/v2/status" => Reply::json(&json!({
            "cluster": {"status": "disabled"}, "config": {"original": "route: {receiver: a}\nreceivers: [{name: a}]\n"},
            "uptime": "2026-01-01T00:00:00Z", "versionInfo": {"version": "0.27.0"},
        })),
        _ => Reply::json(&json!([])),
    };
    let alert = "{\"labels\":{\"a\":\"\"},\"status\":{\"state\":\"active\"}}";
    let silence = "{\"id\":\"\",\"status\":{\"state\":\"active\"},\"matchers\":[]}";
    let status = |route: &str| {
        let head = format!(
            "{{\"cluster\":{{\"status\":\"disabled\"}},\"uptime\":\"2026-01-01T00:00:00Z\",\"versionInfo\":{{\"version\":\"0.27.0\"}},\"config\":{{\"original\":\"{route}"
        );
        let times = (7 << 20) / 4;
        let text = format!("{head}{}]}}}}", "{}, ".repeat(times));
        bomb(&format!("{text}\"}}}}"), " ", 1, "")
    };
    let cases = [
        (
            "/api/v2/alerts",
            bomb(&format!("[{alert}"), &format!(",{alert}"), 8, "]"),
        ),
        (
            "/api/v2/silences",
            bomb(&format!("[{silence}"), &format!(",{silence}"), 7, "]"),
        ),
        ("/api/v2/status", status("route: {receiver: a, routes: [")),
        (
            "/metrics",
            bomb(
                "alertmanager_config_last_reload_successful 1\n",
                "alertmanager_notification_requests_total{integration=\\\"a\\\"} 1\n",
                1,
                "",
            ),
        ),
    ];
    for case in cases {
        let params = "receivers = [\"a\"]\nalerts.Down = {}";
        assert_bounded("alertmanager", params, case, sound);
    }
}
