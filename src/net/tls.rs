//! TLS for the dialler: roots, client identities, and a verifier that records what it saw.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::dial::Dialler;
use crate::evidence::Failure;

/// A CA bundle larger than this is not one.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

/// What a certificate chain is verified against.
#[derive(Clone, Default)]
pub enum Roots {
    /// The system's roots, loaded once, when first used.
    #[default]
    System,
    /// A private bundle, read when the configuration was.
    Bundle(Arc<RootCertStore>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("Roots::System"),
            Self::Bundle(store) => write!(f, "Roots::Bundle({} roots)", store.len()),
        }
    }
}

/// A client certificate chain with its key.
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity({} certificates)", self.chain.len())
    }
}

/// The protocols a client offers by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// None at all.
    None,
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
    /// `h2`, then `http/1.1`.
    Http2Or1,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::None => vec![],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http2Or1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// How a probe speaks TLS; [`Dialler::tls_config`] turns it into a client configuration.
#[derive(Debug, Clone)]
pub struct TlsProfile {
    /// What chains are verified against.
    pub roots: Roots,
    /// The client certificate, when the target asks for one.
    pub identity: Option<Arc<ClientIdentity>>,
    /// What is offered by ALPN.
    pub alpn: Alpn,
    /// The protocol versions that are offered.
    pub versions: &'static [&'static rustls::SupportedProtocolVersion],
}

impl Default for TlsProfile {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            identity: None,
            alpn: Alpn::None,
            versions: rustls::ALL_VERSIONS,
        }
    }
}

#[derive(Default)]
pub(super) struct SystemRoots(OnceLock<Result<Arc<RootCertStore>, String>>);

impl SystemRoots {
    fn get(&self) -> Result<Arc<RootCertStore>, Failure> {
        self.0
            .get_or_init(load_system)
            .clone()
            .map_err(Failure::probe)
    }
}

fn load_system() -> Result<Arc<RootCertStore>, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(loaded.certs);
    if store.is_empty() {
        return Err(
            "this system has no CA certificates: install ca-certificates or set `ca_file`".into(),
        );
    }
    Ok(Arc::new(store))
}

impl Dialler {
    /// The root store behind `roots`.
    ///
    /// # Errors
    /// A probe error when this system has no roots.
    pub fn root_store(&self, roots: &Roots) -> Result<Arc<RootCertStore>, Failure> {
        match roots {
            Roots::System => self.roots.get(),
            Roots::Bundle(store) => Ok(Arc::clone(store)),
        }
    }

    /// A client configuration that refuses what it cannot verify.
    ///
    /// # Errors
    /// A probe error when roots or identity cannot be used.
    pub fn tls_config(&self, profile: &TlsProfile) -> Result<Arc<ClientConfig>, Failure> {
        let roots = self.root_store(&profile.roots)?;
        let builder = ClientConfig::builder_with_protocol_versions(profile.versions)
            .with_root_certificates(roots);
        let mut config = with_identity(builder, profile.identity.as_deref())?;
        config.alpn_protocols = profile.alpn.protocols();
        Ok(Arc::new(config))
    }

    /// A client configuration that completes the handshake whatever the certificate is, with
    /// the verifier that records chain and verdict. Never send anything secret over it.
    ///
    /// # Errors
    /// A probe error when roots or identity cannot be used.
    pub fn recording_tls_config(
        &self,
        profile: &TlsProfile,
    ) -> Result<(Arc<ClientConfig>, Arc<RecordingVerifier>), Failure> {
        let roots = self.root_store(&profile.roots)?;
        let verifier = Arc::new(RecordingVerifier::new(roots)?);
        let as_dyn: Arc<dyn ServerCertVerifier> = Arc::clone(&verifier) as _;
        let builder = ClientConfig::builder_with_protocol_versions(profile.versions)
            .dangerous()
            .with_custom_certificate_verifier(as_dyn);
        let mut config = with_identity(builder, profile.identity.as_deref())?;
        config.alpn_protocols = profile.alpn.protocols();
        // A resumed session shows no certificates.
        config.resumption = rustls::client::Resumption::disabled();
        Ok((Arc::new(config), verifier))
    }
}

fn with_identity(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, Failure> {
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|error| Failure::probe(format!("client certificate: {error}"))),
    }
}

/// What the peer presented in one handshake, and what was made of it.
#[derive(Debug, Clone)]
pub struct PeerChain {
    /// The certificates as sent, leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The stapled OCSP response; empty when there was none.
    pub ocsp_response: Vec<u8>,
    /// Why the chain with this name is not trusted; `None` when it is.
    pub error: Option<rustls::Error>,
    /// Whether the peer went on to prove, by a signature, that it holds the key of the leaf.
    pub key_proven: bool,
}

/// Verifies like webpki does, and keeps chain and verdict even when the verdict is no. Signatures
/// of the handshake itself are still required: they prove that the peer holds the key.
pub struct RecordingVerifier {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<PeerChain>>,
}

impl RecordingVerifier {
    fn new(roots: Arc<RootCertStore>) -> Result<Self, Failure> {
        let inner = WebPkiServerVerifier::builder(roots)
            .build()
            .map_err(|error| Failure::probe(format!("certificate verifier: {error}")))?;
        Ok(Self {
            inner,
            seen: Mutex::new(None),
        })
    }

    /// What the last handshake showed; `None` when it did not get as far as a certificate.
    pub fn take(&self) -> Option<PeerChain> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn key_proven(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = seen.as_mut() {
            chain.key_proven = true;
        }
    }
}

impl fmt::Debug for RecordingVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordingVerifier")
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let mut certificates = vec![end_entity.clone().into_owned()];
        certificates.extend(intermediates.iter().map(|c| c.clone().into_owned()));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(PeerChain {
            certificates,
            ocsp_response: ocsp_response.to_vec(),
            error: verdict.err(),
            key_proven: false,
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let valid = self
            .inner
            .verify_tls12_signature(message, cert, signature)?;
        self.key_proven();
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let valid = self
            .inner
            .verify_tls13_signature(message, cert, signature)?;
        self.key_proven();
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Reads a PEM bundle of CA certificates.
///
/// # Errors
/// Text saying what is wrong with the file.
pub fn load_roots(path: &Path) -> Result<Roots, String> {
    let pem = read_pem(path)?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| describe(path, &error))?;
        store
            .add(certificate)
            .map_err(|error| describe(path, &error))?;
    }
    if store.is_empty() {
        return Err(describe(path, &"no certificate in it"));
    }
    Ok(Roots::Bundle(Arc::new(store)))
}

/// Reads a client certificate chain (leaf first) and its private key, both PEM.
///
/// # Errors
/// Text saying what is wrong with which file.
pub fn load_identity(chain: &Path, key: &Path) -> Result<ClientIdentity, String> {
    let certificates = CertificateDer::pem_slice_iter(&read_pem(chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| describe(chain, &error))?;
    if certificates.is_empty() {
        return Err(describe(chain, &"no certificate in it"));
    }
    let key_der =
        PrivateKeyDer::from_pem_slice(&read_pem(key)?).map_err(|error| describe(key, &error))?;
    let provider =
        CryptoProvider::get_default().ok_or_else(|| "no TLS provider is installed".to_owned())?;
    rustls::sign::CertifiedKey::from_der(certificates.clone(), key_der.clone_key(), provider)
        .map_err(|error| describe(key, &error))?;
    Ok(ClientIdentity {
        chain: certificates,
        key: key_der,
    })
}

fn describe(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    crate::limits::read_file(path, MAX_PEM_BYTES).map_err(|error| describe(path, &error))
}

/// Makes the one TLS provider of this program the default; again is harmless.
pub fn install_crypto_provider() {
    // The error only says that there is one already.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
}
