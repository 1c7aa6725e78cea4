//! One question to one server: over UDP, TCP, TLS or HTTPS, each on the shared dialler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Reject, read_answer};
use super::facts::State;
use super::https;
use super::question::Question;
use super::server::{Endpoint, Transport};
use crate::evidence::{Failure, Unknown, UnknownWhy};
use crate::net::{Alpn, NetError, Roots, TlsProfile, within};
use crate::probes::Context;

/// More than we offer to take, so that a datagram that breaks the offer is not mistaken for a whole one.
const DATAGRAM_BYTES: usize = 4096;
/// Datagrams that do not answer the question before the server counts as talking rubbish.
const MAX_STRANGERS: u32 = 64;
/// A datagram may be lost: the question is sent again after this time, then after twice as long, and so on.
const RESEND_AFTER: Duration = Duration::from_secs(1);

/// An answer and how it came.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub answer: Answer,
    pub transport: Transport,
    pub rtt: Duration,
}

/// Why a server gave no answer to our question.
#[derive(Debug, Clone)]
pub(super) struct NoAnswer {
    pub state: State,
    pub transport: Transport,
    pub detail: String,
}

impl NoAnswer {
    pub(super) fn new(state: State, transport: Transport, detail: impl Into<String>) -> Self {
        Self {
            state,
            transport,
            detail: detail.into(),
        }
    }

    /// The same as the reason why a fact has no value.
    pub(super) fn as_unknown(&self) -> Unknown {
        let why = match self.state {
            State::Timeout => UnknownWhy::TimedOut,
            State::Garbage => UnknownWhy::Unparseable,
            _ => UnknownWhy::NotObserved,
        };
        Unknown {
            why,
            detail: format!("the server {}: {}", self.state, self.detail),
        }
    }

    pub(super) fn garbage(transport: Transport, reject: &Reject) -> Self {
        Self::new(State::Garbage, transport, reject.to_string())
    }

    /// A failed step of the dialler.
    pub(super) fn net(transport: Transport, error: &NetError) -> Self {
        let state = match error {
            NetError::Filtered { .. } | NetError::Silent { .. } => State::Timeout,
            NetError::Broken { .. } => State::Garbage,
            NetError::Resolve { .. }
            | NetError::Refused(_)
            | NetError::NoRoute { .. }
            | NetError::Exhausted(_) => State::Unreachable,
        };
        Self::new(state, transport, error.to_string())
    }

    pub(super) fn tls(transport: Transport, detail: impl Into<String>) -> Self {
        Self::new(State::TlsError, transport, detail)
    }
}

/// Asks a server, in the plainest words it needs and over TCP when a datagram is too small.
pub(super) async fn ask(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    ctx.address(endpoint.address);
    let reply = ask_once(ctx, endpoint, roots, question, deadline).await?;
    // Servers from before EDNS refuse it as a format error or as not implemented.
    let refuses_edns =
        question.edns && !reply.answer.edns && reply.answer.state == State::OtherError;
    if refuses_edns {
        return ask_once(ctx, endpoint, roots, &question.without_edns(), deadline).await;
    }
    Ok(reply)
}

async fn ask_once(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    let transport = endpoint.server.transport;
    let reply = match transport {
        Transport::Udp => udp(ctx, endpoint.address, question, deadline).await?,
        Transport::Tcp => tcp(ctx, endpoint.address, question, deadline).await?,
        // Boxed: few resolvers need the buffers of a TLS handshake, and every probe would carry them.
        Transport::Tls => Box::pin(tls(ctx, endpoint, roots, question, deadline)).await?,
        Transport::Https => Box::pin(https::ask(ctx, endpoint, roots, question, deadline)).await?,
    };
    if !reply.answer.truncated {
        return Ok(reply);
    }
    if transport == Transport::Udp {
        let whole = tcp(ctx, endpoint.address, question, deadline).await;
        return match whole {
            Ok(reply) if !reply.answer.truncated => Ok(reply),
            Ok(_) => Err(truncated(Transport::Tcp, "truncated even over TCP")),
            Err(error) => Err(truncated(
                Transport::Tcp,
                &format!("truncated, and over TCP: {}", error.detail),
            )),
        };
    }
    Err(truncated(transport, "truncated on a stream"))
}

fn truncated(transport: Transport, detail: &str) -> NoAnswer {
    NoAnswer::new(State::Truncated, transport, detail)
}

pub(super) fn encode(
    question: &Question,
    id: Option<u16>,
    transport: Transport,
) -> Result<(u16, Vec<u8>), NoAnswer> {
    question.encode(id).map_err(|error| {
        NoAnswer::new(
            State::Unreachable,
            transport,
            format!("the question cannot be written: {error}"),
        )
    })
}

async fn udp(
    ctx: &Context,
    address: SocketAddr,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    const TRANSPORT: Transport = Transport::Udp;
    let (id, bytes) = encode(question, None, TRANSPORT)?;
    let net = |error: NetError| NoAnswer::net(TRANSPORT, &error);
    let io = |error| net(NetError::from_connect(address, error, Duration::ZERO));
    let socket = ctx.net().connect_udp(address).await.map_err(net)?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut strangers = 0;
    let mut last_reject = None;
    let mut patience = RESEND_AFTER;
    while Instant::now() < deadline {
        socket.send(&bytes).await.map_err(io)?;
        let sent = Instant::now();
        let until = deadline.min(sent + patience);
        patience *= 2;
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let length = received.map_err(io)?;
            match read_answer(&buffer[..length], id, question) {
                Ok(answer) => {
                    return Ok(Reply {
                        answer,
                        transport: TRANSPORT,
                        rtt: sent.elapsed(),
                    });
                }
                Err(reject) => {
                    strangers += 1;
                    if strangers >= MAX_STRANGERS {
                        return Err(NoAnswer::garbage(TRANSPORT, &reject));
                    }
                    last_reject = Some(reject);
                }
            }
        }
    }
    Err(match last_reject {
        Some(reject) => NoAnswer::garbage(TRANSPORT, &reject),
        None => NoAnswer::net(TRANSPORT, &NetError::Silent { step: "udp" }),
    })
}

async fn tcp(
    ctx: &Context,
    address: SocketAddr,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    let mut stream = ctx
        .net()
        .connect(address, deadline)
        .await
        .map_err(|error| NoAnswer::net(Transport::Tcp, &error))?;
    on_stream(&mut stream, Transport::Tcp, question, deadline).await
}

async fn tls(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    let mut stream = open_tls(ctx, endpoint, roots, Alpn::None, deadline).await?;
    on_stream(&mut stream, Transport::Tls, question, deadline).await
}

/// Connects and verifies the server's certificate.
pub(super) async fn open_tls(
    ctx: &Context,
    endpoint: &Endpoint,
    roots: &Roots,
    alpn: Alpn,
    deadline: Instant,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, NoAnswer> {
    let transport = endpoint.server.transport;
    let config: Arc<ClientConfig> = ctx
        .net()
        .tls_config(&TlsProfile {
            roots: roots.clone(),
            alpn,
            ..TlsProfile::default()
        })
        .map_err(|failure: Failure| NoAnswer::tls(transport, failure.detail()))?;
    let name = endpoint
        .server
        .tls_name
        .clone()
        .ok_or_else(|| NoAnswer::tls(transport, "no name to verify the certificate for"))?;
    let stream = ctx
        .net()
        .connect(endpoint.address, deadline)
        .await
        .map_err(|error| NoAnswer::net(transport, &error))?;
    ctx.net()
        .handshake(stream, name, config, deadline)
        .await
        .map_err(|error| match error {
            NetError::Broken { .. } => NoAnswer::tls(transport, error.to_string()),
            other => NoAnswer::net(transport, &other),
        })
}

/// One message each way, each behind its length (RFC 1035, 4.2.2).
async fn on_stream<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    transport: Transport,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, NoAnswer> {
    let (id, message) = encode(question, None, transport)?;
    let length = u16::try_from(message.len())
        .map_err(|_| NoAnswer::new(State::Unreachable, transport, "the question is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    let sent = Instant::now();
    let exchange = async {
        stream.write_all(&framed).await?;
        stream.flush().await?;
        // A length has 16 bits: that is the cap on what is read.
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let step = "dns answer";
    let bytes = within(deadline, step, exchange)
        .await
        .and_then(|done| done.map_err(|error| NetError::from_io(step, &error)))
        .map_err(|error| NoAnswer::net(transport, &error))?;
    let answer = read_answer(&bytes, id, question)
        .map_err(|reject| NoAnswer::garbage(transport, &reject))?;
    Ok(Reply {
        answer,
        transport,
        rtt: sent.elapsed(),
    })
}
