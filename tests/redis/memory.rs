//! Memory against what a server is for, and its clients.

use super::{assert_results, probe};
use crate::lab::Redis;

/// Writes until memory is full: the script ends at the first write that is refused.
fn fill(server: &Redis) {
    let script = "for i=1,4000 do redis.call('SET', 'k'..i, string.rep('x', 1000)) end";
    server.cli_words(&["eval", script, "0"]);
}

fn start(args: &str) -> Redis {
    Redis::start(&format!("--requirepass secret {args}")).with_login("default", "secret")
}

fn url(server: &Redis) -> String {
    format!("redis://:secret@127.0.0.1:{}", server.port)
}

#[test]
fn full_memory_without_anything_to_evict_fails() {
    let server = start("--maxmemory 3mb --maxmemory-policy noeviction");
    assert_results(&probe(&url(&server), ""), &[]);
    fill(&server);
    let verdict = probe(&url(&server), "");
    assert_results(
        &verdict,
        &[
            ("memory", "fail"),
            ("memory-headroom", "warn"),
            ("writes-accepted", "fail"),
        ],
    );
    let node = &verdict.facts("r")["nodes"][0];
    assert_eq!(node["ping"], "pong");
    assert_eq!(node["writes_refused"][0], "oom");
}

#[test]
fn volatile_policies_evict_only_what_expires() {
    let server = start("--maxmemory 3mb --maxmemory-policy volatile-lru");
    fill(&server);
    let verdict = probe(&url(&server), "");
    assert_eq!(verdict.result("r/memory"), "fail");
    assert_eq!(verdict.facts("r")["nodes"][0]["memory"]["can_evict"], false);
}

#[test]
fn a_full_cache_that_evicts_is_healthy_and_a_store_or_broker_that_does_is_not() {
    let server = start("--maxmemory 3mb --maxmemory-policy allkeys-lru --appendonly yes");
    fill(&server);
    let verdict = probe(&url(&server), "role = \"cache\"");
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let memory = &verdict.facts("r")["nodes"][0]["memory"];
    assert!(memory["evicted_keys"].as_i64() > Some(0), "{memory}");
    for role in ["store", "broker"] {
        let verdict = probe(&url(&server), &format!("role = \"{role}\""));
        assert_results(&verdict, &[("evicts-nothing", "fail")]);
    }
}

#[test]
fn a_cache_is_bounded_and_evicts() {
    let server = start("");
    assert_results(
        &probe(&url(&server), "role = \"cache\""),
        &[("cache-bounded", "warn")],
    );
    let server = start("--maxmemory 50mb");
    assert_results(
        &probe(&url(&server), "role = \"cache\""),
        &[("cache-evicts", "fail")],
    );
}

#[test]
fn clients_are_counted_against_the_declared_pool() {
    let server = Redis::start("");
    let held: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("connect"))
        .collect();
    server.wait_for("info clients", "connected_clients:4");
    assert_results(&probe(&server.url(), "pool_size = 3"), &[]);
    let verdict = probe(&server.url(), "pool_size = 2");
    assert_results(&verdict, &[("pool", "warn")]);
    assert_eq!(verdict.facts("r")["nodes"][0]["clients"]["pooled"], 3);
    drop(held);
}

#[test]
fn nearly_all_connections_in_use_warn() {
    let server = start("--maxclients 20");
    let held: Vec<_> = (0..17)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("connect"))
        .collect();
    let verdict = probe(
        &url(&server),
        "role = \"cache\"\nrules.cache-bounded = false",
    );
    assert_results(&verdict, &[("client-limit", "warn")]);
    drop(held);
}

#[test]
fn a_policy_without_anything_to_evict_does_not_excuse_full_memory() {
    let server = start("--maxmemory 1 --maxmemory-policy allkeys-lru");
    let verdict = probe(&url(&server), "role = \"cache\"");
    assert_results(
        &verdict,
        &[
            ("memory", "fail"),
            ("memory-headroom", "warn"),
            ("writes-accepted", "fail"),
        ],
    );
}

#[test]
fn a_few_keys_that_expire_do_not_excuse_full_memory() {
    let server = start("--maxmemory 3mb --maxmemory-policy noeviction");
    fill(&server);
    server.cli("config set maxmemory 50mb maxmemory-policy volatile-lru");
    let memory = server.cli("info memory");
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.expect("a figure").parse().expect("bytes");
    let full = |expiring: u32| {
        let keys: u32 = server.cli("dbsize").trim().parse().expect("a number");
        let script = format!("for i=1,{expiring} do redis.call('PEXPIRE', 'k'..i, 1000000) end");
        server.cli_words(&["eval", &script, "0"]);
        server.cli(&format!(
            "config set maxmemory {}",
            used * 100 / 97 + 100_000
        ));
        let verdict = probe(&url(&server), "");
        server.cli("config set maxmemory 50mb");
        let results = ["memory", "memory-headroom"].map(|rule| {
            let result = verdict.result(&format!("r/{rule}"));
            result.to_owned()
        });
        (keys, results)
    };
    let (keys, results) = full(1);
    assert_eq!(results, ["fail", "warn"]);
    let (_, results) = full(keys / 4);
    assert_eq!(results, ["pass", "warn"]);
    let (_, results) = full(keys);
    assert_eq!(results, ["pass", "pass"]);
}
