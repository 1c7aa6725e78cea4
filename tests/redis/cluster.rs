//! A cluster of six: every node is asked.

use super::{assert_results, probe};
use crate::lab::{Redis, RedisCluster};

#[test]
fn every_node_is_asked_and_an_uncovered_slot_fails_though_the_state_is_ok() {
    let mut cluster = RedisCluster::start();
    let url = cluster.nodes[4].url();
    for node in &cluster.nodes {
        node.cli("config resetstat");
    }
    let verdict = probe(&url, "cluster = true\nallow_writes = true\npool_size = 50");
    assert_results(&verdict, &[]);
    for node in &cluster.nodes {
        let calls = super::calls(node);
        assert!((10..=20).contains(&calls), "{calls} commands");
    }
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("r");
    assert_eq!(facts["nodes"].as_array().map(Vec::len), Some(6));
    assert_eq!(facts["cluster"]["shards"].as_array().map(Vec::len), Some(3));
    assert_eq!(facts["canary"]["writes"].as_array().map(Vec::len), Some(3));
    assert_eq!(facts["canary"]["reads"].as_array().map(Vec::len), Some(3));
    // Undeclared, the node at `url` alone is asked.
    let verdict = probe(&cluster.nodes[0].url(), "");
    assert_results(&verdict, &[]);
    assert_eq!(verdict.facts("r")["cluster"]["enabled"], true);

    // A primary without a replica warns.
    let replica = cluster.nodes.pop().expect("a replica");
    let gone = format!(":{}@", replica.port);
    drop(replica);
    let first = &cluster.nodes[0];
    let is_failed = || {
        let nodes = first.cli("cluster nodes");
        nodes
            .lines()
            .any(|line| line.contains(&gone) && line.contains("fail "))
    };
    while !is_failed() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let verdict = probe(&first.url(), "cluster = true");
    assert_eq!(verdict.result("r/cluster-replicas"), "warn");
    assert_eq!(verdict.result("r/reachable"), "fail");

    // A slot that nobody has.
    for node in &cluster.nodes {
        node.cli("cluster delslots 42");
        node.wait_for("cluster info", "cluster_slots_assigned:16383");
    }
    let verdict = probe(&first.url(), "cluster = true");
    assert_eq!(verdict.result("r/cluster-slots"), "fail");
    assert_eq!(verdict.result("r/cluster-state"), "unknown");
    let verdict = probe(&first.url(), "");
    assert_results(&verdict, &[("cluster-slots", "fail")]);
}

#[test]
fn a_server_that_is_no_cluster_is_not_one() {
    let server = Redis::start("");
    let verdict = probe(&server.url(), "cluster = true");
    assert_eq!(verdict.result("r/cluster"), "fail");
    assert_eq!(verdict.code, 1);
    // A node that is in a cluster of its own, without slots.
    let node = Redis::start("--cluster-enabled yes");
    let verdict = probe(&node.url(), "cluster = true");
    assert_eq!(verdict.result("r/cluster-state"), "fail");
    assert_eq!(verdict.result("r/cluster-slots"), "fail");
}

#[test]
fn a_slot_that_two_nodes_give_each_other_fails() {
    let cluster = RedisCluster::start();
    let ids: Vec<String> = (0..2)
        .map(|index| cluster.nodes[index].cli("cluster myid").trim().to_owned())
        .collect();
    cluster.nodes[1].cli(&format!("cluster setslot 5 importing {}", ids[0]));
    cluster.nodes[0].cli(&format!("cluster setslot 5 migrating {}", ids[1]));
    let params = "cluster = true";
    for url in [cluster.nodes[0].url(), cluster.nodes[5].url()] {
        let verdict = probe(&url, params);
        assert_results(&verdict, &[("cluster-open-slots", "warn")]);
    }
    // The one that gives it away says so to nobody.
    cluster.nodes[0].cli(&format!("cluster setslot 5 node {}", ids[1]));
    let verdict = probe(&cluster.nodes[0].url(), params);
    assert_eq!(verdict.result("r/cluster-slots-agree"), "fail");
    assert_eq!(verdict.result("r/cluster-slots"), "pass");
    assert_eq!(
        verdict.facts("r")["cluster"]["disputed_slots"],
        serde_json::json!([5])
    );
    let verdict = probe(&cluster.nodes[2].url(), params);
    assert_eq!(verdict.result("r/cluster-slots-agree"), "fail");
    cluster.nodes[1].cli(&format!("cluster setslot 5 node {}", ids[1]));
    for node in &cluster.nodes {
        node.wait_for("cluster nodes", " 5 5461-10922");
    }
    let verdict = probe(&cluster.nodes[2].url(), params);
    assert_results(&verdict, &[]);
}

#[test]
fn nodes_that_are_not_named_make_the_cluster_unknown() {
    let cluster = RedisCluster::start();
    let url = cluster.nodes[0].url();
    cluster.nodes[0].cli("acl setuser probe on >probe-secret ~* &* +@all -cluster|nodes");
    let url = url.replace("redis://", "redis://probe:probe-secret@");
    let verdict = probe(&url, "cluster = true\nallow_writes = true");
    for rule in [
        "reachable",
        "ready",
        "replica-link",
        "cluster-state",
        "cluster-slots",
        "cluster-slots-agree",
        "canary-write",
    ] {
        assert_eq!(verdict.result(&format!("r/{rule}")), "unknown", "{rule}");
        let said = super::reason(&verdict, rule);
        assert!(said.contains("CLUSTER NODES"), "{rule}: {said}");
    }
    assert_eq!(verdict.code, 3);
}
