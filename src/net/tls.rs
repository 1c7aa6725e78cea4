//! What TLS is spoken with: roots, client identities, ALPN, versions.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

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
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
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
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::None => vec![],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http2Or1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// How a probe speaks TLS; [`Dialler::tls_config`](super::Dialler::tls_config) turns it into a client configuration.
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
    pub(super) fn get(&self) -> Result<Arc<RootCertStore>, Failure> {
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

/// Reads a PEM bundle of CA certificates. Equal bundles are parsed and kept once per process:
/// thousands of probes may name the same one.
///
/// # Errors
/// Text saying what is wrong with the file.
pub fn load_roots(path: &Path) -> Result<Roots, String> {
    static KNOWN: Mutex<BTreeMap<[u8; 32], Roots>> = Mutex::new(BTreeMap::new());
    let pem = read_pem(path)?;
    let digest: [u8; 32] = Sha256::digest(&pem).into();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = known.get(&digest) {
        return Ok(roots.clone());
    }
    let roots = parse_roots(path, &pem)?;
    known.insert(digest, roots.clone());
    Ok(roots)
}

fn parse_roots(path: &Path, pem: &[u8]) -> Result<Roots, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
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
