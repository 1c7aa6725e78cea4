//! Syntax errors, in words for people who write rules and not parsers.

use std::ops::Range;

use cel::parser::ParseError;

use super::ExprError;
use super::text::floor_boundary;

/// Brackets within brackets.
pub(super) const MAX_BRACKETS: u16 = 48;

/// Whether a character can be part of a name.
pub(super) const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What follows the first syntax error is mostly its echo, so that one alone is told.
pub(super) fn syntax_error(source: &str, error: Option<&ParseError>) -> ExprError {
    let Some(error) = error else {
        return ExprError::new(0..source.len(), "this is not a CEL expression");
    };
    let raw = error
        .msg
        .strip_prefix("Syntax error: ")
        .unwrap_or(&error.msg);
    let at = place(source, error);
    if raw.contains("Recursion limit") {
        return ExprError::new(
            at,
            format!("brackets are nested more than {MAX_BRACKETS} deep"),
        );
    }
    if raw.starts_with("invalid argument to has()") {
        return ExprError::new(at, "has() takes a field")
            .help("write has(json.status); a fact itself is always there, or unknown");
    }
    if raw.starts_with("argument must be a simple name") {
        return ExprError::new(
            at,
            "the first argument of a macro is the name of its variable",
        )
        .help("write list.all(x, x > 0)");
    }
    let rest = source.get(at.start..).unwrap_or_default();
    let message = if rest.is_empty() {
        "the expression ends too early".to_owned()
    } else if raw.contains("token recognition error at: '\"")
        || raw.contains("token recognition error at: ''")
    {
        "this text has no end, or an escape that does not exist".to_owned()
    } else if raw.contains("recognition error")
        || raw.contains("input")
        || raw.contains("alternative")
    {
        format!("unexpected `{}`", &source[at.clone()])
    } else {
        raw.to_owned()
    };
    let error = ExprError::new(at, message);
    match hint(rest) {
        Some(hint) => error.help(hint),
        None => error,
    }
}

/// What other languages write, and CEL does not.
fn hint(rest: &str) -> Option<&'static str> {
    let word = rest.split(|c: char| c.is_whitespace()).next()?;
    match word {
        "=" | "===" => Some("compare with =="),
        "and" | "AND" | "&" => Some("write && for and"),
        "or" | "OR" | "|" => Some("write || for or"),
        "not" | "NOT" => Some("write ! for not"),
        "<>" => Some("write != for not equal"),
        _ => None,
    }
}

/// The word or sign at which the parser stopped. Its columns count characters, those of macros
/// count bytes.
fn place(source: &str, error: &ParseError) -> Range<usize> {
    let (line, column) = error.pos;
    let line_start: usize = source
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(str::len)
        .sum();
    let columns = usize::try_from(column - 1).unwrap_or(0);
    let rest = source.get(line_start..).unwrap_or_default();
    let from_macro = error.msg.contains("has() macro") || error.msg.contains("simple name");
    let offset = if from_macro {
        floor_boundary(rest, columns)
    } else {
        rest.char_indices()
            .nth(columns)
            .map_or(rest.len(), |(at, _)| at)
    };
    let start = line_start + offset;
    let rest = source.get(start..).unwrap_or_default();
    let word = rest
        .find(|c: char| !is_word(c))
        .unwrap_or(rest.len())
        .max(rest.chars().next().map_or(0, char::len_utf8));
    start..start + word
}
