//! `PgBouncer` in transaction mode in front of a PostgreSQL, with TLS on both sides.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::certs::Leaf;
use super::postgres::{PASSWORD, Postgres, as_owner_args, authority, own, owned_dir};
use super::{Server, free_port};

/// A pooler in a directory of its own.
pub struct PgBouncer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl PgBouncer {
    /// Starts it for the database `app` of `postgres`, with these roles, each with its one server
    /// connection, and further lines of the `[pgbouncer]` section.
    pub fn start(postgres: &Postgres, roles: &[&str], more: &str) -> Self {
        let dir = owned_dir();
        let port = free_port();
        let (chain, key) = authority()
            .issue(&Leaf::sound())
            .write(dir.path(), "pooler");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        let users: String = roles
            .iter()
            .map(|role| format!("\"{role}\" \"{PASSWORD}\"\n"))
            .collect();
        let config = format!(
            "[databases]\napp = host=127.0.0.1 port={} dbname=app\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir = \nauth_type = scram-sha-256\nauth_file = users.txt\npool_mode = transaction\ndefault_pool_size = 1\n\
             client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\nserver_tls_sslmode = require\n{more}\n",
            postgres.port,
            chain.display(),
            key.display(),
        );
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("pgbouncer.ini"), config).expect("write pgbouncer.ini");
        std::fs::write(path("users.txt"), users).expect("write users.txt");
        for file in [&chain, &key, &path("pgbouncer.ini"), &path("users.txt")] {
            own(file);
        }
        let mut args = as_owner_args();
        args.extend([
            "--pdeathsig",
            "KILL",
            "--",
            "/usr/sbin/pgbouncer",
            "pgbouncer.ini",
        ]);
        let mut server = Server::start(dir.path(), "pgbouncer", "setpriv", &args);
        server.wait_for(port);
        Self {
            port,
            _server: server,
            _dir: dir,
        }
    }

    /// The connection string of a role for `app` through it.
    pub fn dsn(&self, user: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={user} password={PASSWORD} dbname=app sslmode=verify-full",
            self.port
        )
    }
}
