//! What a server may cost: time, connections, memory.

use std::time::Duration;

use probe::evidence::{Failure, Outcome, UnknownWhy};
use probe::net::api::Labels;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Said, TIMEOUT, endpoint, get, open};
use crate::lab::{Hostile, Reply, Scripted};

#[tokio::test]
async fn a_hostile_server_costs_no_more_than_the_deadline() {
    let hostile = Hostile::start();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, hostile.certificate_pem()).unwrap();
    let ca = ca.to_str().unwrap();
    let cases = [
        ("hang", "timed out"),
        ("hang-in-head", "timed out"),
        ("slow-head", "timed out"),
        ("half-close", "not observed"),
        ("reset", "not observed"),
        ("garbage", "not observed"),
        ("http09", "not observed"),
        ("bad-status", "not observed"),
        ("two-lengths", "not observed"),
        ("endless-head", "not observed"),
        ("endless-line", "not observed"),
        ("body-hang", "timed out"),
        ("body-drip", "timed out"),
        ("body-reset", "not observed"),
        ("body-short", "not observed"),
        ("body-bad-chunks", "not observed"),
        ("body-cut-chunks", "not observed"),
        ("body-gzip-cut", "unparseable"),
        ("body-gzip-invalid", "unparseable"),
        ("body-not-utf8", "unparseable"),
        ("body-deep-json", "unparseable"),
        ("body-1gb", "too large"),
        ("body-endless-chunks", "too large"),
    ];
    let all = cases.iter().map(|(behaviour, why)| {
        let (hostile, ca) = (&hostile, &ca);
        async move {
            for endpoint in [
                endpoint(&hostile.url(""), "", ""),
                endpoint(&hostile.tls_url(""), "", ca),
            ] {
                let begun = Instant::now();
                let error = get::<Said>(&endpoint, behaviour).await.unwrap_err();
                let took = begun.elapsed();
                let target = endpoint.target();
                // A flood may hit the deadline first.
                let late = error.unknown().why == UnknownWhy::TimedOut && *why == "too large";
                assert!(
                    late || error.unknown().why.as_str() == *why,
                    "{target} {behaviour}: {error:?}"
                );
                assert!(
                    took < TIMEOUT + Duration::from_millis(500),
                    "{behaviour}: {took:?}"
                );
                if *why != "too large" {
                    let outcome = Failure::from(error).outcome();
                    assert_eq!(outcome, Outcome::TargetError, "{behaviour}");
                }
            }
        }
    });
    futures_util::future::join_all(all).await;
    let endless = endpoint(&hostile.url(""), "", "");
    let error = get::<Said>(&endless, "1xx-flood").await.unwrap_err();
    assert_eq!(Failure::from(error).outcome(), Outcome::TargetError);
}

#[tokio::test]
async fn eight_at_a_time_and_a_hang_costs_only_itself() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let server = Scripted::start(|asked| {
        if asked.path == "/hang" {
            return Reply::hang();
        }
        let now = NOW.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(now, Ordering::SeqCst);
        // The request is counted as running until its answer is being written.
        std::thread::sleep(Duration::from_millis(5));
        NOW.fetch_sub(1, Ordering::SeqCst);
        Reply::json(&serde_json::json!({ "said": "ok" })).after(Duration::from_millis(10))
    });
    let endpoint = endpoint(&server.url(""), "", "");
    let (api, deadline) = open(&endpoint, TIMEOUT).await.unwrap();
    let hanging = api.get::<Said>("hang", &[], deadline);
    let others =
        futures_util::future::join_all((0..100).map(|_| api.get::<Said>("x", &[], deadline)));
    let (hung, others) = futures_util::future::join(hanging, others).await;
    assert_eq!(hung.unwrap_err().unknown().why, UnknownWhy::TimedOut);
    assert!(others.iter().all(Result::is_ok));
    assert!(MOST.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_no_fault() {
    // It answers once on each connection, says that it stays open, and closes it.
    let hostile = Hostile::start();
    let endpoint = endpoint(&hostile.url(""), "", "");
    let (api, deadline) = open(&endpoint, Duration::from_secs(10)).await.unwrap();
    for _ in 0..500 {
        api.get_text("ok", &[], deadline).await.unwrap();
    }
    assert_eq!(hostile.requests(), 500);
}

#[tokio::test]
async fn the_first_answer_past_the_cap_ends_the_others() {
    let server = Scripted::start(|asked| match asked.path.as_str() {
        "/huge" => Reply::new(200, "[").repeat(vec![b'x'; 1 << 16], 1 << 10),
        _ => Reply::json(&serde_json::json!({ "said": "ok" })).after(Duration::from_millis(800)),
    });
    let endpoint = endpoint(&server.url(""), "", "");
    let (api, _) = open(&endpoint, Duration::from_secs(10)).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let slow = api.get::<Said>("slow", &[], deadline);
    let huge = api.get::<Said>("huge", &[], deadline);
    let (slow, huge) = futures_util::future::join(slow, huge).await;
    for error in [slow.unwrap_err(), huge.unwrap_err()] {
        assert_eq!(error.unknown().why, UnknownWhy::TooLarge, "{error:?}");
        assert!(error.to_string().contains("max_body_bytes"), "{error}");
        assert_eq!(Failure::from(error).outcome(), Outcome::ProbeError);
    }
    let later = api.get::<Said>("later", &[], deadline).await.unwrap_err();
    assert_eq!(later.unknown().why, UnknownWhy::TooLarge);
}

#[tokio::test]
async fn many_tiny_values_are_refused_before_they_are_decoded() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoding matters")]
    struct Series {
        data: Vec<Labels>,
    }
    let server = Scripted::start(|asked| match asked.path.as_str() {
        "/many" => Reply::new(200, r#"{"data": [{}"#).repeat(",{}".repeat(1024), 10 << 10),
        _ => Reply::new(200, r#"{"data": [{"a": "b"}, {}]}"#),
    });
    let endpoint = endpoint(&server.url(""), "", "");
    let (api, deadline) = open(&endpoint, Duration::from_secs(10)).await.unwrap();
    let error = api.get::<Series>("many", &[], deadline).await.unwrap_err();
    assert_eq!(error.unknown().why, UnknownWhy::TooLarge, "{error:?}");
    assert!(error.to_string().contains("values"), "{error}");
    assert!(get::<Series>(&endpoint, "few").await.is_ok());
}
