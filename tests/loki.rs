//! The `loki` kind on recorded answers: the documented API, served by a scripted server; and, run by
//! name where somebody has built one, on a real Loki.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::lab::{Asked, Loki, Reply, Run, Scripted, Verdict, attempt};

/// Loki's clock is an hour behind ours.
fn its_now() -> SystemTime {
    SystemTime::now() - Duration::from_secs(3_600)
}

fn date() -> String {
    let now = jiff::Timestamp::try_from(its_now()).unwrap();
    let now = now.to_zoned(jiff::tz::TimeZone::UTC);
    format!("date: {}", now.strftime("%a, %d %b %Y %H:%M:%S GMT"))
}

fn line(age: Duration) -> Reply {
    let at = (its_now() - age)
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    Reply::json(
        &json!({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"app": "api"}, "values": [[at.to_string(), "GET / 200"]]},
    ], "stats": {}}}),
    )
    .header(&date())
}

fn none() -> Reply {
    Reply::json(&json!({"status": "success", "data": {"resultType": "streams", "result": []}}))
        .header(&date())
}

fn recorded(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/ready" => Reply::new(200, "ready\n").header(&date()),
        "/loki/api/v1/status/buildinfo" => {
            Reply::json(&json!({"version": "3.1.0", "revision": "x"})).header(&date())
        }
        "/loki/api/v1/query_range" => line(Duration::from_secs(60)),
        _ => Reply::new(404, "404 page not found"),
    }
}

fn but(path: &'static str, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |asked| {
        if asked.path == path {
            reply(asked)
        } else {
            recorded(asked)
        }
    })
}

const QUERY: &str = "/loki/api/v1/query_range";

fn probe(server: &Scripted) -> Verdict {
    let url = server.url("/");
    Run::with_config(&format!(
        "[[probe]]\nid = \"l\"\nkind = \"loki\"\nurl = \"{url}\"\ntimeout = \"5s\"\nmax_age = \"5m\"\ntenant = \"blue\"\napps = {{ api = '{{app=\"api\"}}' }}\n"
    ))
    .once()
}

fn assert_results(verdict: &Verdict, ready: &str, fresh: &str) {
    assert_eq!(verdict.result("l/ready"), ready, "{:#}", verdict.json);
    assert_eq!(verdict.result("l/fresh"), fresh, "{:#}", verdict.json);
}

#[test]
fn on_recorded_answers_a_new_line_passes_by_the_clock_of_the_server() {
    let server = Scripted::start(recorded);
    let verdict = probe(&server);
    assert_results(&verdict, "pass", "pass");
    let age = verdict.facts("l")["apps"]["api"]["age_seconds"]
        .as_f64()
        .unwrap();
    assert!((58.0..70.0).contains(&age), "{age}");
    assert!(verdict.facts("l")["apps"]["api"]["newest_at"].is_string());
    for asked in server.asked() {
        assert_eq!(asked.method, "GET");
        assert!(
            asked.head.to_lowercase().contains("x-scope-orgid: blue"),
            "{}",
            asked.head
        );
    }
    let asked = server.asked();
    let query = asked.iter().find(|asked| asked.path == QUERY).unwrap();
    assert_eq!(query.param("query").unwrap(), "{app=\"api\"}");
    assert_eq!(query.param("limit").unwrap(), "1");
    // Nothing after its own present, which is an hour behind ours.
    let end: u128 = query.param("end").unwrap().parse().unwrap();
    let latest = (its_now() + Duration::from_secs(2))
        .duration_since(UNIX_EPOCH)
        .unwrap();
    assert!(end <= latest.as_nanos(), "{end}");
}

#[test]
fn on_recorded_answers_an_old_line_fails_and_so_does_none() {
    let server = but(QUERY, |_| line(Duration::from_secs(301)));
    assert_results(&probe(&server), "pass", "fail");
    let verdict = probe(&but(QUERY, |_| none()));
    assert_results(&verdict, "pass", "fail");
    let reason = verdict.rule("l/fresh")["reason"].as_str().unwrap();
    assert!(reason.contains("api"), "{reason}");
}

#[test]
fn on_recorded_answers_an_age_that_cannot_be_told_is_unknown() {
    // From the future.
    let ahead = || {
        let at = (its_now() + Duration::from_secs(900))
            .duration_since(UNIX_EPOCH)
            .unwrap();
        json!([[at.as_nanos().to_string(), "x"]])
    };
    let of = |values: serde_json::Value, warnings: serde_json::Value| {
        json!({"status": "success", "warnings": warnings, "data": {"resultType": "streams",
            "result": [{"stream": {}, "values": values}]}})
    };
    let server = but(QUERY, move |_| {
        Reply::json(&of(ahead(), json!([]))).header(&date())
    });
    assert_results(&probe(&server), "pass", "unknown");
    // Not whole.
    let now = || {
        its_now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos()
            .to_string()
    };
    let server = but(QUERY, move |_| {
        let warned = of(
            json!([[now(), "x", {"trace": "y"}]]),
            json!(["a store did not answer"]),
        );
        Reply::json(&warned).header(&date())
    });
    assert_results(&probe(&server), "pass", "unknown");
    // No clock but ours.
    let server = Scripted::start(|asked| match asked.path.as_str() {
        "/ready" => Reply::new(200, "ready"),
        QUERY => {
            let at = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos();
            Reply::json(
                &json!({"status": "success", "data": {"resultType": "streams",
                "result": [{"stream": {}, "values": [[at.to_string(), "x"]]}]}}),
            )
        }
        _ => Reply::new(404, ""),
    });
    assert_results(&probe(&server), "pass", "unknown");
}

#[test]
fn on_recorded_answers_one_that_is_not_ready_fails() {
    let server = but("/ready", |_| {
        Reply::new(
            503,
            "Ingester not ready: waiting for 15s after being ready\n",
        )
    });
    assert_results(&probe(&server), "fail", "pass");
}

#[test]
fn another_answer_is_never_a_pass() {
    let answers: [fn(&Asked) -> Reply; 12] = [
        |_| Reply::new(200, "<html>Sign in</html>"),
        |_| Reply::new(200, "{}"),
        |_| Reply::new(200, r#"{"status":"success","data":null}"#),
        |_| Reply::new(200, r#"{"status":"error","error":"x"}"#),
        |_| {
            Reply::new(
                200,
                r#"{"status":"error","data":{"resultType":"streams","result":[]}}"#,
            )
        },
        |_| {
            Reply::new(
                200,
                r#"{"status":"success","data":{"resultType":"streams","result":[{}]}}"#,
            )
        },
        |_| {
            Reply::new(
                200,
                r#"{"status":"success","data":{"resultType":"streams","result":[{"values":[["soon","x"]]}]}}"#,
            )
        },
        |_| {
            Reply::new(
                200,
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[9999999999,"1"]]}]}}"#,
            )
        },
        |_| Reply::new(200, r#"{"status":"success","da"#),
        |_| Reply::new(400, "parse error at line 1"),
        |_| Reply::new(401, "no org id"),
        |_| Reply::new(500, "broken"),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let verdict = probe(&but(QUERY, answer));
        let result = verdict.result("l/fresh");
        assert!(["fail", "unknown"].contains(&result), "{at}: {result}");
        let verdict = probe(&but("/ready", answer));
        assert_ne!(verdict.result("l/ready"), "pass", "{at}");
        // Nothing at that address is a Loki.
        let verdict = probe(&Scripted::start(answer));
        assert_ne!(verdict.probe("l")["outcome"], "observed", "{at}");
        assert_ne!(verdict.code, 0);
    }
}

#[tokio::test]
async fn what_was_seen_before_one_answer_hung_is_kept() {
    for path in [QUERY, "/loki/api/v1/status/buildinfo"] {
        let server = but(path, |_| Reply::hang());
        let params = format!(
            "url = '{}'\nmax_age = '5m'\napps = {{ api = 'x' }}\n",
            server.url("")
        );
        let seen = attempt("loki", &params, Duration::from_millis(600)).await;
        assert_eq!(seen.fact("ready"), true, "{path}");
        assert!(
            seen.took < Duration::from_millis(900),
            "{path}: {:?}",
            seen.took
        );
    }
}

#[test]
#[ignore = "needs `loki` in PATH, which no distribution packages: run it with --ignored"]
fn on_a_real_loki_ready_is_not_ingesting() {
    let server = Loki::start();
    let probe = |apps: &str| {
        let url = server.url();
        Run::with_config(&format!(
            "[[probe]]\nid = \"l\"\nkind = \"loki\"\nurl = \"{url}\"\ntenant = \"blue\"\nmax_age = \"5m\"\napps = {{ {apps} }}\n"
        ))
        .once()
    };
    let api = "api = '{app=\"api\"}'";
    // Queries hang until it has joined its own ring.
    let starting = probe(api);
    assert_eq!(starting.result("l/ready"), "fail", "{:#}", starting.json);
    assert_eq!(starting.result("l/fresh"), "unknown", "{:#}", starting.json);
    server.wait_until_ready();
    assert_results(&probe(api), "pass", "fail");
    server.push("api", Duration::from_secs(60));
    server.push("old", Duration::from_secs(1_200));
    assert_results(
        &probe("api = '{app=\"api\"} |= \"hello\" | trace=\"x\"'"),
        "pass",
        "pass",
    );
    for stale in ["{app=\"old\"}", "{app=\"none\"}"] {
        assert_results(&probe(&format!("{api}, b = '{stale}'")), "pass", "fail");
    }
    for unclear in ["rate({app=\"api\"}[1m])", "{app="] {
        assert_results(&probe(&format!("b = '{unclear}'")), "pass", "unknown");
    }
}
