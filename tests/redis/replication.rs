//! A primary and its replicas as one probe.

use std::time::{Duration, Instant};

use super::{assert_results, probe, reason};
use crate::lab::{Redis, attempt, free_port, wrong_params};

fn replicas(list: &[&Redis]) -> String {
    let urls: Vec<String> = list.iter().map(|one| format!("{:?}", one.url())).collect();
    format!("replicas = [{}]", urls.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_with_two_replicas_is_observed_in_under_50_ms_and_20_commands() {
    let primary = Redis::start("");
    let first = Redis::replica_of(&primary, "");
    let second = Redis::replica_of(&primary, "");
    let verdict = probe(&primary.url(), &replicas(&[&first, &second]));
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let nodes = verdict.facts("r")["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3);
    assert_eq!(nodes[0]["role"], "primary");
    assert_eq!(nodes[0]["replication"]["replicas"][1]["state"], "online");
    for replica in &nodes[1..] {
        assert_eq!(replica["replication"]["follows_primary"], true);
        assert!(replica["replication"]["gap_bytes"].is_i64());
    }
    for server in [&primary, &first, &second] {
        server.cli("config resetstat");
    }
    let params = format!(
        "url = {:?}\n{}",
        primary.url(),
        replicas(&[&first, &second])
    );
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let seen = attempt("redis", &params, Duration::from_secs(5)).await;
        assert!(seen.result.is_ok());
        fastest = fastest.min(seen.took);
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    for server in [&primary, &first, &second] {
        let stats = server.cli("info commandstats");
        for banned in ["cmdstat_keys:", "cmdstat_scan:", "cmdstat_monitor:"] {
            assert!(!stats.contains(banned), "{stats}");
        }
        let calls = super::calls(server);
        assert!(calls > 0 && calls <= 5 * 20, "{calls}: {stats}");
    }
}

#[test]
fn a_replica_of_a_dead_port_fails() {
    let primary = Redis::start("");
    let dead = free_port();
    let lost = Redis::start(&format!("--replicaof 127.0.0.1 {dead}"));
    let verdict = probe(&primary.url(), &replicas(&[&lost]));
    assert_eq!(verdict.result("r/replica-link"), "fail");
    assert_eq!(verdict.result("r/replicates"), "fail");
    assert_eq!(
        verdict.facts("r")["nodes"][1]["replication"]["link_down_seconds"],
        -1
    );
    // Undeclared, a broken link is still never right.
    let verdict = probe(&lost.url(), "");
    assert_results(&verdict, &[("replica-link", "fail")]);
    assert!(
        reason(&verdict, "replica-link").contains("down"),
        "{}",
        reason(&verdict, "replica-link")
    );
}

#[test]
fn a_frozen_replica_fails_from_the_primary_s_lag() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let params = format!("{}\n", replicas(&[&replica]));
    assert_results(&probe(&primary.url(), &params), &[]);
    replica.freeze();
    let begun = Instant::now();
    let verdict = probe(&primary.url(), &params);
    assert!(begun.elapsed() < Duration::from_secs(12));
    assert_eq!(verdict.code, 1);
    assert_eq!(verdict.result("r/reachable"), "fail");
    assert_eq!(verdict.result("r/replica-lag"), "fail");
    let facts = verdict.facts("r");
    assert_eq!(facts["nodes"][1]["state"], "silent");
    assert_eq!(
        facts["nodes"][0]["replication"]["replicas"][0]["state"],
        "online"
    );
    // Undeclared, the primary alone tells of it.
    let verdict = probe(&primary.url(), "");
    assert_results(&verdict, &[("replica-lag", "fail")]);
}

#[test]
fn a_url_that_is_a_replica_fails_where_replicas_are_declared() {
    let primary = Redis::start("");
    let first = Redis::replica_of(&primary, "");
    let second = Redis::replica_of(&primary, "");
    let verdict = probe(&first.url(), &replicas(&[&second]));
    assert_eq!(verdict.result("r/primary"), "fail");
    assert_eq!(verdict.code, 1);
    assert_results(&probe(&first.url(), ""), &[]);
}

#[test]
fn a_replica_of_another_primary_fails() {
    let primary = Redis::start("");
    let other = Redis::start("");
    let replica = Redis::replica_of(&other, "");
    let verdict = probe(&primary.url(), &replicas(&[&replica]));
    assert_results(&verdict, &[("replicates", "fail")]);
    let alone = Redis::start("");
    let verdict = probe(&primary.url(), &replicas(&[&alone]));
    assert_results(&verdict, &[("replicates", "fail")]);
}

#[test]
fn a_declared_replica_that_is_gone_fails_and_the_rest_is_judged() {
    let primary = Redis::start("");
    let config = format!("replicas = [\"redis://127.0.0.1:{}\"]", free_port());
    let verdict = probe(&primary.url(), &config);
    assert_eq!(verdict.result("r/reachable"), "fail");
    assert_eq!(verdict.result("r/primary"), "pass");
    assert_eq!(verdict.facts("r")["nodes"][1]["state"], "refused");
    assert_eq!(verdict.result("r/rdb-saves"), "unknown");
}

#[test]
fn a_replica_that_refuses_our_password_is_unknown_and_not_a_fail() {
    let primary = Redis::start("");
    let replica = Redis::start(&format!(
        "--replicaof 127.0.0.1 {} --requirepass other",
        primary.port
    ));
    let config = format!(
        "replicas = [\"redis://:wrong-one@127.0.0.1:{}\"]",
        replica.port
    );
    let verdict = probe(&primary.url(), &config);
    assert_eq!(verdict.result("r/reachable"), "unknown");
    assert_eq!(verdict.code, 3);
    assert!(!verdict.json.to_string().contains("wrong-one"));
}

#[test]
fn too_few_good_replicas_refuse_writes() {
    let primary = Redis::start("--min-replicas-to-write 1 --min-replicas-max-lag 5");
    let verdict = probe(&primary.url(), "");
    assert_results(&verdict, &[("writes-accepted", "fail")]);
    assert_eq!(
        verdict.facts("r")["nodes"][0]["writes_refused"][0],
        "noreplicas"
    );
    let _replica = Redis::replica_of(&primary, "");
    assert_results(&probe(&primary.url(), ""), &[]);
}

#[test]
fn one_server_is_not_two() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let twice = format!(
        "url = {:?}\nreplicas = [{:?}, {:?}]",
        primary.url(),
        replica.url(),
        replica.url()
    );
    assert_eq!(wrong_params("redis", &twice), ["replicas.1"]);
    let named = format!("redis://localhost:{}", replica.port);
    let params = format!("replicas = [{:?}, {named:?}]", replica.url());
    let verdict = probe(&primary.url(), &params);
    assert_results(&verdict, &[("servers-distinct", "fail")]);
}

#[test]
fn a_replica_at_url_is_judged_itself_where_no_primary_was_seen() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    for (params, rule) in [
        ("role = \"store\"", "persistence"),
        ("persistence = \"both\"", "persistence-rdb"),
        ("persistence = \"both\"", "persistence-aof"),
    ] {
        let verdict = probe(&replica.url(), params);
        assert_eq!(verdict.result(&format!("r/{rule}")), "fail", "{params}");
    }
    let verdict = probe(&replica.url(), "");
    assert_eq!(verdict.result("r/writes-accepted"), "na");
    // Beside its primary a replica may be without.
    primary.cli("config set save 3600");
    primary.cli_words(&["config", "set", "save", "3600 1"]);
    let params = format!("{}\npersistence = \"rdb\"", replicas(&[&replica]));
    assert_eq!(
        probe(&primary.url(), &params).result("r/persistence-rdb"),
        "pass"
    );
}

#[test]
fn a_reader_of_the_stream_is_no_replica_that_lags() {
    let primary = Redis::start("");
    let mut reader = std::process::Command::new("redis-cli")
        .args(["-p", &primary.port.to_string(), "--replica"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("run redis-cli");
    primary.wait_for("info replication", "port=0,state=online");
    std::thread::sleep(Duration::from_secs(7));
    let verdict = probe(&primary.url(), "");
    reader.kill().expect("end redis-cli");
    reader.wait().expect("end redis-cli");
    assert_results(&verdict, &[]);
    let seen = &verdict.facts("r")["nodes"][0]["replication"]["replicas"][0];
    assert_eq!(seen["is_consumer"], true);
    assert!(seen["lag_seconds"].as_i64() > Some(5), "{seen}");
}
