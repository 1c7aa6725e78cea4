//! Label matchers in the syntaxes of all versions, and label sets held against them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::pattern::{Pattern, Patterns, Shape};

/// The labels of an alert; one that is absent is the empty string.
pub(super) type Labels = BTreeMap<String, String>;

/// What a matcher asks of a label.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// To be this very text.
    Literal(String),
    /// To be accepted by a pattern.
    Pattern(Arc<Pattern>),
}

/// One matcher.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) test: Test,
    pub(super) negated: bool,
}

impl Matcher {
    /// `label="value"`.
    pub(super) fn equal(label: &str, value: &str) -> Self {
        Self {
            label: label.to_owned(),
            test: Test::Literal(value.to_owned()),
            negated: false,
        }
    }

    /// `label=~"pattern"`.
    pub(super) fn pattern(label: &str, source: &str, patterns: &mut Patterns) -> Self {
        Self {
            label: label.to_owned(),
            test: Test::Pattern(patterns.get(source)),
            negated: false,
        }
    }

    /// The same for every label set that this one is not.
    #[must_use]
    pub(super) fn negated(mut self, negated: bool) -> Self {
        self.negated = negated;
        self
    }

    /// Whether a label of that value is matched; `None` where that cannot be told.
    pub(super) fn accepts(&self, value: &str) -> Option<bool> {
        let plain = match &self.test {
            Test::Literal(text) => Some(text == value),
            Test::Pattern(pattern) => pattern.accepts(value),
        };
        plain.map(|plain| plain != self.negated)
    }

    /// Whether it matches whatever the label is.
    pub(super) fn is_universal(&self) -> bool {
        matches!(&self.test, Test::Pattern(pattern) if pattern.shape == Shape::Every)
            && !self.negated
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = match (&self.test, self.negated) {
            (Test::Literal(value), false) => ("=", value),
            (Test::Literal(value), true) => ("!=", value),
            (Test::Pattern(pattern), false) => ("=~", &pattern.source),
            (Test::Pattern(pattern), true) => ("!~", &pattern.source),
        };
        write!(f, "{}{sign}{value:?}", self.label)
    }
}

/// Whether all of them match; `None` where that cannot be told.
pub(super) fn all_match(matchers: &[Matcher], labels: &Labels) -> Option<bool> {
    match_values(matchers, |label| {
        Some(labels.get(label).map_or("", String::as_str))
    })
}

/// The same where a label may have a value that nobody knows, which is `None`.
pub(super) fn match_values<'v>(
    matchers: &[Matcher],
    value: impl Fn(&str) -> Option<&'v str>,
) -> Option<bool> {
    all(matchers.iter().map(|matcher| match value(&matcher.label) {
        Some(value) => matcher.accepts(value),
        None => matcher.is_universal().then_some(true),
    }))
}

/// Whether a value that is known cannot be held against a matcher: not for want of a label, but of an
/// understanding of its pattern.
pub(super) fn is_undecided<'v>(
    matchers: &[Matcher],
    value: impl Fn(&str) -> Option<&'v str>,
) -> bool {
    matchers
        .iter()
        .any(|matcher| value(&matcher.label).is_some_and(|value| matcher.accepts(value).is_none()))
}

/// The three-valued conjunction.
pub(super) fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

/// `{a="b", c=~"d"}` for people; `{}` matches everything.
pub(super) fn show(matchers: &[Matcher]) -> String {
    let parts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", parts.join(", "))
}

/// `{a="b"}` for people.
pub(super) fn show_labels(labels: &Labels) -> String {
    let parts: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

/// Reads one entry of a `matchers` list: one matcher, or several in braces or between commas.
///
/// # Errors
/// Text saying what cannot be read.
pub(super) fn parse(text: &str, patterns: &mut Patterns) -> Result<Vec<Matcher>, String> {
    let inner = text.trim();
    let inner = match inner.strip_prefix('{') {
        Some(rest) => rest
            .strip_suffix('}')
            .ok_or_else(|| format!("the matcher {text:?} has no closing brace"))?,
        None => inner,
    };
    let mut matchers = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (matcher, after) =
            one(rest, patterns).ok_or_else(|| format!("{text:?} is not a matcher"))?;
        matchers.push(matcher);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if !rest.is_empty() {
            return Err(format!("{text:?} is not a matcher"));
        }
    }
    Ok(matchers)
}

fn one<'t>(text: &'t str, patterns: &mut Patterns) -> Option<(Matcher, &'t str)> {
    let (label, rest) = if text.starts_with('"') {
        quoted(text)?
    } else {
        let end = text.find(|char: char| "=!~{}, \t\r\n\"'`\\".contains(char))?;
        (text[..end].to_owned(), &text[end..])
    };
    let rest = rest.trim_start();
    let (sign, rest) = ["=~", "!~", "!=", "="]
        .into_iter()
        .find_map(|sign| rest.strip_prefix(sign).map(|rest| (sign, rest)))?;
    let rest = rest.trim_start();
    let (value, rest) = if rest.starts_with('"') {
        quoted(rest)?
    } else {
        let end = rest.find([',', '"', '{', '}']).unwrap_or(rest.len());
        (rest[..end].trim_end().to_owned(), &rest[end..])
    };
    if label.is_empty() {
        return None;
    }
    let matcher = if sign.ends_with('~') {
        Matcher::pattern(&label, &value, patterns)
    } else {
        Matcher::equal(&label, &value)
    };
    Some((matcher.negated(sign.starts_with('!')), rest))
}

/// The text between double quotes, and what follows. An escape that means different things to
/// different versions is not read.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                '"' => value.push('"'),
                '\\' => value.push('\\'),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Matcher>, String> {
        super::parse(text, &mut Patterns::default())
    }

    fn shown(text: &str) -> String {
        show(&parse(text).unwrap())
    }

    #[test]
    fn matchers_of_all_versions_are_read() {
        assert_eq!(shown("team=ops"), r#"{team="ops"}"#);
        assert_eq!(shown(r#" team = "ops" "#), r#"{team="ops"}"#);
        assert_eq!(shown(r#"{a="b",c=~"d|e"}"#), r#"{a="b", c=~"d|e"}"#);
        assert_eq!(shown(r#"a!="b", c!~d"#), r#"{a!="b", c!~"d"}"#);
        assert_eq!(shown(r#""a b"="c\"d""#), r#"{a b="c\"d"}"#);
        assert_eq!(shown("a="), r#"{a=""}"#);
        assert_eq!(shown("{}"), "{}");
        for bad in [
            "a",
            "=b",
            "{a=b",
            "a=\"b",
            "a=b\"",
            "a=\"\\x\"",
            "a=\"b\"c=\"d\"",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_absent_label_is_the_empty_string() {
        let labels = Labels::from([("team".to_owned(), "ops".to_owned())]);
        let holds = |text: &str| all_match(&parse(text).unwrap(), &labels);
        assert_eq!(holds("team=ops"), Some(true));
        assert_eq!(holds("zone=\"\""), Some(true));
        assert_eq!(holds("zone!=\"\""), Some(false));
        assert_eq!(holds("zone=~\".+\""), Some(false));
        assert_eq!(holds("zone=~\".*\", team!=dev"), Some(true));
        assert_eq!(holds("team=~\"[[a]]\""), None);
        assert_eq!(holds("team=~\"[[a]]\", team=dev"), Some(false));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            parse(&text).ok();
        }
    }
}
