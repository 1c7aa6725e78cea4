//! Servers and their protocols: old versions, client certificates, several addresses, STARTTLS.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{assert_results, assert_target_error, probe, probe_host, served};
use crate::lab::certs::{Authority, Identity, Leaf};
use crate::lab::{Nginx, Run, Server, free_port, require};

#[test]
fn old_protocol_versions_fail() {
    let root = Authority::root("root");
    let identity = root.issue(&Leaf::sound());
    let serve = |protocols: &str| {
        let directives = format!("ssl_protocols {protocols}; ssl_ciphers DEFAULT@SECLEVEL=0;");
        served(&identity, &root, &directives)
    };
    let verdict = serve("TLSv1 TLSv1.2 TLSv1.3");
    assert_results(&verdict, &[("legacy-protocols", "fail")]);
    let versions = &verdict.facts("t")["versions"];
    assert_eq!(versions["tls1_0"], "accepted");
    assert_eq!(versions["tls1_1"], "refused");
    let verdict = serve("TLSv1.1 TLSv1.2");
    assert_results(&verdict, &[("legacy-protocols", "fail")]);
    let versions = &verdict.facts("t")["versions"];
    assert_eq!(versions["tls1_1"], "accepted");
    assert_eq!(versions["tls1_3"], "refused");
    assert_results(&serve("TLSv1.2"), &[]);
    assert_results(&serve("TLSv1.3"), &[]);
    assert_target_error(&serve("TLSv1 TLSv1.1"), "only offers TLS 1.0 and TLS 1.1");
}

#[test]
fn a_must_staple_certificate_needs_a_staple() {
    let root = Authority::root("root");
    let identity = root.issue(&Leaf::sound().must_staple());
    let bare = served(&identity, &root, "");
    assert_results(&bare, &[("must-staple", "fail")]);
    let dir = TempDir::new().expect("temporary directory");
    let response = root.ocsp_response(&identity, dir.path());
    let stapling = format!("ssl_stapling on; ssl_stapling_file {};", response.display());
    let stapled = served(&identity, &root, &stapling);
    assert_results(&stapled, &[]);
    assert_eq!(stapled.result("t/must-staple"), "pass");
    assert_eq!(stapled.facts("t")["ocsp_stapled"], true);
    let without_demand = served(&root.issue(&Leaf::sound()), &root, "");
    assert_eq!(without_demand.result("t/must-staple"), "na");
}

/// OpenSSL's own server, which ends the handshake of a client without an accepted certificate.
fn demanding_server(
    identity: &Identity,
    ca: &Authority,
    version: &str,
    dir: &Path,
) -> (Server, u16) {
    let port = free_port();
    identity.write(dir, "site");
    std::fs::write(dir.join("clients.pem"), ca.pem()).expect("write the clients' authority");
    let address = format!("127.0.0.1:{port}");
    let arguments = [
        "s_server",
        "-www",
        "-accept",
        &address,
        "-cert",
        "site.pem",
        "-key",
        "site.key",
        "-CAfile",
        "clients.pem",
        "-Verify",
        "2",
        "-verify_return_error",
        version,
    ];
    let mut server = Server::start(dir, "s_server", "openssl", &arguments);
    server.wait_for(port);
    (server, port)
}

#[test]
fn a_server_that_demands_a_client_certificate_shows_all_its_facts() {
    let root = Authority::root("root");
    let site = root.issue(&Leaf::sound());
    let client = root.issue(&Leaf::sound());
    let stranger = Authority::root("strangers").issue(&Leaf::sound());
    for version in ["-tls1_2", "-tls1_3"] {
        let dir = TempDir::new().expect("temporary directory");
        let (_server, port) = demanding_server(&site, &root, version, dir.path());
        let none = probe(port, &root, "");
        assert_results(&none, &[]);
        assert_eq!(
            none.facts("t")["client_certificate"],
            "refused",
            "{version}"
        );
        for (identity, result) in [(&client, "pass"), (&stranger, "fail")] {
            let (chain, key) = identity.write(dir.path(), "client");
            let params = format!(
                "client_cert_file = \"{}\"\nclient_key_file = \"{}\"",
                chain.display(),
                key.display()
            );
            let verdict = probe(port, &root, &params);
            assert_results(&verdict, &[]);
            assert_eq!(verdict.result("t/client-certificate"), result, "{version}");
        }
    }
}

#[test]
fn a_server_that_asks_and_goes_on_has_only_requested() {
    let root = Authority::root("root");
    let dir = TempDir::new().expect("temporary directory");
    let ca = dir.path().join("clients.pem");
    std::fs::write(&ca, root.pem()).expect("write the clients' authority");
    let directives = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        ca.display()
    );
    let verdict = served(&root.issue(&Leaf::sound()), &root, &directives);
    assert_results(&verdict, &[]);
    assert_eq!(verdict.facts("t")["client_certificate"], "requested");
}

#[test]
fn every_address_of_a_name_is_examined() {
    let root = Authority::root("root");
    let identity = root.issue(&Leaf::sound());
    let v4 = Nginx::tls(&identity, "");
    let one_down = probe_host("localhost", v4.port, &root.pem(), "");
    assert_results(&one_down, &[("every-address", "warn")]);
    assert_eq!(one_down.result("t/same-certificate"), "na");
    assert_eq!(one_down.code, 0);
    let reason = one_down.rule("t/every-address")["reason"].to_string();
    assert!(
        reason.contains("::1") || reason.contains("refused"),
        "{reason}"
    );

    let v6 = Nginx::tls_on("[::1]", v4.port, &identity, "");
    let both = probe_host("localhost", v4.port, &root.pem(), "");
    assert_results(&both, &[]);
    assert_eq!(both.result("t/same-certificate"), "pass");
    drop(v6);

    let expired = root.issue(&Leaf::sound().days(-100, -10));
    let _v6 = Nginx::tls_on("[::1]", v4.port, &expired, "");
    let forgotten = probe_host("localhost", v4.port, &root.pem(), "");
    let failing = [
        ("same-certificate", "warn"),
        ("trusted", "fail"),
        ("expiry", "fail"),
        ("expires-soon", "warn"),
    ];
    assert_results(&forgotten, &failing);
    assert_eq!(forgotten.facts("t")["min_days_left"], -10);
}

#[test]
fn an_address_is_verified_as_an_address() {
    let root = Authority::root("root");
    let only_name = root.issue(&Leaf::sound().names(&["localhost"]));
    let verdict = served(&only_name, &root, "");
    assert_results(&verdict, &[("hostname", "fail")]);
    let as_text = root.issue(&Leaf::sound().names(&["127.0.0.1"]));
    assert_results(&served(&as_text, &root, ""), &[]);
}

#[test]
fn what_is_no_tls_server_is_the_targets_fault() {
    let root = Authority::root("root");
    let plain = Nginx::plain();
    assert_target_error(&probe(plain.port, &root, ""), "not TLS");
    assert_target_error(&probe(free_port(), &root, ""), "refused");
}

#[test]
fn smtp_must_not_offer_auth_before_starttls() {
    let root = Authority::root("root");
    let identity = root.issue(&Leaf::sound());
    let smtp = |mode: &str| {
        let nginx = Nginx::smtp(&identity, mode);
        probe(nginx.port, &root, "starttls = \"smtp\"")
    };
    let open = smtp("on");
    assert_results(&open, &[]);
    assert_eq!(open.result("t/plaintext-auth"), "fail");
    let closed = smtp("only");
    assert_results(&closed, &[]);
    assert_eq!(closed.result("t/plaintext-auth"), "pass");
    assert_eq!(closed.code, 0);
    assert_target_error(&smtp("off"), "does not offer STARTTLS");
}

/// A PostgreSQL server of its own, which refuses to run as root.
fn postgres(dir: &Path, identity: &Identity, ssl: &str) -> (Server, u16) {
    let port = free_port();
    let data = dir.join("data");
    let as_postgres = [
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        "--",
        "env",
        "-i",
        "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin",
        "LC_ALL=C",
    ];
    let owned = |path: &Path| {
        let chown = Command::new("chown")
            .arg("-R")
            .arg("postgres:")
            .arg(path)
            .status();
        assert!(chown.expect("run chown").success());
    };
    owned(dir);
    let initdb = Command::new(require("setpriv"))
        .args(as_postgres)
        .args(["initdb", "--no-sync", "-A", "trust", "-D"])
        .arg(&data)
        .current_dir(dir)
        .output()
        .expect("run initdb");
    assert!(
        initdb.status.success(),
        "{}",
        String::from_utf8_lossy(&initdb.stderr)
    );
    let (_, key) = identity.write(&data, "server");
    owned(&data);
    let chmod = Command::new("chmod").arg("600").arg(&key).status();
    assert!(chmod.expect("run chmod").success());
    let data = data.to_str().expect("a path in UTF-8");
    let (ssl, port_text) = (format!("ssl={ssl}"), port.to_string());
    let mut arguments = as_postgres.to_vec();
    arguments.extend([
        "postgres",
        "-D",
        data,
        "-p",
        &port_text,
        "-h",
        "127.0.0.1",
        "-k",
        data,
        "-F",
        "-c",
        &ssl,
        "-c",
        "ssl_cert_file=server.pem",
        "-c",
        "ssl_key_file=server.key",
    ]);
    let mut server = Server::start(dir, "postgres", "setpriv", &arguments);
    server.wait_for(port);
    (server, port)
}

#[test]
fn postgres_is_asked_for_tls_first() {
    let root = Authority::root("root");
    let identity = root.issue(&Leaf::sound());
    for (ssl, works) in [("on", true), ("off", false)] {
        let dir = TempDir::new().expect("temporary directory");
        let (server, port) = postgres(dir.path(), &identity, ssl);
        let verdict = probe(port, &root, "starttls = \"postgres\"");
        if works {
            assert_results(&verdict, &[]);
            assert_eq!(verdict.facts("t")["versions"]["tls1_0"], "refused");
            assert_target_error(&probe(port, &root, ""), "handshake");
        } else {
            assert_target_error(&verdict, "does not offer TLS");
        }
        server.interrupt();
    }
}

#[test]
fn port_zero_is_a_configuration_error() {
    let output =
        Run::with_config("[[probe]]\nid = \"t\"\nkind = \"tls\"\nhost = \"localhost\"\nport = 0\n")
            .args(["--once"])
            .output();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("port"), "{stderr}");
}
