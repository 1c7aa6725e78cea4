//! What can go wrong on the way to a target, and whose fault it is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::evidence::Failure;

/// A step of the dialler that failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Our own resolver gave no address: unknown, because another resolver may well have one.
    #[error("resolve {host}: {detail}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// The target refused the connection.
    #[error("connect {0}: connection refused")]
    Refused(SocketAddr),
    /// Nothing came back in time.
    #[error("connect {address}: no answer in {after:?}")]
    Filtered {
        /// The address.
        address: SocketAddr,
        /// How long we waited.
        after: Duration,
    },
    /// We have no way there: no route, no local address, not permitted.
    #[error("connect {address}: no way there from this host: {source}")]
    NoRoute {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The agent's own limits: file descriptors, ports, memory.
    #[error("this agent is out of resources: {0}")]
    Exhausted(io::Error),
    /// The target broke the connection or the protocol.
    #[error("{step}: {detail}")]
    Broken {
        /// `tls handshake`, `read`, …
        step: &'static str,
        /// What happened.
        detail: String,
    },
    /// The target accepted the connection and then said nothing.
    #[error("{step}: no answer before the timeout")]
    Silent {
        /// `tls handshake`, `read`, …
        step: &'static str,
    },
}

impl NetError {
    /// Classifies a failed `connect`.
    pub fn from_connect(address: SocketAddr, error: io::Error, after: Duration) -> Self {
        use io::ErrorKind as Kind;
        if is_exhausted(&error) {
            return Self::Exhausted(error);
        }
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused(address),
            Kind::TimedOut => Self::Filtered { address, after },
            Kind::ConnectionReset | Kind::ConnectionAborted => Self::Broken {
                step: "connect",
                detail: format!("{address}: {error}"),
            },
            _ => Self::NoRoute {
                address,
                source: error,
            },
        }
    }

    /// Classifies a failed read, write or handshake on an open connection.
    pub fn from_io(step: &'static str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            return Self::Silent { step };
        }
        Self::Broken {
            step,
            detail: describe(error),
        }
    }
}

/// An I/O error in the words of its deepest known cause: `tls handshake eof` says less than what
/// the peer did.
fn describe(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "the target closed the connection".to_owned();
    }
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(bad)) => {
            format!("untrusted certificate: {}", describe_certificate(bad))
        }
        _ => error.to_string(),
    }
}

/// What is wrong with a certificate; the verifier's own words are those of its source code.
pub fn describe_certificate(bad: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Bad;
    let text = match bad {
        Bad::UnknownIssuer => "no path to a trusted root",
        Bad::BadSignature => {
            "a signature in the chain is wrong, or made with a key or algorithm that is too weak"
        }
        #[expect(deprecated, reason = "older verifiers say it this way")]
        Bad::UnsupportedSignatureAlgorithm
        | Bad::UnsupportedSignatureAlgorithmContext { .. }
        | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the chain is signed with an algorithm that is not accepted"
        }
        Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "a CA certificate, mostly a self-signed one, is used as the server's, and it is not itself a trusted root"
        }
        other => return other.to_string(),
    };
    text.to_owned()
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
    )
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let detail = error.to_string();
        match error {
            NetError::Resolve { .. } | NetError::NoRoute { .. } | NetError::Exhausted(_) => {
                Self::probe(detail)
            }
            NetError::Refused(_)
            | NetError::Filtered { .. }
            | NetError::Broken { .. }
            | NetError::Silent { .. } => Self::target(detail),
        }
    }
}
