//! TLS, and a certificate that changes while the daemon runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::config;
use crate::lab::Daemon;
use crate::lab::certs::{Authority, Leaf};

/// The answer over TLS, and the certificate that was shown.
fn ask(port: u16, authority: &Authority) -> Result<(String, Vec<u8>), String> {
    probe::net::install_crypto_provider();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM"))
        .expect("a root");
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(client), name).expect("a client");
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    let mut stream = StreamOwned::new(connection, stream);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .map_err(|error| error.to_string())?;
    let mut answer = String::new();
    // The end of the connection may be abrupt once all was said.
    stream.read_to_string(&mut answer).ok();
    let shown = stream
        .conn
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.to_vec());
    Ok((answer, shown.unwrap_or_default()))
}

#[test]
fn a_certificate_is_read_anew_when_it_changes() {
    let authority = Authority::root("lab");
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let first = authority.issue(&Leaf::sound());
    let files = [
        ("tls.pem", first.chain.as_str()),
        ("tls.key", first.key.as_str()),
    ];
    let daemon = Daemon::start_with(
        "cert_file = \"tls.pem\"\nkey_file = \"tls.key\"",
        &config(port),
        &files,
    );
    let (answer, shown) = ask(daemon.port, &authority).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Plain HTTP is no longer spoken.
    assert_eq!(daemon.get("/healthz").status, 0);
    // Nonsense changes nothing.
    std::fs::write(daemon.dir().join("tls.pem"), "nonsense").expect("write");
    sleep(Duration::from_secs(3));
    assert_eq!(ask(daemon.port, &authority).expect("an answer").1, shown);
    authority.issue(&Leaf::sound()).write(daemon.dir(), "tls");
    let begun = Instant::now();
    while ask(daemon.port, &authority).is_ok_and(|(_, now)| now == shown) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the old one is still shown: {}",
            daemon.log()
        );
        sleep(Duration::from_millis(200));
    }
    let (answer, _) = ask(daemon.port, &authority).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_handshake_is_not_waited_for() {
    let authority = Authority::root("lab");
    let up = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = up.local_addr().expect("an address").port();
    let leaf = authority.issue(&Leaf::sound());
    let files = [
        ("tls.pem", leaf.chain.as_str()),
        ("tls.key", leaf.key.as_str()),
    ];
    let daemon = Daemon::start_with(
        "cert_file = \"tls.pem\"\nkey_file = \"tls.key\"",
        &config(port),
        &files,
    );
    let mut silent = daemon.connect();
    let (answer, _) = ask(daemon.port, &authority).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    silent
        .set_read_timeout(Some(Duration::from_secs(25)))
        .expect("a timeout");
    assert!(
        silent.read_to_end(&mut rest).is_ok(),
        "still open after the handshake's time"
    );
}
