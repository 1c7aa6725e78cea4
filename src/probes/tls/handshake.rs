//! One connection to one address: TCP, STARTTLS where configured, and a handshake that shows the
//! certificates whatever they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion, SignatureScheme, sign};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::facts::{ClientCertificate, Protocol};
use super::problem::{Problem, Refusal, alert};
use super::starttls::{Preamble, Starttls};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::{PeerChain, TlsProfile, within};
use crate::probes::Context;

/// In TLS 1.3 a server judges the client's certificate after the client's side of the handshake
/// is over. Its alert is given this long.
const VERDICT_WAIT: Duration = Duration::from_millis(750);

/// How every connection of one attempt is opened.
pub struct Client<'a> {
    /// The attempt's surroundings.
    pub ctx: &'a Context,
    /// The name that is verified, and sent as SNI when it is not an address.
    pub name: &'a ServerName<'static>,
    /// Roots and client certificate.
    pub profile: &'a TlsProfile,
    /// What is offered by ALPN.
    pub alpn: &'a [String],
    /// What comes before TLS.
    pub starttls: Option<Starttls>,
    /// Bounds how many connections are open at a time.
    pub permits: &'a Semaphore,
}

/// What one connection showed.
#[derive(Debug, Default)]
pub struct Attempt {
    /// The certificates, when it got that far.
    pub chain: Option<PeerChain>,
    /// What was negotiated, when the handshake was completed.
    pub negotiated: Option<Negotiated>,
    /// What went wrong.
    pub problem: Option<Problem>,
    /// What the server made of client certificates.
    pub client_certificate: Option<Observed<ClientCertificate>>,
    /// What was learnt before TLS.
    pub preamble: Preamble,
    /// The steps that ended and how long they took.
    pub phases: Vec<(&'static str, Duration)>,
}

/// The result of a completed handshake.
#[derive(Debug, Clone, PartialEq)]
pub struct Negotiated {
    /// The version.
    pub protocol: Observed<Protocol>,
    /// The IANA name of the cipher suite.
    pub cipher_suite: String,
    /// The chosen protocol; empty when none was.
    pub alpn: String,
}

/// An open connection on which TLS may begin. It holds its permit as long as it lives.
pub struct Opened<'a> {
    /// The connection.
    pub stream: TcpStream,
    /// What was learnt before TLS.
    pub preamble: Preamble,
    _permit: SemaphorePermit<'a>,
}

impl<'a> Client<'a> {
    /// Opens a connection up to the point where TLS begins.
    pub async fn open(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Opened<'a>, Problem> {
        let Ok(Ok(permit)) = timeout_at(deadline, self.permits.acquire()).await else {
            return Err(Problem::ours("no connection was free in time"));
        };
        let mut stream = self
            .ctx
            .net()
            .connect(address, deadline)
            .await
            .map_err(|error| Problem::from_net(error, address))?;
        let preamble = match self.starttls {
            None => Preamble::default(),
            Some(starttls) => starttls
                .negotiate(&mut stream, deadline)
                .await
                .map_err(|error| Problem::from_starttls(error, address))?,
        };
        Ok(Opened {
            stream,
            preamble,
            _permit: permit,
        })
    }

    /// Performs a handshake that offers `versions`.
    ///
    /// # Errors
    /// A probe error when roots or client certificate cannot be used.
    pub async fn handshake(
        &self,
        address: SocketAddr,
        versions: &'static [&'static rustls::SupportedProtocolVersion],
        deadline: Instant,
    ) -> Result<Attempt, Failure> {
        let profile = TlsProfile {
            versions,
            ..self.profile.clone()
        };
        let (config, verifier) = self.ctx.net().recording_tls_config(&profile)?;
        let (config, asked) = self.prepare(&config);
        let begun = Instant::now();
        let opened = match self.open(address, deadline).await {
            Ok(opened) => opened,
            Err(problem) => {
                return Ok(Attempt {
                    problem: Some(problem),
                    ..Attempt::default()
                });
            }
        };
        let connected = Instant::now();
        let Opened {
            stream,
            preamble,
            _permit,
        } = opened;
        let shaken = shake(config, self.name.clone(), stream, deadline).await;
        let mut attempt = Attempt {
            preamble,
            phases: vec![("connect", connected - begun), ("tls", connected.elapsed())],
            ..Attempt::default()
        };
        let asked = asked.asked.load(Ordering::Relaxed);
        match shaken {
            Ok(mut stream) => {
                attempt.negotiated = Some(negotiated(&stream));
                attempt.client_certificate = Some(if asked {
                    verdict_on_client(&mut stream, deadline).await
                } else {
                    Observed::Value(ClientCertificate::NotRequested)
                });
            }
            Err(problem) => {
                // After asking for a certificate, an alert is the answer to what came or did not.
                if asked && matches!(problem.refusal, Some(Refusal::Alert(_))) {
                    attempt.client_certificate = Some(Observed::Value(ClientCertificate::Refused));
                }
                attempt.problem = Some(problem);
            }
        }
        attempt.chain = verifier.take();
        Ok(attempt)
    }

    fn prepare(&self, config: &ClientConfig) -> (Arc<ClientConfig>, Arc<AskedForCertificate>) {
        let mut config = config.clone();
        config.alpn_protocols = self.alpn.iter().map(|name| name.clone().into()).collect();
        let asked = Arc::new(AskedForCertificate {
            inner: Arc::clone(&config.client_auth_cert_resolver),
            asked: AtomicBool::new(false),
        });
        config.client_auth_cert_resolver = Arc::clone(&asked) as _;
        (Arc::new(config), asked)
    }
}

async fn shake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
    deadline: Instant,
) -> Result<TlsStream<TcpStream>, Problem> {
    let connecting = TlsConnector::from(config).connect(name, stream);
    match within(deadline, "tls handshake", connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Problem::from_handshake(&error)),
        Err(_) => Err(Problem::silent()),
    }
}

fn negotiated(stream: &TlsStream<TcpStream>) -> Negotiated {
    let (_, connection) = stream.get_ref();
    let protocol = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Observed::Value(Protocol::Tls12),
        Some(ProtocolVersion::TLSv1_3) => Observed::Value(Protocol::Tls13),
        other => Observed::unknown(UnknownWhy::Unsupported, format!("{other:?}")),
    };
    let cipher_suite = connection
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1))
        .unwrap_or_default();
    let alpn = connection
        .alpn_protocol()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .unwrap_or_default();
    Negotiated {
        protocol,
        cipher_suite,
        alpn,
    }
}

/// Waits a moment for the server's alert about our certificate, or the lack of one. Before
/// TLS 1.3 the handshake does not end without the server's consent.
async fn verdict_on_client(
    stream: &mut TlsStream<TcpStream>,
    deadline: Instant,
) -> Observed<ClientCertificate> {
    let (_, connection) = stream.get_ref();
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Observed::Value(ClientCertificate::Requested);
    }
    let until = deadline.min(Instant::now() + VERDICT_WAIT);
    let mut byte = [0];
    match timeout_at(until, stream.read(&mut byte)).await {
        Err(_) | Ok(Ok(1..)) => Observed::Value(ClientCertificate::Requested),
        Ok(Err(error)) if alert(&error).is_some() => Observed::Value(ClientCertificate::Refused),
        Ok(Ok(0) | Err(_)) => Observed::unknown(
            UnknownWhy::NotObserved,
            "the server asked for a client certificate and then closed without saying why",
        ),
    }
}

/// Passes on to the configured certificate and remembers that the server asked.
#[derive(Debug)]
struct AskedForCertificate {
    inner: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl ResolvesClientCert for AskedForCertificate {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<sign::CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(root_hint_subjects, sigschemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
