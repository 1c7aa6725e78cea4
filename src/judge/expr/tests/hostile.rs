//! Sources and facts that want to hurt.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::Program;
use super::{evaluate_over, facts, schema};

/// Far above what the bounds allow, far below what their absence would cost.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn deep_and_long_sources_are_refused_or_compiled_and_never_hang() {
    let nested = |open: &str, core: &str, close: &str, n: usize| {
        format!("{}{core}{}", open.repeat(n), close.repeat(n))
    };
    let begun = Instant::now();
    for n in [10, 100, 1_000, 2_000, 100_000] {
        for source in [
            nested("(", "true", ")", n),
            nested("!(", "true", ")", n),
            nested("[", "true", "]", n),
            nested("{'a':", "1", "}", n),
            nested("size(", "body", ")", n),
            nested("string(", "1", ") == ''", n),
            nested("json[", "0", "]", n),
            nested("trusted ? true : ", "true", "", n),
            nested("json.all(x, ", "true", ")", n),
            "!".repeat(n) + "trusted",
            "-".repeat(n) + "1 == 1",
            "(".repeat(n),
            "true".to_owned() + &"&&true".repeat(n),
            "true".to_owned() + &"||true".repeat(n),
            "1".to_owned() + &"+1".repeat(n),
            "1".to_owned() + &"<1".repeat(n),
            "json".to_owned() + &".a".repeat(n),
            "json".to_owned() + &"[0]".repeat(n),
            "json".to_owned() + &".map(x,x)".repeat(n),
            "body".to_owned() + &".trim()".repeat(n),
            "é".repeat(n),
        ] {
            match Program::compile(&source, &schema()) {
                Ok(program) => {
                    let facts = facts();
                    program.evaluate(facts.as_object().expect("an object"), super::now());
                }
                Err(errors) => {
                    for error in errors {
                        assert!(source.get(error.span.clone()).is_some(), "{error:?}");
                        assert!(error.message.len() < 300, "{error:?}");
                    }
                }
            }
        }
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn bounds_are_named() {
    let message = |source: &str| {
        let errors = Program::compile(source, &schema()).expect_err("it is too much");
        errors[0].message.clone()
    };
    assert!(message(&"true&&".repeat(20_000)).contains("at most 4096"));
    assert!(message(&format!("{}1{}", "(".repeat(500), ")".repeat(500))).contains("nested"));
    assert!(message(&format!("1{} > 1", "+1".repeat(500))).contains("operators deep"));
}

#[test]
fn long_chains_of_and_are_one_level() {
    let source = format!("status == 200{}", " && trusted".repeat(300));
    assert_eq!(evaluate_over(&source, &facts()).value, Some(true));
}

#[test]
fn loops_over_loops_over_a_large_body_come_to_an_end() {
    let mut facts = facts();
    facts["json"] = Value::Array(vec![json!(1); 500_000]);
    let begun = Instant::now();
    for source in [
        "json.all(x, json.all(y, json.all(z, x + y == z + 1)))",
        "json.exists(x, json.exists(y, y == 2 || x == 2))",
        "json.all(x, x.nope == 1)",
        "json.map(x, json.map(y, [x, y])).size() > 0",
        "json.map(x, json + json).size() > 0",
        "json.all(x, json != json + [1])",
        "json.all(x, !(x in json.filter(y, y == 2)))",
    ] {
        let evaluation = evaluate_over(source, &facts);
        assert_eq!(evaluation.value, None, "{source}");
        assert!(
            evaluation.reason.contains("too expensive") || source.contains("nope"),
            "{source}: {}",
            evaluation.reason
        );
    }
    facts["json"] = json!("a".repeat(1 << 20));
    for source in [
        "numbers.all(x, numbers.all(y, json.contains('b' + string(x))))",
        "json.split('').all(x, json.split('').exists(y, x != y))",
        "json.split('').map(x, json + x).size() > 0",
        "json.split('').all(x, json.matches('(a*)*b' + x))",
    ] {
        evaluate_over(source, &facts);
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn a_large_body_is_walked() {
    let mut facts = facts();
    let items: Vec<_> = (0..20_000).map(|n| json!({"id": n, "ok": true})).collect();
    facts["json"] = Value::Array(items);
    let evaluation = evaluate_over("json.all(x, x.ok && x.id >= 0)", &facts);
    assert_eq!(evaluation.value, Some(true), "{}", evaluation.reason);
}

#[test]
fn what_is_decided_stays_decided_when_the_rest_is_too_expensive() {
    let mut facts = facts();
    facts["json"] = Value::Array(vec![json!(1); 100_000]);
    let expensive = "json.all(x, json.all(y, x == y))";
    for (source, expected) in [
        (format!("status == 404 && {expensive}"), Some(false)),
        (format!("status == 200 || {expensive}"), Some(true)),
        (format!("status == 200 && {expensive}"), None),
    ] {
        assert_eq!(evaluate_over(&source, &facts).value, expected, "{source}");
    }
}
