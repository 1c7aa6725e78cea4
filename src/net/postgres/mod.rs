//! Connections to PostgreSQL: connection strings as libpq reads them, and as much TLS as `sslmode` asks
//! for. For the kind that looks at servers, and for a history that is kept in one.

mod connect;
mod dsn;
mod wire;

pub use connect::{login, open, tcp};
pub use dsn::{Dsn, SslMode};
pub use wire::{MAX_READ_BYTES, Ready, TOO_MUCH, Wire};

use super::{Roots, TlsProfile, load_roots};

/// A server, as its connection string says.
pub struct Target {
    pub dsn: Dsn,
    pub sslmode: SslMode,
    pub tls: TlsProfile,
}

impl Target {
    /// Reads a connection string. Where `roots` are given, they are trusted and none else.
    ///
    /// # Errors
    /// What is wrong and what to write instead; never the text itself, which holds a password.
    pub fn new(text: &str, roots: Option<&Roots>) -> Result<Self, String> {
        let dsn = Dsn::parse(text)?;
        let (roots, private) = match (roots, &dsn.sslrootcert) {
            (Some(roots), _) => (roots.clone(), true),
            (None, Some(file)) => (load_roots(file)?, true),
            (None, None) => (Roots::System, false),
        };
        let sslmode = match dsn.sslmode {
            Some(SslMode::Require) if private => SslMode::VerifyCa,
            Some(mode) => mode,
            None if private => SslMode::VerifyFull,
            None => SslMode::Prefer,
        };
        let tls = TlsProfile {
            roots,
            ..TlsProfile::default()
        };
        Ok(Self { dsn, sslmode, tls })
    }
}
