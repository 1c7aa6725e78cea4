//! Several resolvers: agreement, silence, nobody there.

use std::net::UdpSocket;

use super::run;
use crate::lab::{Bind, Zone, free_port};

fn bind(address: &str) -> Bind {
    Bind::start(&[Zone::new("plain.test", &format!("www A {address}"))])
}

fn params(resolvers: &[u16]) -> String {
    let list: Vec<String> = resolvers
        .iter()
        .map(|port| format!("\"127.0.0.1:{port}\""))
        .collect();
    format!(
        "name = \"www.plain.test\"\nresolvers = [{}]",
        list.join(", ")
    )
}

#[test]
fn resolvers_that_differ_warn_and_have_no_common_answer() {
    let (one, same, other) = (bind("192.0.2.1"), bind("192.0.2.1"), bind("192.0.2.2"));
    let verdict = run(&params(&[one.port, same.port]));
    assert_eq!(verdict.result("d/resolvers-agree"), "pass");
    assert_eq!(verdict.facts("d")["distinct_answers"], 1);

    let verdict = run(&params(&[one.port, other.port]));
    let facts = verdict.facts("d");
    assert_eq!(facts["answers"]["unknown"], "inconsistent", "{facts}");
    assert_eq!(facts["rcode"], "NOERROR");
    assert_eq!(facts["distinct_answers"], 2);
    assert_eq!(verdict.result("d/answered"), "pass");
    assert_eq!(verdict.result("d/resolvers-agree"), "warn");
    assert_eq!(verdict.code, 0);
}

#[test]
fn a_name_that_one_resolver_does_not_know_fails() {
    let one = bind("192.0.2.1");
    let without = Bind::start(&[Zone::new("plain.test", "")]);
    let verdict = run(&params(&[one.port, without.port]));
    assert_eq!(verdict.facts("d")["rcode"]["unknown"], "inconsistent");
    assert_eq!(verdict.result("d/answered"), "fail");
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_named_resolver_that_is_silent_leaves_the_answer_unknown() {
    let one = bind("192.0.2.1");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let verdict = run(&params(&[one.port, silent_port]));
    let facts = verdict.facts("d");
    assert_eq!(verdict.probe("d")["outcome"], "observed");
    assert_eq!(facts["by_resolver"][0]["state"], "noerror");
    assert_eq!(facts["by_resolver"][1]["state"], "timeout");
    assert_eq!(facts["answers"]["unknown"], "timed_out", "{facts}");
    for rule in ["answered", "not-bogus", "resolvers-agree"] {
        assert_eq!(verdict.result(&format!("d/{rule}")), "unknown", "{rule}");
    }
    assert_eq!(verdict.code, 3);
}

#[test]
fn nobody_answering_is_unknown_and_names_the_resolver() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for port in [silent_port, free_port()] {
        let verdict = run(&params(&[port]));
        assert_eq!(verdict.probe("d")["outcome"], "probe_error");
        let rule = verdict.rule("d/answered");
        assert_eq!(rule["result"], "unknown");
        let resolver = format!("127.0.0.1:{port}");
        assert!(
            rule["reason"].as_str().unwrap().contains(&resolver),
            "{rule}"
        );
        assert_eq!(verdict.code, 3);
    }
}

#[test]
fn a_refused_tcp_resolver_is_unknown() {
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"tcp://127.0.0.1:{}\"]",
        free_port()
    ));
    assert_eq!(verdict.probe("d")["outcome"], "probe_error");
    assert_eq!(verdict.code, 3);
}
