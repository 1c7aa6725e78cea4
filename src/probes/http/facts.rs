//! The facts of `http`, and how they are made from what was seen.

use std::collections::BTreeMap;

use http::header::{HeaderMap, SET_COOKIE};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::body::Content;
use crate::evidence::{Observed, UnknownWhy};

/// What one `http` probe saw. All facts but `redirects`, `dns_ms` to `first_byte_ms`, `total_ms`
/// and those of the connection are of the final response.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Status code of the final response.
    pub status: u16,
    /// Whether the response arrived to its end and intact: the announced length, a well-formed
    /// chunked or compressed body. Unknown when the end was not waited for: past the timeout or
    /// past `max_body_bytes`.
    pub complete: Observed<bool>,
    /// From the start of the probe to the end of the final body, redirects included,
    /// milliseconds. Unknown when the end was not seen.
    pub total_ms: Observed<f64>,
    /// Resolving the host of the final request, milliseconds.
    pub dns_ms: Observed<f64>,
    /// Opening the TCP connection of the final request, milliseconds.
    pub connect_ms: f64,
    /// The TLS handshake of the final request, milliseconds.
    pub tls_ms: Observed<f64>,
    /// From sending the final request until the head of its response had arrived, milliseconds.
    pub first_byte_ms: f64,
    /// Headers, keys in lower case, repeated ones joined by ", ".
    pub headers: BTreeMap<String, String>,
    /// Cookies that the response sets, without their values.
    pub set_cookies: Vec<Cookie>,
    /// The body as text, decompressed; unknown past `max_body_bytes` and where it is not UTF-8.
    pub body: Observed<String>,
    /// The body as parsed JSON; unknown when it is not JSON.
    pub json: Observed<Value>,
    /// Length of the decompressed body, bytes.
    pub body_bytes: Observed<u64>,
    /// SHA-256 of the decompressed body, hexadecimal.
    pub body_sha256: Observed<String>,
    /// Protocol of the final response.
    pub http_version: HttpVersion,
    /// Redirects that were followed, in order.
    pub redirects: Vec<Redirect>,
    /// Why the final response, a redirect, was not followed.
    pub redirect_not_followed: Observed<String>,
    /// URL of the final response, without user and password.
    pub final_url: String,
    /// Address and port of the final connection.
    pub remote_address: String,
    /// Protocol version of TLS: `TLSv1.2` or `TLSv1.3`.
    pub tls_version: Observed<String>,
    /// End of validity of the server's certificate.
    pub certificate_not_after: Observed<Timestamp>,
    /// Whole days until the server's certificate expires.
    pub certificate_days_left: Observed<i64>,
}

/// The protocol of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/1.0.
    #[serde(rename = "1.0")]
    Http10,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2.
    #[serde(rename = "2")]
    Http2,
}

impl From<http::Version> for HttpVersion {
    fn from(version: http::Version) -> Self {
        match version {
            http::Version::HTTP_2 => Self::Http2,
            http::Version::HTTP_10 => Self::Http10,
            _ => Self::Http11,
        }
    }
}

/// One redirect that was followed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Redirect {
    /// Status code of the response that redirects.
    pub status: u16,
    /// URL that was requested, without user and password.
    pub from: String,
    /// URL that it leads to, absolute.
    pub location: String,
}

/// A cookie that a response sets.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Whether it is sent over TLS alone.
    pub secure: bool,
    /// Whether scripts cannot read it.
    pub http_only: bool,
    /// `strict`, `lax`, `none`, or empty where it says nothing.
    pub same_site: String,
}

/// The headers by name; what is not UTF-8 is replaced by U+FFFD.
pub fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match map.get_mut(name.as_str()) {
            Some(joined) => {
                joined.push_str(", ");
                joined.push_str(&value);
            }
            None => {
                map.insert(name.as_str().to_owned(), value.into_owned());
            }
        }
    }
    map
}

/// The attributes of the cookies that are set.
pub fn cookies(headers: &HeaderMap) -> Vec<Cookie> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|value| cookie(&String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

fn cookie(text: &str) -> Cookie {
    let mut parts = text.split(';').map(str::trim);
    let pair = parts.next().unwrap_or_default();
    let name = pair.split_once('=').map_or(pair, |(name, _)| name).trim();
    let mut cookie = Cookie {
        name: name.to_owned(),
        secure: false,
        http_only: false,
        same_site: String::new(),
    };
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match key.trim().to_ascii_lowercase().as_str() {
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "samesite" => cookie.same_site = value.trim().to_ascii_lowercase(),
            _ => {}
        }
    }
    cookie
}

/// The facts that one body gives.
pub struct BodyFacts {
    pub text: Observed<String>,
    pub json: Observed<Value>,
    pub bytes: Observed<u64>,
    pub sha256: Observed<String>,
}

impl BodyFacts {
    /// Reads a body as text and as JSON.
    pub fn new(content: Content) -> Self {
        let bytes = match content {
            Observed::Value(bytes) => bytes,
            Observed::Unknown(unknown) => {
                return Self {
                    text: unknown.clone().into(),
                    json: unknown.clone().into(),
                    bytes: unknown.clone().into(),
                    sha256: unknown.into(),
                };
            }
        };
        let length = bytes.len() as u64;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        let json = parse_json(&bytes);
        let text = match String::from_utf8(bytes) {
            Ok(text) => Observed::Value(text),
            Err(error) => Observed::unknown(
                UnknownWhy::Unparseable,
                format!("the body is not UTF-8: {}", error.utf8_error()),
            ),
        };
        Self {
            text,
            json,
            bytes: Observed::Value(length),
            sha256: Observed::Value(digest),
        }
    }
}

/// A verdict holds the body a few levels deep, and must itself be readable again.
const MAX_JSON_DEPTH: usize = 100;

/// The parser refuses more than 128 levels, so this ends.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn parse_json(bytes: &[u8]) -> Observed<Value> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let may_be_json = first.is_some_and(|byte| {
        matches!(
            byte,
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
        )
    });
    if !may_be_json {
        return Observed::unknown(UnknownWhy::Unparseable, "the body is not JSON");
    }
    match serde_json::from_slice(bytes) {
        Ok(value) if depth(&value) > MAX_JSON_DEPTH => Observed::unknown(
            UnknownWhy::TooLarge,
            format!("the JSON is nested more than {MAX_JSON_DEPTH} deep"),
        ),
        Ok(value) => Observed::Value(value),
        Err(error) => Observed::unknown(
            UnknownWhy::Unparseable,
            format!("the body is not JSON: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::{FactSchema, FactType};

    #[test]
    fn every_fact_has_a_type_that_rules_know() {
        let schema = FactSchema::of::<Facts>().unwrap();
        assert_eq!(schema.facts["status"].ty, FactType::Int);
        assert_eq!(
            schema.facts["json"].ty,
            FactType::Observed(Box::new(FactType::Dyn))
        );
        assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
    }

    fn facts(bytes: &[u8]) -> BodyFacts {
        BodyFacts::new(Observed::Value(bytes.to_vec()))
    }

    #[test]
    fn json_is_known_only_when_the_whole_body_is_json() {
        assert!(facts(b" {\"a\": [1, 2.5, null]}\n").json.value().is_some());
        assert!(facts(b"true").json.value().is_some());
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "ok",
            "{",
            "{} trailing",
            "nothing",
            "1e999",
            deep.as_str(),
        ] {
            assert!(facts(bad.as_bytes()).json.value().is_none(), "{bad:.20}");
        }
    }

    #[test]
    fn cookies_show_attributes_and_no_values() {
        let seen = cookie("session=a=b; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(seen.name, "session");
        assert!(seen.secure && seen.http_only);
        assert_eq!(seen.same_site, "lax");
        assert!(!cookie("a=secure").secure);
        assert!(!cookie("").http_only);
    }

    #[test]
    fn repeated_headers_are_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x-one", "a".parse().unwrap());
        headers.append("x-one", http::HeaderValue::from_bytes(b"\xff").unwrap());
        let map = header_map(&headers);
        assert_eq!(map["x-one"], "a, \u{fffd}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_facts(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let facts = facts(&bytes);
            prop_assert_eq!(facts.bytes, Observed::Value(bytes.len() as u64));
            let as_text = String::from_utf8(bytes).ok();
            prop_assert_eq!(facts.text.value().cloned(), as_text);
        }
    }
}
