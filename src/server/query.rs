//! Parameters of a request, strictly: a misspelt one must not be taken for none.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use jiff::Timestamp;

use super::error::ApiError;

/// Parameters in a URL are at most this many.
const MAX_PARAMS: usize = 10_000;

/// The parameters after the `?`, decoded.
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        Ok(Self(pairs.take(MAX_PARAMS).collect()))
    }
}

impl Query {
    /// Refuses all names but these.
    pub fn only(self, known: &[&str]) -> Result<Self, ApiError> {
        match self
            .0
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(self),
            Some((name, _)) if known.is_empty() => Err(ApiError::bad_parameter(format!(
                "`{}` is no parameter here: there are none",
                shown(name)
            ))),
            Some((name, _)) => Err(ApiError::bad_parameter(format!(
                "`{}` is no parameter here: there are {}",
                shown(name),
                known.join(", ")
            ))),
        }
    }

    /// The one value of that name.
    pub fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(other, _)| other == name);
        let first = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::bad_parameter(format!("`{name}` is given twice"))),
        }
    }

    /// All values of that name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// The moment of that name.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                let example = "write a time of RFC 3339 such as 2026-11-24T08:00:00Z";
                ApiError::bad_parameter(format!("`{name}` is no time: {example}"))
            })
        };
        self.one(name)?.map(parse).transpose()
    }

    /// The number of that name.
    pub fn number(&self, name: &str, from: usize, to: usize) -> Result<Option<usize>, ApiError> {
        let parse = |text: &str| {
            let number = text.parse::<usize>().ok();
            number.filter(|n| (from..=to).contains(n)).ok_or_else(|| {
                ApiError::bad_parameter(format!("`{name}` is a number from {from} to {to}"))
            })
        };
        self.one(name)?.map(parse).transpose()
    }

    /// The truth of that name; false when it is not given.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(ApiError::bad_parameter(format!(
                "`{name}` is true or false"
            ))),
        }
    }
}

/// What somebody sent, short enough to be sent back.
pub fn shown(text: &str) -> String {
    const MOST: usize = 128;
    let printable = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    printable.take(MOST).collect()
}

/// The id in a path.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(ApiError::bad_parameter("the id in the path is not UTF-8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        Query(pairs.into_owned().collect())
    }

    #[test]
    fn what_is_unknown_or_given_twice_is_refused() {
        assert!(query("gate=a").only(&["gate"]).is_ok());
        let misspelt = query("gates=a").only(&["gate"]).err().unwrap();
        assert_eq!(misspelt.code, "bad_parameter");
        assert!(query("gate=a&gate=b").one("gate").is_err());
        assert_eq!(query("probe=a&probe=b").all("probe"), ["a", "b"]);
    }

    #[test]
    fn times_and_numbers_are_what_they_should_be() {
        assert!(
            query("from=2026-11-24T08:00:00Z")
                .time("from")
                .unwrap()
                .is_some()
        );
        assert!(
            query("from=2026-11-24T08:00:00%2B01:00")
                .time("from")
                .unwrap()
                .is_some()
        );
        assert!(query("from=yesterday").time("from").is_err());
        assert_eq!(query("").time("from").unwrap(), None);
        assert_eq!(query("limit=7").number("limit", 1, 10).unwrap(), Some(7));
        for bad in ["0", "11", "-1", "x", "", "1e1"] {
            assert!(
                query(&format!("limit={bad}"))
                    .number("limit", 1, 10)
                    .is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_was_sent_is_sent_back_short_and_printable() {
        assert_eq!(shown("a\r\nb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(shown(&"x".repeat(1_000)).len(), 128);
    }
}
