//! Logins, TLS, and what ACLs hide.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{run, run_within};
use crate::lab::Kafka;
use crate::lab::kafka::{ADMIN, NARROW, NOBODY, Operation, PROBE, Resource};

#[test]
fn every_mechanism_logs_in() {
    let kafka = Kafka::shared();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let verdict = run(&format!(
            "brokers = {}\nexpect_brokers = 3\n{}",
            kafka.sasl_ssl(),
            kafka.security(mechanism, ADMIN)
        ));
        assert_eq!(verdict.result("stream/brokers"), "pass", "{mechanism}");
        let plain = kafka
            .security(mechanism, ADMIN)
            .replace("SASL_SSL", "SASL_PLAINTEXT");
        let plain = plain.split(", ca_file").next().unwrap().to_owned() + " }";
        let verdict = run(&format!(
            "brokers = {}\nexpect_brokers = 3\n{plain}",
            kafka.sasl_plaintext()
        ));
        assert_eq!(verdict.result("stream/brokers"), "pass", "{mechanism}");
    }
    let verdict = run(&format!(
        "brokers = {}\nexpect_brokers = 3\nsecurity = {{ protocol = \"SSL\", ca_file = {:?} }}",
        kafka.ssl(),
        kafka.ca_file()
    ));
    assert_eq!(verdict.result("stream/brokers"), "pass");
}

#[test]
fn a_token_logs_in_and_one_that_has_expired_does_not() {
    let kafka = Kafka::shared();
    let with = |expires: u64| {
        let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
        let header = encode("{\"alg\":\"none\"}".to_owned());
        let body = encode(format!(
            "{{\"sub\":\"admin\",\"iat\":1700000000,\"exp\":{expires}}}"
        ));
        run_within(
            "5s",
            &format!(
                "brokers = {}\nexpect_brokers = 3\nsecurity = {{ protocol = \"SASL_SSL\", \
                 mechanism = \"OAUTHBEARER\", token = \"{header}.{body}.\", ca_file = {:?} }}",
                kafka.sasl_ssl(),
                kafka.ca_file()
            ),
        )
    };
    assert_eq!(with(4_000_000_000).result("stream/brokers"), "pass");
    let verdict = with(1_700_000_060);
    assert_eq!(
        verdict.probe("stream")["outcome"],
        "denied",
        "{}",
        verdict.probe("stream")
    );
    assert_eq!(verdict.result("stream/brokers"), "unknown");
}

#[test]
fn a_refused_login_is_a_refusal_and_says_so() {
    let kafka = Kafka::shared();
    let begun = Instant::now();
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let security = kafka
            .security(mechanism, ADMIN)
            .replace("admin-secret-admin", "wrong-secret");
        let verdict = run(&format!("brokers = {}\n{security}", kafka.sasl_ssl()));
        let probe = verdict.probe("stream");
        assert_eq!(probe["outcome"], "denied", "{probe}");
        let rule = verdict.rule("stream/offline-partitions");
        assert_eq!(rule["result"], "unknown");
        let reason = rule["reason"].as_str().unwrap();
        assert!(reason.contains("login was refused"), "{reason}");
        assert!(!reason.contains("timed out"), "{reason}");
        assert!(!verdict.json.to_string().contains("wrong-secret"));
        assert_eq!(verdict.code, 3);
    }
    // Neither waits for its timeout of 10 s.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn an_untrusted_certificate_is_the_targets_fault() {
    let kafka = Kafka::shared();
    let verdict = run(&format!(
        "brokers = {}\nsecurity = {{ protocol = \"SSL\" }}",
        kafka.ssl()
    ));
    assert_eq!(verdict.probe("stream")["outcome"], "target_error");
    let reason = verdict.rule("stream/offline-partitions")["reason"].to_string();
    assert!(reason.contains("certificate verify failed"), "{reason}");
    assert_eq!(verdict.result("stream/offline-partitions"), "fail");
}

#[test]
fn plain_text_on_a_tls_port_is_no_answer() {
    let kafka = Kafka::shared();
    let verdict = run_within("3s", &format!("brokers = {}", kafka.ssl()));
    assert_eq!(verdict.probe("stream")["outcome"], "target_error");
}

#[test]
fn what_an_acl_hides_is_unknown_and_names_it() {
    let kafka = Kafka::shared();
    kafka.create_topic("hidden", 1, 3, &[]);
    kafka.produce("hidden", 0, &[Some(b"record")]);
    kafka.commit("hidden", "hidden", &[(0, 1)]);
    let verdict = run(&format!(
        "brokers = {}\n{}\nexpect_brokers = 3\n\
         topics = [{{ name = \"hidden\", partitions = 1 }}, {{ name = \"not-there\" }}]\n\
         groups = [{{ name = \"hidden\", topics = [\"hidden\"], max_lag = 1 }}]",
        kafka.sasl_ssl(),
        kafka.security("SCRAM-SHA-512", NOBODY)
    ));
    assert_eq!(verdict.probe("stream")["outcome"], "observed");
    assert_eq!(verdict.result("stream/brokers"), "pass");
    for (rule, missing) in [
        ("topics-exist", "Describe on topic hidden"),
        ("partitions", "Describe on topic hidden"),
        ("offline-partitions", "Describe on all topics"),
        ("under-min-isr", "Describe on all topics"),
        ("groups-exist", "Describe on group hidden"),
        ("members", "Describe on group hidden"),
        ("lag", "Describe on topic hidden"),
    ] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "unknown", "{rule}");
        assert!(rule["reason"].as_str().unwrap().contains(missing), "{rule}");
    }
    assert_eq!(verdict.code, 3);
}

#[test]
fn a_grant_to_a_prefix_shows_neither_all_topics_nor_a_group() {
    let kafka = Kafka::shared();
    kafka.create_topic("probe-narrow", 1, 3, &[]);
    kafka.produce("probe-narrow", 0, &[Some(b"record")]);
    kafka.commit("narrow", "probe-narrow", &[(0, 1)]);
    kafka.allow(NARROW, Resource::TopicPrefix("probe-"), Operation::Describe);
    for group in ["narrow", "narrow-not-there"] {
        let verdict = run(&format!(
            "brokers = {}\n{}\n\
             groups = [{{ name = \"{group}\", topics = [\"probe-narrow\"], max_lag = 1 }}]",
            kafka.sasl_ssl(),
            kafka.security("SCRAM-SHA-256", NARROW)
        ));
        for (rule, missing) in [
            ("offline-partitions", "Describe on all topics"),
            ("groups-exist", "Describe on group narrow"),
            ("members", "Describe on group narrow"),
            ("committed", "Describe on group narrow"),
            ("within-log", "Describe on group narrow"),
            ("removed-unread", "Describe on group narrow"),
            ("lag", "Describe on group narrow"),
        ] {
            let rule = verdict.rule(&format!("stream/{rule}"));
            assert_eq!(rule["result"], "unknown", "{rule}");
            assert!(rule["reason"].as_str().unwrap().contains(missing), "{rule}");
        }
    }
}

#[test]
fn a_login_that_does_not_fit_the_listener_is_denied_and_says_so() {
    let kafka = Kafka::shared();
    let login = format!(
        "mechanism = \"SCRAM-SHA-256\", username = \"{ADMIN}\", password = \"{}\"",
        crate::lab::kafka::password(ADMIN)
    );
    let ca_file = kafka.ca_file();
    for (brokers, security, says) in [
        (kafka.sasl_plaintext(), String::new(), "wants a login"),
        (
            kafka.sasl_ssl(),
            format!("security = {{ protocol = \"SSL\", ca_file = {ca_file:?} }}"),
            "wants a login",
        ),
        (
            kafka.plaintext(),
            format!("security = {{ protocol = \"SASL_PLAINTEXT\", {login} }}"),
            "takes no login",
        ),
        (
            kafka.ssl(),
            format!("security = {{ protocol = \"SASL_SSL\", ca_file = {ca_file:?}, {login} }}"),
            "takes no login",
        ),
    ] {
        let verdict = run_within("6s", &format!("brokers = {brokers}\n{security}"));
        let probe = verdict.probe("stream");
        assert_eq!(probe["outcome"], "denied", "{says}: {probe}");
        let rule = verdict.rule("stream/offline-partitions");
        assert_eq!(rule["result"], "unknown", "{rule}");
        assert!(rule["reason"].as_str().unwrap().contains(says), "{rule}");
    }
}

#[test]
fn the_documented_rights_are_enough() {
    let kafka = Kafka::shared();
    kafka.create_topic("granted", 1, 3, &[]);
    kafka.produce("granted", 0, &[Some(b"record")]);
    kafka.commit("granted", "granted", &[(0, 1)]);
    let config = format!(
        "brokers = {}\n{}\n\
         topics = [{{ name = \"granted\", partitions = 1 }}, {{ name = \"not-there\" }}]\n\
         groups = [{{ name = \"granted\", topics = [\"granted\"], max_lag = 1 }}]",
        kafka.sasl_ssl(),
        kafka.security("SCRAM-SHA-512", PROBE)
    );
    kafka.allow(PROBE, Resource::Topic("*"), Operation::Describe);
    let verdict = run(&config);
    assert_eq!(verdict.result("stream/offline-partitions"), "pass");
    let rule = verdict.rule("stream/under-min-isr");
    assert_eq!(rule["result"], "unknown");
    assert!(
        rule["reason"]
            .as_str()
            .unwrap()
            .contains("DescribeConfigs on topic"),
        "{rule}"
    );
    let hidden = &verdict.facts("stream")["listed_groups"];
    assert_eq!(hidden["unknown"], "not_observed", "{hidden}");
    kafka.allow(PROBE, Resource::Topic("*"), Operation::DescribeConfigs);
    kafka.allow(PROBE, Resource::Cluster, Operation::Describe);
    kafka.allow(PROBE, Resource::Group("granted"), Operation::Describe);
    let verdict = run(&config);
    let listed = verdict.facts("stream")["listed_groups"].to_string();
    assert!(listed.contains("granted"), "{listed}");
    for (rule, result) in [
        ("offline-partitions", "pass"),
        // With the right to see it, its absence is known.
        ("topics-exist", "fail"),
        ("groups-exist", "pass"),
        ("lag", "pass"),
    ] {
        let seen = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(seen["result"], result, "{seen}");
    }
}
