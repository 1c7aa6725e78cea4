//! Connection strings as libpq reads them: `key=value` pairs, or a URL.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use serde::Deserialize;

/// A connection string, `host=… user=…` or a URL: a variable in it is quoted for the value in which
/// it stands; at its very start it is taken as it is. Its passwords are secrets.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DsnText(String);

impl DsnText {
    /// The connection string as written, secrets included: only for parsing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for DsnText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for DsnText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DsnText(…)")
    }
}

/// Text that is no list of `key=value` pairs. It never quotes a value: that may be the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDsn {
    /// A key without a value.
    #[error("`{0}` has no `=` and value: write key=value pairs separated by spaces, or a URL")]
    NoValue(String),
    /// A value that begins with `'` and does not end with one.
    #[error("the value of `{0}` begins with a quote ' that is never closed")]
    Unclosed(String),
}

/// Whether a connection string is a URL: it begins with a scheme. A password may hold `://` too.
pub fn is_url(text: &str) -> bool {
    text.trim_start()
        .split_once("://")
        .is_some_and(|(scheme, _)| {
            let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(rest)
        })
}

/// The pairs of a `key=value` connection string, unquoted: values may stand in `'…'`, and a backslash
/// takes the next character as it is.
///
/// # Errors
/// When a key has no value or a quote is not closed.
///
/// ```
/// use probe::params::dsn_pairs;
///
/// let pairs = dsn_pairs(r"host=db password='it\'s' dbname = app");
/// let wanted = [("host", "db"), ("password", "it's"), ("dbname", "app")];
/// assert_eq!(pairs, Ok(wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec()));
/// ```
pub fn dsn_pairs(text: &str) -> Result<Vec<(String, String)>, BadDsn> {
    let mut rest = text.chars().peekable();
    let mut pairs = Vec::new();
    loop {
        skip_blanks(&mut rest);
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        skip_blanks(&mut rest);
        if rest.next_if_eq(&'=').is_none() {
            return Err(BadDsn::NoValue(key));
        }
        skip_blanks(&mut rest);
        let quoted = rest.next_if_eq(&'\'').is_some();
        match value(&mut rest, quoted) {
            Some(value) => pairs.push((key, value)),
            None => return Err(BadDsn::Unclosed(key)),
        }
    }
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}

/// A value up to its end; `None` where its closing quote is missing.
fn value(rest: &mut Peekable<Chars<'_>>, quoted: bool) -> Option<String> {
    let mut value = String::new();
    loop {
        match rest.next() {
            None => return (!quoted).then_some(value),
            Some('\'') if quoted => return Some(value),
            Some(c) if !quoted && c.is_whitespace() => return Some(value),
            Some('\\') => value.extend(rest.next()),
            Some(c) => value.push(c),
        }
    }
}

/// `text` as (a part of) the value that follows `before`, quoted so that it reads back as it is
/// inside quotes as well as outside.
pub fn quote_dsn_value(text: &str, before: &str) -> String {
    if text.is_empty() && before.trim_end().ends_with('=') {
        return "''".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || c == '\'' || c.is_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_that_holds_a_url_makes_no_url() {
        assert!(is_url("postgresql://u@h/d"));
        assert!(!is_url("host=h password=a://b"));
        assert!(!is_url("://"));
    }

    #[test]
    fn what_is_no_pair_is_named_without_values() {
        assert_eq!(
            dsn_pairs("host=a nonsense"),
            Err(BadDsn::NoValue("nonsense".to_owned()))
        );
        let error = dsn_pairs("password='hunter2").expect_err("unclosed");
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_value_reads_back(text in any::<String>()) {
            for (before, after) in [("password=", " host=h"), ("password='", "' host=h"), ("password=a", "")] {
                let dsn = format!("{before}{}{after}", quote_dsn_value(&text, before));
                let pairs = dsn_pairs(&dsn).expect(&dsn);
                let prefix = if before.ends_with('a') { "a" } else { "" };
                prop_assert_eq!(&pairs[0].1, &format!("{prefix}{text}"));
            }
        }
    }
}
