//! Snapshots and the append-only file.

use super::{assert_results, probe};
use crate::lab::{Redis, Verdict};

fn loss(verdict: &Verdict) -> &serde_json::Value {
    &verdict.facts("r")["nodes"][0]["loss"]
}

#[test]
fn without_a_role_a_server_that_saves_nothing_is_fine() {
    let server = Redis::start("");
    server.cli("set a 1");
    let verdict = probe(&server.url(), "");
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let facts = verdict.facts("r");
    let rdb = &facts["nodes"][0]["persistence"]["rdb"];
    assert_eq!(rdb["last_status"], "never");
    assert_eq!(rdb["enabled"], false);
    assert_eq!(
        facts["nodes"][0]["persistence"]["aof"]["last_write_status"],
        "off"
    );
    assert_eq!(loss(&verdict)["everything"], true);
    assert_eq!(loss(&verdict)["changes"], 1);
    assert_eq!(facts["loss_changes"], 1);
    assert!(facts["loss_seconds"].is_f64());
}

#[test]
fn a_store_or_broker_must_have_some_persistence() {
    let server = Redis::start("--requirepass secret").with_login("default", "secret");
    server.cli("set a 1");
    let url = format!("redis://:secret@127.0.0.1:{}", server.port);
    for role in ["store", "broker"] {
        let verdict = probe(&url, &format!("role = \"{role}\""));
        assert_results(&verdict, &[("persistence", "fail")]);
        assert_eq!(verdict.code, 1);
    }
    server.cli("config set appendonly yes");
    server.wait_for("info persistence", "aof_rewrite_in_progress:0");
    let verdict = probe(&url, "role = \"store\"");
    assert_results(&verdict, &[]);
    assert_eq!(loss(&verdict)["everything"], false);
    assert_eq!(loss(&verdict)["seconds"], 1.0);
    assert_eq!(loss(&verdict)["changes"]["unknown"], "unsupported");
    server.cli("config set appendfsync no");
    assert_results(&probe(&url, "role = \"store\""), &[("aof-fsync", "warn")]);
    server.cli("config set appendonly no");
    server.cli_words(&["config", "set", "save", "3600 1"]);
    let verdict = probe(&url, "role = \"store\"");
    assert_results(&verdict, &[]);
    assert_eq!(loss(&verdict)["everything"], true);
}

#[test]
fn declared_persistence_is_judged_as_declared() {
    let rdb = Redis::start_with(crate::lab::free_port(), &["--save", "3600 1"]);
    let aof = Redis::start("--appendonly yes");
    let both = Redis::start_with(
        crate::lab::free_port(),
        &["--save", "3600 1", "--appendonly", "yes"],
    );
    let none = Redis::start("");
    let judged = |server: &Redis, declared: &str| {
        let verdict = probe(&server.url(), &format!("persistence = \"{declared}\""));
        (verdict.code, verdict)
    };
    for (declared, right, wrong) in [
        ("rdb", vec![&rdb, &both], vec![&aof, &none]),
        ("aof", vec![&aof, &both], vec![&rdb, &none]),
        ("both", vec![&both], vec![&rdb, &aof, &none]),
        ("none", vec![&none], vec![&rdb, &aof, &both]),
    ] {
        for server in right {
            let (code, verdict) = judged(server, declared);
            assert_eq!(code, 0, "{declared}: {:#}", verdict.json);
        }
        for server in wrong {
            let (code, verdict) = judged(server, declared);
            assert_eq!(code, 1, "{declared}: {:#}", verdict.json);
        }
    }
}

#[test]
fn a_failed_snapshot_fails_and_the_writes_it_stops() {
    let server = Redis::start_with(crate::lab::free_port(), &["--save", "3600 1"]);
    server.cli("set a 1");
    server.cli("bgsave");
    server.wait_for("info persistence", "rdb_changes_since_last_save:0");
    let verdict = probe(&server.url(), "");
    assert_results(&verdict, &[]);
    let rdb = &verdict.facts("r")["nodes"][0]["persistence"]["rdb"];
    assert_eq!(rdb["last_status"], "ok");
    assert!(rdb["last_save_at"].is_string());
    assert_eq!(loss(&verdict)["changes"], 0);
    assert_eq!(loss(&verdict)["seconds"], 0.0);

    server.remove_data_dir();
    server.cli("bgsave");
    server.wait_for("info persistence", "rdb_last_bgsave_status:err");
    let verdict = probe(&server.url(), "");
    assert_results(
        &verdict,
        &[
            ("rdb-saves", "fail"),
            ("writes-accepted", "fail"),
            ("ready", "fail"),
        ],
    );
    assert_eq!(verdict.facts("r")["nodes"][0]["ping"], "misconf");
    assert_eq!(
        verdict.facts("r")["nodes"][0]["writes_refused"][0],
        "misconf"
    );
}

#[test]
fn an_append_only_file_that_cannot_be_rewritten_fails() {
    let server = Redis::start("--appendonly yes");
    server.cli("set a 1");
    assert_results(&probe(&server.url(), "persistence = \"aof\""), &[]);
    server.remove_data_dir();
    server.cli("bgrewriteaof");
    server.wait_for("info persistence", "aof_last_bgrewrite_status:err");
    let verdict = probe(&server.url(), "persistence = \"aof\"");
    assert_eq!(verdict.result("r/aof-writes"), "fail");
}

#[test]
fn an_append_only_file_that_cannot_be_written_fails_and_the_writes_it_stops() {
    let server = Redis::start("--appendonly yes");
    server.cli("set a 1");
    assert_results(&probe(&server.url(), ""), &[]);
    server.limit_files(8_192);
    server.cli(&format!("set b {}", "x".repeat(20_000)));
    server.wait_for("info persistence", "aof_last_write_status:err");
    let verdict = probe(&server.url(), "");
    assert_eq!(verdict.result("r/aof-writes"), "fail");
    assert_eq!(verdict.result("r/writes-accepted"), "fail");
    assert_eq!(
        verdict.facts("r")["loss_seconds"]["unknown"],
        "not_observed"
    );
}

#[test]
fn an_overdue_snapshot_warns_although_its_status_is_ok() {
    // A snapshot that takes its time: ten seconds for each key.
    let server = Redis::start("--requirepass secret --rdb-key-save-delay 10000000");
    let server = server.with_login("default", "secret");
    server.cli("set a 1");
    server.cli_words(&["config", "set", "save", "1 1"]);
    let url = format!("redis://:secret@127.0.0.1:{}", server.port);
    server.wait_for("info persistence", "rdb_bgsave_in_progress:1");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let shorter = "rules.rdb-recent = \"nodes.all(n, n.persistence.rdb.overdue_seconds <= 1)\"";
    let verdict = probe(&url, &format!("role = \"store\"\n{shorter}"));
    assert_results(&verdict, &[("rdb-recent", "warn")]);
    assert_eq!(
        verdict.facts("r")["nodes"][0]["persistence"]["rdb"]["last_status"],
        "never"
    );
    // Within the minute that the rule grants, it is well.
    assert_results(&probe(&url, "role = \"store\""), &[]);
}
