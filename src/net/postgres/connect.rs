//! From a connection string to an open connection: DNS, TCP, `SSLRequest`, TLS as `sslmode` says.

use std::net::{IpAddr, SocketAddr};

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::config::{ChannelBinding, SslMode as LibrarySslMode, SslNegotiation};

use super::Target;
use super::dsn::SslMode;
use super::wire::{Transport, Wire};
use crate::evidence::Failure;
use crate::net::{Dialler, NetError, PeerChain, describe_certificate, is_own_root, within};

/// `SSLRequest`: its length and the number that PostgreSQL gave it.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Opens a TCP connection to the first address that takes one; `dialled` hears of each.
pub async fn tcp(
    net: &Dialler,
    dialled: &(dyn Fn(SocketAddr) + Sync),
    target: &Target,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let addresses: Vec<IpAddr> = match target.dsn.hostaddr {
        Some(address) => vec![address],
        None => net.resolve(&target.dsn.host, deadline).await?,
    };
    let mut last = None;
    let count = addresses.len();
    for (at, address) in addresses.into_iter().enumerate() {
        let address = SocketAddr::new(address, target.dsn.port);
        dialled(address);
        let left = deadline.saturating_duration_since(Instant::now());
        let parts = u32::try_from(count - at).unwrap_or(u32::MAX);
        match net.connect(address, Instant::now() + left / parts).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || Failure::probe(format!("resolve {}: no address", target.dsn.host)),
        Failure::from,
    ))
}

/// Opens a connection with as much TLS as `sslmode` asks for.
pub async fn open(
    net: &Dialler,
    dialled: &(dyn Fn(SocketAddr) + Sync),
    target: &Target,
    deadline: Instant,
) -> Result<Wire, Failure> {
    let mut stream = tcp(net, dialled, target, deadline).await?;
    // `allow` asks for TLS where libpq would try without first: more protected, never less.
    if target.sslmode == SslMode::Disable {
        return Ok(Wire::new(Transport::Plain(stream)));
    }
    match ssl_request(&mut stream, deadline).await? {
        b'S' => handshake(net, target, stream, deadline).await,
        b'N' if target.sslmode.may_be_plain() => Ok(Wire::new(Transport::Plain(stream))),
        b'N' => Err(Failure::target(
            "the server does not offer TLS (ssl = off), and sslmode asks for it",
        )),
        b'E' => Err(Failure::target(
            "the server answered SSLRequest with an error",
        )),
        _ => Err(Failure::target("what answers SSLRequest is not PostgreSQL")),
    }
}

async fn ssl_request(stream: &mut TcpStream, deadline: Instant) -> Result<u8, NetError> {
    const STEP: &str = "PostgreSQL SSLRequest";
    let ask = async {
        stream.write_all(&SSL_REQUEST).await?;
        // One byte and no more: whatever follows must already be protected.
        stream.read_u8().await
    };
    within(deadline, STEP, ask)
        .await?
        .map_err(|error| NetError::from_io(STEP, &error))
}

async fn handshake(
    net: &Dialler,
    target: &Target,
    stream: TcpStream,
    deadline: Instant,
) -> Result<Wire, Failure> {
    let name = ServerName::try_from(target.dsn.host.clone())
        .map_err(|_| Failure::probe("the host is not a name that a certificate can be for"))?;
    if target.sslmode == SslMode::VerifyFull {
        let config = net.tls_config(&target.tls)?;
        let stream = net.handshake(stream, name, config, deadline).await?;
        return Ok(Wire::new(Transport::Tls(Box::new(stream))));
    }
    let (config, verifier) = net.recording_tls_config(&target.tls)?;
    let stream = net.handshake(stream, name, config, deadline).await?;
    if target.sslmode == SslMode::VerifyCa {
        let roots = net.root_store(&target.tls.roots)?;
        trusted(verifier.take(), |leaf| is_own_root(leaf, &roots))?;
    }
    Ok(Wire::new(Transport::Tls(Box::new(stream))))
}

/// `verify-ca`: the chain leads to a root, whatever name it is for. The name is looked at last, so
/// that an error about it means that the chain is sound.
fn trusted(
    chain: Option<PeerChain>,
    is_root: impl Fn(&rustls::pki_types::CertificateDer<'_>) -> bool,
) -> Result<(), Failure> {
    let Some(chain) = chain else {
        return Err(Failure::target("the server showed no certificate"));
    };
    let named = chain.certificates.first().is_some_and(is_root);
    match chain.error {
        None
        | Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Ok(()),
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if named => Ok(()),
        Some(rustls::Error::InvalidCertificate(bad)) => Err(Failure::target(format!(
            "untrusted certificate: {}",
            describe_certificate(&bad)
        ))),
        Some(error) => Err(Failure::target(format!("tls handshake: {error}"))),
    }
}

/// What the client library is told; the connection, and its TLS, are ours.
pub fn login(target: &Target, options: Option<&str>) -> tokio_postgres::Config {
    let dsn = &target.dsn;
    let mut config = tokio_postgres::Config::new();
    config
        .user(&dsn.user)
        .dbname(&dsn.dbname)
        .application_name(dsn.application_name.as_deref().unwrap_or("probe"))
        // The library thinks that it begins TLS at once; what it gets has it already.
        .ssl_mode(LibrarySslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    if let Some(password) = &dsn.password {
        config.password(password.expose());
    }
    if dsn.require_channel_binding {
        config.channel_binding(ChannelBinding::Require);
    }
    match (&dsn.options, options) {
        (Some(theirs), Some(ours)) => config.options(format!("{theirs} {ours}")),
        (Some(theirs), None) => config.options(theirs),
        (None, Some(ours)) => config.options(ours),
        (None, None) => &mut config,
    };
    config
}
