//! What can go wrong with a connection, told apart as far as it can be.

use std::io;
use std::net::SocketAddr;

use rustls::AlertDescription;

use super::facts::State;
use super::hello;
use super::starttls::StarttlsError;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::NetError;

/// Why a connection did not end in a handshake.
#[derive(Debug, Clone)]
pub struct Problem {
    /// As a fact; unknown when we are to blame.
    pub state: Observed<State>,
    /// In words.
    pub detail: String,
    /// Whether and how the server turned the hello down.
    pub refusal: Option<Refusal>,
}

/// How a server turns a hello down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By an alert.
    Alert(u8),
    /// By insisting on a version that was not offered.
    OtherVersion,
    /// By ending the connection.
    Ended,
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The alert that ended a connection.
pub fn alert(error: &io::Error) -> Option<AlertDescription> {
    match tls_error(error)? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

impl Problem {
    fn new(state: State, detail: impl Into<String>, refusal: Option<Refusal>) -> Self {
        Self {
            state: Observed::Value(state),
            detail: detail.into(),
            refusal,
        }
    }

    /// We are to blame.
    pub fn ours(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            state: Observed::unknown(UnknownWhy::NotObserved, detail.clone()),
            detail,
            refusal: None,
        }
    }

    /// The target accepted the connection and then said nothing.
    pub fn silent() -> Self {
        Self::new(
            State::Silent,
            "accepted the connection and then stayed silent",
            None,
        )
    }

    /// Classifies what went wrong before or while connecting.
    pub fn from_net(error: NetError, address: SocketAddr) -> Self {
        let detail = error.to_string();
        match error {
            NetError::Refused(_) => Self::new(State::Refused, "connection refused", None),
            NetError::Filtered { after, .. } => {
                let detail = format!(
                    "no answer to a connection attempt in {} ms",
                    after.as_millis()
                );
                Self::new(State::Filtered, detail, None)
            }
            // A host without IPv6 has no address to connect from.
            NetError::Exhausted(cause)
                if address.is_ipv6() && cause.kind() == io::ErrorKind::AddrNotAvailable =>
            {
                Self::new(
                    State::NoRoute,
                    format!("no way there from this host: {cause}"),
                    None,
                )
            }
            NetError::NoRoute { source, .. } => Self::new(
                State::NoRoute,
                format!("no way there from this host: {source}"),
                None,
            ),
            NetError::Exhausted(_) | NetError::Resolve { .. } => Self::ours(detail),
            NetError::Broken { .. } => Self::new(State::Reset, detail, None),
            NetError::Silent { .. } => Self::silent(),
        }
    }

    /// Classifies what went wrong before TLS could begin.
    pub fn from_starttls(error: StarttlsError, address: SocketAddr) -> Self {
        match error {
            StarttlsError::Net(NetError::Broken { step, detail }) => {
                Self::new(State::StarttlsFailed, format!("{step}: {detail}"), None)
            }
            StarttlsError::Net(error) => Self::from_net(error, address),
            StarttlsError::Refused(detail) => Self::new(State::StarttlsFailed, detail, None),
        }
    }

    /// Classifies what broke on an open connection while TLS was expected.
    pub fn from_handshake(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        use rustls::Error as Tls;
        match tls_error(error) {
            Some(Tls::AlertReceived(alert)) => {
                let code = u8::from(*alert);
                let detail = format!("ended the handshake with {}", hello::alert_name(code));
                Self::new(State::HandshakeFailed, detail, Some(Refusal::Alert(code)))
            }
            Some(Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
                Self::new(State::NotTls, "what answers is not TLS", None)
            }
            Some(Tls::PeerIncompatible(why)) => {
                let detail = format!("the handshake is not possible: {why:?}");
                let refusal = names_a_version(why).then_some(Refusal::OtherVersion);
                Self::new(State::HandshakeFailed, detail, refusal)
            }
            Some(error) => {
                let detail = format!("the handshake failed: {error}");
                Self::new(State::HandshakeFailed, detail, None)
            }
            None => match error.kind() {
                Kind::UnexpectedEof => {
                    let detail = "closed the connection during the handshake";
                    Self::new(State::Closed, detail, Some(Refusal::Ended))
                }
                Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted => {
                    let detail = "reset the connection during the handshake";
                    Self::new(State::Reset, detail, Some(Refusal::Ended))
                }
                Kind::TimedOut => Self::silent(),
                _ => Self::new(
                    State::HandshakeFailed,
                    format!("the handshake failed: {error}"),
                    None,
                ),
            },
        }
    }
}

fn names_a_version(why: &rustls::PeerIncompatible) -> bool {
    use rustls::PeerIncompatible as Why;
    matches!(
        why,
        Why::ServerDoesNotSupportTls12Or13 | Why::ServerTlsVersionIsDisabledByOurConfig
    )
}
