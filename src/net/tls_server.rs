//! TLS from the side of a server.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::tls::load_identity;

/// A server configuration that shows the certificate of these files and speaks HTTP/1.1.
///
/// # Errors
/// Text saying what is wrong with which file.
pub fn server_tls_config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let identity = load_identity(chain, key)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| format!("{}: {error}", chain.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
