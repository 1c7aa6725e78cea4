//! A certificate verifier that records what it saw, so that an expired or mismatched certificate still
//! yields its facts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

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
    pub(super) fn new(inner: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            inner,
            seen: Mutex::new(None),
        }
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
