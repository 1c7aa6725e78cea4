//! Parameters that make no sense are errors with their place, before anything is connected to.

use crate::lab::wrong_params;

fn wrong(params: &str) -> Vec<String> {
    wrong_params("kafka", params)
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let params = "brokers = [\"nowhere\", \"kafka://a:1\", \"a:1,b:2\", \"[::1]:9092\"]\n\
                  topics = [{ name = \"a b\" }, { name = \"t\" }, { name = \"t\" }, \
                  { name = \"u\", replication_factor = 2, min_insync_replicas = 3 }]\n\
                  groups = [{ name = \"\", topics = [\"t\"] }, { name = \"g\" }]";
    assert_eq!(
        wrong(params),
        [
            "brokers.0",
            "brokers.1",
            "brokers.2",
            "topics.0.name",
            "topics.2.name",
            "topics.3.min_insync_replicas",
            "groups.0.name",
            "groups.1.topics",
        ]
    );
    assert_eq!(wrong("brokers = []"), ["brokers"]);
    assert_eq!(
        wrong("brokers = [\"a:1\"]\nobserve_for = \"5s\""),
        ["observe_for"]
    );
}

#[test]
fn settings_of_librdkafka_are_checked_by_name_and_value() {
    let sound = "brokers = [\"a:1\"]\n\
                 librdkafka = { \"socket.timeout.ms\" = 3000, \"broker.address.family\" = \"v4\", \"socket.keepalive.enable\" = true }";
    assert_eq!(wrong(sound), [""; 0]);
    let params = "brokers = [\"a:1\"]\n\
                  librdkafka = { \"socket.timeout\" = 3000, \"socket.timeout.ms\" = \"soon\", \
                  \"allow.auto.create.topics\" = true, \"group.id\" = \"theirs\" }";
    assert_eq!(
        wrong(params),
        [
            "librdkafka.allow.auto.create.topics",
            "librdkafka.group.id",
            "librdkafka.socket.timeout",
            "librdkafka.socket.timeout.ms",
        ]
    );
}

#[test]
fn settings_that_contradict_each_other_are_an_error_and_not_a_riddle_at_night() {
    let with = |librdkafka: &str, more: &str| {
        wrong(&format!(
            "brokers = [\"a:1\"]\nlibrdkafka = {{ {librdkafka} }}\n{more}"
        ))
    };
    let late = "\"message.timeout.ms\" = 5, \"linger.ms\" = 1000";
    assert_eq!(with(late, ""), ["librdkafka"]);
    let reads = "topics = [{ name = \"t\" }]\n\
                 schema_registry = { url = \"http://a:1\", subjects = [\"t-value\"] }";
    let idle = "\"session.timeout.ms\" = 60000, \"max.poll.interval.ms\" = 10000";
    assert_eq!(with(idle, reads), ["librdkafka"]);
    assert_eq!(
        with("\"debug\" = \"broker\", \"linger.ms\" = 5", reads),
        [""; 0]
    );
    assert_eq!(
        with(
            "\"test.mock.num.brokers\" = 3, \"ssl.providers\" = \"legacy\"",
            ""
        ),
        [
            "librdkafka.ssl.providers",
            "librdkafka.test.mock.num.brokers"
        ]
    );
}

#[test]
fn a_login_needs_what_its_mechanism_logs_in_with() {
    let with = |security: &str| wrong(&format!("brokers = [\"a:1\"]\nsecurity = {{ {security} }}"));
    assert_eq!(with("protocol = \"SASL_SSL\""), ["security.mechanism"]);
    assert_eq!(
        with("protocol = \"SASL_SSL\", mechanism = \"PLAIN\""),
        ["security.username", "security.password"]
    );
    assert_eq!(
        with("protocol = \"PLAINTEXT\", username = \"u\", password = \"p\""),
        ["security.username", "security.password"]
    );
    assert_eq!(
        with("protocol = \"SASL_PLAINTEXT\", mechanism = \"OAUTHBEARER\", token = \"nonsense\""),
        ["security.token"]
    );
    assert_eq!(
        with(
            "protocol = \"SSL\", ca_file = \"/nowhere/ca.pem\", client_cert_file = \"/nowhere/c.pem\""
        ),
        ["security.ca_file", "security.client_key_file"]
    );
    assert_eq!(
        with("protocol = \"PLAINTEXT\", ca_file = \"/nowhere/ca.pem\""),
        ["security.ca_file"]
    );
    assert_eq!(with("protocol = \"SSL\""), [""; 0]);
}
