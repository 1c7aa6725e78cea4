//! The reply of `INFO`: lines of `key:value`, read without trust in any of them.

use std::collections::BTreeMap;

use crate::evidence::{Observed, Unknown, UnknownWhy};

/// More keys than this are not a reply of `INFO`.
const MAX_KEYS: usize = 4_096;
/// A longer value is none that is read here.
const MAX_VALUE_BYTES: usize = 4_096;

/// The keys and values, or why there are none.
pub struct Info(Result<BTreeMap<String, String>, Unknown>);

impl Info {
    /// Reads a reply.
    pub fn parse(text: &str) -> Self {
        let mut fields = BTreeMap::new();
        for line in text.lines() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            if value.len() > MAX_VALUE_BYTES || key.len() > MAX_VALUE_BYTES {
                continue;
            }
            if fields.len() == MAX_KEYS {
                return Self::unknown(Unknown {
                    why: UnknownWhy::TooLarge,
                    detail: format!("INFO: more than {MAX_KEYS} keys"),
                });
            }
            // The first counts: a second one is no reason to change one's mind.
            fields
                .entry(key.to_owned())
                .or_insert_with(|| value.to_owned());
        }
        if fields.is_empty() {
            return Self::unknown(Unknown {
                why: UnknownWhy::Unparseable,
                detail: "INFO: the reply has no `key:value`".to_owned(),
            });
        }
        Self(Ok(fields))
    }

    /// Nothing is known, for this reason.
    pub fn unknown(why: Unknown) -> Self {
        Self(Err(why))
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.0.is_ok()
    }

    /// A value where it is there; `Ok(None)`: it is not.
    pub fn get(&self, key: &str) -> Result<Option<&str>, &Unknown> {
        self.0
            .as_ref()
            .map(|fields| fields.get(key).map(String::as_str))
    }

    /// Text.
    pub fn text(&self, key: &str) -> Observed<String> {
        self.read(key, |value| Some(value.to_owned()))
    }

    /// A whole number.
    pub fn int(&self, key: &str) -> Observed<i64> {
        self.read(key, |value| value.parse().ok())
    }

    /// A whole number that counts something.
    pub fn count(&self, key: &str) -> Observed<i64> {
        self.read(key, |value| value.parse().ok().filter(|n| *n >= 0))
    }

    /// A number.
    pub fn float(&self, key: &str) -> Observed<f64> {
        self.read(key, |value| {
            value.parse().ok().filter(|n: &f64| n.is_finite())
        })
    }

    /// `0` or `1`.
    pub fn flag(&self, key: &str) -> Observed<bool> {
        self.read(key, |value| match value {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        })
    }

    /// A value that `parse` understands.
    pub fn read<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Observed<T> {
        match self.get(key) {
            Err(unknown) => unknown.clone().into(),
            Ok(None) => Observed::unknown(
                UnknownWhy::Unsupported,
                format!("INFO has no `{key}` on this server"),
            ),
            Ok(Some(value)) => parse(value).map_or_else(
                || {
                    Observed::unknown(
                        UnknownWhy::Unparseable,
                        format!("INFO: the value of `{key}` cannot be read"),
                    )
                },
                Observed::Value,
            ),
        }
    }

    /// The values of numbered keys: `slave0`, `slave1`, … in this order.
    pub fn numbered(&self, prefix: &str) -> Result<Vec<&str>, &Unknown> {
        let fields = self.0.as_ref()?;
        let mut found: Vec<(u32, &str)> = fields
            .iter()
            .filter_map(|(key, value)| {
                let number = key.strip_prefix(prefix)?.parse().ok()?;
                Some((number, value.as_str()))
            })
            .collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }
}

/// The value of one name in `ip=127.0.0.1,port=6380,state=online`.
pub fn part<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    value.split(',').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_by_type_and_missing_ones_are_unknown() {
        let info =
            Info::parse("# Server\r\na:1\r\nb:x\r\nslave10:z\r\nslave2:y\r\nslaves:n\r\na:2\r\n");
        assert_eq!(info.int("a"), Observed::Value(1));
        assert_eq!(info.flag("a"), Observed::Value(true));
        assert_eq!(info.numbered("slave"), Ok(vec!["y", "z"]));
        for unknown in [info.int("b"), info.int("none")] {
            assert!(unknown.value().is_none());
        }
        assert!(!Info::parse("nonsense").is_known());
        assert_eq!(part("ip=::1,port=1", "ip"), Some("::1"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let info = Info::parse(&text);
            let _ = (info.float("a"), info.numbered("a"), part(&text, "a"));
        }
    }
}
