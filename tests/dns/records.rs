//! Record types, and the ways in which there may be none.

use serde_json::json;

use super::{only_resolver, probe, run};
use crate::lab::{Bind, Run, Zone};

const RECORDS: &str = r#"
@       A     192.0.2.10
@       MX    10 Mail
@       MX    20 mail2.example.net.
@       TXT   "v=spf1 " "-all"
@       CAA   0 issue "ca.example.net"
www     A     192.0.2.2
www     A     192.0.2.1
www     AAAA  2001:db8::1
alias   CNAME Alias2
alias2  CNAME www
loop1   CNAME loop2
loop2   CNAME loop1
_sip._tcp SRV 0 5 5060 sip
"#;

fn bind() -> Bind {
    let reverse = Zone::new("2.0.192.in-addr.arpa", "1 PTR www.plain.test.");
    let six = Zone::new(
        "8.b.d.0.1.0.0.2.ip6.arpa",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR six.plain.test.",
    );
    Bind::start(&[Zone::new("plain.test", RECORDS), reverse, six])
}

#[test]
fn every_type_is_read_in_presentation_form() {
    let bind = bind();
    let wanted = [
        ("A", "www.plain.test", json!(["192.0.2.1", "192.0.2.2"])),
        ("AAAA", "WWW.plain.test.", json!(["2001:db8::1"])),
        ("CNAME", "alias.plain.test", json!(["alias2.plain.test"])),
        (
            "MX",
            "plain.test",
            json!(["10 mail.plain.test", "20 mail2.example.net"]),
        ),
        ("NS", "plain.test", json!(["ns1.plain.test"])),
        ("TXT", "plain.test", json!(["v=spf1 -all"])),
        (
            "SOA",
            "plain.test",
            json!(["ns1.plain.test admin.plain.test 1 3600 600 86400 60"]),
        ),
        ("CAA", "plain.test", json!(["0 issue \"ca.example.net\""])),
        (
            "SRV",
            "_sip._tcp.plain.test",
            json!(["0 5 5060 sip.plain.test"]),
        ),
        ("PTR", "192.0.2.1", json!(["www.plain.test"])),
        ("PTR", "2001:db8::1", json!(["six.plain.test"])),
    ];
    let mut config = String::new();
    for (index, (kind, name, records)) in wanted.iter().enumerate() {
        config += &probe(
            &format!("p{index}"),
            &format!(
                "name = \"{name}\"\ntype = \"{kind}\"\nresolvers = [\"127.0.0.1:{}\"]\nexpect = {records}",
                bind.port
            ),
        );
    }
    let verdict = Run::with_config(&config).once();
    for (index, (kind, name, records)) in wanted.iter().enumerate() {
        let id = format!("p{index}");
        let facts = verdict.facts(&id);
        assert_eq!(&facts["answers"], records, "{kind} {name}");
        assert_eq!(facts["rcode"], "NOERROR");
        assert_eq!(facts["ttl_min_seconds"], 300);
        assert_eq!(facts["aa"], true);
        for rule in ["answered", "as-expected", "not-bogus"] {
            assert_eq!(
                verdict.result(&format!("{id}/{rule}")),
                "pass",
                "{kind} {name} {rule}"
            );
        }
    }
    assert_eq!(verdict.code, 0, "{}", verdict.stderr);
}

#[test]
fn aliases_are_followed_to_the_records() {
    let bind = bind();
    let verdict = run(&format!(
        "name = \"alias.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\n\
         rules.points-there = \"answers.exists(a, a == '192.0.2.1') && cname_chain[1] == 'www.plain.test'\"",
        bind.port
    ));
    assert_eq!(
        verdict.facts("d")["cname_chain"],
        json!(["alias2.plain.test", "www.plain.test"])
    );
    assert_eq!(verdict.result("d/points-there"), "pass");
    assert_eq!(verdict.code, 0);
}

#[test]
fn a_set_that_differs_from_the_declared_one_fails() {
    let bind = bind();
    let verdict = run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"127.0.0.1:{}\"]\nexpect = [\"192.0.2.1\"]",
        bind.port
    ));
    assert_eq!(verdict.result("d/answered"), "pass");
    assert_eq!(verdict.result("d/as-expected"), "fail");
    assert_eq!(verdict.code, 1);
}

#[test]
fn no_name_no_record_refusal_and_failure_are_told_apart() {
    // The second zone cannot be loaded: BIND fails at it.
    let bind = Bind::start(&[
        Zone::new("plain.test", RECORDS),
        Zone::bare("broken.test", "@ NS"),
    ]);
    for (name, kind, state, rcode) in [
        ("missing.plain.test", "A", "nxdomain", "NXDOMAIN"),
        ("plain.test", "AAAA", "nodata", "NOERROR"),
        ("loop1.plain.test", "A", "servfail", "SERVFAIL"),
        ("www.elsewhere.test", "A", "refused", "REFUSED"),
        ("www.broken.test", "A", "servfail", "SERVFAIL"),
    ] {
        let verdict = run(&format!(
            "name = \"{name}\"\ntype = \"{kind}\"\nresolvers = [\"127.0.0.1:{}\"]",
            bind.port
        ));
        let entry = only_resolver(&verdict);
        assert_eq!(entry["state"], state, "{name} {kind}");
        assert_eq!(verdict.facts("d")["rcode"], rcode, "{name} {kind}");
        assert_eq!(
            verdict.facts("d")["nodata"],
            state == "nodata",
            "{name} {kind}"
        );
        assert_eq!(verdict.result("d/answered"), "fail", "{name} {kind}");
        assert_eq!(verdict.result("d/not-bogus"), "pass", "{name} {kind}");
        assert_eq!(verdict.probe("d")["outcome"], "observed");
        assert_eq!(verdict.code, 1, "{name} {kind}");
    }
}

#[test]
fn a_name_that_is_none_is_an_error_of_the_configuration() {
    for name in ["", ".", "a..b", "https://a.example/", "192.0.2.1", "a b"] {
        let output = Run::with_config(&probe("d", &format!("name = \"{name}\"")))
            .args(["--once"])
            .output();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains("probes.toml:5"), "{name}: {stderr}");
    }
}

#[test]
fn what_is_wrong_in_a_list_is_shown_at_its_element() {
    let params =
        "name = \"a.example\"\nresolvers = [\n  \"192.0.2.1\",\n  \"quic://192.0.2.1\",\n]";
    let output = Run::with_config(&probe("d", params))
        .args(["check"])
        .output();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("probes.toml:8:3"), "{stderr}");
}
