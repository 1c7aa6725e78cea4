//! Typed parameters that a configuration places and a kind reads.
//!
//! Each type tells, through its JSON Schema (`x-place`), how a variable is quoted when it is put
//! into such a parameter, and whether what was put there is a secret.

mod dsn;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

pub use dsn::{BadDsn, DsnText, dsn_pairs, is_url, quote_dsn_value};

/// The schema key under which a parameter says what kind of place it is.
pub const PLACE: &str = "x-place";

macro_rules! place_schema {
    ($type:ty, $name:literal, $place:literal, $description:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description, PLACE: $place })
            }
        }
    };
}

/// A value that is never printed, logged or serialised. It has no `Display` and no `Serialize`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The value, for the one call that sends it to the target.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// Text that may carry secrets, such as a header or a body: it is never printed, what variables put
/// there is a secret, and so is the whole where the parameter's name says so (`authorization`).
/// Other literal text is none: an `accept` header must not blank every fact that holds its words.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Guarded(SecretString);

impl Guarded {
    /// The text, for the one call that sends it to the target.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded(…)")
    }
}

place_schema!(
    Guarded,
    "Guarded",
    "guarded",
    "Text that may carry secrets: variables in it are never printed."
);

place_schema!(Secret, "Secret", "secret", "A secret: it is never printed.");

/// A URL: a variable in it is quoted for the part in which it stands (user info, path segment,
/// query value); at its very start it is taken as it is. The password and the query values that
/// came from variables are secrets.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct UrlText(String);

impl UrlText {
    /// The URL as written, secrets included: only for parsing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlText(…)")
    }
}

place_schema!(UrlText, "Url", "url", "A URL.");

place_schema!(
    DsnText,
    "Dsn",
    "dsn",
    "A connection string: key=value pairs, or a URL."
);

/// A path; a relative one is relative to the configuration file that names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// The path, already resolved.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

place_schema!(
    FilePath,
    "Path",
    "path",
    "A path; a relative one is relative to the file that names it."
);

/// A duration such as `250ms`, `5s`, `2m`, `1h` or `7d`.
///
/// ```
/// use std::time::Duration;
/// use probe::params::DurationText;
///
/// assert_eq!("2m".parse(), Ok(DurationText(Duration::from_secs(120))));
/// assert!("2 minutes".parse::<DurationText>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

/// Text that is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: write a whole number above 0 and a unit, such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\""
)]
pub struct BadDuration(String);

impl std::str::FromStr for DurationText {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let bad = || BadDuration(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (count, unit) = text.split_at(split);
        let count: u64 = count.parse().map_err(|_| bad())?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let ms = count.checked_mul(unit_ms).ok_or_else(bad)?;
        // Nothing is seen, held or waited for in no time.
        if ms == 0 {
            return Err(bad());
        }
        // A hundred years keeps every sum with a clock inside its range.
        if ms > 100 * 365 * 86_400_000 {
            return Err(bad());
        }
        Ok(Self(Duration::from_millis(ms)))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$",
            "description": "A duration: a whole number and a unit (ms, s, m, h, d).",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        let parse = |text: &str| text.parse::<DurationText>().map(|d| d.0);
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "1.5s",
            "5weeks",
            "99999999999999999999s",
            "99999999d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::from("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
