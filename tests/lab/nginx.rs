//! nginx with one TLS site, or as an SMTP server with STARTTLS.

use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certs::Identity;
use super::{Server, free_port};

/// A running nginx in a directory of its own.
pub struct Nginx {
    /// The port on 127.0.0.1.
    pub port: u16,
    server: Server,
    _dir: TempDir,
}

impl Nginx {
    /// Serves `identity` on a free port of 127.0.0.1 with further directives of the `server` block.
    pub fn tls(identity: &Identity, directives: &str) -> Self {
        Self::tls_on("127.0.0.1", free_port(), identity, directives)
    }

    /// The same on a given address (IPv6 in brackets) and port.
    pub fn tls_on(address: &str, port: u16, identity: &Identity, directives: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let server = site(dir.path(), identity, directives);
        let http = format!(
            "http {{ {temp}\n access_log off;\n server {{ listen {address}:{port} ssl http2; {server}\n return 204; }} }}",
            temp = temp_paths(dir.path()),
        );
        let nginx = Self::start(dir, "", &http);
        nginx.ready(address, port)
    }

    /// Serves plain HTTP on a free port of 127.0.0.1.
    pub fn plain() -> Self {
        Self::plain_with("return 204;")
    }

    /// The same with these directives of the `server` block.
    pub fn plain_with(directives: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        let http = format!(
            "http {{ {temp}\n access_log off;\n server {{ listen 127.0.0.1:{port}; {directives} }} }}",
            temp = temp_paths(dir.path()),
        );
        Self::start(dir, "", &http).ready("127.0.0.1", port)
    }

    /// Speaks SMTP on a free port of 127.0.0.1; `starttls` is nginx's: `on`, `only` or `off`.
    pub fn smtp(identity: &Identity, starttls: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let port = free_port();
        let server = site(dir.path(), identity, "");
        let mail = format!(
            "mail {{ server_name mail.example; auth_http 127.0.0.1:9/none;\n server {{ listen 127.0.0.1:{port}; protocol smtp; smtp_auth plain login; starttls {starttls}; {server} }} }}",
        );
        let module = "load_module /usr/lib/nginx/modules/ngx_mail_module.so;";
        Self::start(dir, module, &mail).ready("127.0.0.1", port)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    fn start(dir: TempDir, modules: &str, blocks: &str) -> Self {
        let config = format!(
            "{modules}\ndaemon off;\nmaster_process off;\npid {pid};\nerror_log stderr notice;\nevents {{ worker_connections 256; }}\n{blocks}\n",
            pid = dir.path().join("nginx.pid").display(),
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).expect("write nginx.conf");
        let arguments = ["-c", path(&file), "-p", path(dir.path()), "-e", "stderr"];
        let server = Server::start(dir.path(), "nginx", "nginx", &arguments);
        Self {
            port: 0,
            server,
            _dir: dir,
        }
    }

    /// Waits until it accepts; panics with its log when it does not within 20 s.
    fn ready(mut self, address: &str, port: u16) -> Self {
        let target = format!("{address}:{port}");
        let begun = Instant::now();
        while TcpStream::connect(&target).is_err() {
            let log = self.log();
            assert!(
                begun.elapsed() < Duration::from_secs(20) && !log.contains("[emerg]"),
                "nginx does not listen on {target}:\n{log}"
            );
            sleep(Duration::from_millis(10));
        }
        self.port = port;
        self
    }
}

fn site(dir: &Path, identity: &Identity, directives: &str) -> String {
    let (chain, key) = identity.write(dir, "site");
    format!(
        "ssl_certificate {}; ssl_certificate_key {}; {directives}",
        path(&chain),
        path(&key)
    )
}

fn temp_paths(dir: &Path) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};", dir.display()))
        .join(" ")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
