//! What is answered, and how.

use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{config, daemon};
use crate::lab::{Answer, Daemon, Reply, Scripted};

#[test]
fn a_gate_is_ready_when_it_passes() {
    let (daemon, up) = daemon("");
    let good = daemon.get("/readyz?gate=good");
    assert_eq!(good.status, 200, "{}", good.text());
    assert_eq!(good.json()["result"], "pass");
    let bad = daemon.wait_for("/readyz?gate=bad", |answer| {
        answer.json()["result"] == "fail"
    });
    assert_eq!(bad.status, 503);
    assert_eq!(bad.json()["blocking"], serde_json::json!(["B.1"]));
    let all = daemon.get("/readyz");
    assert_eq!((all.status, all.json()["id"].as_str()), (503, Some("all")));
    for path in ["/readyz?gate=nope", "/readyz?gate="] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_gate"),
            "{path}"
        );
    }
    for path in [
        "/readyz?gates=good",
        "/readyz?gate=good&gate=bad",
        "/healthz?x=1",
    ] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter"),
            "{path}"
        );
    }
    drop(up);
    daemon.wait_for("/readyz?gate=good", |answer| answer.status == 503);
}

#[test]
fn a_gate_without_evidence_blocks() {
    let silent = Scripted::start(|_| Reply::hang());
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"http\"\nurl = \"{}\"\ntimeout = \"60s\"\n",
        silent.url("/")
    );
    let daemon = Daemon::start("", &config);
    assert_eq!(daemon.get("/healthz").status, 200);
    let ready = daemon.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["result"].as_str()),
        (503, Some("unknown"))
    );
    assert_eq!(daemon.get("/gates/default/argo").json()["passed"], false);
}

#[test]
fn the_verdict_is_that_of_a_run_and_is_sent_once() {
    let (daemon, _up) = daemon("");
    let answer = daemon.get("/api/v1/verdict");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    let length: usize = answer
        .header("content-length")
        .expect("a length")
        .parse()
        .expect("a number");
    assert_eq!(length, answer.body.len());
    let verdict = answer.json();
    assert_eq!(verdict["mode"], "daemon");
    let schema = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/schema/verdict.json"
    ));
    let schema = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(&verdict)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let item = daemon.get("/api/v1/items/A.1");
    assert_eq!(
        (item.status, item.json()["title"].as_str()),
        (200, Some("it is there"))
    );
    let probe = daemon.get("/api/v1/probes/up");
    assert_eq!(
        (probe.status, probe.json()["kind"].as_str()),
        (200, Some("tcp"))
    );
    for (path, code) in [
        ("/api/v1/items/nope", "unknown_item"),
        ("/api/v1/probes/nope", "unknown_probe"),
        ("/api/v1/probes/nope/history", "unknown_probe"),
        ("/gates/nope/argo", "unknown_gate"),
        ("/nothing", "not_found"),
        ("/api/v1/items/", "not_found"),
    ] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, code),
            "{path}"
        );
    }
    let head = daemon.ask("HEAD", "/api/v1/verdict", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn an_unchanged_verdict_is_not_sent_again() {
    // Nothing runs again for an hour, so nothing changes.
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let daemon = Daemon::start(
        "",
        &config(port).replace("interval = \"1s\"", "interval = \"1h\""),
    );
    assert_eq!(daemon.ask("POST", "/api/v1/runs", &[]).status, 200);
    sleep(Duration::from_millis(700));
    let first = daemon.get("/api/v1/verdict");
    let raw = String::from_utf8_lossy(&first.body).into_owned();
    assert!(raw.ends_with("}\n"));
    let tag =
        daemon.raw("GET /api/v1/verdict HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    let tag = tag.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let again = daemon.ask("GET", "/api/v1/verdict", &[("if-none-match", &known)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    let other = daemon.ask("GET", "/api/v1/verdict", &[("if-none-match", "\"other\"")]);
    assert_eq!(other.status, 200);
    // Another form is another thing.
    let table = daemon.ask(
        "GET",
        "/api/v1/verdict",
        &[("accept", "text/plain"), ("if-none-match", &tag)],
    );
    assert_eq!(table.status, 200);
    assert_eq!(daemon.ask("POST", "/api/v1/runs?probe=up", &[]).status, 200);
    let changed = daemon.ask("GET", "/api/v1/verdict", &[("if-none-match", &tag)]);
    assert_eq!(changed.status, 200);
    drop(up);
}

fn runs(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["runs"].as_array().expect("a list").clone()
}

#[test]
fn history_is_paged_newest_first() {
    let (daemon, _up) = daemon("");
    let path = "/api/v1/probes/up/history";
    daemon.wait_for(path, |answer| runs(answer).len() >= 4);
    let page = daemon.get(&format!("{path}?limit=2")).json();
    let keys: Vec<&String> = page.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["next", "probe", "runs"]);
    assert_eq!(page["probe"], "up");
    let first = page["runs"].as_array().expect("a list");
    assert_eq!(first.len(), 2);
    let keys: Vec<&String> = first[0].as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["agent", "duration_ms", "outcome", "result", "started_at"]
    );
    assert_eq!(
        (first[0]["outcome"].as_str(), first[0]["result"].as_str()),
        (Some("observed"), Some("pass"))
    );
    let time = |run: &Value| {
        run["started_at"]
            .as_str()
            .expect("a time")
            .parse::<Timestamp>()
            .expect("RFC 3339")
    };
    assert!(time(&first[0]) > time(&first[1]));
    let next: String =
        url::form_urlencoded::byte_serialize(page["next"].as_str().expect("more").as_bytes())
            .collect();
    let second = runs(&daemon.get(&format!("{path}?limit=2&cursor={next}")));
    assert!(time(&first[1]) > time(&second[0]));
    let middle = first[1]["started_at"].as_str().expect("a time");
    for run in runs(&daemon.get(&format!("{path}?from={middle}"))) {
        assert!(time(&run) >= time(&first[1]));
    }
    for run in runs(&daemon.get(&format!("{path}?to={middle}"))) {
        assert!(time(&run) < time(&first[1]));
    }
    for bad in [
        "limit=0",
        "limit=x",
        "limit=1001",
        "from=x",
        "to=2026",
        "cursor=nonsense",
        "x=1",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    ] {
        let answer = daemon.get(&format!("{path}?{bad}"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter"),
            "{bad}"
        );
    }
}

#[test]
fn a_run_that_is_asked_for_is_waited_for() {
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let daemon = Daemon::start(
        "",
        &config(port).replace("interval = \"1s\"", "interval = \"1h\""),
    );
    daemon.wait_for("/readyz?gate=good", |answer| answer.status == 200);
    drop(up);
    let answer = daemon.ask("POST", "/api/v1/runs?probe=up", &[]);
    assert_eq!(answer.status, 200);
    let verdict = answer.json();
    let item = verdict["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|item| item["id"] == "A.1")
        .expect("the item");
    assert_eq!(item["result"], "fail");
    assert_eq!(
        daemon
            .ask("POST", "/api/v1/runs?probe=up&probe=down", &[])
            .status,
        200
    );
    let unknown = daemon.ask("POST", "/api/v1/runs?probe=up&probe=nope", &[]);
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "unknown_probe")
    );
    for (method, path, status, code) in [
        ("POST", "/api/v1/runs?prob=up", 400, "bad_parameter"),
        ("POST", "/api/v1/runs?timeout=x", 400, "bad_parameter"),
        ("GET", "/api/v1/runs", 405, "method_not_allowed"),
        ("POST", "/api/v1/verdict", 405, "method_not_allowed"),
        ("DELETE", "/readyz", 405, "method_not_allowed"),
        ("OPTIONS", "/api/v1/runs", 405, "method_not_allowed"),
    ] {
        let answer = daemon.ask(method, path, &[]);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}"
        );
    }
    assert!(
        daemon
            .ask("GET", "/api/v1/runs", &[])
            .header("allow")
            .is_some()
    );
}

#[test]
fn a_run_is_not_waited_for_for_ever() {
    let silent = Scripted::start(|_| Reply::hang());
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"http\"\nurl = \"{}\"\ntimeout = \"60s\"\n",
        silent.url("/")
    );
    let daemon = Daemon::start("", &config);
    let answer = daemon.ask("POST", "/api/v1/runs?timeout=300ms", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (504, "timeout"));
}

#[test]
fn argo_is_always_answered() {
    let (daemon, _up) = daemon("");
    let good = daemon.get("/gates/good/argo");
    assert_eq!(
        (
            good.status,
            good.json()["passed"].as_bool(),
            good.json()["value"].as_i64()
        ),
        (200, Some(true), Some(1))
    );
    let bad = daemon.get("/gates/bad/argo");
    assert_eq!(
        (bad.status, bad.json()["passed"].as_bool()),
        (200, Some(false))
    );
}

#[test]
fn the_document_is_the_one_that_is_checked_in() {
    let (daemon, _up) = daemon("");
    let answered = daemon.get("/api/v1/openapi.json").json();
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/schema/openapi.json"
    ));
    let written: Value = serde_json::from_str(&text.expect("the document")).expect("JSON");
    assert_eq!(answered, written);
    let paths = written["paths"].as_object().expect("paths");
    for path in paths.keys() {
        let path = path.replace("{id}", "x");
        let code = daemon.ask("TRACE", &path, &[]).code();
        assert_eq!(
            code, "method_not_allowed",
            "{path} is in the document, and is nothing"
        );
    }
}

#[test]
fn the_agent_tells_of_itself() {
    let (daemon, _up) = daemon("");
    let health = daemon.get("/healthz").json();
    assert_eq!(
        (health["status"].as_str(), health["config"].as_str()),
        (Some("ok"), Some("ok"))
    );
    let agent = daemon.get("/api/v1/agent").json();
    assert!(
        agent["schedule"]["runs"].as_u64().expect("a count") >= 1,
        "{agent:#}"
    );
    assert!(agent["config_error"].is_null());
    let headers = daemon.get("/api/v1/agent");
    assert_eq!(headers.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(headers.header("cache-control"), Some("no-store"));
}

#[test]
fn the_page_and_the_badges_are_served() {
    let (daemon, _up) = daemon("");
    let page = daemon.get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("A.1") && page.text().contains("/api/v1/events"));
    assert_eq!(
        page.header("content-security-policy"),
        Some("frame-ancestors 'none'")
    );
    let fragment = daemon.get("/?fragment=true").text();
    assert!(
        fragment.contains("A.1") && !fragment.contains("<html"),
        "{fragment}"
    );
    assert!(daemon.get("/?lang=zh").text().contains("zh-CN"));
    assert_eq!(daemon.get("/?lang=xx").status, 400);
    let badge = daemon.get("/badge/good.svg");
    assert_eq!(
        (badge.status, badge.header("content-type")),
        (200, Some("image/svg+xml"))
    );
    assert!(badge.text().contains("good: pass"), "{}", badge.text());
    assert_eq!(
        badge.header("content-security-policy"),
        Some("default-src 'none'; frame-ancestors 'none'")
    );
    for path in ["/badge/nope.svg", "/badge/good", "/badge/good.png"] {
        let answer = daemon.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_gate"),
            "{path}"
        );
    }
}
