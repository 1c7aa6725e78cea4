//! Rules with `for`, soft fails, flapping, maintenance, staleness.

use std::time::Duration;

use super::Switch;
use super::process::Daemon;

fn reason(item: &serde_json::Value) -> &str {
    item["reason"].as_str().expect("text")
}

#[test]
fn a_rule_within_its_period_warns_and_fails_after_it() {
    let target = Switch::new(true);
    let rule = "rules.status = { for = \"3s\" }";
    let daemon = Daemon::start(&target.probe("api", rule));
    daemon.until_item("api", "pass");
    target.set(false);
    let pending = daemon.until_item("api", "warn");
    assert!(reason(&pending).contains("pending"), "{pending:#}");
    assert_eq!(daemon.get("/readyz").0, 200);
    let failed = daemon.until_item("api", "fail");
    assert!(!reason(&failed).contains("pending"), "{failed:#}");
    assert_eq!(daemon.get("/readyz").0, 503);
    target.set(true);
    daemon.until_item("api", "pass");
}

#[test]
fn a_bad_run_between_good_ones_is_soft_and_two_make_it_hard() {
    let target = Switch::new(true);
    let config = target.probe("api", "soft = \"2/3\"").replace("300ms", "1s");
    let daemon = Daemon::start(&config);
    daemon.until_item("api", "pass");
    target.set(false);
    let soft = daemon.until_item("api", "warn");
    assert!(reason(&soft).contains("soft: 1 of the last"), "{soft:#}");
    daemon.until_item("api", "fail");
    target.set(true);
    daemon.until_item("api", "pass");
}

#[test]
fn without_a_good_run_a_fail_is_hard_at_once() {
    let target = Switch::new(false);
    let daemon = Daemon::start(&target.probe("api", "soft = \"2/3\""));
    let first = daemon.until("a result", |daemon| {
        let item = daemon.item("api");
        (item["result"] != "unknown").then_some(item)
    });
    assert_eq!(first["result"], "fail", "{first:#}");
}

#[test]
fn an_item_that_flaps_is_at_best_a_warning() {
    let target = Switch::new(true);
    let daemon = Daemon::start(&target.probe("api", ""));
    for round in 0..4 {
        daemon.until_item("api", if round < 3 { "pass" } else { "warn" });
        if round < 3 {
            target.set(false);
            daemon.until_item("api", "fail");
            target.set(true);
        }
    }
    let item = daemon.item("api");
    assert_eq!(item["flapping"], true, "{item:#}");
    assert!(reason(&item).contains("flapping"), "{item:#}");
    daemon.until_item("api", "pass");
}

#[test]
fn maintenance_is_shown_and_lets_no_gate_through() {
    let target = Switch::new(false);
    let now = jiff::Timestamp::now();
    let window = format!(
        "[[maintenance]]\nprobes = [\"a*\"]\nstart = {}\nend = {}\nreason = \"new disks\"\n",
        now - Duration::from_secs(60),
        now + Duration::from_secs(600),
    );
    let config = format!("{}{window}", target.probe("api", ""));
    let daemon = Daemon::start(&config);
    let item = daemon.until_item("api", "fail");
    assert_eq!(item["maintenance"]["reason"], "new disks", "{item:#}");
    assert_eq!(daemon.get("/readyz").0, 503);
    target.set(true);
    let item = daemon.until_item("api", "pass");
    assert_eq!(item["maintenance"]["reason"], "new disks");
}

#[test]
fn a_gate_without_evidence_is_not_ready_and_evidence_that_grows_old_is_unknown() {
    let target = Switch::new(true);
    let item = "[[item]]\nid = \"I\"\nneeds = [\"api/*\"]\nttl = \"1s\"\n";
    let config = format!("{}{item}", target.probe("api", "")).replace("300ms", "1h");
    let daemon = Daemon::start(&config);
    daemon.until_item("I", "pass");
    assert_eq!(daemon.get("/readyz").0, 200);
    let stale = daemon.until_item("I", "unknown");
    assert_eq!(stale["freshness"], "stale");
    assert_eq!(stale["last_known"], "pass");
    assert_eq!(daemon.get("/readyz").0, 503);
}
