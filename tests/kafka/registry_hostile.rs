//! Registries that are none, or mean no good: never a pass, never past the timeout, and the cluster's own
//! facts stay.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use super::run_within;
use crate::lab::{Kafka, Verdict};

/// What is answered to the path of a request; nothing: it hangs.
type Script = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// A server that answers as a test tells it; it ends with the process.
fn scripted(script: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let script: Arc<Script> = Arc::new(script);
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = Arc::clone(&script);
            spawn(move || serve(stream, &*script));
        }
    });
    port
}

fn serve(mut stream: TcpStream, script: &Script) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    match script(path) {
        Some(answer) => stream.write_all(&answer).unwrap_or_default(),
        None => sleep(Duration::from_secs(60)),
    }
}

fn answer(status: &str, kind: &str, body: &str) -> Option<Vec<u8>> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Some([head.as_bytes(), body.as_bytes()].concat())
}

fn json(body: &str) -> Option<Vec<u8>> {
    answer("200 OK", "application/vnd.schemaregistry.v1+json", body)
}

/// A registry with one sound subject whose schema is `schema`.
fn with_schema(schema: &str) -> u16 {
    let told = serde_json::json!({ "schema": schema }).to_string();
    scripted(move |path| match path {
        _ if path.starts_with("/config") => json(r#"{"compatibilityLevel": "FULL"}"#),
        _ if path.starts_with("/schemas/ids/") => json(&told),
        _ => json(r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#),
    })
}

/// One run against the registry at a port of 127.0.0.1.
fn look(topic: &str, port: u16) -> Verdict {
    let kafka = Kafka::shared();
    if !kafka.has_topic(topic) {
        kafka.create_topic(topic, 1, 3, &[]);
        kafka.produce(topic, 0, &[Some(&[0, 0, 0, 0, 7, 2])]);
    }
    let begun = Instant::now();
    let verdict = run_within(
        "4s",
        &format!(
            "brokers = {}\ntopics = [{{ name = \"{topic}\" }}]\n\
             schema_registry = {{ url = \"http://127.0.0.1:{port}\", subjects = [\"{topic}-value\"] }}",
            kafka.plaintext()
        ),
    );
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(verdict.probe("stream")["outcome"], "observed");
    assert_eq!(verdict.result("stream/topics-exist"), "pass");
    verdict
}

fn assert_none_pass(verdict: &Verdict) {
    for rule in ["subjects-exist", "compatibility", "newest-record-decodes"] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "unknown", "{rule}");
    }
}

#[test]
fn what_is_no_registry_fails_and_says_what_it_is() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("bind");
    let closed = closed.local_addr().expect("an address").port();
    let cases: [(u16, &str); 7] = [
        (closed, "refused"),
        (scripted(|_| None), "no whole answer"),
        (
            scripted(|_| answer("200 OK", "text/html", "<html>Sign in</html>")),
            "sign-in page",
        ),
        (
            scripted(|_| answer("302 Found\r\nlocation: /login", "text/html", "")),
            "redirects",
        ),
        (scripted(|_| Some(vec![0xff; 1000])), ""),
        (scripted(|_| json("{}")), "not the JSON"),
        (
            scripted(|_| answer("500 Internal Server Error", "text/plain", "oh")),
            "500",
        ),
    ];
    for (port, says) in cases {
        let verdict = look("hostile-registry", port);
        let rule = verdict.rule("stream/schema-registry");
        assert_eq!(rule["result"], "fail", "{says}: {rule}");
        assert!(
            rule["reason"].as_str().unwrap().contains(says),
            "{says}: {rule}"
        );
        assert_none_pass(&verdict);
    }
}

#[test]
fn an_answer_without_an_end_is_unknown() {
    let huge = scripted(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[";
        Some([head.as_bytes(), &b"{},".repeat(8 << 20)].concat())
    });
    let verdict = look("hostile-registry", huge);
    assert_eq!(verdict.result("stream/schema-registry"), "unknown");
    assert_none_pass(&verdict);
}

#[test]
fn a_level_that_nobody_knows_is_unknown() {
    let port = scripted(|path| {
        if path.starts_with("/config") {
            json(r#"{"compatibilityLevel": "SOMEHOW"}"#)
        } else {
            json(r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#)
        }
    });
    let verdict = look("hostile-registry", port);
    assert_eq!(verdict.result("stream/subjects-exist"), "pass");
    assert_eq!(verdict.result("stream/compatibility"), "unknown");
}

#[test]
fn subjects_that_answer_are_kept_where_schemas_hang() {
    let port = scripted(|path| match path {
        _ if path.starts_with("/config") => json(r#"{"compatibilityLevel": "FULL"}"#),
        _ if path.starts_with("/schemas/ids/") => None,
        _ => json(r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#),
    });
    let verdict = look("hostile-registry", port);
    assert_eq!(verdict.result("stream/schema-registry"), "pass");
    assert_eq!(verdict.result("stream/compatibility"), "pass");
    assert_eq!(verdict.result("stream/newest-record-decodes"), "unknown");
}

#[test]
fn a_hostile_schema_ends_no_process() {
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type": "array", "items": "#.repeat(20_000),
        "}".repeat(20_000)
    );
    let own = r#"{"type": "record", "name": "L", "fields": [{"name": "me", "type": "L"}]}"#;
    let wide = format!(
        "[{}\"null\"]",
        r#"{"type": "array", "items": "null"},"#.repeat(3)
    );
    let verdict = look("hostile-registry", with_schema(&deep));
    assert_eq!(verdict.result("stream/newest-record-decodes"), "fail");
    let verdict = look("hostile-registry", with_schema(own));
    assert_eq!(verdict.result("stream/newest-record-decodes"), "unknown");
    let verdict = look("hostile-registry", with_schema(&wide));
    assert_eq!(verdict.result("stream/newest-record-decodes"), "fail");
    // And the record is what it should be by an honest one.
    let verdict = look("hostile-registry", with_schema("\"int\""));
    assert_eq!(verdict.result("stream/newest-record-decodes"), "pass");
}

#[test]
fn references_without_end_are_not_followed_without_end() {
    let port = scripted(|path| {
        let at: u32 = path
            .rsplit('/')
            .next()
            .and_then(|at| at.parse().ok())
            .unwrap_or(0);
        match path {
            _ if path.starts_with("/config") => json(r#"{"compatibilityLevel": "FULL"}"#),
            _ if path.ends_with("/latest") => {
                json(r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#)
            }
            _ => json(&format!(
                r#"{{"schema": "\"int\"", "references": [{{"name": "R", "subject": "s", "version": {}}}]}}"#,
                at + 1
            )),
        }
    });
    let verdict = look("hostile-registry", port);
    let rule = verdict.rule("stream/newest-record-decodes");
    assert_eq!(rule["result"], "fail", "{rule}");
    assert!(
        rule["reason"]
            .as_str()
            .unwrap()
            .contains("refers to more than"),
        "{rule}"
    );
}

#[test]
fn a_type_other_than_avro_is_unknown() {
    let port = scripted(|path| match path {
        _ if path.starts_with("/config") => json(r#"{"compatibilityLevel": "FULL"}"#),
        _ => json(
            r#"{"subject": "s", "id": 7, "version": 1, "schema": "syntax", "schemaType": "PROTOBUF"}"#,
        ),
    });
    let verdict = look("hostile-registry", port);
    let rule = verdict.rule("stream/newest-record-decodes");
    assert_eq!(rule["result"], "unknown", "{rule}");
    assert!(
        rule["reason"].as_str().unwrap().contains("PROTOBUF"),
        "{rule}"
    );
}
