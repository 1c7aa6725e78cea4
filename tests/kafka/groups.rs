//! Consumer groups: who is in them, how far they are, and whether they move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::Value;

use super::run;
use crate::lab::{Kafka, Verdict};

/// A probe of one group on one topic.
fn probe(kafka: &Kafka, group: &str, topic: &str, more: &str) -> Verdict {
    run(&format!(
        "brokers = {}\ngroups = [{{ name = \"{group}\", topics = [\"{topic}\"], max_lag = 10 }}]\n{more}",
        kafka.plaintext()
    ))
}

fn group(verdict: &Verdict) -> &Value {
    &verdict.facts("stream")["groups"][0]
}

fn topic(verdict: &Verdict) -> &Value {
    &group(verdict)["topics"][0]
}

const RECORD: Option<&[u8]> = Some(b"record");

#[test]
fn a_group_of_either_protocol_that_keeps_up_passes() {
    let kafka = Kafka::shared();
    for protocol in ["classic", "consumer"] {
        let name = format!("keeps-up-{protocol}");
        kafka.create_topic(&name, 2, 3, &[]);
        kafka.produce(&name, 0, &[RECORD; 5]);
        kafka.produce(&name, 1, &[RECORD; 5]);
        let settings = [
            ("group.protocol", protocol),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", "100"),
        ];
        let _member = kafka.join(&name, &[&name], &settings);
        let mut verdict = probe(&kafka, &name, &name, "");
        // It commits what it has read in a moment.
        for _ in 0..50 {
            if topic(&verdict)["lag_records"] == 0 && group(&verdict)["state"] == "stable" {
                break;
            }
            sleep(Duration::from_millis(100));
            verdict = probe(&kafka, &name, &name, "");
        }
        for rule in [
            "groups-exist",
            "members",
            "assigned",
            "committed",
            "within-log",
            "lag",
            "removed-unread",
        ] {
            let rule = verdict.rule(&format!("stream/{rule}"));
            assert_eq!(rule["result"], "pass", "{protocol}: {rule}");
        }
        let group = group(&verdict);
        assert_eq!(group["state"], "stable", "{group}");
        assert_eq!(group["protocol"], protocol);
        assert_eq!(group["member_count"], 1);
        assert_eq!(group["topics"][0]["lag_records"], 0);
        let partitions = &group["members"][0]["partitions"];
        assert_eq!(
            *partitions,
            serde_json::json!([format!("{name}-0"), format!("{name}-1")])
        );
        // A single look cannot tell.
        assert_eq!(
            group["topics"][0]["partitions"][0]["lag_state"]["unknown"],
            "not_observed"
        );
        assert_eq!(verdict.rule("stream/stalled")["enabled"], false);
    }
}

#[test]
fn lag_is_summed_over_the_partitions() {
    let kafka = Kafka::shared();
    kafka.create_topic("summed", 3, 3, &[]);
    for partition in 0..3 {
        kafka.produce("summed", partition, &[RECORD; 10]);
    }
    kafka.commit("summed", "summed", &[(0, 6), (1, 7), (2, 7)]);
    let verdict = probe(&kafka, "summed", "summed", "");
    assert_eq!(topic(&verdict)["lag_records"], 10);
    assert_eq!(verdict.result("stream/lag"), "pass");
    kafka.produce("summed", 2, &[RECORD]);
    let verdict = probe(&kafka, "summed", "summed", "");
    let rule = verdict.rule("stream/lag");
    assert_eq!(rule["result"], "fail");
    let reason = rule["reason"].as_str().unwrap();
    assert!(
        reason.contains("summed") && reason.contains("11"),
        "{reason}"
    );
}

#[test]
fn a_group_without_members_fails() {
    let kafka = Kafka::shared();
    kafka.create_topic("deserted", 1, 3, &[]);
    kafka.produce("deserted", 0, &[RECORD]);
    kafka.commit("deserted", "deserted", &[(0, 1)]);
    let verdict = probe(&kafka, "deserted", "deserted", "");
    assert_eq!(group(&verdict)["state"], "empty");
    assert_eq!(verdict.result("stream/groups-exist"), "pass");
    let rule = verdict.rule("stream/members");
    assert_eq!(rule["result"], "fail");
    assert!(
        rule["reason"].as_str().unwrap().contains("deserted"),
        "{rule}"
    );
}

#[test]
fn a_group_that_is_not_there_never_passes() {
    let kafka = Kafka::shared();
    kafka.create_topic("unread", 1, 3, &[]);
    for records in [0, 1] {
        kafka.produce("unread", 0, &vec![RECORD; records]);
        let verdict = probe(&kafka, "not-there", "unread", "");
        assert_eq!(verdict.result("stream/groups-exist"), "fail");
        for rule in [
            "lag",
            "members",
            "committed",
            "within-log",
            "removed-unread",
        ] {
            assert_ne!(verdict.result(&format!("stream/{rule}")), "pass", "{rule}");
        }
        assert_eq!(verdict.code, 1);
    }
}

#[test]
fn a_partition_without_a_committed_offset_has_no_lag() {
    let kafka = Kafka::shared();
    kafka.create_topic("partly", 3, 3, &[]);
    kafka.produce("partly", 0, &[RECORD; 2]);
    kafka.produce("partly", 1, &[RECORD; 2]);
    kafka.commit("partly", "partly", &[(0, 2)]);
    let verdict = probe(&kafka, "partly", "partly", "");
    let topic = topic(&verdict);
    assert_eq!(topic["uncommitted_partitions"], serde_json::json!([1]));
    assert_eq!(topic["lag_records"]["unknown"], "not_observed", "{topic}");
    // A partition that holds nothing has nothing to read.
    assert_eq!(topic["partitions"][2]["lag_records"], 0);
    assert_eq!(verdict.result("stream/committed"), "fail");
    assert_eq!(verdict.result("stream/lag"), "unknown");
}

#[test]
fn lag_that_is_known_to_be_too_large_fails_though_not_all_of_it_is_known() {
    let kafka = Kafka::shared();
    kafka.create_topic("large", 2, 3, &[]);
    kafka.produce("large", 0, &[RECORD; 20]);
    kafka.produce("large", 1, &[RECORD; 1]);
    kafka.commit("large", "large", &[(0, 0)]);
    assert_eq!(
        probe(&kafka, "large", "large", "").result("stream/lag"),
        "fail"
    );
}

#[test]
fn an_offset_beyond_the_end_is_no_lag() {
    let kafka = Kafka::shared();
    kafka.create_topic("beyond", 1, 3, &[]);
    kafka.produce("beyond", 0, &[RECORD; 3]);
    kafka.commit("beyond", "beyond", &[(0, 30)]);
    let verdict = probe(&kafka, "beyond", "beyond", "");
    assert_eq!(
        topic(&verdict)["partitions"][0]["lag_records"]["unknown"],
        "inconsistent"
    );
    assert_eq!(verdict.result("stream/within-log"), "fail");
    assert_eq!(verdict.result("stream/lag"), "unknown");
}

#[test]
fn a_group_that_consumes_something_else_never_passes() {
    let kafka = Kafka::shared();
    kafka.create_topic("this", 1, 3, &[]);
    kafka.create_topic("that", 1, 3, &[]);
    kafka.produce("that", 0, &[RECORD]);
    let _member = kafka.join("elsewhere", &["that"], &[]);
    // Nothing to read yet: even so it is not this topic that it consumes.
    let verdict = probe(&kafka, "elsewhere", "this", "");
    assert_eq!(verdict.result("stream/members"), "pass");
    assert_eq!(verdict.result("stream/assigned"), "warn");
    assert_eq!(verdict.result("stream/lag"), "unknown");
    kafka.produce("this", 0, &[RECORD]);
    let verdict = probe(&kafka, "elsewhere", "this", "");
    assert_eq!(verdict.result("stream/committed"), "fail");
    assert_eq!(verdict.result("stream/lag"), "unknown");
}

#[test]
fn records_that_retention_removed_unread_are_lost() {
    let kafka = Kafka::shared();
    kafka.create_topic("removed", 1, 3, &[]);
    kafka.produce("removed", 0, &[RECORD; 10]);
    kafka.commit("removed", "removed", &[(0, 2)]);
    assert_eq!(
        probe(&kafka, "removed", "removed", "").result("stream/removed-unread"),
        "pass"
    );
    kafka.delete_records("removed", 0, 7);
    let verdict = probe(&kafka, "removed", "removed", "");
    let topic = topic(&verdict);
    assert_eq!(topic["removed_unread_records"], 5, "{topic}");
    // What is gone cannot be read any more.
    assert_eq!(topic["lag_records"], 3);
    let rule = verdict.rule("stream/removed-unread");
    assert_eq!(rule["result"], "fail");
    assert!(
        rule["reason"].as_str().unwrap().contains("removed"),
        "{rule}"
    );
}

#[test]
fn what_retention_removes_during_the_watch_is_seen() {
    let kafka = Kafka::shared();
    kafka.create_topic("removed-late", 1, 3, &[]);
    kafka.produce("removed-late", 0, &[RECORD; 10]);
    kafka.commit("removed-late", "removed-late", &[(0, 2)]);
    let verdict = while_doing(
        |count| {
            if count == 10 {
                kafka.delete_records("removed-late", 0, 7);
            }
        },
        || {
            probe(
                &kafka,
                "removed-late",
                "removed-late",
                "observe_for = \"4s\"",
            )
        },
    );
    assert_eq!(topic(&verdict)["removed_unread_records"], 5);
    assert_eq!(topic(&verdict)["lag_records"], 3);
    assert_eq!(verdict.result("stream/removed-unread"), "fail");
}

#[test]
fn a_share_group_is_not_called_absent() {
    let kafka = Kafka::shared();
    kafka.create_topic("shared-out", 1, 3, &[]);
    // Nothing keeps groups before the first one is asked for.
    kafka.commit("shared-out-first", "shared-out", &[(0, 0)]);
    kafka.join_share("shared-out", "shared-out");
    let verdict = probe(&kafka, "shared-out", "shared-out", "");
    assert_ne!(group(&verdict)["exists"], false, "{}", group(&verdict));
    for rule in [
        "members",
        "lag",
        "committed",
        "within-log",
        "removed-unread",
    ] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "unknown", "{rule}");
    }
    let rule = verdict.rule("stream/members");
    let reason = rule["reason"].as_str().unwrap();
    assert!(reason.contains("share group"), "{rule}");
    let listed = verdict.facts("stream")["listed_groups"].to_string();
    assert!(listed.contains("\"share\""), "{listed}");
}

/// Does something every 50 ms while a probe watches.
fn while_doing<T>(mut each: impl FnMut(i64) + Send, probe: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                each(count);
                count += 1;
                sleep(Duration::from_millis(50));
            }
        });
        let result = probe();
        done.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn a_group_that_commits_nothing_while_the_log_grows_has_stalled() {
    let kafka = Kafka::shared();
    kafka.create_topic("stalled", 1, 3, &[]);
    kafka.produce("stalled", 0, &[RECORD; 2]);
    kafka.commit("stalled", "stalled", &[(0, 1)]);
    let verdict = while_doing(
        |_| kafka.produce("stalled", 0, &[RECORD]),
        || probe(&kafka, "stalled", "stalled", "observe_for = \"3s\""),
    );
    assert_eq!(topic(&verdict)["partitions"][0]["lag_state"], "stalled");
    assert_eq!(verdict.result("stream/stalled"), "fail");
    assert_eq!(verdict.result("stream/rewound"), "pass");
}

#[test]
fn a_busy_group_has_not_stalled() {
    let kafka = Kafka::shared();
    kafka.create_topic("busy", 1, 3, &[]);
    kafka.produce("busy", 0, &[RECORD; 5]);
    kafka.commit("busy", "busy", &[(0, 1)]);
    let verdict = while_doing(
        |count| {
            kafka.produce("busy", 0, &[RECORD]);
            kafka.commit("busy", "busy", &[(0, 1 + count)]);
        },
        || probe(&kafka, "busy", "busy", "observe_for = \"3s\""),
    );
    for rule in ["stalled", "rewound", "keeps-up"] {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "pass", "{rule}\n{}", topic(&verdict));
    }
}

#[test]
fn an_offset_that_goes_back_is_seen() {
    let kafka = Kafka::shared();
    kafka.create_topic("rewound", 1, 3, &[]);
    kafka.produce("rewound", 0, &[RECORD; 50]);
    kafka.commit("rewound", "rewound", &[(0, 50)]);
    let verdict = while_doing(
        |count| {
            if count == 20 {
                kafka.commit("rewound", "rewound", &[(0, 10)]);
            }
        },
        || probe(&kafka, "rewound", "rewound", "observe_for = \"4s\""),
    );
    assert_eq!(verdict.result("stream/rewound"), "fail");
    assert_eq!(topic(&verdict)["partitions"][0]["lag_state"], "rewound");
}
