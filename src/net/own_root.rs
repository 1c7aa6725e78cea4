//! A server certificate that the user trusts by name: it stands in the private bundle itself.
//!
//! webpki wants no CA in the place of a leaf, yet a certificate made by `openssl req -x509`, used by a server and
//! named as `ca_file`, is exactly that, and other clients accept it. Name, time and the proof of
//! the key are still required.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whether a certificate is itself one of the roots, by name and key.
pub fn is_own_root(certificate: &CertificateDer<'_>, roots: &RootCertStore) -> bool {
    let mut own = RootCertStore::empty();
    own.add(certificate.clone().into_owned()).is_ok()
        && own.roots.iter().all(|anchor| roots.roots.contains(anchor))
}

/// Verifies like webpki does, and accepts a CA certificate as a leaf where it is one of the roots.
#[derive(Debug)]
pub(super) struct OwnRootVerifier {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

impl OwnRootVerifier {
    pub(super) fn new(inner: Arc<WebPkiServerVerifier>, roots: Arc<RootCertStore>) -> Self {
        Self { inner, roots }
    }

    fn accepts(
        &self,
        leaf: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let bad = |error| Err(Error::InvalidCertificate(error));
        let Ok((_, read)) = X509Certificate::from_der(leaf) else {
            return bad(CertificateError::BadEncoding);
        };
        if !read.is_ca() || !is_own_root(leaf, &self.roots) {
            return bad(CertificateError::UnknownIssuer);
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < read.validity().not_before.timestamp() {
            return bad(CertificateError::NotValidYet);
        }
        if now > read.validity().not_after.timestamp() {
            return bad(CertificateError::Expired);
        }
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
    }
}

impl ServerCertVerifier for OwnRootVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            Err(Error::InvalidCertificate(_)) if is_own_root(end_entity, &self.roots) => self
                .accepts(end_entity, server_name, now)
                .map(|()| ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
