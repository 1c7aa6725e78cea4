//! What is said about a result.

use serde_json::json;

use super::{evaluate, evaluate_over, facts};

#[test]
fn reasons_name_what_decided_and_what_was_observed() {
    for (source, reason) in [
        ("status == 200", "status == 200: observed 200"),
        ("status==404", "status == 404: observed 200"),
        ("answers.size() >= 3", "answers.size() >= 3: observed 2"),
        ("trusted && status == 404", "status == 404: observed 200"),
        ("status == 404 && trusted", "status == 404: observed 200"),
        (
            "trusted && status == 200",
            "trusted: observed true; status == 200: observed 200",
        ),
        ("status == 404 || trusted", "trusted: observed true"),
        (
            "status == 404 || status == 500",
            "status == 404: observed 200; status == 500: observed 200",
        ),
        ("!trusted", "!trusted: observed true"),
        ("!(status == 200)", "!(status == 200): observed true"),
        (
            "addresses.all(a, a.state == 'open')",
            "addresses.all(a, a.state == \"open\"): for 127.0.0.2:80: a.state == \"open\": \
             observed \"refused\"",
        ),
        (
            "addresses.exists(a, a.state == 'open')",
            "addresses.exists(a, a.state == \"open\"): for 127.0.0.1:80: a.state == \"open\": \
             observed \"open\"",
        ),
        (
            "answers.exists(a, a == '10.0.0.1')",
            "answers.exists(a, a == \"10.0.0.1\"): holds for none of 2: observed \
             [\"203.0.113.10\", \"203.0.113.11\"]",
        ),
        (
            "json.empty.exists(a, a)",
            "json.empty.exists(a, a): observed an empty list",
        ),
        (
            "numbers.all(n, n > 0)",
            "numbers.all(n, n > 0): holds for all 3",
        ),
        (
            "numbers.all(n, n > 1)",
            "numbers.all(n, n > 1): for 1: n > 1: observed 1",
        ),
        (
            "numbers.exists_one(n, n > 1)",
            "numbers.exists_one(n, n > 1): holds for 2 of 3",
        ),
        ("has(json.nope)", "has(json.nope): absent"),
        (
            "not_after - now() > duration('100h')",
            "not_after - now() > duration(\"100h\"): observed 84h",
        ),
        (
            "not_after < seen_at",
            "not_after < seen_at: observed 2026-06-04T12:00:00Z and 2026-05-31T23:59:00Z",
        ),
        (
            "body.contains('bye')",
            "body.contains(\"bye\"): observed \"hello, Wörld\"",
        ),
        (
            "trusted ? status == 404 : true",
            "status == 404: observed 200 (trusted is true)",
        ),
        (
            "lag < 10",
            "`lag` is unknown: denied: grant pg_monitor to probe",
        ),
        (
            "addresses.all(a, a.lag_bytes < 100)",
            "for 127.0.0.2:80: `a.lag_bytes` is unknown: timed out",
        ),
        (
            "json.empty.all(x, x > 0)",
            "`json.empty.all(x, x > 0)`: all over an empty list: nothing was seen",
        ),
        ("json.map.b == 1", "`json.map.b`: `json.map` has no `b`"),
        (
            "answers[7] == ''",
            "`answers[7]`: there is no element 7 in a list of 2",
        ),
        (
            "1 / (status - 200) == 1",
            "`1 / (status - 200)`: division by zero",
        ),
        (
            "json.text == 12",
            "`json.text == 12`: a string is compared with an int: observed \"12\" and 12",
        ),
        (
            "json.n",
            "`json.n`: an int is neither true nor false: observed 7",
        ),
    ] {
        assert_eq!(evaluate(source).reason, reason, "{source}");
    }
}

#[test]
fn a_missing_fact_and_one_of_another_type_are_named() {
    let facts = json!({"status": "200"});
    assert_eq!(
        evaluate_over("trusted", &facts).reason,
        "`trusted` is unknown: this evidence does not have it"
    );
    assert_eq!(
        evaluate_over("status == 200", &facts).reason,
        "`status` is not an int: observed \"200\""
    );
}

#[test]
fn long_values_are_cut_at_characters() {
    let mut facts = facts();
    facts["body"] = json!("ü".repeat(100_000));
    let reason = evaluate_over("body.contains('x')", &facts).reason;
    assert!(reason.ends_with('…'), "{reason}");
    assert!(reason.chars().count() < 300, "{}", reason.chars().count());
    facts["answers"] = json!(vec!["ü".repeat(50); 1000]);
    let reason = evaluate_over("answers.exists(a, a == 'x')", &facts).reason;
    assert!(reason.chars().count() < 400, "{}", reason.chars().count());
}
