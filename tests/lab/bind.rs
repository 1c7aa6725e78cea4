//! BIND as authoritative server with signed and broken-signed zones, and unbound as the resolver
//! that validates them.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::certs::{Authority, Leaf};
use super::process::{Server, free_port, require};

/// For how long the signatures of a zone hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The zone is not signed.
    Never,
    /// For a month from now.
    Lasting,
    /// For another day.
    OneDay,
    /// They expired in February 2025.
    Expired,
}

/// A zone and the records behind its SOA.
pub struct Zone {
    name: &'static str,
    serial: u32,
    signed: Signed,
    records: String,
}

impl Zone {
    /// A zone with serial 1 whose one name server is `ns1` on 127.0.0.1.
    pub fn new(name: &'static str, records: &str) -> Self {
        Self {
            name,
            serial: 1,
            signed: Signed::Never,
            records: format!("@ NS ns1\nns1 A 127.0.0.1\n{records}\n"),
        }
    }

    /// A zone that names its servers itself.
    pub fn bare(name: &'static str, records: &str) -> Self {
        Self {
            records: format!("{records}\n"),
            ..Self::new(name, "")
        }
    }

    /// Another serial.
    #[must_use]
    pub fn serial(mut self, serial: u32) -> Self {
        self.serial = serial;
        self
    }

    /// Signs it.
    #[must_use]
    pub fn signed(mut self, signed: Signed) -> Self {
        self.signed = signed;
        self
    }

    fn write(&self, dir: &Path) {
        let Self {
            name,
            serial,
            records,
            ..
        } = self;
        let text = format!("$TTL 300\n@ SOA ns1 admin {serial} 3600 600 86400 60\n{records}");
        std::fs::write(dir.join(name), text).expect("write a zone");
        let validity: &[&str] = match self.signed {
            Signed::Never => return,
            Signed::Lasting => &["-e", "now+2592000"],
            Signed::OneDay => &["-e", "now+86400"],
            Signed::Expired => &["-s", "20250101000000", "-e", "20250201000000"],
        };
        let key = ["-q", "-a", "ECDSAP256SHA256", "-K", "."];
        run(
            dir,
            "dnssec-keygen",
            &[&key[..], &["-f", "KSK", name]].concat(),
        );
        run(dir, "dnssec-keygen", &[&key[..], &[name]].concat());
        let sign = ["-q", "-P", "-S", "-K", ".", "-o", name, "-f", "signed"];
        run(
            dir,
            "dnssec-signzone",
            &[&sign[..], validity, &[name]].concat(),
        );
        std::fs::rename(dir.join("signed"), dir.join(name)).expect("replace the zone");
    }
}

/// A running BIND; it stops when dropped.
pub struct Bind {
    dir: TempDir,
    /// The port for UDP and TCP.
    pub port: u16,
    /// The port for DNS over TLS.
    pub tls_port: u16,
    /// The port for DNS over HTTPS, HTTP/2 alone.
    pub https_port: u16,
    /// The CA of its certificate, which is for `dns.test`; PEM.
    pub ca_file: PathBuf,
    _server: Server,
}

impl Bind {
    /// BIND on 127.0.0.1 with these zones.
    pub fn start(zones: &[Zone]) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, free_port(), zones)
    }

    /// BIND on an address and port with these zones.
    pub fn start_at(address: Ipv4Addr, port: u16, zones: &[Zone]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let path = dir.path();
        let authority = Authority::root("resolvers");
        let leaf = Leaf::sound().names(&["dns.test"]);
        authority.issue(&leaf).write(path, "dns");
        let ca_file = path.join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).expect("write the CA");
        let (tls_port, https_port) = (free_port(), free_port());
        let mut conf = format!(
            "options {{\n directory \"{0}\";\n pid-file \"named.pid\";\n session-keyfile \"session.key\";\n \
             managed-keys-directory \"{0}\";\n listen-on port {port} {{ {address}; }};\n \
             listen-on port {tls_port} tls local {{ {address}; }};\n \
             listen-on port {https_port} tls local http local {{ {address}; }};\n \
             listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n \
             empty-zones-enable no;\n minimal-responses yes;\n}};\ncontrols {{ }};\n\
             tls local {{ cert-file \"dns.pem\"; key-file \"dns.key\"; }};\n\
             http local {{ endpoints {{ \"/dns-query\"; }}; }};\n",
            path.display()
        );
        for zone in zones {
            zone.write(path);
            let name = zone.name;
            writeln!(
                conf,
                "zone \"{name}\" {{ type primary; file \"{name}\"; }};"
            )
            .expect("text");
        }
        std::fs::write(path.join("named.conf"), conf).expect("write named.conf");
        let args = ["-g", "-n", "1", "-c", "named.conf"];
        let mut server = Server::start(path, "named", "named", &args);
        // It listens before its zones are loaded, and answers SERVFAIL meanwhile.
        server.wait_for_log("all zones loaded");
        Self {
            dir,
            port,
            tls_port,
            https_port,
            ca_file,
            _server: server,
        }
    }

    /// The trust anchor of a signed zone.
    fn anchor(&self, zone: &str) -> String {
        let file = self.dir.path().join(format!("dsset-{zone}."));
        std::fs::read_to_string(file).expect("read the trust anchor")
    }
}

/// A running unbound; it stops when dropped.
pub struct Unbound {
    /// The port for UDP and TCP.
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl Unbound {
    /// A resolver that asks `bind` about `zones`, and trusts the keys of those that are `signed`.
    pub fn start(bind: &Bind, zones: &[&str], signed: &[&str]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let path = dir.path();
        let port = free_port();
        let mut conf = unbound_conf(path, Ipv4Addr::LOCALHOST, port);
        for zone in signed {
            for line in bind.anchor(zone).lines() {
                writeln!(conf, " trust-anchor: \"{line}\"").expect("text");
            }
        }
        for zone in zones {
            let upstream = bind.port;
            writeln!(
                conf,
                "stub-zone:\n name: \"{zone}.\"\n stub-addr: 127.0.0.1@{upstream}"
            )
            .expect("text");
        }
        Self::spawn(dir, Ipv4Addr::LOCALHOST, port, &conf)
    }

    /// A second authoritative server: unlike BIND it listens on any loopback address.
    pub fn authority(address: Ipv4Addr, port: u16, zones: &[Zone]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let mut conf = unbound_conf(dir.path(), address, port);
        for zone in zones {
            zone.write(dir.path());
            writeln!(
                conf,
                "auth-zone:\n name: \"{0}.\"\n zonefile: \"{0}\"\n for-downstream: yes\n for-upstream: no",
                zone.name
            )
            .expect("text");
        }
        Self::spawn(dir, address, port, &conf)
    }

    fn spawn(dir: TempDir, address: Ipv4Addr, port: u16, conf: &str) -> Self {
        let path = dir.path();
        std::fs::write(path.join("unbound.conf"), conf).expect("write unbound.conf");
        let args = ["-d", "-c", "unbound.conf"];
        let mut server = Server::start(path, "unbound", "unbound", &args);
        server.wait_for_address((address, port).into());
        Self {
            port,
            _server: server,
            _dir: dir,
        }
    }
}

/// A resolver that keeps to its directory and talks to loopback alone; ends in the server clause.
fn unbound_conf(dir: &Path, address: Ipv4Addr, port: u16) -> String {
    format!(
        "remote-control:\n control-enable: no\nserver:\n directory: \"{0}\"\n chroot: \"\"\n \
         username: \"\"\n pidfile: \"{0}/unbound.pid\"\n interface: {address}@{port}\n do-ip6: no\n \
         do-daemonize: no\n use-syslog: no\n do-not-query-localhost: no\n num-threads: 1\n ede: yes\n \
         local-zone: \"test.\" nodefault\n",
        dir.display()
    )
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(require(program))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
