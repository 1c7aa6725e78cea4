//! The servers a probe asks, as they are written in a configuration.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use super::name::parse_name;

/// How a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams, and TCP after a truncated answer.
    Udp,
    /// TCP.
    Tcp,
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS.
    Https,
}

impl Transport {
    const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls => 853,
            Self::Https => 443,
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// What only DNS over HTTPS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpTarget {
    /// Host and port as the request names them.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// A server that can be asked once its host has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// As configured.
    pub text: String,
    pub transport: Transport,
    pub host: Host,
    pub port: u16,
    /// The name its certificate must have.
    pub tls_name: Option<ServerName<'static>>,
    pub http: Option<HttpTarget>,
}

/// A server with an address.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub server: Server,
    pub address: SocketAddr,
}

impl Endpoint {
    /// A plain server at `address`.
    pub(super) fn plain(transport: Transport, address: SocketAddr) -> Self {
        let server = Server {
            text: address.to_string(),
            transport,
            host: Host::Address(address.ip()),
            port: address.port(),
            tls_name: None,
            http: None,
        };
        Self { server, address }
    }

    /// Whether nobody on the way can forge what this server says.
    pub(super) fn trusted_path(&self) -> bool {
        let encrypted = matches!(self.server.transport, Transport::Tls | Transport::Https);
        encrypted || self.address.ip().to_canonical().is_loopback()
    }
}

impl Server {
    /// Reads `1.2.3.4`, `1.2.3.4:53`, `[::1]:53`, `tcp://…`, `tls://…#name` or `https://…#address`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::parse_plain(text, Transport::Udp, text);
        };
        match scheme {
            "udp" => Self::parse_plain(text, Transport::Udp, rest),
            "tcp" => Self::parse_plain(text, Transport::Tcp, rest),
            "tls" => Self::parse_tls(text, rest),
            "https" => Self::parse_https(text),
            other => Err(format!(
                "`{other}://` is no way to ask a resolver: write udp://, tcp://, tls:// or https://"
            )),
        }
    }

    /// Reads an authoritative server: `1.2.3.4`, `1.2.3.4:53` or a name, asked over UDP.
    pub(super) fn parse_authority(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err(format!(
                "`{text}`: an authoritative server is an address or a name, with a port if it is not 53"
            ));
        }
        Self::parse_plain(text, Transport::Udp, text)
    }

    fn parse_plain(text: &str, transport: Transport, rest: &str) -> Result<Self, String> {
        if rest.contains('#') {
            return Err(format!(
                "`{text}`: only tls:// and https:// take a `#…`: nothing else checks a name"
            ));
        }
        let (host, port) = host_and_port(rest, transport.default_port())?;
        Ok(Self {
            text: text.to_owned(),
            transport,
            host,
            port,
            tls_name: None,
            http: None,
        })
    }

    fn parse_tls(text: &str, rest: &str) -> Result<Self, String> {
        let (place, name) = match rest.split_once('#') {
            Some((place, name)) => (place, Some(name)),
            None => (rest, None),
        };
        let (host, port) = host_and_port(place, Transport::Tls.default_port())?;
        let tls_name = name.map_or_else(|| host.to_string(), str::to_owned);
        Ok(Self {
            text: text.to_owned(),
            transport: Transport::Tls,
            host,
            port,
            tls_name: Some(tls_server_name(&tls_name)?),
            http: None,
        })
    }

    fn parse_https(text: &str) -> Result<Self, String> {
        if text.contains('{') {
            return Err(format!(
                "`{text}`: write the URL without its `{{…}}` template"
            ));
        }
        let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a resolver's URL takes no user and password".to_owned());
        }
        let named = match url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name.to_owned()),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            None => return Err(format!("`{text}` names no host")),
        };
        let port = url.port().unwrap_or(Transport::Https.default_port());
        if port == 0 {
            return Err(format!("`{text}`: there is no port 0"));
        }
        let host = match url.fragment() {
            None | Some("") => named.clone(),
            Some(pinned) => Host::Address(bare(pinned).parse().map_err(|_| {
                format!("`{pinned}` after the `#` is not an address: it pins the host's address")
            })?),
        };
        let path = match (url.path(), url.query()) {
            ("" | "/", None) => "/dns-query".to_owned(),
            (path, None) => path.to_owned(),
            (path, Some(query)) => format!("{path}?{query}"),
        };
        let authority = match &named {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            other => format!("{other}:{port}"),
        };
        Ok(Self {
            text: text.to_owned(),
            transport: Transport::Https,
            host,
            port,
            tls_name: Some(tls_server_name(&named.to_string())?),
            http: Some(HttpTarget { authority, path }),
        })
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

fn host_and_port(text: &str, default_port: u16) -> Result<(Host, u16), String> {
    let bad_port = |port: &str| format!("`{port}` is not a port: write a number from 1 to 65535");
    if let Ok(address) = bare(text).parse::<IpAddr>() {
        return Ok((Host::Address(address), default_port));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return Err(bad_port("0"));
        }
        return Ok((Host::Address(address.ip()), address.port()));
    }
    let (name, port) = match text.rsplit_once(':') {
        None => (text, default_port),
        Some((name, port)) => match port.parse() {
            Ok(number) if number > 0 => (name, number),
            _ => return Err(bad_port(port)),
        },
    };
    parse_name(name).map_err(|error| format!("`{text}`: {error}"))?;
    Ok((Host::Name(name.to_owned()), port))
}

fn tls_server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(bare(name).to_owned())
        .map_err(|_| format!("`{name}` is not a name that a certificate can have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_resolver_is_read() {
        let plain = Server::parse("127.0.0.1:5301").unwrap();
        assert_eq!((plain.transport, plain.port), (Transport::Udp, 5301));
        assert_eq!(Server::parse("192.0.2.1").unwrap().port, 53);
        let six = Server::parse("tcp://[2001:db8::1]:54").unwrap();
        assert_eq!(six.host, Host::Address("2001:db8::1".parse().unwrap()));
        assert_eq!((six.transport, six.port), (Transport::Tcp, 54));
        assert_eq!(Server::parse("::1").unwrap().port, 53);

        let tls = Server::parse("tls://127.0.0.1#dns.example").unwrap();
        assert_eq!(tls.port, 853);
        assert_eq!(
            tls.tls_name,
            Some(ServerName::try_from("dns.example").unwrap())
        );
        let unnamed = Server::parse("tls://127.0.0.1").unwrap();
        assert_eq!(
            unnamed.tls_name,
            Some(ServerName::try_from("127.0.0.1").unwrap())
        );

        let doh = Server::parse("https://dns.example:8443/q?a=1#127.0.0.1").unwrap();
        assert_eq!(doh.host, Host::Address("127.0.0.1".parse().unwrap()));
        assert_eq!(
            doh.tls_name,
            Some(ServerName::try_from("dns.example").unwrap())
        );
        let http = doh.http.unwrap();
        assert_eq!(
            (http.authority.as_str(), http.path.as_str()),
            ("dns.example:8443", "/q?a=1")
        );
        let short = Server::parse("https://dns.example").unwrap();
        assert_eq!(short.host, Host::Name("dns.example".to_owned()));
        assert_eq!(short.http.unwrap().path, "/dns-query");
    }

    #[test]
    fn what_is_no_resolver_is_refused() {
        for bad in [
            "",
            "127.0.0.1:0",
            "127.0.0.1:99999",
            "[::1]:0",
            "quic://127.0.0.1",
            "127.0.0.1#dns.example",
            "tls://127.0.0.1#",
            "tls://127.0.0.1#not a name",
            "https://",
            "https://user:secret@dns.example/",
            "https://dns.example/dns-query{?dns}",
            "https://dns.example/#dns.example",
            "a b:53",
            "dns.example:port",
        ] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
        assert!(Server::parse_authority("tls://127.0.0.1").is_err());
    }

    #[test]
    fn only_loopback_and_encryption_are_trusted_paths() {
        let endpoint = |text: &str, address: &str| Endpoint {
            server: Server::parse(text).unwrap(),
            address: address.parse().unwrap(),
        };
        assert!(endpoint("127.0.0.1", "127.0.0.1:53").trusted_path());
        assert!(endpoint("::1", "[::1]:53").trusted_path());
        assert!(endpoint("tls://192.0.2.1", "192.0.2.1:853").trusted_path());
        assert!(!endpoint("192.0.2.1", "192.0.2.1:53").trusted_path());
        assert!(!endpoint("tcp://192.0.2.1", "192.0.2.1:53").trusted_path());
    }
}
