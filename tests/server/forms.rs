//! In which form the verdict is answered, and that it is the one of a one-shot run.

use serde_json::Value;

use super::daemon;
use crate::lab::{Daemon, Run};

#[test]
fn the_form_is_negotiated() {
    let (daemon, _up) = daemon("");
    let ask = |accept: &str| daemon.ask("GET", "/api/v1/verdict", &[("accept", accept)]);
    assert_eq!(ask("*/*").header("content-type"), Some("application/json"));
    let table = ask("text/plain");
    assert_eq!(table.status, 200);
    assert!(table.text().contains("A.1") && !table.text().starts_with('{'));
    assert!(!daemon.get("/api/v1/verdict?format=table").body.is_empty());
    assert!(ask("application/xml").text().contains("<testsuites"));
    assert!(ask("application/sarif+json").json()["runs"].is_array());
    assert!(
        daemon
            .get("/api/v1/verdict?format=nagios")
            .text()
            .contains("CRITICAL")
    );
    let none = ask("image/png");
    assert_eq!((none.status, none.code().as_str()), (406, "not_acceptable"));
    assert_eq!(daemon.get("/api/v1/verdict?format=png").status, 400);
}

#[test]
fn what_is_asked_for_by_its_type_is_what_comes() {
    let (daemon, _up) = daemon("");
    for (accept, wanted) in [
        ("", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/plain; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/html;q=0.1, application/json", "application/json"),
        ("text/html, */*;q=0.1", "text/html; charset=utf-8"),
        ("application/json;q=0, text/xml", "application/xml"),
        ("application/json;q=0, */*", "text/plain; charset=utf-8"),
        ("application/x-ndjson", "application/jsonl"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("text/x-tap", "text/x-tap; charset=utf-8"),
        (
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("TEXT/HTML", "text/html; charset=utf-8"),
    ] {
        let answer = daemon.ask("GET", "/api/v1/verdict", &[("accept", accept)]);
        assert_eq!(answer.status, 200, "{accept}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some(wanted), "{accept}");
        assert!(
            answer
                .header("vary")
                .is_some_and(|vary| vary.contains("accept")),
            "{accept}: a cache must not mix forms"
        );
    }
    for accept in ["image/png", "text/html;q=0", ";;;q=x", "json"] {
        let answer = daemon.ask("GET", "/api/v1/verdict", &[("accept", accept)]);
        assert_eq!(answer.status, 406, "{accept}");
    }
}

/// Takes out what differs between any two runs.
fn timeless(value: &mut Value) {
    const OF_ONE_RUN: [&str; 12] = [
        "run_id",
        "mode",
        "started_at",
        "finished_at",
        "observed_at",
        "since",
        "tries",
        "phases",
        "duration_ms",
        "evidence",
        "evidence_hash",
        "facts",
    ];
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !OF_ONE_RUN.contains(&key.as_str()));
            map.values_mut().for_each(timeless);
        }
        Value::Array(list) => list.iter_mut().for_each(timeless),
        _ => {}
    }
}

#[test]
fn the_verdict_is_that_of_a_one_shot_run() {
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let title = r#"\u001b[2J </script> \u2028 \u202e ]]> \" 就绪 &"#;
    let config = format!(
        r#"
        [defaults]
        interval = "1s"
        [[probe]]
        id = "up"
        kind = "tcp"
        host = "127.0.0.1"
        port = {port}
        rules.never = {{ expr = "state == 'refused'", severity = "should", why = "{title}" }}
        [[item]]
        id = "A.1"
        title = "{title}"
        needs = ["up/*"]
        [[item]]
        id = "B.1"
        owner = "ops"
        weight = 2.5
        [[gate]]
        id = "all"
        items = ["*"]
        "#
    );
    let daemon = Daemon::start("", &config);
    let answer = daemon.wait_for("/api/v1/verdict", |answer| {
        answer.json()["items"][0]["result"] == "warn"
    });
    let file = std::fs::read_to_string(daemon.dir().join("probes.toml")).expect("read");
    let output = Run::with_config(&file)
        .args(["--once", "--format", "json"])
        .output();
    let once = String::from_utf8(output.stdout).expect("text");
    let mut verdicts = [answer.text(), once.clone()].map(|text| {
        let mut verdict: Value = serde_json::from_str(&text).expect("JSON");
        timeless(&mut verdict);
        verdict
    });
    // A daemon names the file as it was told to; its host and tool are those of the run.
    let [daemons, onces] = &mut verdicts;
    assert_eq!(daemons, onces);
    // Also to the byte, where both say the same.
    let part = |text: &str| {
        let (_, rest) = text.split_once("\"title\":").expect("a title");
        rest.split_once(",\"weight\"").expect("more").0.to_owned()
    };
    assert_eq!(part(&answer.text()), part(&once));
    assert!(part(&once).contains("\\u001b"), "{}", part(&once));
}
