//! Keeps secrets out of everything that leaves the process.
//!
//! Each secret is searched for as it is and in the forms in which protocols carry it
//! (percent-encoded, base64, JSON-escaped), because a server that echoes a header or a driver
//! that quotes its connection string does not know what a secret is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

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
            let json = Value::from(plain).to_string();
            self.forms.insert(json[1..json.len() - 1].to_owned());
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                self.forms.insert(engine.encode(plain));
            }
        }
    }

    /// The finished redactor.
    pub fn build(self) -> Redactor {
        if self.forms.is_empty() {
            return Redactor { automaton: None };
        }
        // Leftmost-longest: of two secrets of which one begins the other, the longer one goes whole.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(self.forms)
            .ok();
        Redactor { automaton }
    }
}

/// Replaces every known secret in text and in facts.
#[derive(Default)]
pub struct Redactor {
    automaton: Option<AhoCorasick>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// The text without secrets; borrowed when there was none.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else {
            return Cow::Borrowed(text);
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

    /// The same in place.
    pub fn replace(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }

    /// Redacts every string and every key below `value`.
    pub fn value(&self, value: &mut Value) {
        if self.automaton.is_none() {
            return;
        }
        match value {
            Value::String(text) => self.replace(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => self.map(map),
            // Only a number that is a secret as a whole: digits within a measurement are no echo.
            Value::Number(number) => {
                if self.text(&number.to_string()) == REDACTED {
                    *value = Value::from(REDACTED);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Redacts a map of facts in place.
    pub fn map(&self, map: &mut Map<String, Value>) {
        if self.automaton.is_none() {
            return;
        }
        let dirty: Vec<String> = map
            .keys()
            .filter(|key| matches!(self.text(key), Cow::Owned(_)))
            .cloned()
            .collect();
        for key in dirty {
            if let Some(value) = map.remove(&key) {
                map.insert(self.string(key), value);
            }
        }
        map.values_mut().for_each(|value| self.value(value));
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
        ] {
            assert_eq!(
                redactor.text(&format!("<{form}>")),
                "<[redacted]>",
                "{form}"
            );
        }
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
