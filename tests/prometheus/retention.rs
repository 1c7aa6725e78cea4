//! What is kept, and for how long.

use super::{judge, probe, reason};
use crate::lab::Prometheus;

#[test]
fn the_flag_and_the_oldest_sample_must_both_reach_it() {
    let server = Prometheus::new()
        .flag("--storage.tsdb.retention.time=10d")
        .start();
    server.wait(
        "/api/v1/query?query=prometheus_tsdb_lowest_timestamp_seconds",
        |json| {
            let value = json["data"]["result"][0]["value"][1].as_str();
            value.is_some_and(|value| value.parse::<f64>().is_ok_and(|at| at < 4e9))
        },
    );
    let verdict = probe(&server, "retention = '15d'");
    assert_eq!(
        verdict.result("p/retention"),
        "fail",
        "{:#}",
        verdict.facts("p")
    );
    assert_eq!(verdict.facts("p")["retention_seconds"], 864_000.0);
    let verdict = probe(&server, "retention = '7d'");
    assert_eq!(verdict.result("p/retention"), "unknown");
    let said = reason(&verdict, "retention");
    assert!(said.contains("can be known at 20"), "{said}");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let verdict = probe(&server, "retention = '1s'");
    assert_eq!(verdict.result("p/retention"), "pass", "{said}");
}

fn aged(retention: &'static str, oldest_days: f64, started_days: f64, cut_by_size: u64) -> String {
    const NOW: f64 = 1_767_225_600.0;
    let at = |days: f64| NOW - days * 86_400.0;
    let started = jiff::SignedDuration::from_secs_f64(at(started_days));
    let started = jiff::Timestamp::UNIX_EPOCH + started;
    let server = super::hostile::scripted(move |name| match name {
        "time" => Some(serde_json::json!(NOW)),
        "status/runtimeinfo" => Some(serde_json::json!({
            "startTime": started.to_string(), "reloadConfigSuccess": true,
            "lastConfigTime": started.to_string(), "corruptionCount": 0, "storageRetention": retention
        })),
        "metrics" => Some(serde_json::json!(format!(
            "prometheus_build_info 1\nprometheus_tsdb_lowest_timestamp_seconds {}\nprometheus_tsdb_size_retentions_total {cut_by_size}\n",
            at(oldest_days)
        ))),
        _ => None,
    });
    let verdict = judge(&server.url(""), "retention = '15d'");
    verdict.result("p/retention").to_owned()
}

#[test]
fn size_and_age_decide_what_a_young_server_cannot() {
    // retention, age of the oldest sample, age of the server, blocks cut by size
    for (retention, oldest, started, cut, expected) in [
        ("15d", 15.1, 20.0, 0, "pass"),
        ("15d", 15.1, 0.1, 0, "pass"),
        ("15d", 5.0, 5.0, 0, "unknown"),
        ("15d", 5.0, 16.0, 0, "fail"),
        ("14d", 15.1, 20.0, 0, "fail"),
        ("15d or 1GiB", 15.1, 20.0, 3, "pass"),
        ("15d or 1GiB", 5.0, 5.0, 3, "fail"),
        ("1GiB", 15.1, 20.0, 0, "pass"),
        ("1GiB", 5.0, 5.0, 0, "unknown"),
        ("nonsense", 15.1, 20.0, 0, "unknown"),
    ] {
        let result = aged(retention, oldest, started, cut);
        assert_eq!(result, expected, "{retention} {oldest} {started} {cut}");
    }
}
