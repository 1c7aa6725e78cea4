//! Listens, and serves each connection within bounds.

use std::convert::Infallible;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::App;
use super::error::ApiError;
use super::guard::Peer;
use super::stalled::Stalled;
use super::{certificate, routes};
use crate::plan::ServerSettings;

/// Within this a client has to send the head of a request, and an idle one the next.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing for this long is left.
const STALLED_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// Requests in flight have this long to end once the agent does.
const DRAIN: Duration = Duration::from_secs(10);

/// Nothing can be listened on there.
#[derive(Debug, thiserror::Error)]
#[error("[server] listen = \"{listen}\": {reason}")]
pub struct BindError {
    listen: String,
    reason: String,
}

/// A socket that listens.
pub struct Bound {
    listener: std::net::TcpListener,
    address: SocketAddr,
    is_tls: bool,
}

impl Bound {
    /// The address that is really listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

/// Opens the socket; nothing is answered yet.
///
/// # Errors
/// Why it cannot be: a port that is taken, an address that is not this host's.
pub fn bind(settings: &ServerSettings) -> Result<Bound, BindError> {
    let error = |reason: String| BindError {
        listen: settings.authority(),
        reason,
    };
    let addresses = (settings.host.as_str(), settings.port).to_socket_addrs();
    let addresses = addresses.map_err(|problem| error(problem.to_string()))?;
    let mut reason = "no such address".to_owned();
    for address in addresses {
        // A name that is loopback in the configuration must be so in fact: nobody needs a token there.
        if settings.tokens.is_empty() && !address.ip().to_canonical().is_loopback() {
            "it is reachable from other hosts, and there are no `tokens`".clone_into(&mut reason);
            continue;
        }
        match std::net::TcpListener::bind(address) {
            Ok(listener) => {
                let address = listener.local_addr();
                listener
                    .set_nonblocking(true)
                    .map_err(|problem| error(problem.to_string()))?;
                return Ok(Bound {
                    listener,
                    address: address.map_err(|problem| error(problem.to_string()))?,
                    is_tls: settings.tls.is_some(),
                });
            }
            Err(problem) if problem.kind() == std::io::ErrorKind::AddrInUse => {
                reason = format!(
                    "{address} is taken: another process listens there; choose another port"
                );
            }
            Err(problem) => reason = format!("{address}: {problem}"),
        }
    }
    Err(error(reason))
}

/// Answers until the agent ends.
pub(super) async fn serve(bound: Bound, app: Arc<App>, max_connections: usize) {
    let listener = match TcpListener::from_std(bound.listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("cannot listen: {error}");
            return;
        }
    };
    let router = routes::router(Arc::clone(&app));
    let slots = Arc::new(Semaphore::new(max_connections));
    let connections = TaskTracker::new();
    tokio::spawn(certificate::watch(Arc::clone(&app)));
    let follower = Arc::clone(&app);
    tokio::spawn(async move { follower.events.follow(follower.handle.events()).await });
    loop {
        let accepted = tokio::select! {
            () = app.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    let connection =
                        connection(stream, peer, Arc::clone(&app), router.clone(), slot);
                    connections.spawn(connection);
                }
                Err(_) => refuse(&stream),
            },
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    timeout(DRAIN, connections.wait()).await.ok();
}

/// Says that there are too many, to whoever speaks plain HTTP and listens at once.
fn refuse(stream: &TcpStream) {
    let body = ApiError::busy("too many connections").json();
    let head = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: application/json\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.try_write(answer.as_bytes()).ok();
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Arc<App>,
    router: Router,
    _slot: OwnedSemaphorePermit,
) {
    stream.set_nodelay(true).ok();
    let stream = Stalled::new(stream, STALLED_TIMEOUT);
    match app.certificate.config() {
        None => exchange(stream, peer, &app, router).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            match timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => exchange(stream, peer, &app, router).await,
                Ok(Err(error)) => tracing::debug!(%peer, "TLS: {error}"),
                Err(_) => tracing::debug!(%peer, "TLS: the handshake did not end in time"),
            }
        }
    }
}

async fn exchange<S>(stream: S, peer: SocketAddr, app: &App, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        let mut router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router
                    .call(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, "connection: {error}");
    }
}
