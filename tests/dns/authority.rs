//! Authoritative servers: agreement, authority, serials, and CAA on the way to the top.

use std::net::Ipv4Addr;

use serde_json::json;

use super::run;
use crate::lab::{Bind, Unbound, Zone, free_port};

const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A zone with two name servers, on 127.0.0.1 and 127.0.0.2.
fn zone(serial: u32, records: &str) -> Zone {
    Zone::bare(
        "plain.test",
        &format!("@ NS ns1\n@ NS ns2\nns1 A 127.0.0.1\nns2 A 127.0.0.2\n{records}"),
    )
    .serial(serial)
}

/// The two servers, on one port.
fn pair(first: Zone, second: Option<Zone>) -> (Bind, Unbound) {
    let port = free_port();
    let second: Vec<Zone> = second.into_iter().collect();
    (
        Bind::start_at(Ipv4Addr::LOCALHOST, port, &[first]),
        Unbound::authority(SECOND, port, &second),
    )
}

fn params(port: u16, more: &str) -> String {
    format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{port}\"]\nns_port = {port}\n{more}"
    )
}

const WWW: &str = "www A 192.0.2.1";

#[test]
fn servers_that_agree_pass() {
    let (one, _two) = pair(zone(7, WWW), Some(zone(7, WWW)));
    let verdict = run(&params(one.port, "authoritative = true\nsoa = true"));
    let facts = verdict.facts("d");
    assert_eq!(facts["zone"], "plain.test");
    assert_eq!(facts["by_authority"].as_array().unwrap().len(), 2);
    let serials = facts["soa_serials"].as_array().unwrap();
    let seen: Vec<_> = serials
        .iter()
        .map(|entry| (&entry["server"], &entry["transport"], &entry["serial"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("ns1.plain.test"), &json!("udp"), &json!(7)),
            (&json!("ns1.plain.test"), &json!("tcp"), &json!(7)),
            (&json!("ns2.plain.test"), &json!("udp"), &json!(7)),
            (&json!("ns2.plain.test"), &json!("tcp"), &json!(7)),
        ]
    );
    for rule in [
        "authoritative-aa",
        "authoritative-agree",
        "soa-serials-equal",
    ] {
        assert_eq!(verdict.result(&format!("d/{rule}")), "pass", "{rule}");
    }
    assert_eq!(verdict.code, 0);
}

#[test]
fn a_server_with_other_records_and_serial_fails() {
    let (one, _two) = pair(zone(7, WWW), Some(zone(6, "www A 192.0.2.2")));
    let verdict = run(&params(one.port, "authoritative = true\nsoa = true"));
    assert_eq!(verdict.result("d/answered"), "pass");
    assert_eq!(verdict.result("d/authoritative-aa"), "pass");
    assert_eq!(verdict.result("d/authoritative-agree"), "fail");
    assert_eq!(verdict.result("d/soa-serials-equal"), "fail");
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_listed_server_without_the_zone_is_not_authoritative() {
    let (one, _two) = pair(zone(7, WWW), None);
    let verdict = run(&params(one.port, "authoritative = true"));
    assert_eq!(verdict.facts("d")["by_authority"][1]["rcode"], "REFUSED");
    assert_eq!(verdict.result("d/authoritative-aa"), "fail");
    assert_eq!(verdict.result("d/authoritative-agree"), "unknown");
}

#[test]
fn a_listed_server_that_is_not_there_is_unknown() {
    let (one, two) = pair(zone(7, WWW), Some(zone(7, WWW)));
    drop(two);
    let verdict = run(&params(one.port, "authoritative = true\nsoa = true"));
    assert_eq!(verdict.facts("d")["by_authority"][0]["agrees"], true);
    assert_eq!(
        verdict.facts("d")["by_authority"][1]["state"],
        "unreachable"
    );
    for rule in [
        "authoritative-aa",
        "authoritative-agree",
        "soa-serials-equal",
    ] {
        assert_eq!(verdict.result(&format!("d/{rule}")), "unknown", "{rule}");
    }
    assert_eq!(verdict.code, 3);
}

#[test]
fn declared_servers_are_asked_where_they_are() {
    let one = Bind::start(&[Zone::new("plain.test", WWW)]);
    let two = Bind::start(&[Zone::new("plain.test", WWW).serial(2)]);
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{0}\"]\nsoa = true\n\
         authoritative = [\"127.0.0.1:{0}\", \"127.0.0.1:{1}\"]",
        one.port, two.port
    ));
    assert_eq!(verdict.result("d/authoritative-aa"), "pass");
    assert_eq!(verdict.result("d/authoritative-agree"), "pass");
    assert_eq!(verdict.result("d/soa-serials-equal"), "fail");
}

#[test]
fn an_alias_out_of_the_zone_agrees() {
    let bind = Bind::start(&[
        Zone::new("plain.test", "www CNAME www.other.test."),
        Zone::new("other.test", "www A 192.0.2.1"),
    ]);
    let unbound = Unbound::start(&bind, &["plain.test", "other.test"], &[]);
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\nauthoritative = [\"127.0.0.1:{}\"]",
        unbound.port, bind.port
    ));
    assert_eq!(verdict.facts("d")["answers"], json!(["192.0.2.1"]));
    assert_eq!(verdict.result("d/authoritative-agree"), "pass");
}

#[test]
fn caa_is_found_at_the_apex() {
    let with = Bind::start(&[Zone::new(
        "plain.test",
        "www A 192.0.2.1\n@ CAA 0 issue \"ca.example.net\"",
    )]);
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\ncaa = true",
        with.port
    ));
    assert_eq!(
        verdict.facts("d")["caa"],
        json!({ "at": "plain.test", "records": ["0 issue \"ca.example.net\""] })
    );
    assert_eq!(verdict.result("d/caa-present"), "pass");
}

#[test]
fn no_caa_up_to_the_top_warns_and_a_step_unseen_is_unknown() {
    let apex = Bind::start(&[
        Zone::new("plain.test", "www A 192.0.2.1"),
        Zone::bare("test", "@ NS ns\nns A 127.0.0.1\nplain NS ns1.plain"),
    ]);
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\ncaa = true",
        apex.port
    ));
    assert_eq!(
        verdict.facts("d")["caa"],
        json!({ "at": "", "records": [] })
    );
    assert_eq!(verdict.result("d/caa-present"), "warn");

    // This server knows nothing above the zone.
    let alone = Bind::start(&[Zone::new("plain.test", "www A 192.0.2.1")]);
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\ncaa = true",
        alone.port
    ));
    assert_eq!(verdict.result("d/caa-present"), "unknown");
}
