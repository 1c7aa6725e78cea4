//! From a profile to a client configuration of rustls.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};

use super::dial::Dialler;
use super::own_root::OwnRootVerifier;
use super::recording::RecordingVerifier;
use super::tls::{ClientIdentity, Roots, TlsProfile};
use crate::evidence::Failure;

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
        let builder = ClientConfig::builder_with_protocol_versions(profile.versions);
        let builder = match profile.roots {
            Roots::System => builder.with_root_certificates(roots),
            Roots::Bundle(_) => {
                let verifier = OwnRootVerifier::new(webpki(&roots)?, roots);
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
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
        let verifier = Arc::new(RecordingVerifier::new(webpki(&roots)?));
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

fn webpki(roots: &Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Failure> {
    WebPkiServerVerifier::builder(Arc::clone(roots))
        .build()
        .map_err(|error| Failure::probe(format!("certificate verifier: {error}")))
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
