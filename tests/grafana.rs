//! The `grafana` kind on recorded answers: the documented API, served by a scripted server. No real
//! Grafana takes part.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{Asked, Reply, Run, Scripted, Verdict, attempt};

const TOKEN: &str = "glsa_recorded";

/// The answers of a sound Grafana, as its documentation has them.
fn recorded(asked: &Asked) -> Reply {
    let has_token = asked.head.contains(TOKEN);
    let refused = || Reply::new(401, r#"{"message":"Unauthorized"}"#);
    match asked.path.as_str() {
        "/api/health" => {
            Reply::json(&json!({"database": "ok", "version": "11.2.0", "commit": "x"}))
        }
        "/api/user" if !has_token => {
            Reply::new(401, r#"{"message":"Invalid username or password"}"#)
        }
        _ if !has_token => refused(),
        "/api/search" => Reply::json(&json!([
            {"id": 1, "uid": "a", "title": "Nodes", "type": "dash-db", "folderTitle": "Ops", "folderUid": "o"},
            {"id": 2, "uid": "b", "title": "API", "type": "dash-db"},
        ])),
        "/api/datasources" => Reply::json(&json!([
            {"id": 1, "uid": "p", "name": "Prometheus", "type": "prometheus"},
            {"id": 2, "uid": "l", "name": "Loki", "type": "loki"},
        ])),
        "/api/datasources/uid/p/health" | "/api/datasources/uid/l/health" => {
            Reply::json(&json!({"status": "OK", "message": "Successfully queried"}))
        }
        "/api/org/users" => Reply::json(&json!([
            {"userId": 1, "login": "root", "role": "Admin"}, {"userId": 2, "login": "eve", "role": "Viewer"},
        ])),
        "/api/v1/provisioning/contact-points" => Reply::json(&json!([
            {"uid": "1", "name": "oncall", "type": "webhook", "settings": {"url": "x"}},
        ])),
        "/api/dashboards/uid/a" => dashboard(&json!({"refId": "A", "expr": "up"})),
        "/api/dashboards/uid/b" => {
            dashboard(&json!({"refId": "A", "expr": "rate(x[$__rate_interval])"}))
        }
        "/api/ds/query" => frames(&json!([[1, 2], [3.0, 4.0]])),
        _ => Reply::new(404, r#"{"message":"Not found"}"#),
    }
}

fn dashboard(target: &Value) -> Reply {
    Reply::json(&json!({"dashboard": {
        "title": "x", "templating": {"list": [{"name": "instance"}]},
        "panels": [
            {"id": 1, "type": "row", "title": "Row", "panels": [
                {"id": 2, "title": "Up", "datasource": {"uid": "p", "type": "prometheus"}, "targets": [target]},
            ]},
            {"id": 3, "type": "text", "title": "Words"},
        ],
    }, "meta": {}}))
}

fn frames(values: &Value) -> Reply {
    Reply::json(&json!({"results": {"A": {"status": 200, "frames": [
        {"schema": {"fields": []}, "data": {"values": values}},
    ]}}}))
}

/// The same but for one path.
fn but(path: &'static str, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |asked| {
        if asked.path == path {
            reply(asked)
        } else {
            recorded(asked)
        }
    })
}

fn sound() -> Scripted {
    Scripted::start(recorded)
}

fn probe(server: &Scripted, params: &str) -> Verdict {
    let url = server.url("");
    Run::with_config(&format!(
        "[[probe]]\nid = \"g\"\nkind = \"grafana\"\nurl = \"{url}\"\nauth = {{ bearer = \"{TOKEN}\" }}\ntimeout = \"5s\"\n{params}\n"
    ))
    .once()
}

const ALL: &str = "min_dashboards = 2\ndatasources = ['Prometheus']\ncontact_points = ['oncall']\ncheck_panels = true\n";

fn assert_results(verdict: &Verdict, expected: &[(&str, &str)]) {
    for rule in verdict.probe("g")["rules"].as_array().unwrap() {
        let name = rule["id"].as_str().unwrap().trim_start_matches("g/");
        let wanted = expected.iter().find(|(known, _)| *known == name);
        let wanted = wanted.map_or("pass", |(_, wanted)| wanted);
        assert_eq!(rule["result"], wanted, "{rule:#}\n{:#}", verdict.facts("g"));
    }
}

#[test]
fn on_recorded_answers_a_sound_one_passes() {
    let server = sound();
    let verdict = probe(&server, ALL);
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("g");
    assert_eq!(
        facts["dashboards_by_folder"],
        json!({"General": 1, "Ops": 1})
    );
    assert_eq!(facts["users_by_role"], json!({"Admin": 1, "Viewer": 1}));
    assert_eq!(facts["panels"].as_array().unwrap().len(), 2);
    for asked in server.asked() {
        let is_query = asked.method == "POST" && asked.path == "/api/ds/query";
        assert!(
            asked.method == "GET" || is_query,
            "{} {}",
            asked.method,
            asked.path
        );
        assert!(!asked.path.contains("admin"), "{}", asked.path);
    }
}

#[test]
fn on_recorded_answers_a_failing_database_fails() {
    let server = but("/api/health", |_| {
        Reply::new(503, r#"{"database":"failing","version":"11.2.0"}"#)
    });
    assert_results(&probe(&server, ALL), &[("database", "fail")]);
}

#[test]
fn on_recorded_answers_a_data_source_in_error_fails() {
    let server = but("/api/datasources/uid/p/health", |_| {
        Reply::new(
            400,
            r#"{"status":"ERROR","message":"dial tcp 127.0.0.1:9090: connection refused"}"#,
        )
    });
    let verdict = probe(&server, ALL);
    let expected = [
        ("datasources-healthy", "fail"),
        ("datasources-declared", "fail"),
    ];
    assert_results(&verdict, &expected);
    let reason = verdict.rule("g/datasources-declared")["reason"]
        .as_str()
        .unwrap();
    assert!(reason.contains("Prometheus"), "{reason}");
}

#[test]
fn on_recorded_answers_a_data_source_without_a_health_check_is_unknown() {
    let server = but("/api/datasources/uid/l/health", |_| {
        Reply::new(404, r#"{"message":"Plugin not found"}"#)
    });
    assert_results(&probe(&server, ALL), &[("datasources-healthy", "unknown")]);
}

#[test]
fn on_recorded_answers_what_is_declared_and_missing_fails() {
    let verdict = probe(
        &sound(),
        "min_dashboards = 3\ndatasources = ['Prometheus', 'Tempo']\ncontact_points = ['pager']\ncheck_panels = true\n",
    );
    let expected = [
        ("min-dashboards", "fail"),
        ("datasources-declared", "fail"),
        ("contact-points-declared", "fail"),
    ];
    assert_results(&verdict, &expected);
}

#[test]
fn on_recorded_answers_a_panel_that_returns_nothing_warns() {
    for empty in [json!([]), json!([[], []])] {
        let server = but("/api/ds/query", move |_| frames(&empty));
        assert_results(&probe(&server, ALL), &[("panels-have-data", "warn")]);
    }
    let server = but("/api/ds/query", |_| {
        Reply::new(
            400,
            r#"{"results":{"A":{"error":"bad_data: parse error","status":400}}}"#,
        )
    });
    let verdict = probe(&server, ALL);
    assert_results(&verdict, &[("panels-have-data", "warn")]);
    assert_eq!(verdict.facts("g")["panels"][0]["state"], "error");
}

#[test]
fn on_recorded_answers_a_panel_that_needs_a_browser_is_unknown() {
    let server = but("/api/dashboards/uid/a", |_| {
        dashboard(&json!({"refId": "A", "expr": "up{instance=\"$instance\"}"}))
    });
    assert_results(&probe(&server, ALL), &[("panels-have-data", "unknown")]);
}

#[test]
fn on_recorded_answers_a_viewer_is_told_which_permission_is_missing() {
    let server = Scripted::start(|asked| match asked.path.as_str() {
        "/api/datasources" | "/api/org/users" | "/api/v1/provisioning/contact-points"
            if asked.head.contains(TOKEN) =>
        {
            Reply::new(
                403,
                r#"{"message":"You'll need additional permissions to perform this action."}"#,
            )
        }
        _ => recorded(asked),
    });
    let verdict = probe(&server, ALL);
    let expected = [
        ("datasources-healthy", "unknown"),
        ("datasources-declared", "unknown"),
        ("contact-points-declared", "unknown"),
    ];
    assert_results(&verdict, &expected);
    let facts = verdict.facts("g");
    for (fact, permission) in [
        ("datasources", "datasources:read"),
        ("users", "org.users:read"),
        ("contact_points", "alert.provisioning:read"),
    ] {
        assert_eq!(facts[fact]["unknown"], "denied");
        assert!(
            facts[fact]["detail"].as_str().unwrap().contains(permission),
            "{fact}"
        );
    }
}

#[test]
fn on_recorded_answers_anonymous_access_fails() {
    let server = but("/api/search", |_| Reply::json(&json!([])));
    let verdict = probe(&server, "");
    assert_eq!(verdict.result("g/anonymous-refused"), "fail");
    assert_eq!(verdict.result("g/default-login-refused"), "pass");
}

#[test]
fn on_recorded_answers_the_default_login_fails() {
    let server = but("/api/user", |asked| {
        if asked.head.contains("Basic YWRtaW46YWRtaW4=") {
            return Reply::json(&json!({"id": 1, "login": "admin", "isGrafanaAdmin": true}));
        }
        Reply::new(401, "{}")
    });
    assert_results(&probe(&server, ALL), &[("default-login-refused", "fail")]);
    let server = sound();
    probe(&server, "check_default_login = false");
    assert!(server.asked().iter().all(|asked| asked.path != "/api/user"));
}

#[test]
fn on_recorded_answers_a_refusal_of_all_passwords_proves_nothing() {
    let server = || {
        but("/api/user", |_| {
            Reply::new(401, r#"{"message":"Unauthorized"}"#)
        })
    };
    let verdict = probe(&server(), ALL);
    assert_results(&verdict, &[("default-login-refused", "unknown")]);
    let reason = verdict.rule("g/default-login-refused")["reason"].to_string();
    assert!(reason.contains("auth.basic"), "{reason}");
    // Where a password of our own is taken, that one is refused for itself.
    let all = |asked: &Asked| match asked.path.as_str() {
        "/api/user" => Reply::new(401, r#"{"message":"Unauthorized"}"#),
        "/api/search" if asked.head.contains("authorization: Basic") => Reply::json(&json!([])),
        _ => recorded(asked),
    };
    let server = Scripted::start(all);
    let config = format!(
        "[[probe]]\nid = \"g\"\nkind = \"grafana\"\nurl = \"{}\"\nauth = {{ basic = {{ username = \"viewer\", password = \"secret-of-viewer\" }} }}\n",
        server.url("")
    );
    let verdict = Run::with_config(&config).once();
    assert_eq!(
        verdict.result("g/default-login-refused"),
        "pass",
        "{:#}",
        verdict.facts("g")
    );
}

#[test]
fn on_recorded_answers_a_slow_one_is_one() {
    let server = but("/api/health", |asked| {
        recorded(asked).after(Duration::from_millis(2_500))
    });
    let verdict = probe(&server, "");
    assert_eq!(verdict.probe("g")["outcome"], "observed");
    assert_eq!(verdict.result("g/database"), "pass");
}

#[test]
fn on_recorded_answers_null_is_nothing_and_old_rows_are_read() {
    let server = but("/api/ds/query", |_| {
        Reply::json(&json!({"results": {"A": {"status": 200, "frames": null}}}))
    });
    let verdict = probe(&server, ALL);
    assert_eq!(verdict.facts("g")["panels"][0]["state"], "empty");
    let server = but("/api/dashboards/uid/a", |_| {
        Reply::json(&json!({"dashboard": {
            "title": "old", "panels": null, "templating": {"list": null},
            "rows": [{"title": "Row", "panels": [
                {"id": 7, "title": "Old", "datasource": {"uid": "p"}, "targets": [{"refId": "A", "expr": "up"}]},
                {"id": 8, "title": "Older", "datasource": "Prometheus", "targets": [{"refId": "A", "expr": "up"}]},
            ]}],
        }, "meta": {}}))
    });
    let verdict = probe(&server, ALL);
    let panels = verdict.facts("g")["panels"].clone();
    assert_eq!(panels[0]["title"], "Old", "{panels:#}");
    assert_eq!(panels[0]["state"], "data");
    assert_eq!(panels[1]["state"]["unknown"], "unsupported");
}

#[test]
fn on_recorded_answers_a_refusal_without_a_control_is_unknown() {
    let server = but("/api/search", |_| {
        Reply::new(401, r#"{"message":"Invalid API key"}"#)
    });
    let verdict = probe(&server, "min_dashboards = 1");
    for rule in [
        "anonymous-refused",
        "default-login-refused",
        "min-dashboards",
    ] {
        assert_eq!(verdict.result(&format!("g/{rule}")), "unknown", "{rule}");
    }
}

#[test]
fn another_answer_is_never_a_pass() {
    let answers: [fn(&Asked) -> Reply; 7] = [
        |_| Reply::new(200, "<html>Sign in</html>"),
        |_| Reply::new(200, "{}"),
        |_| Reply::new(200, r#"{"data":null}"#),
        |_| Reply::new(200, "null"),
        |_| Reply::new(200, r#"{"message":"broken"}"#),
        |_| Reply::new(200, r#"[{"uid":"a""#),
        |_| Reply::new(500, "broken"),
    ];
    let hurt = [
        ("/api/health", "database"),
        ("/api/search", "min-dashboards"),
        ("/api/search", "anonymous-refused"),
        ("/api/datasources", "datasources-healthy"),
        ("/api/datasources/uid/p/health", "datasources-healthy"),
        ("/api/dashboards/uid/a", "panels-have-data"),
        ("/api/ds/query", "panels-have-data"),
        (
            "/api/v1/provisioning/contact-points",
            "contact-points-declared",
        ),
        ("/api/user", "default-login-refused"),
    ];
    for (path, rule) in hurt {
        for answer in answers {
            let verdict = probe(&but(path, answer), ALL);
            let result = verdict.result(&format!("g/{rule}"));
            assert!(
                ["fail", "unknown"].contains(&result),
                "{path} {result}: {:#}",
                verdict.facts("g")
            );
            assert_ne!(verdict.code, 0);
        }
    }
}

#[tokio::test]
async fn what_was_seen_before_one_answer_hung_is_kept() {
    for path in [
        "/api/search",
        "/api/datasources",
        "/api/datasources/uid/p/health",
        "/api/ds/query",
        "/api/user",
    ] {
        let server = but(path, |_| Reply::hang());
        let params = format!(
            "url = '{}'\nauth = {{ bearer = '{TOKEN}' }}\ncheck_panels = true\n",
            server.url("/")
        );
        let seen = attempt("grafana", &params, Duration::from_millis(900)).await;
        assert_eq!(seen.fact("database"), "ok", "{path}");
        assert!(
            seen.took < Duration::from_millis(1_200),
            "{path}: {:?}",
            seen.took
        );
    }
}
