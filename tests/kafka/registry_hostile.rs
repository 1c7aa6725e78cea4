//! Registries that are none, or mean no good: never a pass, never past the timeout, and the cluster's own
//! facts stay.

use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::json;

use super::run_within;
use crate::lab::{Asked, Kafka, Reply, Scripted, Verdict, free_port};

const LATEST: &str = r#"{"subject": "s", "id": 7, "version": 1, "schema": "\"int\""}"#;
const FULL: &str = r#"{"compatibilityLevel": "FULL"}"#;

/// A registry with one sound subject that tells of schemas by id what `schema` says.
fn registry(schema: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |asked| match asked.path.as_str() {
        path if path.starts_with("/config") => Reply::new(200, FULL),
        path if path.ends_with("/latest") => Reply::new(200, LATEST),
        _ => schema(asked),
    })
}

/// One run against the registry at a base URL.
fn look(url: &str) -> Verdict {
    static MADE: Once = Once::new();
    let (kafka, topic) = (Kafka::shared(), "hostile-registry");
    MADE.call_once(|| {
        kafka.create_topic(topic, 1, 3, &[]);
        kafka.produce(topic, 0, &[Some(&[0, 0, 0, 0, 7, 2])]);
    });
    let begun = Instant::now();
    let verdict = run_within(
        "4s",
        &format!(
            "brokers = {}\ntopics = [{{ name = \"{topic}\" }}]\n\
             schema_registry = {{ url = \"{url}\", subjects = [\"{topic}-value\"] }}",
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
    let assert_fails = |url: &str, says: &str| {
        let verdict = look(url);
        let rule = verdict.rule("stream/schema-registry");
        assert_eq!(rule["result"], "fail", "{says}: {rule}");
        let reason = rule["reason"].as_str().expect("a reason");
        assert!(reason.contains(says), "{says}: {reason}");
        assert_none_pass(&verdict);
    };
    assert_fails(&format!("http://127.0.0.1:{}", free_port()), "refused");
    let broker = Kafka::shared().bootstrap();
    let broker = broker.split(',').next().expect("a broker");
    assert_fails(&format!("http://{broker}"), "config: ");
    let replies = [
        (Reply::hang(), "no whole answer"),
        (Reply::new(200, "<html>Sign in</html>"), "sign-in page"),
        (Reply::new(302, "").header("location: /login"), "redirects"),
        (Reply::new(200, [0xff; 1000]), "not the JSON"),
        (Reply::new(200, "{}"), "not the JSON"),
        (Reply::new(200, ""), "an empty answer"),
        (Reply::new(500, "oh"), "500"),
    ];
    for (reply, says) in replies {
        let server = Scripted::start(move |_| reply.clone());
        assert_fails(&server.url(""), says);
    }
}

#[test]
fn an_answer_without_an_end_is_unknown() {
    let huge = Scripted::start(|_| Reply::new(200, "[").repeat("{},".repeat(1 << 10), 8 << 10));
    let verdict = look(&huge.url(""));
    assert_eq!(verdict.result("stream/schema-registry"), "unknown");
    assert_none_pass(&verdict);
}

#[test]
fn a_level_that_nobody_knows_is_unknown() {
    let odd = Scripted::start(|asked| {
        if asked.path.starts_with("/config") {
            Reply::json(&json!({ "compatibilityLevel": "SOMEHOW" }))
        } else {
            Reply::new(200, LATEST)
        }
    });
    let verdict = look(&odd.url(""));
    assert_eq!(verdict.result("stream/subjects-exist"), "pass");
    assert_eq!(verdict.result("stream/compatibility"), "unknown");
}

#[test]
fn subjects_that_answer_are_kept_where_schemas_hang() {
    let server = registry(|_| Reply::hang());
    let verdict = look(&server.url(""));
    assert_eq!(verdict.result("stream/schema-registry"), "pass");
    assert_eq!(verdict.result("stream/compatibility"), "pass");
    assert_eq!(verdict.result("stream/newest-record-decodes"), "unknown");
}

#[test]
fn a_hostile_schema_ends_no_process() {
    let open = r#"{"type": "array", "items": "#;
    let deep = format!("{}\"int\"{}", open.repeat(20_000), "}".repeat(20_000));
    let own = r#"{"type": "record", "name": "L", "fields": [{"name": "me", "type": "L"}]}"#;
    let nested_union = r#"["null", ["null", "int"]]"#;
    let cases = [
        (deep.as_str(), "fail"),
        (own, "unknown"),
        (nested_union, "fail"),
        // By an honest one, the record is what it should be.
        ("\"int\"", "pass"),
    ];
    for (schema, result) in cases {
        let told = json!({ "schema": schema });
        let server = registry(move |_| Reply::json(&told));
        let verdict = look(&server.url(""));
        let rule = verdict.rule("stream/newest-record-decodes");
        assert_eq!(rule["result"], result, "{rule}");
    }
}

#[test]
fn references_without_end_are_not_followed_without_end() {
    let server = registry(|asked| {
        let at: u32 = asked
            .path
            .rsplit('/')
            .next()
            .and_then(|at| at.parse().ok())
            .unwrap_or(0);
        let next = json!({ "name": "R", "subject": "s", "version": at + 1 });
        Reply::json(&json!({ "schema": "\"int\"", "references": [next] }))
    });
    let verdict = look(&server.url(""));
    let rule = verdict.rule("stream/newest-record-decodes");
    assert_eq!(rule["result"], "fail", "{rule}");
    let reason = rule["reason"].as_str().expect("a reason");
    assert!(reason.contains("refers to more than"), "{reason}");
}

#[test]
fn a_type_other_than_avro_is_unknown() {
    let told = json!({ "schema": "syntax", "schemaType": "PROTOBUF" });
    let server = registry(move |_| Reply::json(&told));
    let verdict = look(&server.url(""));
    let rule = verdict.rule("stream/newest-record-decodes");
    assert_eq!(rule["result"], "unknown", "{rule}");
    let reason = rule["reason"].as_str().expect("a reason");
    assert!(reason.contains("PROTOBUF"), "{reason}");
}
