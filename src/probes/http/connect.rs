//! Opens the connection of one request: addresses one after another, each with its share of the
//! time, TCP and then TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::location::Location;
use crate::evidence::{Failure, Observed, Outcome, UnknownWhy, millis};
use crate::net::NetError;
use crate::probes::Context;

/// A resolver that gives more addresses than this is not followed further.
const MAX_ADDRESSES: usize = 16;

/// Plain or TLS. An enum, so that a plain connection pays nothing for the other.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What was seen of a connection while it was opened.
pub struct Wire {
    pub remote: SocketAddr,
    pub dns_ms: Observed<f64>,
    pub connect_ms: f64,
    pub tls_ms: Observed<f64>,
    pub tls_version: Observed<String>,
    pub certificate: Observed<CertificateDer<'static>>,
    pub is_http2: bool,
}

/// An open connection.
pub struct Connection {
    pub stream: Stream,
    pub wire: Wire,
}

/// How TLS is spoken to one target.
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub server_name: ServerName<'static>,
}

/// Opens a connection to `location`, or to `pin` in place of its host.
///
/// # Errors
/// The target's failure where an address answered at all, otherwise ours.
pub async fn open(
    ctx: &Context,
    location: &Location,
    pin: Option<SocketAddr>,
    tls: Option<&Tls>,
) -> Result<Connection, Failure> {
    let (addresses, dns_ms) = match pin {
        Some(address) => (
            vec![address],
            Observed::unknown(UnknownWhy::NotApplicable, "`address` is given"),
        ),
        None => resolve(ctx, location).await?,
    };
    let mut failures: Vec<Failure> = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        match dial(ctx, *address, tls, ctx.share(addresses.len() - index)).await {
            Ok(mut connection) => {
                connection.wire.dns_ms = dns_ms;
                return Ok(connection);
            }
            Err(Dial::Fatal(failure)) => return Err(failure),
            Err(Dial::Next(failure)) => failures.push(failure),
        }
    }
    Err(joined(&failures))
}

async fn resolve(
    ctx: &Context,
    location: &Location,
) -> Result<(Vec<SocketAddr>, Observed<f64>), Failure> {
    let begun = Instant::now();
    // A slow resolver must not leave so little time that the target looks silent.
    let found = ctx.net().resolve(&location.host, ctx.share(2)).await?;
    let addresses = found
        .into_iter()
        .take(MAX_ADDRESSES)
        .map(|ip| SocketAddr::new(ip, location.port))
        .collect();
    if location.is_literal {
        let why = UnknownWhy::NotApplicable;
        return Ok((addresses, Observed::unknown(why, "the host is an address")));
    }
    let took = begun.elapsed();
    ctx.phase("dns", took);
    Ok((addresses, Observed::Value(millis(took))))
}

/// Whether another address may still answer.
enum Dial {
    Next(Failure),
    Fatal(Failure),
}

impl From<NetError> for Dial {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Exhausted(_) => Self::Fatal(error.into()),
            other => Self::Next(other.into()),
        }
    }
}

async fn dial(
    ctx: &Context,
    address: SocketAddr,
    tls: Option<&Tls>,
    deadline: Instant,
) -> Result<Connection, Dial> {
    ctx.address(address);
    let begun = Instant::now();
    let connected = ctx.net().connect(address, deadline).await;
    let took = begun.elapsed();
    ctx.phase("connect", took);
    let stream = connected?;
    let mut wire = Wire {
        remote: address,
        dns_ms: not_tls(),
        connect_ms: millis(took),
        tls_ms: not_tls(),
        tls_version: not_tls(),
        certificate: not_tls(),
        is_http2: false,
    };
    let Some(tls) = tls else {
        let stream = Stream::Plain(stream);
        return Ok(Connection { stream, wire });
    };
    let begun = Instant::now();
    let (name, config) = (tls.server_name.clone(), Arc::clone(&tls.config));
    // Boxed: plain connections, the many, need not carry the room for a handshake.
    let shaken = Box::pin(ctx.net().handshake(stream, name, config, deadline)).await;
    let took = begun.elapsed();
    ctx.phase("tls", took);
    let stream =
        shaken.map_err(|error| Dial::Next(Failure::from(error).during(&address.to_string())))?;
    wire.tls_ms = Observed::Value(millis(took));
    describe_session(&mut wire, &stream);
    let stream = Stream::Tls(Box::new(stream));
    Ok(Connection { stream, wire })
}

fn not_tls<T>() -> Observed<T> {
    Observed::unknown(UnknownWhy::NotApplicable, "plain http")
}

fn describe_session(wire: &mut Wire, stream: &TlsStream<TcpStream>) {
    let (_, session) = stream.get_ref();
    wire.is_http2 = session.alpn_protocol() == Some(b"h2");
    let version = session
        .protocol_version()
        .and_then(|version| version.as_str());
    wire.tls_version = seen(version.map(version_name), "protocol version");
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    wire.certificate = seen(leaf.map(|leaf| leaf.clone().into_owned()), "certificate");
}

fn seen<T>(value: Option<T>, what: &str) -> Observed<T> {
    value.map_or_else(
        || {
            Observed::unknown(
                UnknownWhy::NotObserved,
                format!("the session has no {what}"),
            )
        },
        Observed::Value,
    )
}

/// `TLSv1_3` is rustls' spelling of what everybody else writes as `TLSv1.3`.
fn version_name(name: &str) -> String {
    name.replace('_', ".")
}

/// One failure for all addresses: the target's where there is one, since it was reached.
fn joined(failures: &[Failure]) -> Failure {
    let is_target = |failure: &&Failure| failure.outcome() == Outcome::TargetError;
    let decisive: Vec<&Failure> = if failures.iter().any(|failure| is_target(&failure)) {
        failures.iter().filter(is_target).collect()
    } else {
        failures.iter().collect()
    };
    let details: Vec<&str> = decisive.iter().map(|failure| failure.detail()).collect();
    let detail = details.join("; ");
    match decisive.first().map(|failure| failure.outcome()) {
        Some(Outcome::TargetError) => Failure::target(detail),
        _ => Failure::probe(detail),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
