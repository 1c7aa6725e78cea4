//! TLS for connections of our own.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error as TlsError};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::access::{Tls, Trust};
use super::link::{Kind, Problem, Stream};
use crate::net::{Dialler, TlsProfile};

/// Performs the handshake, and takes what `tls` says is to be taken.
pub(super) async fn secure(
    net: &Dialler,
    tls: &Tls,
    stream: TcpStream,
    host: &str,
    end: Instant,
) -> Result<Box<dyn Stream>, Problem> {
    let ours = |text: &str| Problem::new(Kind::Ours, text);
    let profile = TlsProfile {
        roots: tls.roots.clone(),
        identity: tls.identity.clone(),
        ..TlsProfile::default()
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ours(&format!("`{host}` is no name for TLS")))?;
    let handshake = async |config: Arc<ClientConfig>| -> Result<_, Problem> {
        Ok(net.handshake(stream, name, config, end).await?)
    };
    if tls.trust == Trust::Verified {
        let config = net.tls_config(&profile).map_err(|it| ours(it.detail()))?;
        return Ok(Box::new(handshake(config).await?));
    }
    let recording = net.recording_tls_config(&profile);
    let (config, verifier) = recording.map_err(|it| ours(it.detail()))?;
    let stream = handshake(config).await?;
    let error = verifier.take().and_then(|chain| chain.error);
    match error {
        Some(error) if tls.trust == Trust::AnyName && !is_name(&error) => {
            Err(Problem::new(Kind::Tls, format!("tls handshake: {error}")))
        }
        _ => Ok(Box::new(stream)),
    }
}

/// Whether nothing but the name is wrong: it is looked at last.
fn is_name(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}
