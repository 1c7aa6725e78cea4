//! Secure, insecure and bogus, as unbound sees BIND's zones.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use super::{only_resolver, run};
use crate::lab::{Bind, Signed, Unbound, Zone, free_port};

const ZONES: [&str; 5] = [
    "secure.test",
    "ending.test",
    "expired.test",
    "plain.test",
    "broken.test",
];
const SIGNED: [&str; 3] = ["secure.test", "ending.test", "expired.test"];

fn start() -> (Bind, Unbound) {
    let zone = |name, signed| Zone::new(name, "www A 192.0.2.1").signed(signed);
    let bind = Bind::start(&[
        zone("secure.test", Signed::Lasting),
        zone("ending.test", Signed::OneDay),
        zone("expired.test", Signed::Expired),
        zone("plain.test", Signed::Never),
        // BIND cannot load it, and fails at it.
        Zone::bare("broken.test", "@ NS"),
    ]);
    let unbound = Unbound::start(&bind, &ZONES, &SIGNED);
    (bind, unbound)
}

fn params(name: &str, port: u16) -> String {
    format!("name = \"{name}\"\nresolvers = [\"127.0.0.1:{port}\"]\ndnssec = \"secure\"")
}

#[test]
fn a_validated_answer_is_secure() {
    let (_bind, unbound) = start();
    let verdict = run(&params("www.secure.test", unbound.port));
    let facts = verdict.facts("d");
    assert_eq!(facts["dnssec"], "secure", "{facts}");
    assert_eq!(facts["ad"], true);
    assert_eq!(facts["signatures"], 1);
    for rule in [
        "answered",
        "not-bogus",
        "dnssec-secure",
        "rrsig-expiry",
        "dnssec-trusted-path",
    ] {
        assert_eq!(verdict.result(&format!("d/{rule}")), "pass", "{rule}");
    }
    assert_eq!(verdict.code, 0);
}

#[test]
fn a_validated_denial_is_secure_and_no_answer() {
    let (_bind, unbound) = start();
    let verdict = run(&params("missing.secure.test", unbound.port));
    assert_eq!(verdict.facts("d")["dnssec"], "secure");
    assert_eq!(verdict.facts("d")["rcode"], "NXDOMAIN");
    assert_eq!(verdict.result("d/answered"), "fail");
}

#[test]
fn an_unsigned_answer_is_insecure() {
    let (_bind, unbound) = start();
    let verdict = run(&params("www.plain.test", unbound.port));
    assert_eq!(verdict.facts("d")["dnssec"], "insecure");
    assert_eq!(verdict.result("d/dnssec-secure"), "fail");
    assert_eq!(verdict.result("d/not-bogus"), "pass");
    assert_eq!(verdict.result("d/rrsig-expiry"), "na");
}

#[test]
fn expired_signatures_are_bogus() {
    let (_bind, unbound) = start();
    let verdict = run(&params("www.expired.test", unbound.port));
    let facts = verdict.facts("d");
    assert_eq!(facts["dnssec"], "bogus", "{facts}");
    assert_eq!(facts["rcode"], "SERVFAIL");
    let explanations = &only_resolver(&verdict)["extended_errors"];
    assert!(!explanations.as_array().unwrap().is_empty(), "{facts}");
    for rule in ["answered", "not-bogus", "dnssec-secure"] {
        assert_eq!(verdict.result(&format!("d/{rule}")), "fail", "{rule}");
    }
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_failure_of_another_cause_is_not_bogus() {
    let (_bind, unbound) = start();
    let verdict = run(&params("www.broken.test", unbound.port));
    assert_eq!(only_resolver(&verdict)["state"], "servfail");
    assert_eq!(only_resolver(&verdict)["bogus"], false);
    assert_eq!(verdict.result("d/answered"), "fail");
    assert_eq!(verdict.result("d/not-bogus"), "pass");
    assert_eq!(verdict.result("d/dnssec-secure"), "unknown");
}

#[test]
fn a_resolver_that_does_not_validate_cannot_tell() {
    let (bind, _unbound) = start();
    let verdict = run(&params("www.secure.test", bind.port));
    assert_eq!(verdict.facts("d")["dnssec"]["unknown"], "unsupported");
    assert_eq!(verdict.result("d/dnssec-secure"), "unknown");
    assert_eq!(verdict.result("d/not-bogus"), "pass");
    assert_eq!(verdict.code, 3);
}

#[test]
fn signatures_about_to_expire_warn() {
    let (_bind, unbound) = start();
    let verdict = run(&params("www.ending.test", unbound.port));
    assert_eq!(verdict.facts("d")["rrsig_days_left"], 0);
    assert_eq!(verdict.result("d/rrsig-expiry"), "warn");
    assert_eq!(verdict.result("d/dnssec-secure"), "pass");
}

#[test]
fn an_open_path_is_not_trusted() {
    // Nothing is sent: the kernel says which of this host's addresses it would use.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket
        .connect("192.0.2.1:9")
        .expect("this host has an address besides loopback");
    let IpAddr::V4(address) = socket.local_addr().unwrap().ip() else {
        panic!("an IPv4 socket has an IPv4 address");
    };
    assert_ne!(address, Ipv4Addr::LOCALHOST);
    let bind = Bind::start_at(
        address,
        free_port(),
        &[Zone::new("plain.test", "www A 192.0.2.1")],
    );
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"{address}:{}\"]\ndnssec = \"secure\"",
        bind.port
    ));
    assert_eq!(verdict.result("d/dnssec-trusted-path"), "warn");
}
