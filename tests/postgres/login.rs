//! Logins: TLS as it is asked for, plaintext, refusals, and servers that are none.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use super::{assert_results, ca_file, probe, probe_dsn, reason};
use crate::lab::postgres::{PASSWORD, Postgres, Setup};
use crate::lab::{Run, Verdict, attempt};

#[test]
fn a_refused_login_is_unknown_says_its_sqlstate_and_no_secret() {
    let primary = Postgres::start(&Setup::default());
    for (dsn, code) in [
        (
            primary.dsn("probe").replace(PASSWORD, "not-the-password"),
            "28P01",
        ),
        (primary.dsn("nobody"), "28P01"),
        (
            primary.dsn("probe").replace("dbname=app", "dbname=none"),
            "3D000",
        ),
    ] {
        let verdict = probe_dsn(&dsn, "");
        assert_eq!(
            verdict.probe("db")["outcome"],
            "denied",
            "{:#}",
            verdict.json
        );
        assert_eq!(verdict.code, 3);
        assert_eq!(verdict.result("db/servers-answer"), "unknown");
        assert!(
            reason(&verdict, "servers-answer").contains(code),
            "{:#}",
            verdict.json
        );
        let all = format!("{:#}{}", verdict.json, verdict.stderr);
        assert!(!all.contains("not-the-password") && !all.contains(PASSWORD));
    }
}

#[test]
fn a_password_from_a_variable_may_hold_anything() {
    let primary = Postgres::start(&Setup::default());
    let password = r#"it's a \ "p@ss" /?#%20 ü"#;
    primary.sql(&format!(
        "alter role probe password '{}'",
        password.replace('\'', "''")
    ));
    for dsn in [
        format!(
            "host=127.0.0.1 port={} user=probe password=${{env:PGPW}} dbname=app sslmode=verify-full",
            primary.port
        ),
        format!(
            "postgresql://probe:${{env:PGPW}}@127.0.0.1:{}/app?sslmode=verify-full",
            primary.port
        ),
    ] {
        let verdict = super::run(&dsn, "").env("PGPW", password).once();
        assert_results(&verdict, &[]);
    }
}

#[test]
fn too_many_clients_fail() {
    let primary = Postgres::start(&Setup::conf(
        "max_connections = 5\nmax_wal_senders = 0\nwal_level = minimal\nsuperuser_reserved_connections = 2",
    ));
    let open = || {
        let mut client = primary
            .psql("app", "select pg_sleep(60)")
            .spawn()
            .expect("start psql");
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(client.try_wait().expect("psql").is_none());
        client
    };
    let mut clients = vec![open(), open()];
    let verdict = probe(&primary, "");
    assert_results(
        &verdict,
        &[("connections", "fail"), ("connections-headroom", "warn")],
    );
    clients.push(open());
    let verdict = probe(&primary, "");
    for client in &mut clients {
        client.kill().ok();
        client.wait().ok();
    }
    assert_eq!(verdict.probe("db")["outcome"], "target_error");
    assert_eq!(verdict.result("db/connections"), "fail");
    assert!(
        reason(&verdict, "connections").contains("53300"),
        "{:#}",
        verdict.json
    );
}

#[test]
fn plaintext_must_be_refused_by_every_server() {
    let primary = Postgres::start(&Setup::default());
    let declared = "plaintext = \"refused\"";
    assert_results(&probe(&primary, declared), &[("plaintext-refused", "pass")]);
    let standby = primary.standby("standby1", "");
    primary.wait_for("select state from pg_stat_replication", "streaming");
    standby.configure("", "host all all 127.0.0.1/32 scram-sha-256");
    standby.reload();
    let params = format!("{declared}\nstandbys = [{:?}]", standby.dsn("probe"));
    let verdict = probe(&primary, &params);
    assert_eq!(
        verdict.result("db/plaintext-refused"),
        "fail",
        "{:#}",
        verdict.json
    );
    assert!(reason(&verdict, "plaintext-refused").contains(&standby.port.to_string()));
    // ssl = on and the login has TLS: only the live attempt tells.
    assert_eq!(verdict.facts("db")["servers"][1]["encrypted"], true);
}

#[test]
fn tls_is_enforced_as_the_connection_string_says() {
    let primary = Postgres::start(&Setup::default());
    let mode = |mode: &str| primary.dsn("probe").replace("verify-full", mode);
    for sslmode in ["verify-full", "verify-ca", "require", "prefer", "allow"] {
        assert_results(&probe_dsn(&mode(sslmode), ""), &[]);
    }
    // No TLS at all is what hba refuses.
    let verdict = probe_dsn(&mode("disable"), "");
    assert_eq!(verdict.probe("db")["outcome"], "denied");
    assert!(reason(&verdict, "servers-answer").contains("28000"));
    // Another name: verify-ca does not mind, verify-full does.
    let other = |sslmode: &str| {
        mode(sslmode).replace("host=127.0.0.1", "host=other.test hostaddr=127.0.0.1")
    };
    assert_results(&probe_dsn(&other("verify-ca"), ""), &[]);
    let verdict = probe_dsn(&other("verify-full"), "");
    assert_eq!(verdict.probe("db")["outcome"], "target_error");
    // Another CA.
    let strange = crate::lab::certs::Authority::root("another").pem();
    for sslmode in ["verify-full", "verify-ca", "require"] {
        let verdict = super::run(&mode(sslmode), "")
            .file("ca.pem", &strange)
            .once();
        assert_eq!(verdict.probe("db")["outcome"], "target_error", "{sslmode}");
        assert!(
            reason(&verdict, "servers-answer").contains("certificate"),
            "{sslmode}"
        );
    }
    // The root may stand in the connection string.
    let dsn = format!("{} sslrootcert={}", mode("verify-full"), ca_file(&primary));
    let config = format!("[[probe]]\nid = \"db\"\nkind = \"postgres\"\nprimary = {dsn:?}\n");
    assert_results(&Run::with_config(&config).once(), &[]);
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let primary = Postgres::start(&Setup {
        conf: "ssl = off".to_owned(),
        hba: "host all all 127.0.0.1/32 scram-sha-256".to_owned(),
        ..Setup::default()
    });
    let verdict = probe(&primary, "");
    assert_eq!(verdict.probe("db")["outcome"], "target_error");
    assert!(reason(&verdict, "servers-answer").contains("ssl = off"));
    let plain = probe_dsn(&primary.dsn("probe").replace("verify-full", "prefer"), "");
    assert_results(&plain, &[]);
    assert_eq!(plain.facts("db")["servers"][0]["encrypted"], false);
}

fn config_error(params: &str) -> String {
    let config = format!("[[probe]]\nid = \"db\"\nkind = \"postgres\"\n{params}\n");
    let output = Run::with_config(&config).args(["--once"]).output();
    assert_eq!(output.status.code(), Some(2), "{params}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_parameters_are_named() {
    for (params, words) in [
        ("primary = \"host=a,b user=u\"", "several hosts"),
        ("primary = \"user=u\"", "names no host"),
        ("primary = \"host=h user=u sslmode=on\"", "verify-full"),
        ("primary = \"host=h user=u password='geheim1\"", "quote"),
        (
            "primary = \"host=h user=u\"\nca_file = \"none.pem\"",
            "none.pem",
        ),
        (
            "primary = \"host=h user=u\"\nexpect_standbys = [\"a\", \"a\"]",
            "twice",
        ),
        (
            "primary = \"host=h user=u\"\nplaintext = \"accepted\"",
            "refused",
        ),
        ("primary = \"host=h user=u\"\nstandby = []", "standbys"),
    ] {
        let error = config_error(params);
        assert!(error.contains(words), "{params}: {error}");
        assert!(!error.contains("geheim1"), "{error}");
    }
}

/// A server that does one thing to everybody who connects.
fn hostile(act: impl Fn(std::net::TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = act.clone();
            std::thread::spawn(move || act(stream));
        }
    });
    port
}

fn probe_hostile(port: u16, sslmode: &str) -> Verdict {
    let dsn = format!(
        "host=127.0.0.1 port={port} user=probe password={PASSWORD} dbname=app sslmode={sslmode}"
    );
    super::run_with(&dsn, "", "2s").once()
}

fn assert_broken(verdict: &Verdict) {
    assert_eq!(
        verdict.probe("db")["outcome"],
        "target_error",
        "{:#}",
        verdict.json
    );
    assert_eq!(verdict.result("db/servers-answer"), "fail");
    assert!(!format!("{:#}", verdict.json).contains(PASSWORD));
}

#[test]
fn servers_that_are_none_are_broken_and_end_in_time() {
    let begun = Instant::now();
    let silent = hostile(|mut stream| {
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let garbage = hostile(|mut stream| {
        stream.write_all(b"\x00\xff\x13garbage\r\n\r\n").ok();
    });
    let http = hostile(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
    });
    let closing = hostile(drop);
    for port in [silent, garbage, http, closing] {
        for sslmode in ["verify-full", "disable"] {
            assert_broken(&probe_hostile(port, sslmode));
        }
    }
    assert!(begun.elapsed().as_secs() < 30);
}

#[test]
fn a_server_that_sends_without_end_is_cut_off() {
    // A login that goes through, and then one endless row.
    let endless = hostile(|mut stream| {
        let mut startup = [0; 512];
        let _ = stream.read(&mut startup);
        stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").ok();
        let _ = stream.read(&mut startup);
        stream.write_all(b"D\x7f\xff\xff\xff").ok();
        let block = vec![b'x'; 1 << 20];
        while stream.write_all(&block).is_ok() {}
    });
    let params = format!("primary = \"host=127.0.0.1 port={endless} user=probe sslmode=disable\"");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen = runtime.block_on(attempt(
        "postgres",
        &params,
        std::time::Duration::from_secs(20),
    ));
    let text = seen.failure().to_string();
    assert!(text.contains("more than this probe reads"), "{text}");
    assert!(seen.took.as_secs() < 15);
}

#[test]
fn a_method_that_is_reached_and_fails_is_no_refusal_for_want_of_encryption() {
    let setup = Setup {
        hba: "hostnossl all all 127.0.0.1/32 ident".to_owned(),
        ..Setup::default()
    };
    let primary = Postgres::start(&setup);
    let verdict = probe(&primary, "plaintext = \"refused\"");
    assert_eq!(verdict.facts("db")["servers"][0]["plaintext"], "accepted");
    assert_eq!(verdict.result("db/plaintext-refused"), "fail");
    primary.configure("", "hostnossl all all all reject");
    primary.reload();
    assert_eq!(
        probe(&primary, "plaintext = \"refused\"").result("db/plaintext-refused"),
        "pass"
    );
}
