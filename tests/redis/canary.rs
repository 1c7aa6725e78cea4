//! The canary.

use super::{assert_results, probe, reason};
use crate::lab::{Redis, Run};

const WRITES: &str = "allow_writes = true";

#[test]
fn it_is_written_read_on_each_replica_and_deleted() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let params = format!("{WRITES}\nreplicas = [{:?}]", replica.url());
    let verdict = probe(&primary.url(), &params);
    assert_results(&verdict, &[]);
    let canary = &verdict.facts("r")["canary"];
    assert_eq!(canary["writes"][0]["result"], "written");
    assert_eq!(canary["reads"][0]["seen"], true);
    assert_eq!(canary["deleted"], true);
    assert_eq!(primary.cli("dbsize").trim(), "0");
    assert_eq!(verdict.result("r/canary-replicated"), "pass");
}

#[test]
fn without_leave_nothing_is_written() {
    let server = Redis::start("");
    let verdict = probe(&server.url(), "");
    assert_eq!(verdict.rule("r/canary-write")["enabled"], false);
    assert!(!server.cli("info commandstats").contains("cmdstat_set:"));
}

#[test]
fn each_way_to_refuse_a_write_is_told_apart() {
    let oom = Redis::start("--maxmemory 1 --maxmemory-policy noeviction");
    let noreplicas = Redis::start("--min-replicas-to-write 1");
    let primary = Redis::start("");
    let readonly = Redis::replica_of(&primary, "");
    for (server, wanted) in [
        (&oom, "oom"),
        (&noreplicas, "noreplicas"),
        (&readonly, "readonly"),
    ] {
        let verdict = probe(&server.url(), WRITES);
        assert_eq!(verdict.result("r/canary-write"), "fail", "{wanted}");
        assert_eq!(verdict.facts("r")["canary"]["writes"][0]["result"], wanted);
    }
    let misconf = Redis::start_with(crate::lab::free_port(), &["--save", "3600 1"]);
    misconf.remove_data_dir();
    misconf.cli("bgsave");
    misconf.wait_for("info persistence", "rdb_last_bgsave_status:err");
    let verdict = probe(&misconf.url(), WRITES);
    assert_eq!(
        verdict.facts("r")["canary"]["writes"][0]["result"],
        "misconf"
    );
    assert_eq!(verdict.result("r/canary-write"), "fail");
}

#[test]
fn a_user_that_may_not_write_is_unknown() {
    let server = Redis::start("--user probe on >probe-secret +@all -set ~*");
    let url = format!("redis://probe:probe-secret@127.0.0.1:{}", server.port);
    let verdict = probe(&url, WRITES);
    assert_eq!(verdict.result("r/canary-write"), "unknown");
    assert!(
        reason(&verdict, "canary-write").contains("SET"),
        "{}",
        reason(&verdict, "canary-write")
    );
}

#[test]
fn a_replica_that_does_not_show_it_fails() {
    let primary = Redis::start("");
    let other = Redis::start("");
    let stranger = Redis::replica_of(&other, "");
    let params = format!("{WRITES}\nreplicas = [{:?}]", stranger.url());
    let verdict = probe(&primary.url(), &params);
    assert_eq!(verdict.result("r/canary-replicated"), "fail");
    assert_eq!(verdict.result("r/canary-write"), "pass");
}

#[test]
fn a_minimal_grant_is_enough() {
    let primary = Redis::start(
        "--user probe on >probe-secret ~probe:canary:* +ping +info +config|get +slowlog|get +acl|getuser +acl|dryrun +client|list +set +get +del +readonly --user default on >other --maxmemory 100mb --maxmemory-policy allkeys-lru",
    );
    let url = format!("redis://probe:probe-secret@127.0.0.1:{}", primary.port);
    let verdict = probe(&url, &format!("{WRITES}\nrole = \"cache\"\npool_size = 5"));
    assert_results(&verdict, &[]);
}

#[test]
fn a_replica_is_read_in_the_database_of_the_write() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let params = format!("{WRITES}\nreplicas = [{:?}]", replica.url());
    let url = format!("{}/1", primary.url());
    assert_results(&probe(&url, &params), &[]);
    let other = format!("url = {url:?}\nreplicas = [\"{}/0\"]", replica.url());
    assert_eq!(crate::lab::wrong_params("redis", &other), ["replicas.0"]);
}

#[test]
fn a_primary_that_is_gone_is_named() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let url = primary.url();
    let address = format!("127.0.0.1:{}", primary.port);
    drop(primary);
    let verdict = probe(&url, &format!("{WRITES}\nreplicas = [{:?}]", replica.url()));
    assert_eq!(verdict.result("r/canary-write"), "fail");
    let said = reason(&verdict, "canary-write");
    assert!(
        said.contains(&address) && said.contains("unreachable"),
        "{said}"
    );
    let write = &verdict.facts("r")["canary"]["writes"][0];
    assert!(
        write["error"]
            .as_str()
            .is_some_and(|error| error.contains("refused")),
        "{write}"
    );
}

#[test]
fn a_canary_that_is_cut_leaves_no_key() {
    let primary = Redis::start("");
    let other = Redis::start("");
    // It is looked for at a replica that does not have it, and meanwhile it is there.
    let stranger = Redis::replica_of(&other, "");
    let config = format!(
        "[[probe]]\nid = \"r\"\nkind = \"redis\"\nurl = {:?}\nreplicas = [{:?}]\n{WRITES}\ntimeout = \"20s\"\n",
        primary.url(),
        stranger.url()
    );
    for signal in ["TERM", "HUP"] {
        let run = Run::with_config(&config).start();
        primary.wait_for("dbsize", "1");
        run.signal(signal);
        assert_eq!(run.verdict().code, 3, "{signal}");
        assert_eq!(primary.cli("dbsize").trim(), "0", "{signal}");
    }
}
