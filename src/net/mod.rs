//! One dialler for every probe: DNS → TCP → TLS, each step with a deadline, timed and recorded.

pub mod api;
mod dial;
mod error;
mod own_root;
pub(crate) mod postgres;
mod recording;
mod resolve;
mod tls;
mod tls_config;
mod tls_server;

pub use dial::{Dialler, within};
pub use error::{NetError, describe_certificate};
pub use own_root::is_own_root;
pub use recording::{PeerChain, RecordingVerifier};
pub use resolve::system_nameservers;
pub use tls::{
    Alpn, ClientIdentity, Roots, TlsProfile, install_crypto_provider, load_identity, load_roots,
};
pub use tls_server::server_tls_config;
