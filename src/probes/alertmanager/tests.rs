use super::*;
use crate::evidence::FactSchema;

fn problems(toml: &str) -> Vec<String> {
    crate::net::install_crypto_provider();
    let config = toml::from_str(toml).expect("the shape of the parameters");
    match Alertmanager::new(config) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.param).collect(),
    }
}

#[test]
fn every_fact_has_a_type_that_rules_know() {
    let schema = FactSchema::of::<Facts>().unwrap();
    assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let with = |more: &str| problems(&format!("url = 'http://127.0.0.1:9093'\n{more}"));
    assert_eq!(with(""), [""; 0]);
    assert_eq!(with("peers = ['ftp://x', 'http://y']"), ["peers"]);
    assert_eq!(with("receivers = ['']"), ["receivers"]);
    assert_eq!(with("[alerts.Down]\nalertname = 'x'"), ["alerts.Down"]);
    assert_eq!(with("[alerts.Down]\n'a b' = 'x'"), ["alerts.Down"]);
    assert_eq!(with("[alerts.Down]\nteam = 'ops'"), [""; 0]);
    let canary = |more: &str| with(&format!("allow_writes = true\n[canary]\n{more}"));
    assert_eq!(canary("listen = '127.0.0.1:9099'\nwait = '40s'"), [""; 0]);
    assert_eq!(canary("listen = '127.0.0.1:0'"), ["canary.listen"]);
    assert_eq!(canary("listen = 'here'"), ["canary.listen"]);
    let labels = "listen = '127.0.0.1:9099'\nlabels = { probe_nonce = 'x', a = '' }";
    assert_eq!(canary(labels), ["canary.labels", "canary.labels"]);
}

#[test]
fn a_canary_needs_leave_to_write() {
    assert_eq!(
        problems("url = 'http://127.0.0.1:9093'\ncanary = { listen = '127.0.0.1:9099' }"),
        ["canary"]
    );
}

#[test]
fn extra_time_is_what_the_canary_waits_for() {
    let build = |more: &str| {
        let text = format!("url = 'http://127.0.0.1:9093'\nallow_writes = true\n{more}");
        Alertmanager::new(toml::from_str(&text).unwrap())
            .ok()
            .unwrap()
    };
    assert_eq!(build("").extra_time(), Duration::ZERO);
    let waiting = build("canary = { listen = '127.0.0.1:9099', wait = '40s' }");
    assert_eq!(waiting.extra_time(), Duration::from_secs(40));
}
