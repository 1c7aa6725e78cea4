//! The stream under a session: TLS or not, with a cap on what is read from it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What one session may read: a server that sends without end must not exhaust our memory.
pub const MAX_READ_BYTES: u64 = 32 * 1024 * 1024;

/// Said by the error of a read beyond the cap.
pub const TOO_MUCH: &str = "the server sent more than this probe reads";

/// A connection to a server.
pub enum Transport {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// The first message of a login: `R`, its length, and the number of what is asked for.
const FIRST_BYTES: usize = 9;
/// Nothing was asked for yet.
pub const NOT_ASKED: i32 = -1;

/// A connection of which only so much is read.
pub struct Wire {
    transport: Transport,
    read_bytes: Arc<AtomicU64>,
    head: Vec<u8>,
    asked: Arc<AtomicI32>,
}

impl Wire {
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            read_bytes: Arc::new(AtomicU64::new(0)),
            head: Vec::new(),
            asked: Arc::new(AtomicI32::new(NOT_ASKED)),
        }
    }

    /// Whether it has TLS.
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// What the server asked for first: the number in its first authentication request.
    pub fn asked(&self) -> Arc<AtomicI32> {
        Arc::clone(&self.asked)
    }

    fn look(&mut self, read: &[u8]) {
        if self.head.len() >= FIRST_BYTES {
            return;
        }
        let missing = FIRST_BYTES - self.head.len();
        self.head.extend(read.iter().take(missing));
        if let [b'R', _, _, _, _, number @ ..] = self.head.as_slice()
            && let Ok(number) = <[u8; 4]>::try_from(number)
        {
            self.asked
                .store(i32::from_be_bytes(number), Ordering::Relaxed);
        }
    }

    /// Counts what has been read so far.
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_bytes.load(Ordering::Relaxed) > MAX_READ_BYTES {
            return Poll::Ready(Err(io::Error::other(TOO_MUCH)));
        }
        let before = buf.filled().len();
        let poll = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        };
        let count = buf.filled().len() - before;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.look(buf.filled().get(before..).unwrap_or_default());
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        let Transport::Tls(stream) = &self.transport else {
            return ChannelBinding::none();
        };
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        leaf.and_then(end_point)
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// `tls-server-end-point` of RFC 5929: the hash of the certificate by the hash of its signature, MD5
/// and SHA-1 replaced by SHA-256; none where the signature brings its own.
fn end_point(leaf: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(leaf).ok()?;
    let oid = read.signature_algorithm.algorithm.to_id_string();
    let bytes = leaf.as_ref();
    match oid.as_str() {
        // md5, sha1, sha256, and sha1, sha256 with ECDSA
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(bytes).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(bytes).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

/// Hands a connection that has TLS already to the client library.
pub struct Ready;

impl TlsConnect<Wire> for Ready {
    type Stream = Wire;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Wire>>;

    fn connect(self, stream: Wire) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}
