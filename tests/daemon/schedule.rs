//! Intervals, phases, dependencies.

use std::net::TcpListener;
use std::time::Duration;

use super::process::Daemon;
use super::{Switch, http};

#[test]
fn a_hanging_target_delays_nobody_and_does_not_overlap_itself() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let hangs = format!("http://{}/", silent.local_addr().expect("an address"));
    let well = Switch::new(true);
    let config = [
        http("hangs", &hangs, "timeout = \"3s\""),
        well.probe("well", ""),
    ]
    .concat();
    let daemon = Daemon::start(&config);
    daemon.until_item("well", "pass");
    let before = well.server.asked().len();
    daemon.until_item("hangs", "fail");
    // While one run of the other lasted, this one ran several times.
    assert!(well.server.asked().len() >= before + 2);
    silent.set_nonblocking(true).expect("non-blocking");
    let connections = silent.incoming().take_while(Result::is_ok).count();
    // One run each three seconds, not one each 300 ms.
    let runs = well.server.asked().len();
    assert!(connections * 2 < runs.max(4), "{connections} of {runs}");
    let (_, agent) = daemon.get("/api/v1/agent");
    let agent: serde_json::Value = serde_json::from_str(&agent).expect("JSON");
    assert!(
        agent["schedule"]["missed_slots"].as_u64() > Some(0),
        "{agent}"
    );
    assert!(agent["schedule_lag"]["count"].as_u64() > Some(2), "{agent}");
}

#[test]
fn slots_keep_their_phase_over_a_restart() {
    let phase = |probe: &serde_json::Value| -> i64 {
        let begun = probe["tries"][0]["started_at"].as_str().expect("a time");
        let begun: jiff::Timestamp = begun.parse().expect("a time");
        begun.as_millisecond() % 2_000
    };
    let well = Switch::new(true);
    let config = well.probe("steady", "").replace("\"300ms\"", "\"2s\"");
    let mut phases = Vec::new();
    for _ in 0..2 {
        let daemon = Daemon::start(&config);
        let first = daemon.until_item("steady", "pass")["observed_at"].clone();
        // The first run comes soon; those after it are on the grid.
        let probe = daemon.until("a run on the grid", |daemon| {
            let probe = daemon.probe("steady");
            (probe["observed_at"] != first).then_some(probe)
        });
        phases.push(phase(&probe));
    }
    let apart = (phases[0] - phases[1]).rem_euclid(2_000);
    assert!(apart.min(2_000 - apart) < 700, "{phases:?}");
}

#[test]
fn what_depends_on_a_broken_probe_is_not_run_and_unknown() {
    let (first, second) = (Switch::new(false), Switch::new(true));
    let config = [
        second.probe("second", "depends_on = [\"first\"]"),
        first.probe("first", ""),
    ]
    .concat();
    let daemon = Daemon::start(&config);
    let item = daemon.until("it says why", |daemon| {
        let item = daemon.item("second");
        let reason = item["reason"].as_str().expect("text").to_owned();
        reason.contains("depends on first").then_some(item)
    });
    assert_eq!(item["result"], "unknown");
    assert!(second.server.asked().is_empty());
    first.set(true);
    daemon.until_item("second", "pass");
    first.set(false);
    daemon.until_item("second", "unknown");
}

#[test]
fn a_run_that_is_asked_for_is_waited_for() {
    let well = Switch::new(true);
    let config = well.probe("rare", "").replace("300ms", "1h");
    let daemon = Daemon::start(&config);
    daemon.until_item("rare", "pass");
    let before = well.server.asked().len();
    well.set(false);
    let client = reqwest_post(&format!("{}/api/v1/runs?probe=rare", daemon.url()));
    let verdict: serde_json::Value = serde_json::from_str(&client).expect("a verdict");
    assert_eq!(verdict["items"][0]["result"], "fail", "{verdict:#}");
    assert_eq!(well.server.asked().len(), before + 1);
}

fn reqwest_post(url: &str) -> String {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client");
        let answer = client.post(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a body")
    })
}
