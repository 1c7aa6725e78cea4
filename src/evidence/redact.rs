//! Keeps secrets out of everything that leaves the process.
//!
//! Each secret is searched for as it is and in the forms in which protocols carry it
//! (percent-encoded, base64, JSON-escaped), because a server that echoes a header or a driver
//! that quotes its connection string does not know what a secret is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// RFC 3986 unreserved characters are left alone.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// And those that may stand in a path.
const PATH: &AsciiSet = &UNRESERVED
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// Collects secrets while a configuration is read.
#[derive(Default)]
pub struct RedactorBuilder {
    forms: BTreeSet<String>,
}

impl RedactorBuilder {
    /// Adds a secret and the forms in which it may be echoed. What is shorter than four characters
    /// cannot be told from ordinary text: replacing every `1` would hide everything else.
    pub fn add(&mut self, secret: &str) {
        const SHORTEST: usize = 4;
        let trimmed = secret.trim();
        for plain in [secret, trimmed] {
            if plain.chars().count() < SHORTEST {
                continue;
            }
            self.forms.insert(plain.to_owned());
            self.forms
                .insert(utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string());
            let form: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
            self.forms.insert(form);
            self.percent_encodings(plain);
            let json = Value::from(plain).to_string();
            self.forms.insert(json[1..json.len() - 1].to_owned());
            self.forms.insert(ascii_json(plain));
            self.forms.insert(html(plain));
            self.forms.insert(hex(plain, "0123456789abcdef"));
            self.forms.insert(hex(plain, "0123456789ABCDEF"));
            self.unaligned_base64(plain);
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                self.forms.insert(engine.encode(plain));
            }
        }
    }

    /// Encoders differ in what they leave alone and in the case of their digits.
    fn percent_encodings(&mut self, plain: &str) {
        for set in [NON_ALPHANUMERIC, UNRESERVED, PATH] {
            let upper = utf8_percent_encode(plain, set).to_string();
            self.forms.insert(lower_escapes(&upper));
            self.forms.insert(upper);
        }
    }

    /// The part of its base64 that is the same whatever stands before and after the secret.
    fn unaligned_base64(&mut self, plain: &str) {
        const SHORTEST: usize = 8;
        for before in 1..3 {
            let padded = ["\0".repeat(before).as_str(), plain].concat();
            let encoded = STANDARD_NO_PAD.encode(&padded);
            let whole = padded.len() / 3 * 4;
            if let Some(inner) = encoded.get(4..whole)
                && inner.len() >= SHORTEST
            {
                self.forms.insert(inner.to_owned());
            }
        }
    }

    /// The finished redactor.
    pub fn build(self) -> Redactor {
        if self.forms.is_empty() {
            return Redactor::default();
        }
        // Leftmost-longest: of two secrets of which one begins the other, the longer one goes whole.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(self.forms);
        match automaton {
            Ok(automaton) => Redactor {
                search: Search::For(automaton),
            },
            Err(_) => Redactor {
                search: Search::Blind,
            },
        }
    }
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars() {
        out.push(if digits > 0 {
            c.to_ascii_lowercase()
        } else {
            c
        });
        digits = if c == '%' {
            2
        } else {
            usize::saturating_sub(digits, 1)
        };
    }
    out
}

/// JSON with everything beyond ASCII escaped.
fn ascii_json(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for c in json[1..json.len() - 1].chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn hex(text: &str, digits: &str) -> String {
    let digits: Vec<char> = digits.chars().collect();
    text.bytes()
        .flat_map(|byte| [usize::from(byte >> 4), usize::from(byte & 15)])
        .filter_map(|digit| digits.get(digit))
        .collect()
}

/// Replaces every known secret in text and in facts.
#[derive(Default)]
pub struct Redactor {
    search: Search,
}

#[derive(Default)]
enum Search {
    /// There is no secret.
    #[default]
    Nothing,
    /// For these.
    For(AhoCorasick),
    /// There are secrets that could not be searched for: then all text is one.
    Blind,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// The text without secrets; borrowed when there was none.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let automaton = match &self.search {
            Search::Nothing => return Cow::Borrowed(text),
            Search::For(automaton) => automaton,
            Search::Blind => return Cow::Owned(REDACTED.to_owned()),
        };
        if !automaton.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        automaton.replace_all_with(text, &mut out, |_, _, out| {
            out.push_str(REDACTED);
            true
        });
        Cow::Owned(out)
    }

    /// The same for an owned string, which is kept when nothing had to go.
    pub fn string(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        }
    }

    /// The same in place. Returns whether there was any secret.
    pub fn replace(&self, text: &mut String) -> bool {
        match self.text(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
        }
    }

    /// The text with every secret overwritten by as many `*`: places in it stay where they are.
    pub fn mask(&self, text: &str) -> String {
        let automaton = match &self.search {
            Search::Nothing => return text.to_owned(),
            Search::For(automaton) => automaton,
            Search::Blind => return "*".repeat(text.len()),
        };
        let mut out = String::with_capacity(text.len());
        automaton.replace_all_with(text, &mut out, |_, secret, out| {
            // As many bytes: carets are placed by bytes.
            out.push_str(&"*".repeat(secret.len()));
            true
        });
        out
    }

    /// Redacts every string and every key below `value`. Returns whether there was any secret.
    pub fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => self.replace(text),
            Value::Array(items) => self.values(items.iter_mut()),
            Value::Object(map) => {
                let changed = self.keys(map);
                self.facts(map) || changed
            }
            // Only a number that is a secret as a whole: digits within a measurement are no echo.
            Value::Number(number) => {
                let secret = self.text(&number.to_string()) == REDACTED;
                if secret {
                    *value = Value::from(REDACTED);
                }
                secret
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Redacts the values of a map of facts in place; the names of facts are the kind's, and stay. Returns
    /// whether there was any secret.
    pub fn facts(&self, facts: &mut Map<String, Value>) -> bool {
        if matches!(self.search, Search::Nothing) {
            return false;
        }
        self.values(facts.values_mut())
    }

    /// All of them, also after the first that held a secret.
    fn values<'v>(&self, values: impl Iterator<Item = &'v mut Value>) -> bool {
        let mut changed = false;
        for value in values {
            changed |= self.value(value);
        }
        changed
    }

    fn keys(&self, map: &mut Map<String, Value>) -> bool {
        let dirty: Vec<String> = map
            .keys()
            .filter(|key| matches!(self.text(key), Cow::Owned(_)))
            .cloned()
            .collect();
        let changed = !dirty.is_empty();
        for key in dirty {
            if let Some(value) = map.remove(&key) {
                map.insert(self.string(key), value);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut builder = RedactorBuilder::default();
        for secret in secrets {
            builder.add(secret);
        }
        builder.build()
    }

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let secret = "p@ss/\"w ü";
        let redactor = redactor(&[secret]);
        for form in [
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            secret.replace('"', "\\\""),
            "p%40ss%2f%22w%20%c3%bc".to_owned(),
            "p@ss/%22w%20%C3%BC".to_owned(),
            "p@ss/\\\"w \\u00fc".to_owned(),
            "p@ss/&quot;w ü".to_owned(),
            "704073732f227720c3bc".to_owned(),
        ] {
            assert_eq!(
                redactor.text(&format!("<{form}>")),
                "<[redacted]>",
                "{form}"
            );
        }
    }

    #[test]
    fn base64_of_a_secret_within_other_text_is_replaced() {
        let secret = "correct-horse-battery";
        for before in ["x", "xy", "user:"] {
            let text = STANDARD.encode(format!("{before}{secret}!"));
            let shown = redactor(&[secret]).text(&text).into_owned();
            assert!(shown.contains(REDACTED) && shown.len() < 26, "{shown}");
        }
    }

    #[test]
    fn masking_keeps_places() {
        assert_eq!(redactor(&["geheim"]).mask("a geheim b"), "a ****** b");
    }

    #[test]
    fn of_overlapping_secrets_the_longer_goes_whole() {
        assert_eq!(redactor(&["abcd", "abcdefgh"]).text("abcdefgh"), REDACTED);
    }

    #[test]
    fn keys_strings_and_numbers_of_facts_are_redacted() {
        let mut value = serde_json::json!({ "token1234": ["x token1234 y", 987_654, 1_987_654] });
        redactor(&["token1234", "987654"]).value(&mut value);
        assert_eq!(
            value,
            serde_json::json!({ REDACTED: ["x [redacted] y", REDACTED, 1_987_654] })
        );
    }

    #[test]
    fn short_values_are_not_searched_for() {
        assert_eq!(redactor(&["", "1", "abc"]).text("1 abc"), "1 abc");
    }
}
