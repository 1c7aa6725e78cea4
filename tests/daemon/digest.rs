//! What is deployed, as a probe sees it: windows begin anew with it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http;
use super::process::Daemon;
use crate::lab::{Reply, Scripted};

/// A service that tells its digest, or not.
fn service() -> (Scripted, Arc<Mutex<Value>>) {
    let digest = Arc::new(Mutex::new(json!("sha256:one")));
    let told = Arc::clone(&digest);
    let server = Scripted::start(move |_| {
        Reply::json(&json!({ "digest": *told.lock().expect("the digest") }))
    });
    (server, digest)
}

#[test]
fn another_digest_begins_the_window_anew_and_an_unseen_one_does_not() {
    let (service, digest) = service();
    let config = format!(
        "[agent]\ndigest_from = \"api/json.digest\"\n[history]\nurl = \"sqlite:probe.db\"\n{}\
         [[probe]]\nid = \"window\"\nkind = \"history\"\nof = \"api\"\nwindow = \"5s\"\nslot = \"1s\"\n\
         objective = 0.5\ninterval = \"300ms\"\n",
        http("api", &service.url("/"), "")
    );
    let mut daemon = Daemon::start(&config);
    let fact = |daemon: &Daemon, name: &str| daemon.probe("window")["facts"][name].clone();
    // Not before all of the window was measured.
    assert_ne!(daemon.item("window")["result"], "pass");
    daemon.until_item("window", "pass");
    assert_eq!(fact(&daemon, "deployed_digest"), "sha256:one");
    let since = fact(&daemon, "deployed_since");

    // Who does not tell has not deployed.
    *digest.lock().expect("the digest") = Value::Null;
    daemon.until("it was asked again", |daemon| {
        daemon.probe("api")["facts"]["json"]["digest"]
            .is_null()
            .then_some(())
    });
    assert_eq!(fact(&daemon, "deployed_digest"), "sha256:one");

    *digest.lock().expect("the digest") = json!("sha256:two");
    let item = daemon.until_item("window", "unknown");
    let reason = item["reason"].as_str().expect("text");
    assert!(
        reason.contains("not measured") && reason.contains("decidable at"),
        "{reason}"
    );
    assert_eq!(fact(&daemon, "deployed_digest"), "sha256:two");
    assert_ne!(fact(&daemon, "deployed_since"), since);
    assert_eq!(
        daemon.verdict()["subject"]["digests"],
        json!(["sha256:two"])
    );

    // And a restart is no deployment.
    daemon.until_item("window", "pass");
    let since = fact(&daemon, "deployed_since");
    daemon.signal("-TERM");
    daemon.wait();
    let daemon = Daemon::start_in(daemon.dir(), &config, &[]);
    daemon.until("it looked again", |daemon| {
        (fact(daemon, "deployed_since") == since).then_some(())
    });
}
