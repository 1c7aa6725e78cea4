//! How the daemon is asked: where it listens, who may ask, and within which bounds.

use std::net::IpAddr;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

/// The port that is listened on without `[server]`.
pub const DEFAULT_PORT: u16 = 9730;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The host that is listened on: a name or an address.
    pub host: String,
    /// The port that is listened on; 0: any that is free.
    pub port: u16,
    /// The tokens that are accepted. None: whoever can connect may ask.
    pub tokens: Vec<TokenHash>,
    /// The certificate that is shown; none: no TLS.
    pub tls: Option<TlsFiles>,
    /// The paths that need no token, each with a slash in front.
    pub public: Vec<String>,
    /// Names that the daemon answers to on loopback, beside those of loopback itself.
    pub hosts: Vec<String>,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most requests that are answered at a time.
    pub max_requests: usize,
    /// The most requests in a second that one address may make on the average.
    pub requests_per_second: u32,
    /// The most runs of `/probe` at a time.
    pub max_probes: usize,
}

/// Where certificate and key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// SHA-256 of a token: the token itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Of a token as it is presented.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// What needs no token unless the configuration says otherwise.
pub const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
            tokens: Vec::new(),
            tls: None,
            public: PUBLIC.map(str::to_owned).to_vec(),
            hosts: Vec::new(),
            max_connections: 512,
            max_requests: 256,
            requests_per_second: 2_000,
            max_probes: 64,
        }
    }
}

impl ServerSettings {
    /// Whether nobody but this host can connect.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// The address as it is written in a URL.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Whether a host, a name or an address without brackets, is this one and no other can reach it.
pub fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_address_or_localhost_and_no_other_name() {
        for host in [
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            "localhost",
            "LOCALHOST.",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "localhost.example.org",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", TokenHash::of("hunter2")).contains("hunter2"));
    }
}
