//! What the expressions of rules select, and which of it must exist for a rule to mean anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::{T_LOR, T_LUNLESS};
use promql_parser::parser::{BinaryExpr, Expr, VectorSelector};
use tokio::time::Instant;

/// A longer expression is not read.
const MAX_EXPRESSION_BYTES: usize = 16 * 1024;
/// Room for an expression that is nothing but nesting.
const STACK_BYTES: usize = 128 << 20;
/// Alternatives multiply; beyond so many clauses or selectors in them one of all is enough.
const MAX_PRODUCT: usize = 1_000;
/// More selectors than this are not read.
const MAX_SELECTORS: usize = 20_000;

/// A selector without offset and `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Selector {
    /// PromQL.
    pub text: String,
    /// The metric, where the selector names one.
    pub metric: Option<String>,
}

/// Selectors of which one must exist, each with the longest range in which it is looked at, seconds.
pub(super) type Clause = BTreeMap<Selector, u64>;

/// What an expression needs: all of these.
type Needs = Vec<Clause>;

/// The needs of one expression, or why they cannot be told.
pub(super) type Read = Result<Needs, String>;

/// Reads expressions on a thread of its own: a hostile one nests as deep as it is long. Those that are not
/// reached by `deadline` are left out.
pub(super) async fn read_all(expressions: Vec<String>, deadline: Instant) -> Vec<Read> {
    let count = expressions.len();
    let (send, receive) = tokio::sync::oneshot::channel();
    let work = move || {
        let mut read = Vec::with_capacity(count);
        let mut selectors = 0;
        for expression in expressions {
            if Instant::now() >= deadline || send.is_closed() {
                break;
            }
            if selectors > MAX_SELECTORS {
                read.push(Err(format!("more than {MAX_SELECTORS} selectors")));
                continue;
            }
            let needs = needs_of(&expression);
            selectors += needs.as_ref().map_or(0, |needs| size(needs));
            read.push(needs);
        }
        send.send(read).ok();
    };
    let thread = std::thread::Builder::new()
        .name("promql".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work);
    let mut read = match thread {
        Ok(_) => tokio::time::timeout_at(deadline, receive)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    read.resize_with(count, || Err("there was no time to read it".to_owned()));
    read
}

fn needs_of(expression: &str) -> Read {
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(format!("longer than {MAX_EXPRESSION_BYTES} bytes"));
    }
    let expr = promql_parser::parser::parse(expression)
        .map_err(|error| format!("not read: {}", crate::net::api::short(&error, 200)))?;
    needs(&expr, 0)
}

/// `range` is that of the subqueries around.
fn needs(expr: &Expr, range: u64) -> Read {
    match expr {
        Expr::VectorSelector(selector) => one(selector, range),
        Expr::MatrixSelector(matrix) => one(&matrix.vs, range + matrix.range.as_secs()),
        Expr::Subquery(sub) => needs(&sub.expr, range + sub.range.as_secs()),
        Expr::Paren(paren) => needs(&paren.expr, range),
        Expr::Unary(unary) => needs(&unary.expr, range),
        Expr::Aggregate(aggregate) => {
            let mut all = needs(&aggregate.expr, range)?;
            if let Some(param) = &aggregate.param {
                all.extend(needs(param, range)?);
            }
            Ok(all)
        }
        // They are there to notice what is missing.
        Expr::Call(call) if matches!(call.func.name, "absent" | "absent_over_time") => {
            Ok(Vec::new())
        }
        Expr::Call(call) => {
            let mut all = Vec::new();
            for argument in &call.args.args {
                all.extend(needs(argument, range)?);
            }
            Ok(all)
        }
        Expr::Binary(binary) => binary_needs(binary, range),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(Vec::new()),
        Expr::Extension(_) => Err("not PromQL".to_owned()),
    }
}

fn binary_needs(binary: &BinaryExpr, range: u64) -> Read {
    let mut left = needs(&binary.lhs, range)?;
    // Mostly nothing is to be excluded.
    if binary.op.id() == T_LUNLESS {
        return Ok(left);
    }
    let right = needs(&binary.rhs, range)?;
    if binary.op.id() != T_LOR {
        left.extend(right);
        return Ok(left);
    }
    // One side is enough, so a side that needs nothing is a fallback for the other.
    if left.len() * size(&right) + right.len() * size(&left) > MAX_PRODUCT {
        return Ok(vec![
            left.into_iter().chain(right).fold(Clause::new(), join),
        ]);
    }
    let pairs = left
        .iter()
        .flat_map(|l| right.iter().map(|r| join(l.clone(), r.clone())));
    Ok(pairs.collect())
}

fn size(needs: &[Clause]) -> usize {
    needs.iter().map(Clause::len).sum()
}

fn join(mut left: Clause, right: Clause) -> Clause {
    for (selector, range) in right {
        let longest = left.entry(selector).or_default();
        *longest = range.max(*longest);
    }
    left
}

fn one(selector: &VectorSelector, range: u64) -> Read {
    if !selector.matchers.or_matchers.is_empty() {
        return Err("alternatives within a selector are not PromQL".to_owned());
    }
    let matchers = &selector.matchers.matchers;
    let named = matchers
        .iter()
        .find(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal);
    let metric = selector
        .name
        .clone()
        .or_else(|| named.map(|matcher| matcher.value.clone()));
    // The server makes them itself, while something is wrong.
    if matches!(metric.as_deref(), Some("ALERTS" | "ALERTS_FOR_STATE")) {
        return Ok(Vec::new());
    }
    let text = text_of(selector.name.as_deref(), matchers);
    Ok(vec![Clause::from([(Selector { text, metric }, range)])])
}

/// The selector as PromQL; the same for the same matchers in another order.
fn text_of(name: Option<&str>, matchers: &[Matcher]) -> String {
    let mut parts = BTreeSet::new();
    let mut text = String::new();
    match name {
        Some(name) if is_classic(name) => text.push_str(name),
        Some(name) => {
            parts.insert(format!("__name__={}", quoted(name)));
        }
        None => {}
    }
    for matcher in matchers {
        let op = match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        };
        if matcher.name == "__name__" && op == "=" && name == Some(&*matcher.value) {
            continue;
        }
        let label = if is_classic(&matcher.name) {
            matcher.name.clone()
        } else {
            quoted(&matcher.name)
        };
        parts.insert(format!("{label}{op}{}", quoted(&matcher.value)));
    }
    if !parts.is_empty() || text.is_empty() {
        let parts: Vec<String> = parts.into_iter().collect();
        write!(text, "{{{}}}", parts.join(",")).ok();
    }
    text
}

/// Whether a name can stand without quotes.
pub(super) fn is_classic(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    starts
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A string of PromQL.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expression: &str) -> Vec<String> {
        let mut names: Vec<String> = needs_of(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
            .into_iter()
            .map(|clause| {
                let each: Vec<String> = clause
                    .into_iter()
                    .map(|(selector, range)| match range {
                        0 => selector.text,
                        range => format!("{}[{range}]", selector.text),
                    })
                    .collect();
                each.join(" or ")
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_selector_that_must_exist_is_found() {
        for (expression, expected) in [
            ("vector(1)", &[][..]),
            ("1 + 2", &[]),
            ("up", &["up"]),
            ("up == 0 and on(job) x{a=\"b\"} > 1", &["up", "x{a=\"b\"}"]),
            ("sum by (a) (rate(x[5m])) / 2", &["x[300]"]),
            (
                "x{b!=\"1\", a=~\"2.*\"} offset 1w",
                &["x{a=~\"2.*\",b!=\"1\"}"],
            ),
            ("x @ 1609746000", &["x"]),
            ("max_over_time(rate(x[5m])[1h:1m])", &["x[3900]"]),
            ("{__name__=\"x\", a=\"b\"}", &["{__name__=\"x\",a=\"b\"}"]),
            ("topk(scalar(n), x)", &["n", "x"]),
            ("-(x)", &["x"]),
            ("absent(x)", &[]),
            ("absent_over_time(x{a=\"b\"}[5m])", &[]),
            ("x or vector(0)", &[]),
            ("x or y", &["x or y"]),
            ("(a + b) or c", &["a or c", "b or c"]),
            ("x unless on(job) maintenance", &["x"]),
            ("absent(x) or x < 1", &[]),
            ("ALERTS{alertname=\"a\"} > 0", &[]),
            ("x{a=\"q\\\"\\\\n\"}", &["x{a=\"q\\\"\\\\n\"}"]),
            (
                "histogram_quantile(0.9, sum by (le) (rate(b[1m])))",
                &["b[60]"],
            ),
            ("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")", &["x"]),
        ] {
            assert_eq!(read(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_said_to_be_none() {
        for expression in ["", "sum(", "x{", "x{a=b}", &"x".repeat(20_000)] {
            assert!(needs_of(expression).is_err(), "{expression}");
        }
    }

    #[tokio::test]
    async fn deep_and_long_expressions_cost_nothing_but_time() {
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        let expressions = vec![
            format!("{}x{}", "(".repeat(8_000), ")".repeat(8_000)),
            format!("{}x", "-".repeat(16_000)),
            vec!["x"; 5_000].join("+"),
            vec!["x"; 4_000].join(" or "),
            "(".repeat(16_000),
            "x".to_owned(),
        ];
        let read = read_all(expressions, deadline).await;
        assert_eq!(read.len(), 6);
        assert!(read[5].is_ok());
        let late = read_all(vec!["x".to_owned(); 3], Instant::now()).await;
        assert!(late.iter().all(Result::is_err) && late.len() == 3);
    }
}
