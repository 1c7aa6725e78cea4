//! What is refused, where, and with which advice.

use super::super::{ExprError, Program};
use super::schema;

fn errors(source: &str) -> Vec<ExprError> {
    match Program::compile(source, &schema()) {
        Ok(_) => panic!("{source} compiles"),
        Err(errors) => errors,
    }
}

/// The marked text, the message and the help of the only error.
fn error(source: &str) -> (&str, String, String) {
    let errors = errors(source);
    assert_eq!(errors.len(), 1, "{source}: {errors:?}");
    let error = errors.into_iter().next().expect("there is one");
    (
        &source[error.span],
        error.message,
        error.help.unwrap_or_default(),
    )
}

/// A source, what is marked in it, and parts of the message and of the help.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    (
        "statuss == 200",
        "statuss",
        "no fact `statuss`",
        "did you mean `status`?",
    ),
    (
        "zzz == 200",
        "zzz",
        "no fact `zzz`",
        "the facts are: addresses, answers",
    ),
    (
        "addresses.all(a, a.stat == 'open')",
        "stat",
        "no field `stat`",
        "did you mean `state`?",
    ),
    (
        "has(first.adress)",
        "adress",
        "no field `adress`",
        "did you mean `address`?",
    ),
    (
        "first['adress'] == 'x'",
        "'adress'",
        "no field `adress`",
        "`address`",
    ),
    ("status.x == 1", "x", "an int has no field `x`", ""),
    (
        "status",
        "status",
        "must be true or false; this is an int",
        "compare",
    ),
    (
        "answers",
        "answers",
        "must be true or false; this is a list",
        "compare",
    ),
    (
        "status == \"200\"",
        "status == \"200\"",
        "an int is compared with a string",
        "write 200",
    ),
    (
        "body == 1",
        "body == 1",
        "a string is compared with an int",
        "write \"1\"",
    ),
    (
        "not_after > '2026'",
        "not_after > '2026'",
        "timestamp is compared",
        "timestamp(\"2026\")",
    ),
    (
        "not_after - now() > '72h'",
        "not_after - now() > '72h'",
        "duration",
        "duration(\"72h\")",
    ),
    (
        "status == null",
        "status == null",
        "compared with null",
        "never null",
    ),
    (
        "state == 'opne'",
        "'opne'",
        "never is \"opne\"",
        "did you mean `open`?",
    ),
    (
        "state in ['open', 'closed']",
        "'closed'",
        "never is \"closed\"",
        "open, refused, filtered",
    ),
    (
        "addresses.exists(a, a.state == 'xyz')",
        "'xyz'",
        "never is",
        "the values are",
    ),
    (
        "status in [200, '204']",
        "'204'",
        "an int is compared with a string",
        "write 204",
    ),
    (
        "'a' in body",
        "body",
        "`in` looks into a list",
        "text.contains(part)",
    ),
    (
        "1 < status < 5",
        "1 < status < 5",
        "this is a bool",
        "a < x && x < b",
    ),
    (
        "trusted && status",
        "status",
        "`&&` wants true or false",
        "compare",
    ),
    ("!status", "status", "`!` wants true or false", "compare"),
    (
        "status ? true : false",
        "status",
        "`?` wants true or false",
        "compare",
    ),
    (
        "answers.all(a, a)",
        "a",
        "`all` wants true or false",
        "compare",
    ),
    ("status.all(a, true)", "status", "goes over a list", ""),
    (
        "siz(answers) > 1",
        "siz",
        "no function `siz`",
        "did you mean `size`?",
    ),
    (
        "frobnicate(answers)",
        "frobnicate",
        "no function",
        "the functions are: size",
    ),
    (
        "status()",
        "status",
        "is a fact, not a function",
        "without the brackets",
    ),
    (
        "contains(body, 'x')",
        "contains(body, 'x')",
        "not called like this",
        "text.contains",
    ),
    (
        "body.contains()",
        "body.contains()",
        "wrong number",
        "text.contains",
    ),
    (
        "body.contains(1)",
        "1",
        "`contains` wants a string; this is an int",
        "text.contains",
    ),
    (
        "answers.contains('x')",
        "answers",
        "`contains` wants a string",
        "write x in list",
    ),
    (
        "answers.all(a)",
        "all",
        "not called like this",
        "list.all(x, x > 0)",
    ),
    (
        "answers.all(a.b, true)",
        ".",
        "name of its variable",
        "list.all",
    ),
    ("has(json)", "json", "has() takes a field", "json.status"),
    (
        "not_after > timestamp('tomorrow')",
        "'tomorrow'",
        "not a timestamp",
        "RFC 3339",
    ),
    (
        "now() - not_after > duration('3 days')",
        "'3 days'",
        "not a duration",
        "72h",
    ),
    (
        "body.matches('a(')",
        "'a('",
        "not a regular expression",
        "unclosed group",
    ),
    (
        "body.matches('(a{1000}){1000}')",
        "'(a{1000}){1000}'",
        "not a regular",
        "size limit",
    ),
    (
        "body - 'x' == ''",
        "body - 'x'",
        "`-` does not take a string and a string",
        "",
    ),
    (
        "not_after + not_after > now()",
        "not_after + not_after",
        "`+` does not take",
        "",
    ),
    ("total_ms % 2 == 0", "total_ms % 2", "`%` does not take", ""),
    ("-body == ''", "body", "`-` wants a number", ""),
    (
        "answers['a'] == ''",
        "'a'",
        "a list is indexed by an int",
        "",
    ),
    ("headers[1] == ''", "1", "a map is indexed by a string", ""),
    ("status[1] == 1", "1", "an int cannot be indexed", ""),
    ("b'x' == body", "b'x'", "bytes", "without the b"),
    ("{1: 2}['a'] == 2", "1", "keys of a map are strings", ""),
    ("status = 200", "=", "unexpected `=`", "compare with =="),
    (
        "trusted and up",
        "and",
        "unexpected `and`",
        "write && for and",
    ),
    ("trusted &&", "", "ends too early", ""),
    ("", "", "the rule is empty", "status == 200"),
    ("  ", "  ", "the rule is empty", "status == 200"),
    ("body == \"x", "\"", "no end", ""),
    (
        "status == 99999999999999999999",
        "99999999999999999999",
        "invalid int literal",
        "",
    ),
    ("'é漢' == státus", "á", "unexpected `á`", ""),
    ("'é漢' == bodi", "bodi", "no fact `bodi`", "`body`"),
];

#[test]
fn mistakes_are_marked_and_explained() {
    for &(source, marked, message, help) in MISTAKES {
        let (was_marked, was_message, was_help) = error(source);
        assert_eq!(was_marked, marked, "{source}: {was_message}");
        assert!(was_message.contains(message), "{source}: {was_message}");
        assert!(was_help.contains(help), "{source}: {was_help}");
        assert_eq!(was_help.is_empty(), help.is_empty(), "{source}: {was_help}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_source() {
    let source = "statuss == 200 && bodyy == 'x' &&\n state == 'opne'";
    let marked: Vec<_> = errors(source)
        .into_iter()
        .map(|error| &source[error.span])
        .collect();
    assert_eq!(marked, ["statuss", "bodyy", "'opne'"]);
}

#[test]
fn a_mistake_is_told_once() {
    assert_eq!(errors("nope.a.b + 1 > nope2").len(), 2);
    assert_eq!(errors("nope in [1, 2]").len(), 1);
    assert_eq!(errors("1 in [nope]").len(), 1);
}

#[test]
fn what_is_right_compiles() {
    for source in [
        "status == 200",
        "status < 99.5",
        "total_ms < 100",
        "size(answers) == answers.size()",
        "headers['content-type'].startsWith('text/')",
        "headers.server == 'nginx'",
        "'server' in headers",
        "has(headers.server)",
        "first['address'] == 'x'",
        "json.anything.at.all[0]['x'] == null",
        "json",
        "json.a < json.b + 1",
        "not_after - now() > duration('72h')",
        "not_after > timestamp('2026-12-31T00:00:00Z') + duration('1d')",
        "state in ['open', 'refused']",
        "body.matches('^[a-z]+$') || matches(body, 'x')",
        "min(numbers) > 0 && max(1, 2.5) < status",
        "addresses.map(a, a.lag_bytes).all(b, b < 1000)",
        "addresses.filter(a, a.state == 'open').size() >= 1",
        "addresses.map(a, a.state == 'open', a.address).join(',') != ''",
        "answers.exists_one(a, a == 'x') || answers.existsOne(a, a == 'x')",
        "headers.all(name, name == name.lowerAscii())",
        "{'a': 1}['a'] == 1",
        "[1, 2] + [3] == [1, 2, 3]",
        "abs(-1) == 1 && -status < 0 && !trusted",
        "trusted ? status == 200 : true",
        "(not_after - now()).getHours() > 1",
        "// a comment\nstatus == 200",
        "answers.all(status, status != '')",
    ] {
        if let Err(errors) = Program::compile(source, &schema()) {
            panic!("{source}: {errors:?}");
        }
    }
}
