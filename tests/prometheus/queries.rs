//! Declared queries.

use super::{config, probe, reason};
use crate::lab::{Prometheus, Run, wrong_params};

#[test]
fn a_query_is_a_number_or_unknown_with_the_reason() {
    let server = Prometheus::new().start();
    server.wait_for_query("count(up) == 1");
    let verdict = probe(
        &server,
        "queries.scalar = 'scalar(vector(7))'\nqueries.one = 'count(up)'\nqueries.empty = 'no_such_metric'\n\
         queries.nan = 'scalar(no_such_metric)'\nqueries.infinite = 'vector(1) / 0'\n\
         queries.several = 'prometheus_http_requests_total or vector(1)'\nqueries.range = 'up[5m]'\n\
         queries.text = '\"text\"'\nqueries.wrong = 'sum('\n\
         rules.scalar = 'queries.scalar == 7.0'\nrules.one = 'queries.one == 1.0'\n\
         rules.empty = 'queries.empty < 1.0'\nrules.several = 'queries.several > 0.0'\n\
         rules.series = \"series.several.exists(s, s.labels.job == 'self')\"\n\
         rules.none = 'series.empty.all(s, s.value > 0.0)'",
    );
    let queries = &verdict.facts("p")["queries"];
    assert_eq!(queries["scalar"], 7.0);
    assert_eq!(queries["one"], 1.0);
    for (name, why, detail) in [
        ("empty", "not_observed", "empty"),
        ("nan", "unparseable", "NaN"),
        ("infinite", "unparseable", "inf"),
        ("several", "inconsistent", "series"),
        ("range", "unsupported", "range vector"),
        ("text", "unsupported", "string"),
        ("wrong", "not_observed", "400"),
    ] {
        assert_eq!(queries[name]["unknown"], why, "{name}: {}", queries[name]);
        let said = queries[name]["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{name}: {said}");
    }
    for (rule, result) in [
        ("scalar", "pass"),
        ("one", "pass"),
        ("empty", "unknown"),
        ("several", "unknown"),
        ("series", "pass"),
        ("none", "unknown"),
    ] {
        assert_eq!(verdict.result(&format!("p/{rule}")), result, "{rule}");
    }
    assert!(
        reason(&verdict, "empty").contains("empty"),
        "{}",
        reason(&verdict, "empty")
    );
    let one = &verdict.facts("p")["series"]["one"];
    assert_eq!(one, &serde_json::json!([{ "labels": {}, "value": 1.0 }]));
}

#[test]
fn a_long_query_is_posted() {
    let server = Prometheus::new().start();
    let long = vec!["count(up)"; 1_000].join(" + ");
    let verdict = probe(&server, &format!("queries.long = '{long}'"));
    assert_eq!(verdict.facts("p")["queries"]["long"], 1_000.0);
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let wrong = |params: &str| wrong_params("prometheus", &format!("url = 'http://a'\n{params}"));
    assert_eq!(wrong(""), [""; 0]);
    assert_eq!(wrong("jobs = ['a', '', 'a']"), ["jobs.1", "jobs.2"]);
    assert_eq!(wrong("queries = { 'a-b' = 'up' }"), ["queries.a-b"]);
    assert_eq!(wrong("queries = { a = ' ' }"), ["queries.a"]);
    assert_eq!(
        wrong("auth = { bearer = '' }\nqueries = { '1' = 'up' }"),
        ["auth.bearer", "queries.1"]
    );
    assert_eq!(wrong_params("prometheus", "url = 'prom:9090'"), ["url"]);
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let server = super::hostile::scripted_with(
        |asked| asked.head.contains("authorization: Bearer token-from-env"),
        |_| None,
    );
    let with = "auth = { bearer = '${env:TOKEN}' }";
    let verdict = Run::with_config(&config(&server.url("/base"), with))
        .env("TOKEN", "token-from-env\n")
        .once();
    assert_eq!(verdict.probe("p")["outcome"], "observed");
    assert!(!verdict.json.to_string().contains("token-from-env"));
    let verdict = Run::with_config(&config(&server.url("/base"), "")).once();
    assert_eq!(verdict.probe("p")["outcome"], "denied");
    assert_eq!(verdict.code, 3);
}
