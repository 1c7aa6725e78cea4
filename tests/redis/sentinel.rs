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
    primary.wait_for("info replication", "role:slave");
    let verdict = probe(&primary.url(), &params(&sentinels));
    assert_eq!(verdict.result("r/sentinels-name-url"), "fail");
    assert!(verdict.facts("r")["sentinels"][0]["config_epoch"].as_i64() > Some(0));
    let verdict = probe(&replica.url(), &params(&sentinels));
    assert_eq!(verdict.result("r/sentinels-name-url"), "pass");
}
