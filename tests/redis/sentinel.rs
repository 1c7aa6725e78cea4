//! Sentinels: each is asked itself.

use super::{assert_results, probe};
use crate::lab::{Redis, Sentinel};

fn params(sentinels: &[Sentinel]) -> String {
    let urls: Vec<String> = sentinels
        .iter()
        .map(|one| format!("{:?}", one.url()))
        .collect();
    format!("sentinels = [{}]\nmaster_name = \"main\"", urls.join(", "))
}

#[test]
fn a_quorum_is_asked_for_and_the_primary_they_name_is_the_one_at_url() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let mut sentinels = Sentinel::three(&primary);
    let all = params(&sentinels);
    let verdict = probe(&primary.url(), &all);
    assert_results(&verdict, &[]);
    assert_eq!(verdict.code, 0);
    let seen = &verdict.facts("r")["sentinels"][2];
    assert_eq!(seen["quorum"], "ok");
    assert_eq!(seen["names_url"], true);
    assert_eq!(seen["other_sentinels"], 2);
    // Another server at `url`, with all else well.
    let other = Redis::start("");
    assert_results(
        &probe(&other.url(), &all),
        &[("sentinels-name-url", "fail")],
    );
    // With a role, sentinels without a password are not judged by that.
    let role = probe(
        &primary.url(),
        &format!("{all}\nrole = \"cache\"\nrules.cache-bounded = false"),
    );
    assert_results(
        &role,
        &[("authentication", "warn"), ("open-commands", "warn")],
    );
    let wrong = all.replace("\"main\"", "\"other\"");
    assert_eq!(probe(&primary.url(), &wrong).result("r/quorum"), "fail");

    // One of three gone: a vote less, and still a quorum.
    sentinels.pop();
    let verdict = probe(&primary.url(), &all);
    assert_eq!(verdict.result("r/sentinels-reachable"), "warn");
    // Two of three gone: the survivor holds the primary for well and can do nothing.
    sentinels.pop();
    sentinels[0].wait_until("sentinel ckquorum main", |text| text.contains("NOQUORUM"));
    let verdict = probe(&primary.url(), &all);
    assert_eq!(verdict.result("r/quorum"), "fail");
    assert_eq!(verdict.result("r/sentinels-see-primary"), "pass");
    assert_eq!(verdict.facts("r")["sentinels"][0]["quorum"], "not_reached");
    assert_eq!(verdict.code, 1);
    drop(replica);
}

#[test]
fn after_a_failover_the_old_primary_is_not_the_one_they_name() {
    let primary = Redis::start("");
    let replica = Redis::replica_of(&primary, "");
    let sentinels = Sentinel::three(&primary);
    let known = "num-slaves\n1\n";
    for sentinel in &sentinels {
        sentinel.wait_until("sentinel master main", |text| text.contains(known));
    }
    sentinels[0].wait_until("sentinel failover main", |text| text.contains("OK"));
    let port = format!("port\n{}\n", replica.port);
    for sentinel in &sentinels {
        sentinel.wait_until("sentinel master main", |text| text.contains(&port));
    }
    // At once: the sentinels have not read the new primary's run id yet.
    let verdict = probe(&replica.url(), &params(&sentinels));
    assert_eq!(verdict.result("r/sentinels-name-url"), "pass");
    primary.wait_for("info replication", "role:slave");
    let verdict = probe(&primary.url(), &params(&sentinels));
    assert_eq!(verdict.result("r/sentinels-name-url"), "fail");
    assert!(verdict.facts("r")["sentinels"][0]["config_epoch"].as_i64() > Some(0));
    let verdict = probe(&replica.url(), &params(&sentinels));
    assert_eq!(verdict.result("r/sentinels-name-url"), "pass");
}

#[test]
fn one_sentinel_is_not_three() {
    let primary = Redis::start("");
    let _replica = Redis::replica_of(&primary, "");
    let sentinels = Sentinel::three(&primary);
    let one = sentinels[0].url();
    let all = format!(
        "url = {:?}\nsentinels = [{one:?}, {one:?}]\nmaster_name = \"main\"",
        primary.url()
    );
    assert_eq!(crate::lab::wrong_params("redis", &all), ["sentinels.1"]);
    let named = one.replace("127.0.0.1", "localhost");
    let params = format!("sentinels = [{one:?}, {named:?}]\nmaster_name = \"main\"");
    let verdict = probe(&primary.url(), &params);
    assert_results(&verdict, &[("sentinels-distinct", "fail")]);
}

#[test]
fn sentinels_that_do_not_know_each_other_fail() {
    // They find each other through the primary.
    let primary = Redis::start("");
    primary.cli("acl setuser default -publish -subscribe");
    let alone: Vec<Sentinel> = (0..3).map(|_| Sentinel::alone(&primary, 1)).collect();
    for sentinel in &alone {
        sentinel.wait_until("sentinel ckquorum main", |text| text.starts_with("OK 1"));
    }
    let verdict = probe(&primary.url(), &params(&alone));
    assert_eq!(verdict.result("r/quorum"), "pass");
    assert_eq!(verdict.result("r/sentinels-know-each-other"), "fail");
    assert_eq!(verdict.result("r/sentinels-know-replicas"), "warn");
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_quorum_of_few_or_of_different_sizes_warns() {
    let primary = Redis::start("");
    let _replica = Redis::replica_of(&primary, "");
    let sentinels = Sentinel::three(&primary);
    sentinels[1].wait_until("sentinel set main quorum 3", |text| text.contains("OK"));
    let verdict = probe(&primary.url(), &params(&sentinels));
    assert_results(&verdict, &[("sentinels-majority", "warn")]);
    for sentinel in &sentinels {
        sentinel.wait_until("sentinel set main quorum 1", |text| text.contains("OK"));
    }
    let verdict = probe(&primary.url(), &params(&sentinels));
    assert_results(&verdict, &[("sentinels-majority", "warn")]);
}

#[test]
fn sentinels_that_are_all_gone_are_no_quorum() {
    let primary = Redis::start("");
    let sentinels = Sentinel::three(&primary);
    let all = params(&sentinels);
    drop(sentinels);
    let verdict = probe(&primary.url(), &all);
    assert_eq!(verdict.result("r/quorum"), "fail");
    assert_eq!(verdict.code, 1);
    // One that refuses us may be well.
    let denied = Redis::start("--requirepass other");
    let url = format!("redis://:wrong-one@127.0.0.1:{}", denied.port);
    let params = format!("sentinels = [{url:?}]\nmaster_name = \"main\"");
    let verdict = probe(&primary.url(), &params);
    assert_eq!(verdict.result("r/quorum"), "unknown");
    assert_eq!(verdict.code, 3);
}

#[test]
fn a_name_that_the_sentinels_do_not_know_is_said_in_short() {
    let primary = Redis::start("");
    let sentinels = Sentinel::three(&primary);
    let wrong = params(&sentinels).replace("\"main\"", "\"other\"");
    let verdict = probe(&primary.url(), &wrong);
    let said = super::reason(&verdict, "quorum");
    assert!(said.contains("no_such_master"), "{said}");
    assert!(!said.contains("config_epoch"), "{said}");
}

#[test]
fn one_sentinel_alone_agrees_with_nobody() {
    let primary = Redis::start("");
    let _replica = Redis::replica_of(&primary, "");
    let mut sentinels = Sentinel::three(&primary);
    let all = params(&sentinels);
    sentinels.truncate(1);
    let verdict = probe(&primary.url(), &all);
    assert_eq!(verdict.result("r/sentinels-agree"), "unknown");
    sentinels.clear();
    let verdict = probe(&primary.url(), &all);
    for rule in ["sentinels-see-primary", "sentinels-tilt", "sentinels-agree"] {
        assert_ne!(verdict.result(&format!("r/{rule}")), "pass", "{rule}");
    }
}
