//! What holds for every expression over any facts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Program, check, parse, unparse};
use super::{now, schema};

/// An expression of a number.
fn number() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (-3..4_i64).prop_map(|n| n.to_string()),
        Just("0.5".to_owned()),
        Just("lag".to_owned()),
        Just("status".to_owned()),
        Just("(status % 2)".to_owned()),
        Just("numbers[1]".to_owned()),
        Just("numbers.size()".to_owned()),
        Just("first.lag_bytes".to_owned()),
        Just("json.n".to_owned()),
        Just("max(numbers)".to_owned()),
        Just("numbers.map(x, x + 1).size()".to_owned()),
        Just("numbers.filter(x, x > 1).size()".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 2, |inner| {
        (inner.clone(), "[-+*/]", inner).prop_map(|(l, op, r)| format!("({l} {op} {r})"))
    })
    .boxed()
}

/// An expression that is true, false or unknown.
fn boolean() -> BoxedStrategy<String> {
    let compared =
        (number(), "==|!=|<|<=|>|>=", number()).prop_map(|(l, op, r)| format!("{l} {op} {r}"));
    let leaf = prop_oneof![
        4 => compared,
        1 => Just("true".to_owned()),
        1 => Just("false".to_owned()),
        1 => Just("up".to_owned()),
        1 => Just("json.ok".to_owned()),
        1 => Just("has(json.n)".to_owned()),
        1 => Just("has(first.lag_bytes)".to_owned()),
        1 => Just("'b' in answers".to_owned()),
        1 => Just("answers == ['a', 'b']".to_owned()),
        1 => Just("numbers == [1, 2]".to_owned()),
        1 => Just("2 in numbers".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let body = prop_oneof![
            3 => inner.clone(),
            2 => "-?[0-3]".prop_map(|n| format!("x > {n}")),
            1 => Just("x == numbers[0]".to_owned()),
        ];
        let row = prop_oneof![
            inner.clone(),
            Just("a.up".to_owned()),
            Just("a.lag_bytes > 1".to_owned()),
            Just("a.up && a.lag_bytes > 0".to_owned()),
        ];
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l}) && ({r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l}) || ({r})")),
            inner.clone().prop_map(|x| format!("!({x})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(c, l, r)| format!("({c}) ? ({l}) : ({r})")),
            ("all|exists|exists_one", body).prop_map(|(m, b)| format!("numbers.{m}(x, {b})")),
            ("all|exists|exists_one", row).prop_map(|(m, b)| format!("addresses.{m}(a, {b})")),
        ]
    })
    .boxed()
}

fn row() -> impl Strategy<Value = Value> {
    (0..3_i64, any::<bool>())
        .prop_map(|(lag, up)| json!({"address": "x", "state": "open", "lag_bytes": lag, "up": up}))
}

/// Facts of which all are known.
fn known() -> impl Strategy<Value = Value> {
    (
        (any::<bool>(), 0..3_i64, 0..3_i64),
        prop::collection::vec(-1..4_i64, 0..4),
        prop::collection::vec("[ab]", 0..3),
        prop::collection::vec(row(), 0..3),
        row(),
        prop_oneof![
            Just(json!({"n": 1, "ok": true})),
            Just(json!({"n": 2.5, "ok": false})),
            Just(json!({"n": "text"})),
            Just(json!(null)),
            Just(json!([1])),
        ],
    )
        .prop_map(
            |((up, lag, status), numbers, answers, addresses, first, body)| {
                json!({
                    "up": up, "lag": lag, "status": status, "numbers": numbers, "answers": answers,
                    "addresses": addresses, "first": first, "json": body,
                })
            },
        )
}

/// Hides, by the bits of `mask`, places where the schema allows an unknown, and whole facts.
fn hide(facts: &Value, mask: u32) -> Value {
    let unknown = json!({"unknown": "timed_out", "detail": "hidden"});
    let mut facts = facts.clone();
    let mut bits = (0..32).map(|bit| mask & (1 << bit) != 0);
    let mut hide = |place: &mut Value| {
        if bits.next().unwrap_or(false) {
            *place = unknown.clone();
        }
    };
    for fact in ["up", "lag", "answers", "first", "json"] {
        hide(&mut facts[fact]);
    }
    for list in ["numbers", "addresses"] {
        for item in facts[list].as_array_mut().expect("a list") {
            if list == "numbers" {
                hide(item);
            } else {
                hide(&mut item["up"]);
                hide(&mut item["lag_bytes"]);
            }
        }
    }
    if let (true, Some(map)) = (bits.next().unwrap_or(false), facts.as_object_mut()) {
        map.remove("status");
    }
    facts
}

fn compile(source: &str) -> Program {
    match Program::compile(source, &schema()) {
        Ok(program) => program,
        Err(errors) => panic!("{source}: {errors:?}"),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"unknown": "denied", "detail": ""})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c]|n|ok|up|lag_bytes", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-", "+", "*", "/", "%", "&&",
            "||", "==", "!=", "<", "<=", ">", ">=", " in ", "=", "'", "\"", "\\", "`", "@", "//",
            "\n", " ", "r'", "b'", "'''", "0x", "1u", "1e9", "é", "\u{0}",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            "status", "json", "body", "answers", "addresses", "has", "size", "all", "exists",
            "exists_one", "map", "filter", "x", "a", "true", "false", "null", "matches",
            "duration", "timestamp", "now", "min", "contains", "split", "if", "google.protobuf.Any",
            "has(", ".all(x,", ".map(x,", ".exists(", "size(", "'72h'", "'('", "1", "9", "0.5",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ]
}

proptest! {
    #[test]
    fn what_is_decided_without_a_fact_is_so_with_it(
        source in boolean(), facts in known(), mask in any::<u32>()
    ) {
        let program = compile(&source);
        let hidden = hide(&facts, mask);
        let blind = program.evaluate(hidden.as_object().expect("facts"), now());
        let seeing = program.evaluate(facts.as_object().expect("facts"), now());
        if let Some(decided) = blind.value {
            prop_assert_eq!(seeing.value, Some(decided), "{} over {}", source, hidden);
        }
    }

    #[test]
    fn text_written_from_an_expression_means_the_same(source in boolean(), facts in known()) {
        let tree = parse::parse(&source).expect("it parses");
        let text = unparse::text(&check::check(&tree, &schema()).expect("it is right"));
        let facts = facts.as_object().expect("facts");
        let again = compile(&text);
        prop_assert_eq!(
            compile(&source).evaluate(facts, now()),
            again.evaluate(facts, now()),
            "{} became {}", source, text
        );
        let tree = parse::parse(&text).expect("it parses");
        let twice = unparse::text(&check::check(&tree, &schema()).expect("it is right"));
        prop_assert_eq!(text, twice);
    }

    #[test]
    fn no_facts_make_it_panic(source in boolean(), facts in prop::collection::vec(any_json(), 8)) {
        let names = ["status", "up", "lag", "numbers", "answers", "addresses", "first", "json"];
        let facts = names.into_iter().map(str::to_owned).zip(facts).collect();
        let evaluation = compile(&source).evaluate(&facts, now());
        prop_assert!(!evaluation.reason.is_empty());
    }

    #[test]
    fn no_source_makes_it_panic(tokens in prop::collection::vec(token(), 0..24)) {
        let source = tokens.concat();
        match Program::compile(&source, &schema()) {
            Ok(program) => {
                program.evaluate(super::facts().as_object().expect("facts"), now());
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(source.get(error.span).is_some());
                }
            }
        }
    }
}
