//! The kind against servers that misbehave in ways no real server can be configured to.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{Config, Tls};
use crate::evidence::{FactSchema, Failure, Outcome};
use crate::net::Dialler;
use crate::probes::{Context, Probe, ProbeKind};

const TIMEOUT: Duration = Duration::from_millis(1_500);

fn install_provider() {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
}

fn config(params: Value) -> Config {
    serde_json::from_value(params).expect("parameters")
}

fn errors(params: Value) -> Vec<String> {
    install_provider();
    match Tls::new(config(params)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.param).collect(),
    }
}

async fn observe(params: Value) -> Result<Value, Failure> {
    install_provider();
    let kind = Tls::new(config(params)).expect("sound parameters");
    let begun = Instant::now();
    let ctx = Context::new(Arc::new(Dialler::new()), begun + TIMEOUT);
    let facts = Probe::observe(&kind, &ctx).await;
    assert!(begun.elapsed() < TIMEOUT, "past its deadline");
    facts.map(Value::Object)
}

async fn target_error(params: Value) -> String {
    let failure = observe(params).await.expect_err("nothing can be observed");
    assert_eq!(failure.outcome(), Outcome::TargetError, "{failure}");
    failure.detail().to_owned()
}

/// Serves every connection on a free port of `host` with `serve`.
async fn server<F, S>(host: &str, port: u16, serve: F) -> u16
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((host, port)).await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

async fn hold(stream: TcpStream) {
    tokio::time::sleep(TIMEOUT * 4).await;
    drop(stream);
}

/// Presents fixed certificates, however little sense they make.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A TLS server whose chain is the leaf followed by `more`; `leaf` replaces the sound one.
fn acceptor(leaf: Option<&[u8]>, more: &[Vec<u8>]) -> TlsAcceptor {
    install_provider();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("names");
    let sound = params.self_signed(&key).expect("sign").der().to_vec();
    let mut chain = vec![CertificateDer::from(leaf.map_or(sound, <[u8]>::to_vec))];
    chain.extend(more.iter().cloned().map(CertificateDer::from));
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a signing key");
    let resolver = Fixed(Arc::new(CertifiedKey::new(chain, key)));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(acceptor: TlsAcceptor, stream: TcpStream) {
    if let Ok(mut stream) = acceptor.accept(stream).await {
        stream.read_u8().await.ok();
    }
}

#[test]
fn the_facts_have_a_schema() {
    FactSchema::of::<super::Facts>().expect("a schema that rules can be checked against");
}

#[test]
fn all_wrong_parameters_are_told_at_once() {
    let wrong = json!({
        "host": "https://example.org/", "port": 0, "ca_file": "/nonexistent",
        "client_key_file": "/nonexistent", "alpn": ["h2", ""], "server_name": "*",
    });
    assert_eq!(
        errors(wrong),
        [
            "host",
            "server_name",
            "ca_file",
            "client_cert_file",
            "alpn.1",
            "port"
        ]
    );
    assert_eq!(errors(json!({"host": "example.org:443"})), ["host"]);
    assert_eq!(errors(json!({"host": "bücher.example"})), ["host"]);
    assert_eq!(errors(json!({"host": "  "})), ["host"]);
    for fine in [
        "example.org",
        "example.org.",
        "::1",
        "[::1]",
        "192.0.2.1",
        "a_b.example",
    ] {
        assert!(errors(json!({"host": fine})).is_empty(), "{fine}");
    }
}

#[test]
fn the_port_follows_the_protocol() {
    install_provider();
    let target = |params| Tls::new(config(params)).map(|kind| ProbeKind::target(&kind));
    let of = |params| target(params).expect("sound parameters");
    assert_eq!(of(json!({"host": "a.example"})), "a.example:443");
    assert_eq!(
        of(json!({"host": "[::1]", "starttls": "postgres"})),
        "[::1]:5432"
    );
    assert_eq!(
        of(json!({"host": "a.example", "starttls": "smtp"})),
        "a.example:25"
    );
}

#[tokio::test]
async fn silence_after_accepting_is_the_targets_fault() {
    let port = server("127.0.0.1", 0, hold).await;
    let detail = target_error(json!({"host": "127.0.0.1", "port": port})).await;
    assert!(detail.contains("stayed silent"), "{detail}");
}

#[tokio::test]
async fn a_reply_that_drips_is_cut_off() {
    let port = server("127.0.0.1", 0, async |mut stream: TcpStream| {
        for byte in b"\x16\x03\x03\x40\x00".iter().chain([0; 100].iter()) {
            stream.write_all(&[*byte]).await.ok();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    target_error(json!({"host": "127.0.0.1", "port": port})).await;
}

#[tokio::test]
async fn closing_resetting_and_talking_nonsense_are_told_apart() {
    let close = server("127.0.0.1", 0, async |mut stream: TcpStream| {
        let hello = stream.read(&mut [0; 4096]).await;
        assert!(hello.is_ok_and(|count| count > 0));
    })
    .await;
    let reset = server("127.0.0.1", 0, async |stream: TcpStream| {
        stream.readable().await.ok();
    })
    .await;
    let garbage = server("127.0.0.1", 0, async |mut stream: TcpStream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.ok();
        hold(stream).await;
    })
    .await;
    for (port, expected) in [
        (close, "closed the connection"),
        (reset, "reset the connection"),
        (garbage, "not TLS"),
    ] {
        let detail = target_error(json!({"host": "127.0.0.1", "port": port})).await;
        assert!(detail.contains(expected), "{detail}");
    }
}

#[tokio::test]
async fn an_address_that_hangs_takes_nothing_from_the_other() {
    let sound = acceptor(None, &[]);
    let port = server("127.0.0.1", 0, move |stream| accept(sound.clone(), stream)).await;
    server("::1", port, hold).await;
    let facts = observe(json!({"host": "localhost", "port": port}))
        .await
        .expect("one address answers");
    let states: Vec<&Value> = facts["addresses"]
        .as_array()
        .expect("addresses")
        .iter()
        .map(|address| &address["state"])
        .collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&&json!("ok")), "{states:?}");
    assert!(states.contains(&&json!("silent")), "{states:?}");
    assert_eq!(facts["hostname_matches"], json!(true));
    assert_eq!(facts["versions"]["tls1_0"], json!("refused"));
}

#[tokio::test]
async fn silence_to_an_old_hello_is_unknown_and_the_rest_is_kept() {
    const VERSION_AT: usize = 9;
    let sound = acceptor(None, &[]);
    let port = server("127.0.0.1", 0, move |stream: TcpStream| {
        let sound = sound.clone();
        async move {
            let mut start = [0; 11];
            while stream.peek(&mut start).await.is_ok_and(|count| count < 11) {}
            match start[VERSION_AT..] {
                [3, 1 | 2] => hold(stream).await,
                _ => accept(sound, stream).await,
            }
        }
    })
    .await;
    let facts = observe(json!({"host": "127.0.0.1", "port": port, "server_name": "localhost"}))
        .await
        .expect("a modern handshake works");
    assert_eq!(facts["versions"]["tls1_0"]["unknown"], json!("timed_out"));
    assert_eq!(facts["versions"]["tls1_1"]["unknown"], json!("timed_out"));
    assert_eq!(facts["versions"]["tls1_2"], json!("accepted"));
    assert_eq!(facts["versions"]["tls1_3"], json!("accepted"));
    assert_eq!(facts["hostname_matches"], json!(true));
}

#[tokio::test]
async fn certificates_that_are_none_are_untrusted_and_their_facts_unknown() {
    let nonsense = acceptor(Some(b"nonsense"), &[]);
    let port = server("127.0.0.1", 0, move |stream| {
        accept(nonsense.clone(), stream)
    })
    .await;
    let facts = observe(json!({"host": "127.0.0.1", "port": port}))
        .await
        .expect("a certificate message was seen");
    assert_eq!(facts["trusted"], json!(false));
    assert_eq!(facts["min_days_left"]["unknown"], json!("unparseable"));
    assert_eq!(
        facts["chain"][0]["subject"]["unknown"],
        json!("unparseable")
    );
    assert_eq!(facts["addresses"][0]["state"], json!("handshake_failed"));

    let tail = acceptor(None, &[b"nonsense".to_vec()]);
    let port = server("127.0.0.1", 0, move |stream| accept(tail.clone(), stream)).await;
    let facts = observe(json!({"host": "127.0.0.1", "port": port}))
        .await
        .expect("a certificate message was seen");
    assert_eq!(facts["min_days_left"]["unknown"], json!("unparseable"));
    assert_eq!(facts["leaf_not_after"].as_str().map(str::len), Some(20));
}

#[tokio::test]
async fn a_chain_without_end_is_too_large_and_not_cut() {
    let long = acceptor(None, &vec![vec![0x30, 0]; 500]);
    let port = server("127.0.0.1", 0, move |stream| accept(long.clone(), stream)).await;
    let facts = observe(json!({"host": "127.0.0.1", "port": port}))
        .await
        .expect("a certificate message was seen");
    assert_eq!(facts["chain"]["unknown"], json!("too_large"));
    assert_eq!(facts["min_days_left"]["unknown"], json!("too_large"));
    assert_eq!(facts["trusted"], json!(false));
}

/// Speaks SMTP up to STARTTLS with the given lines.
async fn smtp(greeting: &'static str, ehlo: &'static str, ready: &'static str) -> u16 {
    let sound = acceptor(None, &[]);
    server("127.0.0.1", 0, move |mut stream: TcpStream| {
        let sound = sound.clone();
        async move {
            let mut command = [0; 256];
            for reply in [greeting, ehlo, ready] {
                stream.write_all(reply.as_bytes()).await.ok();
                if reply != ready && stream.read(&mut command).await.is_ok_and(|n| n == 0) {
                    return;
                }
            }
            accept(sound, stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn smtp_that_cannot_start_tls_is_the_targets_fault() {
    let hello = "220 mail.example ESMTP\r\n";
    let offer = "250-mail.example\r\n250 STARTTLS\r\n";
    for (greeting, ehlo, ready, expected) in [
        ("554 go away\r\n", offer, "", "554 go away"),
        (hello, "502 what\r\n", "", "502 what"),
        (
            hello,
            "250-mail.example\r\n250 SIZE\r\n",
            "",
            "does not offer STARTTLS",
        ),
        (hello, offer, "454 not now\r\n", "454 not now"),
        (
            hello,
            offer,
            "220 go\r\n250 injected\r\n",
            "unprotected bytes",
        ),
        ("SSH-2.0-OpenSSH\r\n", offer, "", "not SMTP"),
    ] {
        let port = smtp(greeting, ehlo, ready).await;
        let detail =
            target_error(json!({"host": "127.0.0.1", "port": port, "starttls": "smtp"})).await;
        assert!(detail.contains(expected), "{detail}");
    }
    let port = smtp(hello, offer, "220 go\r\n").await;
    let facts = observe(json!({"host": "127.0.0.1", "port": port, "starttls": "smtp"}))
        .await
        .expect("STARTTLS works");
    assert_eq!(facts["plaintext_auth_offered"], json!(false));
    assert_eq!(facts["protocol"], json!("TLSv1.3"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_our_blindness() {
    let failure = observe(json!({"host": "does-not-exist.invalid"}))
        .await
        .expect_err("there is no such name");
    assert_eq!(failure.outcome(), Outcome::ProbeError, "{failure}");
}

#[tokio::test]
async fn addresses_beyond_the_cap_are_listed_and_leave_the_verdict_open() {
    let sound = acceptor(None, &[]);
    let port = server("0.0.0.0", 0, move |stream| accept(sound.clone(), stream)).await;
    let params = json!({"host": "many.example", "port": port, "server_name": "localhost"});
    let kind = Tls::new(config(params)).expect("sound parameters");
    let facts_of = async |count: u8| {
        let deadline = Instant::now() + TIMEOUT * 6;
        let ctx = Context::new(Arc::new(Dialler::new()), deadline);
        let addresses = (1..=count).map(|last| [127, 0, 0, last].into()).collect();
        let reports = kind.examine_all(&ctx, addresses).await.expect("reports");
        let facts = super::summary::summarise(&reports).expect("facts");
        serde_json::to_value(facts).expect("JSON")
    };
    let within = facts_of(16).await;
    assert_eq!(within["hostname_matches"], json!(true));
    assert_eq!(within["versions"]["tls1_0"], json!("refused"));
    let beyond = facts_of(17).await;
    assert_eq!(beyond["addresses"].as_array().map(Vec::len), Some(17));
    assert_eq!(
        beyond["addresses"][16]["state"]["unknown"],
        json!("too_large")
    );
    assert_eq!(beyond["hostname_matches"]["unknown"], json!("too_large"));
    assert_eq!(beyond["min_days_left"]["unknown"], json!("too_large"));
    assert_eq!(beyond["trusted"], json!(false), "one bad address decides");
}
