//! Texts that somebody meant to fill in: `[姓名]`, `TBD`, `<your name>`.

use std::sync::LazyLock;

use regex::Regex;

use super::parse::{Document, Problem};
use super::text::is_han;

const PATTERN: &str = r"(?x)
    `[^`]*`                                     # code: left alone
    | (?P<square> \[ [^\[\]\r\n]{1,40} \] ) (?P<link> [(\[:] )?
    | (?P<full> ［ [^［］\r\n]{1,40} ］ | 【 [^【】\r\n]{1,40} 】 )
    | (?P<braces> \{\{ [^{}\r\n]{1,60} \}\} )
    | (?P<angle> < [^<>\r\n]{1,40} > )
    | (?P<word> (?-u:\b) (?: TBD | TODO | FIXME | XXX+ | xxx+ ) (?-u:\b) )";

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());

/// What people write between brackets to be replaced.
const FIELDS: [&str; 22] = [
    "name",
    "phone",
    "email",
    "e-mail",
    "mail",
    "date",
    "owner",
    "tbd",
    "todo",
    "placeholder",
    "url",
    "contact",
    "company",
    "team",
    "number",
    "address",
    "version",
    "your",
    "insert",
    "fill",
    "link",
    "telephone",
];

/// All placeholders of a document.
pub(super) fn find(document: &Document) -> Vec<Problem> {
    let Some(pattern) = PLACEHOLDER.as_ref() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for line in &document.lines {
        let text = &document.text[line.span.clone()];
        if !text.contains(['[', '［', '【', '{', '<', 'T', 'F', 'X', 'x']) {
            continue;
        }
        for captures in pattern.captures_iter(text) {
            let name = |name: &str| captures.name(name).map(|found| found.as_str());
            let linked = name("link").is_some();
            let found = name("square")
                .filter(|square| !linked && is_field(inside(square)))
                .or_else(|| name("full").filter(|full| is_field(inside(full))))
                .or_else(|| name("angle").filter(|angle| is_field(inside(angle))))
                .or_else(|| name("braces"))
                .or_else(|| name("word"));
            if let Some(found) = found {
                problems.push(Problem {
                    code: "placeholder",
                    line: line.number,
                    text: format!("`{found}` is a placeholder that nobody filled in"),
                });
            }
        }
    }
    problems
}

fn inside(bracketed: &str) -> &str {
    let mut chars = bracketed.chars();
    chars.next();
    chars.next_back();
    chars.as_str().trim()
}

/// Whether bracketed text names what belongs there, rather than saying something.
fn is_field(text: &str) -> bool {
    const MOST_HAN: usize = 10;
    if text.starts_with(['^', '/', '!', '#']) || text.contains("://") {
        return false;
    }
    if text.chars().any(is_han) {
        return text.chars().count() <= MOST_HAN
            && text
                .chars()
                .all(|c| is_han(c) || c.is_alphanumeric() || c == ' ');
    }
    let lower = text.to_lowercase();
    let capitals = text.len() > 2
        && text.chars().any(|c| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || matches!(c, '_' | ' ' | '-'));
    capitals
        || lower
            .split(|c: char| !(c.is_alphanumeric() || c == '-'))
            .any(|word| FIELDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let problems = find(&parse(text.to_owned()));
        problems
            .into_iter()
            .map(|problem| {
                problem
                    .text
                    .split('`')
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn the_pattern_is_valid() {
        assert!(Regex::new(PATTERN).is_ok());
    }

    #[test]
    fn fields_to_fill_in_are_found() {
        assert_eq!(
            found("| **技术负责人** | [姓名] | [电话] |"),
            ["[姓名]", "[电话]"]
        );
        for text in [
            "[your name]",
            "[OWNER]",
            "[phone number]",
            "<name>",
            "{{ host }}",
            "TBD",
            "［姓名］",
            "【电话】",
            "xxx",
        ] {
            assert_eq!(found(text), [text]);
        }
    }

    #[test]
    fn what_says_something_is_none() {
        for text in [
            "[docs](https://e.test)",
            "[名字](https://e.test)",
            "- [x] a",
            "- [ ] a",
            "[1]",
            "[^1]",
            "`[姓名]`",
            "<br>",
            "a[0]",
            "[name]: https://e.test",
            "待定",
            "EXXXA",
            "```\n[姓名]\n```",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
