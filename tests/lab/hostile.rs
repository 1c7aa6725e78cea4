//! A server that misbehaves on request, over plain TCP and over TLS: the path says how.

use std::future::pending;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A server on two free loopback ports; it ends when dropped.
pub struct Hostile {
    plain: SocketAddr,
    tls: SocketAddr,
    certificate_pem: String,
    requests: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Hostile {
    /// Starts it.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime for the hostile server");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate_pem = key.cert.pem();
        let acceptor = acceptor(&key);
        let requests = Arc::new(AtomicUsize::new(0));
        let listen = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
            listener.set_nonblocking(true).expect("non-blocking");
            let address = listener.local_addr().expect("address");
            let _inside = runtime.enter();
            (TcpListener::from_std(listener).expect("listen"), address)
        };
        let ((plain_listener, plain), (tls_listener, tls)) = (listen(), listen());
        runtime.spawn(accept(plain_listener, None, Arc::clone(&requests)));
        runtime.spawn(accept(tls_listener, Some(acceptor), Arc::clone(&requests)));
        Self {
            plain,
            tls,
            certificate_pem,
            requests,
            runtime: Some(runtime),
        }
    }

    /// The URL of a behaviour, over plain HTTP.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.plain)
    }

    /// The URL of a behaviour, over TLS.
    pub fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.tls)
    }

    /// The port of plain HTTP.
    pub fn port(&self) -> u16 {
        self.plain.port()
    }

    /// What a client must trust to speak TLS with it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // Its connections hang on purpose: they are not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn acceptor(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .expect("a server configuration");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, requests: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, requests) = (tls.clone(), Arc::clone(&requests));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, &requests).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, &requests).await;
                    }
                }
            }
        });
    }
}

/// A connection whose socket can be reset.
trait Peer: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Peer for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Peer for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

struct Request {
    method: String,
    path: String,
    text: String,
}

async fn serve(mut peer: impl Peer, requests: &AtomicUsize) {
    let Some(request) = read_request(&mut peer).await else {
        return;
    };
    requests.fetch_add(1, Ordering::Relaxed);
    // The peer may give up at any time: what cannot be sent is not.
    misbehave(&mut peer, &request).await.ok();
    peer.shutdown().await.ok();
}

async fn read_request(peer: &mut impl Peer) -> Option<Request> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse().ok())?
            });
            if body.len() >= announced.unwrap_or(0_usize) {
                let mut words = head.split(' ');
                let method = words.next()?.to_owned();
                let path = words.next()?.to_owned();
                let text = text.into_owned();
                return Some(Request { method, path, text });
            }
        }
        match peer.read(&mut buffer).await {
            Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

async fn misbehave(peer: &mut impl Peer, request: &Request) -> std::io::Result<()> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    match path {
        "/ok" => respond(peer, "content-type: text/plain\r\n", b"ok\n").await,
        "/json" => respond(peer, "content-type: application/json\r\n", query.as_bytes()).await,
        "/echo" => {
            respond(
                peer,
                "content-type: text/plain\r\n",
                request.text.as_bytes(),
            )
            .await
        }
        "/status" => {
            let head = format!("HTTP/1.1 {query} Said\r\ncontent-length: 0\r\n\r\n");
            peer.write_all(head.as_bytes()).await
        }
        "/head-only" if request.method == "HEAD" => {
            send(peer, &format!("{OK}content-length: 1000\r\n\r\n")).await
        }
        "/slow" => {
            sleep(Duration::from_millis(100)).await;
            respond(peer, "", b"slow").await
        }
        "/cookies" => {
            let set = "set-cookie: a=1; Secure; HttpOnly\r\nset-cookie: b=2; Expires=Wed, 21 Oct 2030 07:28:00 GMT\r\n";
            respond(peer, set, b"").await
        }
        "/lossy-header" => {
            peer.write_all(b"HTTP/1.1 200 OK\r\nx-bytes: \xff\xfe\r\ncontent-length: 0\r\n\r\n")
                .await
        }
        "/1xx" => {
            send(peer, "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n").await?;
            respond(peer, "", b"after").await
        }
        _ if path.starts_with("/redirect") => redirect(peer, path, query).await,
        _ if path.starts_with("/body") => break_body(peer, path).await,
        _ => break_protocol(peer, path).await,
    }
}

async fn redirect(peer: &mut impl Peer, path: &str, query: &str) -> std::io::Result<()> {
    let status = path.rsplit_once('/').map_or("", |(_, status)| status);
    let location = if path == "/redirect-loop" {
        "/redirect-loop"
    } else {
        query
    };
    let status = if status.parse::<u16>().is_ok() {
        status
    } else {
        "302"
    };
    let head = format!(
        "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 5\r\n\r\nmoved"
    );
    send(peer, &head).await
}

/// What unpacks to 16 MiB of zeros.
static GZIP_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![0; 16 << 20]));
static DEFLATE_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| deflate(&vec![0; 16 << 20]));

/// The head is fine; the body is not.
async fn break_body(peer: &mut impl Peer, path: &str) -> std::io::Result<()> {
    match path {
        "/body-hang" => {
            send(peer, &format!("{OK}content-length: 100\r\n\r\npart")).await?;
            pending().await
        }
        "/body-drip" => {
            send(peer, &format!("{OK}content-length: 1000\r\n\r\n")).await?;
            drip(peer, "x").await
        }
        "/body-reset" => {
            send(peer, &format!("{OK}content-length: 1000\r\n\r\npart")).await?;
            // Long enough for the head to be read before the reset discards it.
            sleep(Duration::from_millis(100)).await;
            peer.socket().set_zero_linger()
        }
        "/body-short" => send(peer, &format!("{OK}content-length: 1000\r\n\r\npart")).await,
        "/body-long" => send(peer, &format!("{OK}content-length: 4\r\n\r\nbodymore")).await,
        "/body-until-close" => send(peer, &format!("{OK}\r\nuntil the end")).await,
        "/body-bad-chunks" => {
            send(
                peer,
                &format!("{OK}transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
            )
            .await
        }
        "/body-cut-chunks" => {
            send(
                peer,
                &format!("{OK}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n"),
            )
            .await
        }
        "/body-1gb" => {
            send(peer, &format!("{OK}content-length: {}\r\n\r\n", 1 << 30)).await?;
            flood(peer, &[b'x'; 16 * 1024], 1 << 16).await
        }
        "/body-endless-chunks" => {
            send(peer, &format!("{OK}transfer-encoding: chunked\r\n\r\n")).await?;
            flood(
                peer,
                b"20\r\nthirty-two bytes in every chunk.\r\n"
                    .repeat(1024)
                    .as_slice(),
                usize::MAX,
            )
            .await
        }
        "/body-gzip" => encoded(peer, "gzip", &gzip(b"plain text")).await,
        "/body-gzip-bomb" => encoded(peer, "gzip", &GZIP_BOMB).await,
        "/body-gzip-cut" => {
            let whole = gzip(b"plain text");
            encoded(peer, "gzip", &whole[..whole.len() - 5]).await
        }
        "/body-gzip-invalid" => encoded(peer, "gzip", b"this is not gzip").await,
        "/body-deflate" => encoded(peer, "deflate", &deflate(b"plain text")).await,
        "/body-deflate-bomb" => encoded(peer, "deflate", &DEFLATE_BOMB).await,
        "/body-brotli" => encoded(peer, "br", b"whatever").await,
        "/body-not-utf8" => respond(peer, "", b"\xff\xfe\xfd").await,
        "/body-deep-json" => respond(peer, "", "[".repeat(500_000).as_bytes()).await,
        "/body-huge-numbers" => {
            let body = format!("{{\"big\": 1{}, \"far\": 1e400}}", "0".repeat(1000));
            respond(peer, "", body.as_bytes()).await
        }
        "/body-fake-unknown" => {
            respond(peer, "", br#"{"a": {"unknown": "denied", "detail": ""}}"#).await
        }
        _ => respond(peer, "", b"no such behaviour").await,
    }
}

/// There is never a head to judge.
async fn break_protocol(peer: &mut impl Peer, path: &str) -> std::io::Result<()> {
    match path {
        "/hang" => pending().await,
        "/hang-in-head" => {
            send(peer, "HTTP/1.1 200 OK\r\ncontent-le").await?;
            pending().await
        }
        "/slow-head" => {
            send(peer, OK).await?;
            drip(peer, "x-drip: x\r\n").await
        }
        "/reset" => peer.socket().set_zero_linger(),
        "/half-close" => {
            peer.shutdown().await?;
            pending().await
        }
        "/garbage" => flood(peer, &[0x00, 0xff, 0x16, 0x03, b'\n', 0x80], 1000).await,
        "/http09" => send(peer, "<html>no status line here</html>").await,
        "/bad-status" => send(peer, "HTTP/1.1 999999 Odd\r\n\r\n").await,
        "/two-lengths" => {
            send(
                peer,
                &format!("{OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            )
            .await
        }
        "/endless-head" => {
            send(peer, OK).await?;
            flood(
                peer,
                b"x-again: and again\r\n".repeat(100).as_slice(),
                usize::MAX,
            )
            .await
        }
        "/endless-line" => {
            send(peer, "HTTP/1.1 200 OK\r\nx-line: ").await?;
            flood(peer, &[b'x'; 4096], usize::MAX).await
        }
        "/1xx-flood" => {
            let hint = b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n".repeat(100);
            flood(peer, &hint, usize::MAX).await
        }
        _ => respond_with(peer, "HTTP/1.1 404 Not Found\r\n", "", b"no such behaviour").await,
    }
}

async fn send(peer: &mut impl Peer, text: &str) -> std::io::Result<()> {
    peer.write_all(text.as_bytes()).await?;
    peer.flush().await
}

async fn respond(peer: &mut impl Peer, headers: &str, body: &[u8]) -> std::io::Result<()> {
    respond_with(peer, OK, headers, body).await
}

async fn respond_with(
    peer: &mut impl Peer,
    status: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let mut response =
        format!("{status}{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    response.extend_from_slice(body);
    peer.write_all(&response).await?;
    peer.flush().await
}

async fn encoded(peer: &mut impl Peer, encoding: &str, body: &[u8]) -> std::io::Result<()> {
    respond(peer, &format!("content-encoding: {encoding}\r\n"), body).await
}

async fn drip(peer: &mut impl Peer, text: &str) -> std::io::Result<()> {
    loop {
        for byte in text.bytes() {
            peer.write_all(&[byte]).await?;
            peer.flush().await?;
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn flood(peer: &mut impl Peer, bytes: &[u8], times: usize) -> std::io::Result<()> {
    for _ in 0..times {
        peer.write_all(bytes).await?;
    }
    peer.flush().await
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("compress");
    encoder.finish().expect("compress")
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("compress");
    encoder.finish().expect("compress")
}
