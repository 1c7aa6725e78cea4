//! Clients that must be turned away.

use super::run;
use crate::lab::kafka::{ADMIN, NOBODY, Operation, PROBE, Resource, password};
use crate::lab::{Hostile, Kafka};

#[test]
fn without_credentials_nobody_is_served_where_a_login_is_wanted() {
    let kafka = Kafka::shared();
    for (protocol, brokers) in [
        ("SASL_SSL", kafka.sasl_ssl()),
        ("SASL_PLAINTEXT", kafka.sasl_plaintext()),
    ] {
        let ca_file = if protocol == "SASL_SSL" {
            format!("ca_file = {:?}, ", kafka.ca_file())
        } else {
            String::new()
        };
        let verdict = run(&format!(
            "brokers = {brokers}\nanonymous = \"refused\"\n\
             security = {{ protocol = \"{protocol}\", mechanism = \"SCRAM-SHA-256\", {ca_file}\
             username = \"{ADMIN}\", password = \"{}\" }}",
            password(ADMIN)
        ));
        let rule = verdict.rule("stream/anonymous-refused");
        assert_eq!(rule["result"], "pass", "{protocol}: {rule}");
    }
}

#[test]
fn a_listener_that_serves_everybody_fails() {
    let kafka = Kafka::shared();
    let plain = run(&format!(
        "brokers = {}\nanonymous = \"refused\"",
        kafka.plaintext()
    ));
    assert_eq!(plain.result("stream/anonymous-refused"), "fail");
    let tls = run(&format!(
        "brokers = {}\nanonymous = \"refused\"\n\
         security = {{ protocol = \"SSL\", ca_file = {:?} }}",
        kafka.ssl(),
        kafka.ca_file()
    ));
    assert_eq!(tls.result("stream/anonymous-refused"), "fail");
}

#[test]
fn a_refusal_counts_only_where_the_probe_itself_is_served() {
    let kafka = Kafka::shared();
    let security = kafka.security("SCRAM-SHA-512", ADMIN);
    let verdict = run(&format!(
        "brokers = {}\nanonymous = \"refused\"\nwrong_password = \"refused\"\n{}",
        kafka.sasl_ssl(),
        security.replace(&password(ADMIN), "not-the-password-at-all")
    ));
    assert_eq!(verdict.probe("stream")["outcome"], "denied");
    assert_eq!(verdict.result("stream/anonymous-refused"), "unknown");
    assert_eq!(verdict.result("stream/wrong-password-refused"), "unknown");
}

#[test]
fn a_port_that_only_hangs_up_has_refused_nobody() {
    let kafka = Kafka::shared();
    let hostile = Hostile::start();
    let own = kafka.sasl_plaintext();
    let mixed = format!("[\"127.0.0.1:{}\", {}", hostile.port(), &own[1..]);
    let verdict = run(&format!(
        "brokers = {mixed}\nanonymous = \"refused\"\n\
         security = {{ protocol = \"SASL_PLAINTEXT\", mechanism = \"PLAIN\", \
         username = \"{ADMIN}\", password = \"{}\" }}",
        password(ADMIN)
    ));
    assert_eq!(verdict.result("stream/anonymous-refused"), "unknown");
}

#[test]
fn a_wrong_password_is_refused_by_every_mechanism() {
    let kafka = Kafka::shared();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let verdict = run(&format!(
            "brokers = {}\nwrong_password = \"refused\"\n{}",
            kafka.sasl_ssl(),
            kafka.security(mechanism, ADMIN)
        ));
        let rule = verdict.rule("stream/wrong-password-refused");
        assert_eq!(rule["result"], "pass", "{mechanism}: {rule}");
    }
}

#[test]
fn a_login_without_grants_must_not_see_the_topics() {
    let kafka = Kafka::shared();
    kafka.create_topic("controls-unauthorised", 1, 3, &[]);
    let probe = |outsider: &str| {
        run(&format!(
            "brokers = {}\ntopics = [{{ name = \"controls-unauthorised\" }}]\n{}\n\
             unauthorised = {{ username = \"{outsider}\", password = \"{}\" }}",
            kafka.sasl_ssl(),
            kafka.security("SCRAM-SHA-512", ADMIN),
            password(outsider)
        ))
    };
    let verdict = probe(NOBODY);
    let rule = verdict.rule("stream/unauthorised-refused");
    assert_eq!(rule["result"], "pass", "{rule}");
    kafka.allow(
        PROBE,
        Resource::Topic("controls-unauthorised"),
        Operation::Describe,
    );
    let verdict = probe(PROBE);
    let rule = verdict.rule("stream/unauthorised-refused");
    assert_eq!(rule["result"], "fail", "{rule}");
    assert!(
        rule["reason"]
            .as_str()
            .unwrap()
            .contains("controls-unauthorised"),
        "{rule}"
    );
    // A login that does not work says nothing of rights.
    let verdict = probe("stranger");
    assert_eq!(verdict.result("stream/unauthorised-refused"), "unknown");
}
