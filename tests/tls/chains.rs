//! Certificates and chains, good and bad, on nginx.

use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::{assert_results, probe, probe_host, served};
use crate::lab::certs::{Authority, Identity, Leaf};
use crate::lab::{Nginx, require};

#[test]
fn a_sound_server_passes_every_rule_and_shows_its_facts() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate", 1_000);
    let nginx = Nginx::tls(
        &intermediate.issue(&Leaf::sound()),
        "ssl_protocols TLSv1.2 TLSv1.3;",
    );
    let verdict = probe(nginx.port, &root, "alpn = [\"h2\", \"http/1.1\"]");
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("t");
    assert_eq!(facts["trusted"], true);
    assert_eq!(facts["trust_error"], "");
    assert_eq!(facts["min_days_left"], 80);
    assert_eq!(facts["not_after"], facts["leaf_not_after"]);
    assert_eq!(facts["protocol"], "TLSv1.3");
    assert_eq!(facts["alpn"], "h2");
    assert_eq!(facts["client_certificate"], "not_requested");
    assert_eq!(
        facts["versions"],
        json!({"tls1_0": "refused", "tls1_1": "refused", "tls1_2": "accepted", "tls1_3": "accepted"})
    );
    let chain = facts["chain"].as_array().expect("a chain");
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[0]["role"], "leaf");
    assert_eq!(chain[1]["role"], "intermediate");
    assert_eq!(chain[0]["sha256"], facts["leaf_fingerprints"][0]);
}

#[test]
fn an_expired_certificate_fails_and_still_yields_its_facts() {
    let root = Authority::root("root");
    let verdict = served(&root.issue(&Leaf::sound().days(-100, -10)), &root, "");
    let failing = [
        ("trusted", "fail"),
        ("expiry", "fail"),
        ("expires-soon", "warn"),
    ];
    assert_results(&verdict, &failing);
    assert_eq!(verdict.code, 1);
    let facts = verdict.facts("t");
    assert_eq!(facts["min_days_left"], -10);
    assert_eq!(facts["hostname_matches"], true);
    assert_eq!(facts["subject"], "CN=localhost");
    assert!(
        facts["trust_error"]
            .as_str()
            .expect("text")
            .contains("expired")
    );
}

#[test]
fn a_certificate_of_the_future_is_not_trusted_yet() {
    let root = Authority::root("root");
    let verdict = served(&root.issue(&Leaf::sound().days(2, 92)), &root, "");
    assert_results(&verdict, &[("trusted", "fail")]);
    let reason = verdict.rule("t/trusted")["reason"].to_string();
    assert!(reason.contains("not valid before"), "{reason}");
}

#[test]
fn a_certificate_for_another_name_is_trusted_and_for_the_wrong_host() {
    let root = Authority::root("root");
    let nginx = Nginx::tls(&root.issue(&Leaf::sound().names(&["a.example"])), "");
    let verdict = probe(nginx.port, &root, "");
    assert_results(&verdict, &[("hostname", "fail")]);
    assert_eq!(verdict.facts("t")["trusted"], true);
    assert_eq!(verdict.facts("t")["hostname_matches"], false);
    let reason = verdict.rule("t/hostname")["reason"].to_string();
    assert!(
        reason.contains("127.0.0.1") && reason.contains("a.example"),
        "{reason}"
    );
    let named = probe(nginx.port, &root, "server_name = \"a.example\"");
    assert_results(&named, &[]);
}

#[test]
fn several_faults_at_once_are_all_told() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let leaf = Leaf::sound().names(&["a.example"]).days(-100, -10);
    let verdict = served(&other.issue(&leaf), &root, "");
    let failing = [
        ("trusted", "fail"),
        ("hostname", "fail"),
        ("expiry", "fail"),
        ("expires-soon", "warn"),
    ];
    assert_results(&verdict, &failing);
    let error = verdict.facts("t")["trust_error"].as_str().expect("text");
    assert!(error.contains("expired"), "{error}");
    assert!(error.contains("no path to a trusted root"), "{error}");
}

#[test]
fn thresholds_shrink_with_the_lifetime_of_a_certificate() {
    let root = Authority::root("root");
    for (from, to, expiry, soon) in [
        (-75, 15, "pass", "warn"),
        (-77, 13, "fail", "warn"),
        (-59, 31, "pass", "pass"),
        // Of 45 days the last 7 and 15 count.
        (-37, 8, "pass", "warn"),
        (-39, 6, "fail", "warn"),
        (-29, 16, "pass", "pass"),
        // More than 90 days ask for no more than 90 do.
        (-335, 31, "pass", "pass"),
    ] {
        let verdict = served(&root.issue(&Leaf::sound().days(from, to)), &root, "");
        assert_results(&verdict, &[("expiry", expiry), ("expires-soon", soon)]);
        assert_eq!(verdict.code, i32::from(expiry == "fail"));
    }
}

#[test]
fn an_intermediate_that_expires_first_counts() {
    let root = Authority::root("root");
    let identity = |days| {
        root.intermediate("intermediate", days)
            .issue(&Leaf::sound())
    };
    let verdict = served(&identity(5), &root, "");
    assert_results(&verdict, &[("expiry", "fail"), ("expires-soon", "warn")]);
    let facts = verdict.facts("t");
    assert_eq!(facts["min_days_left"], 5);
    assert_ne!(facts["not_after"], facts["leaf_not_after"]);
    assert_results(&served(&identity(100), &root, ""), &[]);
}

#[test]
fn a_threshold_can_be_replaced() {
    let root = Authority::root("root");
    let nginx = Nginx::tls(&root.issue(&Leaf::sound().days(-60, 30)), "");
    let with = |days: u32| {
        let rules = format!("rules.expiry = \"min_days_left >= {days}\"");
        probe(nginx.port, &root, &rules)
    };
    assert_eq!(with(21).result("t/expiry"), "pass");
    assert_eq!(with(40).result("t/expiry"), "fail");
}

#[test]
fn short_keys_fail() {
    let root = Authority::root("root");
    let dir = TempDir::new().expect("temporary directory");
    let level0 = "ssl_ciphers DEFAULT@SECLEVEL=0;";
    let weak = root.issue_rsa(&Leaf::sound(), 1024, dir.path());
    let verdict = served(&weak, &root, level0);
    assert_eq!(verdict.result("t/key-strength"), "fail");
    assert_eq!(verdict.facts("t")["chain"][0]["key_bits"], 1024);
    assert_eq!(verdict.result("t/hostname"), "pass");
    assert_eq!(verdict.result("t/expiry"), "pass");
    let strong = root.issue_rsa(&Leaf::sound(), 2048, dir.path());
    assert_results(
        &served(&strong, &root, level0),
        &[("legacy-protocols", "fail")],
    );
}

#[test]
fn a_sha1_signature_fails() {
    let root = Authority::root("root");
    let dir = TempDir::new().expect("temporary directory");
    let level0 = "ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers DEFAULT@SECLEVEL=0;";
    let verdict = served(&root.issue_sha1(dir.path()), &root, level0);
    assert_results(&verdict, &[("signature", "fail"), ("trusted", "fail")]);
    let leaf = &verdict.facts("t")["chain"][0];
    assert_eq!(leaf["signature_hash"], "sha1");
}

#[test]
fn a_self_signed_certificate_is_trusted_only_where_it_is_named() {
    let root = Authority::root("root");
    let identity = Leaf::sound().self_signed();
    let nginx = Nginx::tls(&identity, "");
    let verdict = probe(nginx.port, &root, "");
    assert_results(&verdict, &[("trusted", "fail")]);
    assert_eq!(
        verdict.facts("t")["trust_error"],
        "the certificate is self-signed"
    );
    let named = probe_host("127.0.0.1", nginx.port, &identity.chain, "");
    assert_results(&named, &[]);
}

#[test]
fn a_self_signed_authority_as_server_is_trusted_where_it_is_named() {
    let dir = TempDir::new().expect("temporary directory");
    let status = Command::new(require("openssl"))
        .current_dir(dir.path())
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-days", "80", "-subj", "/CN=localhost", "-addext"])
        .args([
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .output()
        .expect("run openssl")
        .status;
    assert!(status.success());
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("read");
    let identity = Identity {
        chain: read("cert.pem"),
        key: read("key.pem"),
    };
    let nginx = Nginx::tls(&identity, "");
    let named = probe_host("127.0.0.1", nginx.port, &identity.chain, "");
    assert_eq!(named.facts("t")["chain"][0]["is_ca"], true);
    assert_results(&named, &[]);
    let other = Authority::root("root");
    assert_results(&probe(nginx.port, &other, ""), &[("trusted", "fail")]);
}

#[test]
fn a_chain_without_its_intermediate_is_not_trusted() {
    let root = Authority::root("root");
    let mut identity = root
        .intermediate("the one between", 1_000)
        .issue(&Leaf::sound());
    let nginx = Nginx::tls(&identity, "");
    assert_results(&probe(nginx.port, &root, ""), &[]);
    let end = identity.chain.find("-----END").expect("a certificate");
    let next = identity.chain[end..].find("-----BEGIN").expect("another") + end;
    identity.chain.truncate(next);
    let verdict = served(&identity, &root, "");
    assert_results(&verdict, &[("trusted", "fail")]);
    let error = verdict.facts("t")["trust_error"].as_str().expect("text");
    assert!(error.contains("CN=the one between"), "{error}");
}
