//! Where a request goes: an absolute `http` or `https` URL without user info and fragment, taken
//! apart once; and where a redirect leads.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::config::Prepared;

/// A URL that can be requested.
#[derive(Debug, Clone)]
pub struct Location {
    pub url: Url,
    pub https: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// Whether `host` is an address.
    pub is_literal: bool,
    pub port: u16,
    /// For TLS; `None` without it.
    pub server_name: Option<ServerName<'static>>,
    pub path: PathAndQuery,
    pub authority: Authority,
    pub host_header: HeaderValue,
}

impl Location {
    /// Takes a URL apart; user info and fragment are dropped.
    pub fn new(mut url: Url) -> Result<Self, String> {
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("`{other}` is neither http nor https")),
        };
        // Neither can fail: an http URL has a host.
        url.set_username("").ok();
        url.set_password(None).ok();
        url.set_fragment(None);
        let (host, is_literal) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), false),
            Some(Host::Ipv4(ip)) => (ip.to_string(), true),
            Some(Host::Ipv6(ip)) => (ip.to_string(), true),
            None => return Err("there is no host in it".to_owned()),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        if port == 0 {
            return Err("port 0 cannot be connected to".to_owned());
        }
        let server_name = if https {
            let name = ServerName::try_from(host.clone());
            Some(name.map_err(|_| "its host cannot be a name in a certificate".to_owned())?)
        } else {
            None
        };
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let host_header = HeaderValue::from_str(authority)
            .map_err(|_| "its host cannot be sent in a header".to_owned())?;
        let authority = authority
            .parse()
            .map_err(|error| format!("its host cannot be requested: {error}"))?;
        let path = request_target(&url)?
            .into_parts()
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self {
            url,
            https,
            host,
            is_literal,
            port,
            server_name,
            path,
            authority,
            host_header,
        })
    }

    /// Whether both have scheme, host and port in common: credentials for one may go to the other.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.https == other.https && self.port == other.port && self.host == other.host
    }

    /// The request target: the path alone for HTTP/1.1, scheme and authority too for HTTP/2.
    pub fn uri(&self, authority: Option<Authority>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(self.path.clone());
        if let Some(authority) = authority {
            parts.authority = Some(authority);
            parts.scheme = Some(if self.https {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            });
        }
        // All parts were parsed before; the path alone is a valid URI too.
        Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(self.path.clone()))
    }
}

/// The path and query of a URL as a request target.
fn request_target(url: &Url) -> Result<Uri, String> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    target
        .parse()
        .map_err(|error| format!("the path cannot be requested: {error}"))
}

/// One request of a chain of redirects.
#[derive(Debug, Clone)]
pub struct Hop {
    pub location: Arc<Location>,
    pub method: Method,
    /// Whether the configured body is sent.
    pub with_body: bool,
    /// Whether scheme, host and port are those of the configured URL.
    pub at_origin: bool,
}

/// What a response asks for.
#[derive(Debug)]
pub enum Next {
    /// It is the final one.
    Final,
    /// It redirects, and that is followed.
    Follow(Hop),
    /// It redirects, and that is not followed, for this reason.
    Stay(String),
}

/// Where a response to `hop` leads.
pub fn next(prepared: &Prepared, hop: &Hop, status: StatusCode, headers: &HeaderMap) -> Next {
    let (method, keeps_body) = match status.as_u16() {
        301 | 302 if hop.method == Method::POST => (Method::GET, false),
        303 if hop.method == Method::HEAD => (Method::HEAD, false),
        303 => (Method::GET, false),
        301 | 302 | 307 | 308 => (hop.method.clone(), true),
        _ => return Next::Final,
    };
    let Some(location) = headers.get(LOCATION) else {
        return Next::Stay("there is no location in it".to_owned());
    };
    if !prepared.follow_redirects {
        return Next::Stay("follow_redirects is off".to_owned());
    }
    let location = match resolve(&hop.location.url, location) {
        Ok(location) => location,
        Err(reason) => return Next::Stay(reason),
    };
    let at_origin = location.same_origin(&prepared.start);
    let with_body = hop.with_body && keeps_body && !prepared.body.is_empty();
    if with_body && !at_origin {
        let reason = "the body of the request is not sent to another origin";
        return Next::Stay(reason.to_owned());
    }
    Next::Follow(Hop {
        location: Arc::new(location),
        method,
        with_body,
        at_origin,
    })
}

/// The absolute form of a `Location` header.
pub fn resolve(base: &Url, location: &HeaderValue) -> Result<Location, String> {
    let text = std::str::from_utf8(location.as_bytes())
        .map_err(|_| "its location is not text".to_owned())?;
    let url = base
        .join(text)
        .map_err(|error| format!("its location is not a URL: {error}"))?;
    Location::new(url).map_err(|reason| format!("its location cannot be followed: {reason}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolved(base: &str, location: &[u8]) -> Result<Location, String> {
        let base = Url::parse(base).unwrap();
        resolve(&base, &HeaderValue::from_bytes(location).unwrap())
    }

    #[test]
    fn a_location_is_absolute_relative_or_refused() {
        let base = "http://a.example:8080/one/two?x=1";
        let url = |location: &str| {
            resolved(base, location.as_bytes()).map(|location| location.url.to_string())
        };
        assert_eq!(url("/three").unwrap(), "http://a.example:8080/three");
        assert_eq!(url("three?y").unwrap(), "http://a.example:8080/one/three?y");
        assert_eq!(url("//b.example/").unwrap(), "http://b.example/");
        assert_eq!(url("https://b.example/#top").unwrap(), "https://b.example/");
        assert_eq!(url("http://u:p@b.example/").unwrap(), "http://b.example/");
        for bad in [
            "ftp://b.example/",
            "javascript:alert(1)",
            "http://",
            "http://b:0/",
            "file:///etc",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let at = |url: &str| Location::new(Url::parse(url).unwrap()).unwrap();
        let origin = at("http://a.example/");
        assert!(origin.same_origin(&at("http://A.example:80/else")));
        for other in [
            "https://a.example/",
            "http://a.example:81/",
            "http://b.example/",
        ] {
            assert!(!origin.same_origin(&at(other)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_location_is_refused_or_can_be_requested(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let Ok(header) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let base = Url::parse("https://a.example/one").unwrap();
            if let Ok(location) = resolve(&base, &header) {
                prop_assert!(location.port != 0);
                prop_assert!(location.url.username().is_empty() && location.url.password().is_none());
                let uri = location.uri(Some(location.authority.clone()));
                prop_assert!(uri.authority().is_some());
                prop_assert!(uri.path().starts_with('/'));
            }
        }

        #[test]
        fn a_url_like_location_never_panics(text in "(https?:)?//?[a-z0-9.:@\\[\\]%]{0,20}[/?#a-z|^{}\"<> ]{0,20}") {
            let base = Url::parse("http://a.example:8080/one?x").unwrap();
            if let Ok(header) = HeaderValue::from_str(&text)
                && let Ok(location) = resolve(&base, &header) {
                prop_assert!(location.uri(None).path().starts_with('/'));
            }
        }
    }
}
