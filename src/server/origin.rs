//! Whose page it is that asks: a browser can be led to this host by any page, a local user cannot be
//! told from it but by what the browser says.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::plan::is_loopback;

/// Whether the request names this host: by its address on loopback, as localhost, or as one of
/// `names`. Behind DNS rebinding stands a foreign name.
pub fn names_this_host(uri: &Uri, headers: &HeaderMap, names: &[String]) -> bool {
    let written: Vec<&[u8]> = headers
        .get_all(HOST)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    // A request for an absolute URI names it there as well; both have to be this host.
    let named = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    // Only HTTP/1.0 may name none (the guard sees to it), and no browser speaks that.
    written.len() <= 1
        && written.into_iter().chain(named).all(|authority| {
            std::str::from_utf8(authority).is_ok_and(|text| is_this_host(text, names))
        })
}

fn is_this_host(authority: &str, names: &[String]) -> bool {
    let Some(host) = host_of(authority) else {
        return false;
    };
    is_loopback(host) || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// The host of `host:port`, without brackets.
fn host_of(authority: &str) -> Option<&str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return is_port.then_some(host);
    }
    match authority.split_once(':') {
        None => Some(authority),
        Some((host, port)) => is_number(port).then_some(host),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// Whether a page of another origin makes the browser ask.
pub fn is_cross_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().ok();
    let authority = origin
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, rest)| rest);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(origin), Some(host)) => !origin.eq_ignore_ascii_case(host),
        // `null`, or an origin where nothing says what it should be.
        _ => true,
    }
}

/// Whether a request may change something, or makes this agent ask somebody else.
pub fn acts(method: &Method, path: &str) -> bool {
    !matches!(*method, Method::GET | Method::HEAD) || path == "/probe"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn local(host: &'static str) -> bool {
        let names = ["probe.internal".to_owned()];
        names_this_host(&Uri::from_static("/"), &headers(&[("host", host)]), &names)
    }

    #[test]
    fn a_foreign_name_is_not_this_host() {
        for host in [
            "127.0.0.1:9730",
            "127.0.0.1",
            "localhost:1",
            "[::1]:9730",
            "[::1]",
            "LocalHost",
            "Probe.Internal:80",
        ] {
            assert!(local(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:9730",
            "localhost.evil.example",
            "10.0.0.1:9730",
            "",
            "[::1",
            "::1",
            "127.0.0.1:x",
            "127.0.0.1@evil.example",
            "evil.example:80:80",
            "2130706433",
        ] {
            assert!(!local(host), "{host}");
        }
    }

    #[test]
    fn every_name_in_a_request_counts() {
        let absolute = Uri::from_static("http://evil.example/");
        assert!(!names_this_host(
            &absolute,
            &headers(&[("host", "127.0.0.1")]),
            &[]
        ));
        let two = headers(&[("host", "127.0.0.1"), ("host", "evil.example")]);
        assert!(!names_this_host(&Uri::from_static("/"), &two, &[]));
        assert!(names_this_host(
            &Uri::from_static("/"),
            &HeaderMap::new(),
            &[]
        ));
    }

    #[test]
    fn a_page_of_another_origin_is_told_apart() {
        let cross = |pairs: &[(&'static str, &'static str)]| is_cross_origin(&headers(pairs));
        let host = ("host", "127.0.0.1:9730");
        assert!(!cross(&[host]));
        assert!(!cross(&[host, ("origin", "http://127.0.0.1:9730")]));
        assert!(!cross(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(cross(&[host, ("origin", "http://evil.example")]));
        assert!(cross(&[host, ("origin", "http://127.0.0.1:8080")]));
        assert!(cross(&[host, ("origin", "null")]));
        assert!(cross(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(cross(&[host, ("sec-fetch-site", "same-site")]));
    }
}
