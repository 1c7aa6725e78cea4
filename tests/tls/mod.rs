//! The `tls` kind, rule by rule: with the very fault on a real server, and with the fault removed.

mod chains;
mod servers;

use crate::lab::certs::{Authority, Identity};
use crate::lab::{Nginx, Run, Verdict};

/// All built-in rules that are part of every probe.
const RULES: [&str; 10] = [
    "trusted",
    "hostname",
    "expiry",
    "expires-soon",
    "every-address",
    "same-certificate",
    "legacy-protocols",
    "key-strength",
    "signature",
    "must-staple",
];

/// Probes 127.0.0.1 with `ca` as the roots and further parameters as TOML.
fn probe(port: u16, ca: &Authority, params: &str) -> Verdict {
    probe_host("127.0.0.1", port, &ca.pem(), params)
}

fn probe_host(host: &str, port: u16, ca: &str, params: &str) -> Verdict {
    let config = format!(
        "[[probe]]\nid = \"t\"\nkind = \"tls\"\nhost = \"{host}\"\nport = {port}\nca_file = \"ca.pem\"\ntimeout = \"10s\"\n{params}\n"
    );
    Run::with_config(&config).file("ca.pem", ca).once()
}

/// Asserts that exactly these rules have these results and every other one passes or is moot.
fn assert_results(verdict: &Verdict, expected: &[(&str, &str)]) {
    assert_eq!(
        verdict.probe("t")["outcome"],
        "observed",
        "{:#}",
        verdict.json
    );
    for rule in RULES {
        let result = verdict.result(&format!("t/{rule}"));
        match expected.iter().find(|(name, _)| *name == rule) {
            Some((_, expected)) => assert_eq!(result, *expected, "{rule}: {:#}", verdict.json),
            None => assert!(
                ["pass", "na"].contains(&result),
                "{rule} is {result}: {:#}",
                verdict.json
            ),
        }
    }
}

fn assert_target_error(verdict: &Verdict, words: &str) {
    assert_eq!(
        verdict.probe("t")["outcome"],
        "target_error",
        "{:#}",
        verdict.json
    );
    assert_eq!(verdict.code, 1);
    for rule in ["trusted", "hostname", "expiry", "legacy-protocols"] {
        assert_eq!(verdict.result(&format!("t/{rule}")), "fail", "{rule}");
    }
    let reason = verdict.rule("t/trusted")["reason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains(words), "{reason}");
}

fn served(identity: &Identity, ca: &Authority, directives: &str) -> Verdict {
    let nginx = Nginx::tls(identity, directives);
    probe(nginx.port, ca, "")
}
