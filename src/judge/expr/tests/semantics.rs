//! What expressions come to.

use serde_json::json;

use super::{evaluate, evaluate_over, facts};

const T: Option<bool> = Some(true);
const F: Option<bool> = Some(false);
const U: Option<bool> = None;

fn check(table: &[(&str, Option<bool>)]) {
    for (source, expected) in table {
        let evaluation = evaluate(source);
        assert_eq!(
            evaluation.value, *expected,
            "{source}: {}",
            evaluation.reason
        );
        assert!(!evaluation.reason.is_empty(), "{source}");
    }
}

#[test]
fn one_side_decides_and_everything_else_that_touches_an_unknown_is_unknown() {
    check(&[
        ("trusted || lag < 1", T),
        ("lag < 1 || trusted", T),
        ("!trusted && lag < 1", F),
        ("lag < 1 && !trusted", F),
        ("trusted && lag < 1", U),
        ("lag < 1 && trusted", U),
        ("!trusted || lag < 1", U),
        ("lag < 1 || lag > 2 || trusted", T),
        ("!(lag < 1)", U),
        ("lag == lag", U),
        ("lag + 1 > 0", U),
        ("lag in [1, 2]", U),
        ("[lag].size() == 1", U),
        ("{'a': lag} == {'a': 1}", U),
        ("max(lag, 3) > 1", U),
        ("string(lag) == ''", U),
        ("lag < 1 ? true : true", U),
        ("trusted ? true : lag < 1", T),
        ("numbers[lag] == 1", U),
    ]);
}

#[test]
fn macros_over_lists() {
    check(&[
        ("json.empty.all(x, x > 0)", U),
        ("json.empty.all(x, true)", U),
        ("!json.empty.all(x, true)", U),
        ("json.empty.exists(x, true)", F),
        ("json.empty.exists_one(x, true)", F),
        ("json.empty.size() == 0", T),
        ("json.empty.filter(x, true).size() == 0", T),
        ("json.empty.map(x, x) == []", T),
        ("numbers.all(x, x > 0)", T),
        ("numbers.all(x, x > 1)", F),
        ("numbers.exists(x, x == 3)", T),
        ("numbers.exists(x, x == 4)", F),
        ("numbers.exists_one(x, x == 3)", T),
        ("numbers.exists_one(x, x >= 2)", F),
        ("numbers.map(x, x * 2) == [2, 4, 6]", T),
        ("numbers.map(x, x > 1, x * 2) == [4, 6]", T),
        ("numbers.filter(x, x % 2 == 1) == [1, 3]", T),
        ("addresses.all(a, a.lag_bytes < 100)", U),
        ("addresses.all(a, a.lag_bytes > 100)", F),
        ("addresses.exists(a, a.lag_bytes < 100)", T),
        ("addresses.exists(a, a.lag_bytes > 100)", U),
        ("addresses.exists_one(a, a.lag_bytes < 100)", U),
        ("addresses.filter(a, a.lag_bytes < 100).size() == 1", U),
        ("addresses.map(a, a.lag_bytes).size() == 2", U),
        (
            "addresses.filter(a, a.up).map(a, a.address) == ['127.0.0.1:80']",
            T,
        ),
        ("headers.all(k, k != '')", T),
        ("json.map.exists(k, json.map[k] == 1)", T),
        ("numbers.all(x, numbers.exists(y, y == x))", T),
        ("json.list.all(x, json.mixed.exists(x, x == 1))", T),
        ("json.n.all(x, true)", U),
    ]);
}

#[test]
fn an_unknown_element_hides_in_a_list() {
    let mut facts = facts();
    facts["numbers"] = json!([1, {"unknown": "too_large", "detail": "past 1 MiB"}, 3]);
    for (source, expected) in [
        ("numbers == [1, 2, 3]", U),
        ("numbers == [1, 2]", U),
        ("numbers.all(n, n > 1)", F),
        ("numbers.all(n, n > 0)", U),
        ("numbers.exists(n, n == 3)", T),
        ("3 in numbers", T),
        ("2 in numbers", U),
        ("numbers.size() == 3", T),
        ("numbers[0] == 1", T),
        ("numbers[1] == 1", U),
        ("min(numbers) == 1", U),
        ("(numbers + [4]).size() == 4", U),
    ] {
        let evaluation = evaluate_over(source, &facts);
        assert_eq!(
            evaluation.value, expected,
            "{source}: {}",
            evaluation.reason
        );
        if expected == U {
            let reason = &evaluation.reason;
            assert!(
                reason.contains("too large: past 1 MiB"),
                "{source}: {reason}"
            );
        }
    }
}

#[test]
fn what_goes_wrong_at_run_time_is_unknown() {
    check(&[
        ("json.nope == 1", U),
        ("json.nope != 1", U),
        ("json.nope.deeper == 1", U),
        ("json.nil.x == 1", U),
        ("json.n.x == 1", U),
        ("answers[2] == 'x'", U),
        ("answers[-1] == 'x'", U),
        ("json.list[18446744073709551615u] == 1", U),
        ("headers['nope'] == 'x'", U),
        ("json.text == 12", U),
        ("json.text != 12", U),
        ("json.text < 12", U),
        ("json.n", U),
        ("json.text && true", U),
        ("json.n && false", F),
        ("!json.nil", U),
        ("1 / (status - 200) == 1", U),
        ("1 % (status - 200) == 1", U),
        ("total_ms / 0 > 1", U),
        ("9223372036854775807 * 9223372036854775807 > 0", U),
        ("-9223372036854775808 - 1 < 0", U),
        ("1e308 * 10 > 0", U),
        ("int('x') == 1", U),
        ("int(1e30) == 1", U),
        ("uint(-1) == 1", U),
        ("double('nan') == 1.0", U),
        ("timestamp(json.text) < now()", U),
        ("duration(json.text) > duration('1s')", U),
        ("body.matches(json.text + '(')", U),
        ("min([]) == 1", U),
        ("max(json.mixed) == 1", U),
        ("json.mixed.join() == ''", U),
        ("1 in json.n", U),
        ("4 in json.mixed", U),
        ("1 in json.mixed", T),
        ("json.list == ['a', 'b', 'c']", U),
        (
            "now() + duration('9000000h') + duration('90000000h') > now()",
            U,
        ),
    ]);
}

#[test]
fn null_can_be_asked_for_and_nothing_else_done_with_it() {
    check(&[
        ("json.nil == null", T),
        ("json.nil != null", F),
        ("json.n == null", F),
        ("json.map != null", T),
        ("json.nil == 1", F),
        ("json.nil < 1", U),
        ("json.nil + 1 == 1", U),
        ("size(json.nil) == 0", U),
        ("null in json.mixed", T),
    ]);
}

#[test]
fn has_asks_for_a_key() {
    check(&[
        ("has(json.n)", T),
        ("has(json.nope)", F),
        ("has(json.nil)", T),
        ("has(json.map.a)", T),
        ("has(json.map.b)", F),
        ("has(json.n.x)", U),
        ("has(json.nope.x)", U),
        ("has(headers.server)", T),
        ("has(headers.nope)", F),
        ("'content-type' in headers", T),
        ("'nope' in headers", F),
        ("has(addresses[1].lag_bytes)", U),
        ("has(addresses[0].lag_bytes)", T),
        ("has(json.a) && json.a > 1", F),
        ("!has(json.a) || json.a > 1", T),
    ]);
}

#[test]
fn unknown_objects_are_those_that_the_schema_allows() {
    check(&[
        ("json.fake.unknown == 'denied'", T),
        (
            "json.fake == {'unknown': 'denied', 'detail': 'nothing of the sort'}",
            T,
        ),
        ("has(json.fake.detail)", T),
    ]);
    let mut facts = facts();
    facts["json"] = json!({"unknown": "unparseable", "detail": "at byte 3"});
    let evaluation = evaluate_over("json.fake.unknown == 'denied'", &facts);
    assert_eq!(evaluation.value, None);
    assert_eq!(
        evaluation.reason,
        "`json` is unknown: unparseable: at byte 3"
    );
    // A plain fact of the wrong shape is no better.
    facts["status"] = json!({"unknown": "denied", "detail": ""});
    assert_eq!(evaluate_over("status == 200", &facts).value, None);
}

#[test]
fn older_evidence_lacks_facts() {
    let old = json!({"first": {"address": "x"}, "status": 200});
    for source in [
        "trusted",
        "!trusted",
        "first.state == 'open'",
        "has(first.state)",
        "'state' in first",
        "answers.all(a, true)",
    ] {
        assert_eq!(evaluate_over(source, &old).value, None, "{source}");
    }
    assert_eq!(evaluate_over("status == 200", &old).value, T);
    assert_eq!(evaluate_over("status == 200 || trusted", &old).value, T);
}

#[test]
fn numbers_compare_by_value_whatever_their_kind() {
    check(&[
        ("status == 200.0", T),
        ("total_ms > 12", T),
        ("json.big == 18446744073709551615u", T),
        ("json.big > 9223372036854775807", T),
        ("json.big - 1 < json.big", T),
        ("json.big + 1 > 0", U),
        ("json.big > -1", T),
        ("-1 < 0u", T),
        ("json.big == 18446744073709551616.0", F),
        ("9007199254740993 > 9007199254740992.0", T),
        ("9007199254740993 == 9007199254740992.0", F),
        ("-1 < -0.5", T),
        ("-1 > -1.5", T),
        ("0 == -0.0", T),
        ("json.f == 1.5", T),
        ("7 / 2 == 3", T),
        ("-7 / 2 == -3", T),
        ("-7 % 2 == -1", T),
        ("7 / 2.0 == 3.5", T),
        ("3u - 5u == -2", T),
        ("-9223372036854775808 / -1 == 9223372036854775808u", T),
        ("abs(-9223372036854775808) > 0", T),
        ("min(3, 1.5, 2) == 1.5 && max(json.list) == 3", T),
        (
            "int('42') == 42 && int(3.9) == 3 && double('1.5') == 1.5",
            T,
        ),
        ("string(42) == '42' && bool('true')", T),
        ("int(timestamp('1970-01-01T00:01:00Z')) == 60", T),
        ("timestamp(60) == timestamp('1970-01-01T00:01:00Z')", T),
    ]);
}

#[test]
fn text_and_lists() {
    check(&[
        (
            "body.contains('Wö') && body.startsWith('hello') && body.endsWith('rld')",
            T,
        ),
        ("body.size() == 12 && size(body) == 12", T),
        ("body.upperAscii() == 'HELLO, WöRLD'", T),
        ("' x '.trim() == 'x'", T),
        ("body.split(', ') == ['hello', 'Wörld']", T),
        (
            "['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab'",
            T,
        ),
        ("body.matches('W.rld$')", T),
        ("body.matches('^W')", F),
        ("body.matches(json.text)", F),
        ("'a' + 'b' == 'ab' && 'a' < 'b'", T),
        ("'203.0.113.10' in answers", T),
        ("!('10.0.0.1' in answers)", T),
        ("answers + ['x'] != answers", T),
        ("json.list == [1, 2, 3] && json.map == {'a': 1}", T),
        ("json.list == numbers", T),
        ("json['map']['a'] == 1 && headers['server'] == 'nginx'", T),
        ("'\\u00e9\\n' == 'é\\n'", T),
    ]);
}

#[test]
fn times() {
    check(&[
        ("not_after > now()", T),
        ("not_after - now() == duration('84h')", T),
        ("not_after - now() > duration('3d')", T),
        ("not_after - now() > duration('3d12h1s')", F),
        ("(not_after - now()).getHours() == 84", T),
        ("not_after == timestamp('2026-06-04T14:00:00+02:00')", T),
        ("now() - seen_at <= duration('1m')", T),
        ("seen_at + duration('60s') == now()", T),
        ("timestamp(json.when) == now()", T),
        (
            "duration('1h30m') == duration('90m') && duration('1.5s') == duration('1500ms')",
            T,
        ),
        ("-duration('1s') < duration('0s')", T),
    ]);
}
