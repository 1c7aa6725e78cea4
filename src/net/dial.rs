//! The dialler: names to addresses to connections, every step under a deadline.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::NetError;
use super::resolve::SystemResolver;
use super::tls::SystemRoots;

/// Shared by every probe of a run. Resolver and roots are loaded once, and only when used.
#[derive(Default)]
pub struct Dialler {
    resolver: SystemResolver,
    pub(super) roots: SystemRoots,
}

impl Dialler {
    /// A dialler that has loaded nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The addresses of `host`, in the order of the resolver; an IP literal (with or without
    /// brackets) is its own address.
    ///
    /// # Errors
    /// [`NetError::Resolve`] when our resolver gives none before `deadline`.
    pub async fn resolve(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, NetError> {
        let literal = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = literal.parse() {
            return Ok(vec![address]);
        }
        self.resolver.lookup(host, deadline).await
    }

    /// Opens a TCP connection.
    ///
    /// # Errors
    /// Refused, filtered (no answer before `deadline`), no route, or out of resources.
    pub async fn connect(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<TcpStream, NetError> {
        let begun = Instant::now();
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it a small second write waits for the peer's delayed ACK.
                stream.set_nodelay(true).ok();
                Ok(stream)
            }
            Ok(Err(error)) => Err(NetError::from_connect(address, error, begun.elapsed())),
            Err(_) => Err(NetError::Filtered {
                address,
                after: begun.elapsed(),
            }),
        }
    }

    /// Opens a UDP socket that takes datagrams from `address` alone.
    ///
    /// # Errors
    /// No route, or out of resources; nothing is sent yet.
    pub async fn connect_udp(&self, address: SocketAddr) -> Result<UdpSocket, NetError> {
        let local: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let open = async {
            let socket = UdpSocket::bind((local, 0)).await?;
            socket.connect(address).await?;
            Ok(socket)
        };
        open.await
            .map_err(|error| NetError::from_connect(address, error, Duration::ZERO))
    }

    /// Performs a TLS handshake over an open connection.
    ///
    /// # Errors
    /// A broken handshake (alert, untrusted certificate, garbage) or silence past `deadline`.
    pub async fn handshake<S>(
        &self,
        stream: S,
        server_name: ServerName<'static>,
        config: Arc<ClientConfig>,
        deadline: Instant,
    ) -> Result<TlsStream<S>, NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        const STEP: &str = "tls handshake";
        let connecting = TlsConnector::from(config).connect(server_name, stream);
        within(deadline, STEP, connecting)
            .await?
            .map_err(|error| NetError::from_io(STEP, &error))
    }
}

/// Runs one step under a deadline; running out of it means that the target stayed silent.
///
/// # Errors
/// [`NetError::Silent`] with the name of the step.
pub async fn within<T>(
    deadline: Instant,
    step: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, NetError> {
    timeout_at(deadline, future)
        .await
        .map_err(|_| NetError::Silent { step })
}
