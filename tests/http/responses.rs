//! What is read of a response, and what is sent for it.

use std::time::Duration;

use futures_util::future::join_all;
use probe::evidence::Outcome;

use super::{SLACK, both, get, with};
use crate::lab::Hostile;

#[tokio::test]
async fn without_a_whole_head_the_target_is_broken() {
    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_secs(1);
    let paths = [
        "/hang",
        "/hang-in-head",
        "/slow-head",
        "/reset",
        "/half-close",
        "/garbage",
        "/http09",
        "/bad-status",
        "/two-lengths",
        "/endless-head",
        "/endless-line",
        "/1xx-flood",
        "/redirect-loop",
    ];
    let attempts = join_all(paths.map(|path| both(&hostile, dir.path(), path, timeout))).await;
    for (path, attempts) in paths.iter().zip(attempts) {
        for attempt in attempts {
            assert_eq!(
                attempt.outcome(),
                Outcome::TargetError,
                "{path}: {attempt:?}"
            );
            assert!(attempt.took < timeout + SLACK, "{path}: {:?}", attempt.took);
        }
    }
}

#[tokio::test]
async fn a_body_is_whole_or_unknown() {
    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_secs(4);
    // path, why `body` is unknown, `complete` or why that is unknown
    let cases = [
        ("/body-hang", "timed_out", "timed_out"),
        ("/body-drip", "timed_out", "timed_out"),
        ("/body-reset", "not_observed", "false"),
        ("/body-short", "not_observed", "false"),
        ("/body-bad-chunks", "not_observed", "false"),
        ("/body-cut-chunks", "not_observed", "false"),
        ("/body-1gb", "too_large", "too_large"),
        ("/body-endless-chunks", "too_large", "too_large"),
        ("/body-gzip-bomb", "too_large", "too_large"),
        ("/body-deflate-bomb", "too_large", "too_large"),
        ("/body-gzip-cut", "unparseable", "false"),
        ("/body-gzip-invalid", "unparseable", "false"),
        ("/body-brotli", "unsupported", "true"),
        ("/body-not-utf8", "unparseable", "true"),
    ];
    let attempts =
        join_all(cases.map(|(path, ..)| both(&hostile, dir.path(), path, timeout))).await;
    for ((path, why, complete), attempts) in cases.iter().zip(attempts) {
        for attempt in attempts {
            assert!(attempt.took < timeout + SLACK, "{path}: {:?}", attempt.took);
            assert_eq!(attempt.fact("status"), 200, "{path}");
            assert_eq!(attempt.unknown("body"), *why, "{path}: {attempt:?}");
            assert_ne!(attempt.unknown("json"), "", "{path}: {attempt:?}");
            let seen = match attempt.fact("complete").as_bool() {
                Some(seen) => seen.to_string(),
                None => attempt.unknown("complete").to_owned(),
            };
            assert_eq!(seen, *complete, "{path}: {attempt:?}");
            let was_read = *why == "unsupported" || *why == "unparseable";
            assert!(
                was_read || attempt.unknown("total_ms") == *why,
                "{path}: {attempt:?}"
            );
        }
    }
}

#[tokio::test]
async fn odd_bodies_that_are_whole_are_known() {
    let hostile = Hostile::start();
    for (path, body) in [
        ("/ok", "ok\n"),
        ("/1xx", "after"),
        ("/body-long", "body"),
        ("/body-until-close", "until the end"),
        ("/body-gzip", "plain text"),
        ("/body-deflate", "plain text"),
    ] {
        let attempt = get(&hostile.url(path)).await;
        assert_eq!(attempt.fact("body"), body, "{path}");
        assert_eq!(attempt.fact("complete"), true, "{path}");
        assert_eq!(attempt.fact("body_bytes"), body.len(), "{path}");
    }
    for path in ["/body-deep-json", "/body-huge-numbers"] {
        let attempt = get(&hostile.url(path)).await;
        assert_eq!(attempt.unknown("json"), "unparseable", "{path}");
        assert!(attempt.fact("body").is_string(), "{path}");
    }
    let fake = get(&hostile.url("/body-fake-unknown")).await;
    assert_eq!(fake.fact("json")["a"]["unknown"], "denied");
}

#[tokio::test]
async fn the_facts_of_an_ordinary_response() {
    let hostile = Hostile::start();
    let attempt = get(&hostile.url("/json?{\"up\":true,\"n\":[1,2]}")).await;
    assert_eq!(attempt.fact("status"), 200);
    // The query is percent-encoded on its way.
    assert_eq!(attempt.fact("headers")["content-type"], "application/json");
    assert_eq!(attempt.fact("http_version"), "1.1");
    assert_eq!(attempt.unknown("tls_ms"), "not_applicable");
    assert_eq!(attempt.unknown("dns_ms"), "not_applicable");
    assert_eq!(attempt.unknown("redirect_not_followed"), "not_applicable");
    assert_eq!(
        attempt.fact("remote_address"),
        format!("127.0.0.1:{}", hostile.port()).as_str()
    );
    let phases: Vec<&str> = attempt
        .trail
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(phases, ["connect", "first_byte", "body"]);

    let slow = get(&hostile.url("/slow")).await;
    let ms = |name: &str| slow.fact(name).as_f64().unwrap();
    assert!(ms("first_byte_ms") >= 100.0 && ms("total_ms") >= ms("first_byte_ms"));

    let cookies = get(&hostile.url("/cookies")).await;
    assert_eq!(cookies.fact("set_cookies")[0]["secure"], true);
    assert_eq!(cookies.fact("set_cookies")[1]["name"], "b");
    assert_eq!(cookies.fact("set_cookies")[1]["http_only"], false);

    let lossy = get(&hostile.url("/lossy-header")).await;
    assert_eq!(lossy.fact("headers")["x-bytes"], "\u{fffd}\u{fffd}");
}

#[tokio::test]
async fn responses_without_a_body() {
    let hostile = Hostile::start();
    let head = with(&hostile.url("/head-only"), "method = 'HEAD'").await;
    assert_eq!(head.unknown("body"), "not_applicable");
    assert_eq!(head.fact("complete"), true);
    for status in [204, 304, 404, 500] {
        let attempt = get(&hostile.url(&format!("/status?{status}"))).await;
        assert_eq!(attempt.fact("status"), status);
        assert_eq!(attempt.fact("body"), "");
    }
}

#[tokio::test]
async fn what_is_sent() {
    let hostile = Hostile::start();
    let url = hostile.url("/echo?q=1");
    let plain = get(&url).await;
    let text = plain.fact("body").as_str().unwrap();
    assert!(text.starts_with("GET /echo?q=1 HTTP/1.1\r\n"), "{text}");
    assert!(text.contains(&format!(
        "user-agent: probe/{}\r\n",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(text.contains("accept-encoding: gzip\r\n"), "{text}");
    assert!(
        text.contains(&format!("host: 127.0.0.1:{}\r\n", hostile.port())),
        "{text}"
    );

    let posted = with(
        &url,
        "method = 'POST'\nbody = '{\"a\": 1}'\nheaders = { Content-Type = 'application/json', Host = 'other.example' }",
    )
    .await;
    let text = posted.fact("body").as_str().unwrap();
    assert!(
        text.starts_with("POST ") && text.ends_with("\r\n\r\n{\"a\": 1}"),
        "{text}"
    );
    assert!(
        text.contains("content-type: application/json\r\n"),
        "{text}"
    );
    assert!(text.contains("host: other.example\r\n"), "{text}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    // base64 of "user:p@ss/word"
    const BASIC: &str = "dXNlcjpwQHNzL3dvcmQ=";
    let hostile = Hostile::start();
    let in_url = hostile
        .url("/echo")
        .replace("http://", "http://user:p%40ss%2Fword@");
    let from_url = get(&in_url).await;
    let given = with(
        &hostile.url("/echo"),
        "basic_auth = { username = 'user', password = 'p@ss/word' }",
    )
    .await;
    for attempt in [from_url, given] {
        let shown = format!("{:?}", attempt.result);
        assert!(shown.contains("authorization: Basic [redacted]"), "{shown}");
        assert!(
            !shown.contains(BASIC) && !shown.contains("p%40ss") && !shown.contains("p@ss"),
            "{shown}"
        );
    }
    let bearer = with(&hostile.url("/echo"), "bearer_token = 'tok-123'").await;
    let shown = format!("{:?}", bearer.result);
    assert!(shown.contains("authorization: Bearer [redacted]") && !shown.contains("tok-123"));
}
