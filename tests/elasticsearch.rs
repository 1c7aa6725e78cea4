//! The `elasticsearch` kind on recorded answers: the documented API of Elasticsearch and `OpenSearch`,
//! served by a scripted server. No real one takes part.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::lab::{Asked, Reply, Run, Scripted, Verdict, attempt};

/// Its clock is an hour ahead of ours.
fn its_now() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3_600)
}

fn cluster(status: &str) -> Reply {
    let epoch = its_now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_string();
    Reply::json(
        &json!([{"epoch": epoch, "timestamp": "x", "cluster": "c", "status": status, "node.total": "3", "unassign": "1"}]),
    )
}

fn line(age: Duration) -> Reply {
    let at = jiff::Timestamp::try_from(its_now() - age).unwrap();
    searched(&json!([{"_index": "logs-api-1", "_id": "1", "_score": null,
        "fields": {"@timestamp": [format!("{at:.3}")]}, "sort": [1]}]))
}

fn searched(hits: &serde_json::Value) -> Reply {
    Reply::json(
        &json!({"took": 1, "timed_out": false, "_shards": {"total": 2, "successful": 2, "skipped": 0, "failed": 0},
        "hits": {"max_score": null, "hits": hits}}),
    )
}

fn recorded(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/" => Reply::json(
            &json!({"name": "n", "cluster_name": "c", "version": {"number": "2.15.0", "distribution": "opensearch"}, "tagline": "x"}),
        ),
        "/_cat/health" => cluster("green"),
        SEARCH => line(Duration::from_secs(60)),
        _ => Reply::new(404, "{}"),
    }
}

const SEARCH: &str = "/logs-api-%2A/_search";

fn but(path: &'static str, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |asked| {
        if asked.path == path {
            reply(asked)
        } else {
            recorded(asked)
        }
    })
}

fn probe_apps(server: &Scripted, apps: &str) -> Verdict {
    let url = server.url("");
    Run::with_config(&format!(
        "[[probe]]\nid = \"e\"\nkind = \"elasticsearch\"\nurl = \"{url}\"\ntimeout = \"5s\"\nmax_age = \"5m\"\napps = {apps}\n"
    ))
    .once()
}

fn probe(server: &Scripted) -> Verdict {
    probe_apps(server, "{ api = \"logs-api-*\" }")
}

fn assert_results(verdict: &Verdict, fresh: &str) {
    assert_eq!(verdict.result("e/fresh"), fresh, "{:#}", verdict.json);
    assert_eq!(
        verdict.result("e/cluster-not-red"),
        "pass",
        "{:#}",
        verdict.json
    );
}

#[test]
fn on_recorded_answers_a_new_line_passes_by_the_clock_of_the_server() {
    let server = Scripted::start(recorded);
    let verdict = probe(&server);
    assert_results(&verdict, "pass");
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("e");
    assert_eq!(facts["product"], "opensearch");
    assert_eq!(
        (&facts["nodes"], &facts["unassigned_shards"]),
        (&json!(3), &json!(1))
    );
    let age = facts["apps"]["api"]["age_seconds"].as_f64().unwrap();
    assert!((58.0..70.0).contains(&age), "{age}");
    for asked in server.asked() {
        assert!(
            asked.method == "GET" || asked.path == SEARCH,
            "{} {}",
            asked.method,
            asked.path
        );
    }
}

#[test]
fn on_recorded_answers_an_old_line_fails_and_so_does_none() {
    let server = but(SEARCH, |_| line(Duration::from_secs(302)));
    assert_results(&probe(&server), "fail");
    assert_results(&probe(&but(SEARCH, |_| searched(&json!([])))), "fail");
    let missing = r#"{"error":{"type":"index_not_found_exception","reason":"no such index [logs-api-*]"},"status":404}"#;
    assert_results(
        &probe(&but(SEARCH, move |_| Reply::new(404, missing))),
        "fail",
    );
}

#[test]
fn on_recorded_answers_an_age_that_cannot_be_told_is_unknown() {
    let server = but(SEARCH, |_| {
        let at = jiff::Timestamp::try_from(its_now() + Duration::from_secs(900)).unwrap();
        searched(&json!([{"_index": "x", "fields": {"@timestamp": [format!("{at:.3}")]}}]))
    });
    assert_results(&probe(&server), "unknown");
    // No clock but ours, which is an hour behind.
    let verdict = probe(&but("/_cat/health", |_| Reply::new(500, "{}")));
    assert_eq!(verdict.result("e/fresh"), "unknown", "{:#}", verdict.json);
}

#[test]
fn on_recorded_answers_a_query_and_another_field_are_asked_for() {
    let server = Scripted::start(|asked| match asked.path.as_str() {
        "/logs-%2A/_search" => {
            let body: serde_json::Value = serde_json::from_str(&asked.query).unwrap();
            assert_eq!(
                body["query"]["bool"]["filter"][1]["query_string"]["query"],
                "app:api"
            );
            assert_eq!(
                body["query"]["bool"]["filter"][0]["range"]["at"]["lte"],
                "now"
            );
            let at = jiff::Timestamp::try_from(its_now()).unwrap();
            searched(&json!([{"_index": "x", "fields": {"at": [format!("{at:.3}")]}}]))
        }
        _ => recorded(asked),
    });
    let apps = "{ api = { index = \"logs-*\", query = \"app:api\", time_field = \"at\" } }";
    assert_results(&probe_apps(&server, apps), "pass");
}

#[test]
fn on_recorded_answers_a_red_cluster_fails_and_a_yellow_one_warns() {
    let verdict = probe(&but("/_cat/health", |_| cluster("red")));
    assert_eq!(verdict.result("e/cluster-not-red"), "fail");
    let verdict = probe(&but("/_cat/health", |_| cluster("purple")));
    assert_eq!(verdict.result("e/cluster-not-red"), "unknown");
    let verdict = probe(&but("/_cat/health", |_| cluster("yellow")));
    assert_results(&verdict, "pass");
    assert_eq!(verdict.result("e/cluster-green"), "warn");
}

#[test]
fn on_recorded_answers_a_missing_privilege_is_named() {
    let refused = |_: &Asked| {
        Reply::new(
            403,
            r#"{"error":{"type":"security_exception","reason":"no"},"status":403}"#,
        )
    };
    let verdict = probe(&but("/_cat/health", refused));
    assert_eq!(verdict.result("e/cluster-not-red"), "unknown");
    assert!(
        verdict.facts("e")["nodes"]["detail"]
            .as_str()
            .unwrap()
            .contains("`monitor`")
    );
    let verdict = probe(&but(SEARCH, refused));
    assert_results(&verdict, "unknown");
    assert!(
        verdict.rule("e/fresh")["reason"]
            .as_str()
            .unwrap()
            .contains("`read`")
    );
}

#[test]
fn another_answer_is_never_a_pass() {
    let answers: [fn(&Asked) -> Reply; 11] = [
        |_| Reply::new(200, "<html>Sign in</html>"),
        |_| Reply::new(200, "{}"),
        |_| Reply::new(200, "null"),
        |_| Reply::new(200, r#"{"data":null}"#),
        |_| Reply::new(200, r#"{"error":"x","status":400}"#),
        |_| {
            Reply::new(
                200,
                r#"{"took":1,"timed_out":true,"_shards":{"failed":0},"hits":{"hits":[]}}"#,
            )
        },
        |_| {
            Reply::new(
                200,
                r#"{"took":1,"timed_out":false,"_shards":{"failed":1},"hits":{"hits":[]}}"#,
            )
        },
        |_| {
            Reply::new(
                200,
                r#"{"took":1,"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[{"_index":"x"}]}}"#,
            )
        },
        |_| Reply::new(200, r#"{"took":1,"timed_out":fal"#),
        |_| Reply::new(404, "not found"),
        |_| Reply::new(500, "broken"),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let result = probe(&but(SEARCH, answer)).result("e/fresh").to_owned();
        assert!(
            ["fail", "unknown"].contains(&result.as_str()),
            "{at}: {result}"
        );
        let verdict = probe(&but("/_cat/health", answer));
        assert_ne!(verdict.result("e/cluster-not-red"), "pass", "{at}");
        let verdict = probe(&Scripted::start(answer));
        assert_ne!(verdict.code, 0, "{at}");
    }
}

#[tokio::test]
async fn what_was_seen_before_one_answer_hung_is_kept() {
    for path in ["/", "/_cat/health", SEARCH] {
        let server = but(path, |_| Reply::hang());
        let params = format!(
            "url = '{}'\nmax_age = '5m'\napps = {{ api = 'logs-api-*' }}\n",
            server.url("")
        );
        let seen = attempt("elasticsearch", &params, Duration::from_millis(600)).await;
        let known = if path == "/" {
            "cluster_status"
        } else {
            "product"
        };
        assert!(seen.fact(known).is_string(), "{path}");
        assert!(
            seen.took < Duration::from_millis(900),
            "{path}: {:?}",
            seen.took
        );
    }
}
