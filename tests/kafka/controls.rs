//! Clients that must be turned away.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::spawn;

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

/// A server that answers the first question with these bytes, and then hangs up.
fn greeter(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).ok();
            let length = u32::try_from(answer.len() + 4).expect("a short answer");
            stream.write_all(&length.to_be_bytes()).ok();
            // The correlation id goes first.
            stream.write_all(&request[4..8]).ok();
            stream.write_all(answer).ok();
            stream.read_exact(&mut [0]).ok();
        }
    });
    port
}

/// No error, and the versions of one request.
const GREETING: &[u8] = &[0, 0, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0];
/// The same in a form that was not asked for.
const WRONG_GREETING: &[u8] = &[0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 4];

#[test]
fn a_malformed_greeting_ends_nothing_but_the_conversation() {
    let kafka = Kafka::shared();
    let impostor = greeter(WRONG_GREETING);
    let verdict = run(&format!("brokers = [\"127.0.0.1:{impostor}\"]"));
    assert_eq!(verdict.probe("stream")["outcome"], "target_error");
    let reason = verdict.rule("stream/offline-partitions")["reason"].to_string();
    assert!(
        reason.contains("not the answer of a Kafka broker"),
        "{reason}"
    );
    // The others are brokers all the same.
    let mixed = format!("[\"127.0.0.1:{impostor}\", {}", &kafka.plaintext()[1..]);
    let verdict = run(&format!("brokers = {mixed}\nexpect_brokers = 3"));
    assert_eq!(verdict.result("stream/brokers"), "pass");
}

#[test]
fn who_hangs_up_and_wants_no_login_has_refused_nobody() {
    let kafka = Kafka::shared();
    let own = kafka.sasl_plaintext();
    let mixed = format!("[\"127.0.0.1:{}\", {}", greeter(GREETING), &own[1..]);
    let verdict = run(&format!(
        "brokers = {mixed}\nanonymous = \"refused\"\nwrong_password = \"refused\"\n\
         security = {{ protocol = \"SASL_PLAINTEXT\", mechanism = \"PLAIN\", \
         username = \"{ADMIN}\", password = \"{}\" }}",
        password(ADMIN)
    ));
    assert_eq!(verdict.probe("stream")["outcome"], "observed");
    for rule in ["anonymous-refused", "wrong-password-refused"] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "unknown", "{rule}");
    }
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
