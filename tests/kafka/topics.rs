//! Brokers and topics, as they are and against what is declared.

use super::run;
use crate::lab::Kafka;

#[test]
fn a_healthy_cluster_passes_and_shows_its_brokers() {
    let kafka = Kafka::shared();
    kafka.create_topic("healthy", 6, 3, &[("min.insync.replicas", "2")]);
    let verdict = run(&format!(
        "brokers = {}\nexpect_brokers = 3\n\
         topics = [{{ name = \"healthy\", partitions = 6, replication_factor = 3, min_insync_replicas = 2 }}]",
        kafka.plaintext()
    ));
    for rule in [
        "brokers",
        "topics-exist",
        "partitions",
        "replication-factor",
        "min-insync-replicas",
        "declared-topics-in-sync",
        "unclean-leader-election",
        "offline-partitions",
    ] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "pass", "{rule}");
    }
    let facts = verdict.facts("stream");
    assert_eq!(facts["broker_count"], 3);
    let racks: Vec<_> = (0..3)
        .map(|at| facts["brokers"][at]["rack"].clone())
        .collect();
    assert_eq!(racks, ["rack-1", "rack-2", "rack-3"]);
    assert!(
        facts["controller_id"].is_u64(),
        "{}",
        facts["controller_id"]
    );
    assert_eq!(facts["quorum_leader_id"]["unknown"], "unsupported");
    let topic = &facts["topics"][0];
    assert_eq!(topic["partition_count"], 6);
    assert_eq!(topic["min_insync_replicas"], 2);
    assert_eq!(topic["min_insync_replicas_source"], "topic");
    assert_eq!(topic["cleanup_policy"], "delete");
    assert_eq!(topic["retention_ms_source"], "default");
    for partition in topic["partitions"].as_array().expect("partitions") {
        assert_eq!(partition["isr"].as_array().map(Vec::len), Some(3));
        assert!(partition["leader"].is_u64());
    }
}

#[test]
fn fewer_brokers_than_declared_fail() {
    let kafka = Kafka::shared();
    let verdict = run(&format!(
        "brokers = {}\nexpect_brokers = 4",
        kafka.plaintext()
    ));
    let rule = verdict.rule("stream/brokers");
    assert_eq!(rule["result"], "fail", "{rule}");
}

/// The result of a rule for a probe of one declared topic.
fn declared(kafka: &Kafka, topic: &str, rule: &str) -> (String, String) {
    let verdict = run(&format!(
        "brokers = {}\ntopics = [{{ {topic} }}]",
        kafka.plaintext()
    ));
    let rule = verdict.rule(&format!("stream/{rule}"));
    let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    (text("result"), text("reason"))
}

#[test]
fn the_number_of_partitions_is_exact() {
    let kafka = Kafka::shared();
    kafka.create_topic("exact", 3, 3, &[]);
    for (declares, result) in [(3, "pass"), (2, "fail"), (4, "fail")] {
        let topic = format!("name = \"exact\", partitions = {declares}");
        let (seen, reason) = declared(&kafka, &topic, "partitions");
        assert_eq!(seen, result, "{declares}: {reason}");
        assert!(result == "pass" || reason.contains("exact"), "{reason}");
    }
}

#[test]
fn replication_is_a_floor_on_every_partition() {
    let kafka = Kafka::shared();
    kafka.create_topic("single", 2, 1, &[("min.insync.replicas", "1")]);
    for (declares, result) in [(1, "pass"), (2, "fail")] {
        let topic = format!("name = \"single\", replication_factor = {declares}");
        let (seen, reason) = declared(&kafka, &topic, "replication-factor");
        assert_eq!(seen, result, "{reason}");
    }
    kafka.create_topic("triple", 1, 3, &[]);
    let (seen, reason) = declared(
        &kafka,
        "name = \"triple\", replication_factor = 2",
        "replication-factor",
    );
    assert_eq!(seen, "pass", "{reason}");
    // The first partition has three replicas, the second one.
    kafka.create_topic("uneven", 2, 3, &[("min.insync.replicas", "1")]);
    kafka.reassign("uneven", 1, &[1]);
    let (seen, reason) = declared(
        &kafka,
        "name = \"uneven\", replication_factor = 3",
        "replication-factor",
    );
    assert_eq!(seen, "fail", "{reason}");
    assert!(
        reason.contains("for uneven: ") && reason.contains("for 1: "),
        "{reason}"
    );
}

#[test]
fn min_insync_replicas_is_a_floor() {
    let kafka = Kafka::shared();
    kafka.create_topic("lax", 1, 3, &[("min.insync.replicas", "1")]);
    for (declares, result) in [(1, "pass"), (2, "fail")] {
        let topic = format!("name = \"lax\", min_insync_replicas = {declares}");
        let (seen, reason) = declared(&kafka, &topic, "min-insync-replicas");
        assert_eq!(seen, result, "{reason}");
    }
}

#[test]
fn unclean_leader_election_is_never_silent() {
    let kafka = Kafka::shared();
    kafka.create_topic(
        "unclean",
        1,
        3,
        &[("unclean.leader.election.enable", "true")],
    );
    kafka.create_topic("clean", 1, 3, &[]);
    for (name, result) in [("unclean", "fail"), ("clean", "pass")] {
        let topic = format!("name = \"{name}\"");
        let (seen, reason) = declared(&kafka, &topic, "unclean-leader-election");
        assert_eq!(seen, result, "{reason}");
    }
    let verdict = run(&format!("brokers = {}", kafka.plaintext()));
    let unclean = verdict.facts("stream")["unclean_topics"]
        .as_array()
        .cloned();
    assert!(unclean.expect("a list").contains(&"unclean".into()));
}

#[test]
fn a_misspelt_topic_fails_and_is_not_made() {
    let kafka = Kafka::shared();
    let had_groups = kafka.has_topic("__consumer_offsets");
    let verdict = run(&format!(
        "brokers = {}\ntopics = [{{ name = \"misspelt\" }}]\n\
         groups = [{{ name = \"nobodys\", topics = [\"misspelt-too\"], max_lag = 1 }}]",
        kafka.plaintext()
    ));
    let rule = verdict.rule("stream/topics-exist");
    assert_eq!(rule["result"], "fail");
    assert!(
        rule["reason"].as_str().unwrap().contains("misspelt"),
        "{rule}"
    );
    assert_ne!(verdict.result("stream/lag"), "pass");
    assert!(!kafka.has_topic("misspelt"));
    assert!(!kafka.has_topic("misspelt-too"));
    assert!(!kafka.has_topic("probe-visibility-control"));
    // Nor is the topic in which groups are kept. Other tests of this run may have made it.
    assert_eq!(verdict.result("stream/groups-exist"), "fail");
    assert!(had_groups || !kafka.has_topic("__consumer_offsets"));
}
