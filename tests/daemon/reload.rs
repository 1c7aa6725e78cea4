//! Another configuration: by file change and by signal, good, bad and gone.

use super::Switch;
use super::process::Daemon;

#[test]
fn a_changed_file_is_taken_over_and_what_is_the_same_keeps_its_state() {
    let (one, two) = (Switch::new(true), Switch::new(true));
    let first = one.probe("one", "");
    let daemon = Daemon::start(&first);
    let since = daemon.until_item("one", "pass")["since"].clone();
    assert!(since.is_string());
    daemon.configure(&format!("{first}{}", two.probe("two", "")));
    let both = daemon.until("two is there", |daemon| {
        let verdict = daemon.verdict();
        let items = verdict["items"].as_array().expect("a list").len();
        (items == 2).then_some(verdict)
    });
    // It was not forgotten for a moment.
    assert_eq!(both["items"][0]["result"], "pass", "{both:#}");
    assert_eq!(both["items"][0]["since"], since);
    daemon.until_item("two", "pass");
}

#[test]
fn a_broken_file_is_refused_told_of_and_replaced_by_a_good_one() {
    let one = Switch::new(true);
    let good = one.probe("one", "");
    let daemon = Daemon::start(&good);
    daemon.until_item("one", "pass");
    let errors = |daemon: &Daemon| -> serde_json::Value {
        let (_, agent) = daemon.get("/api/v1/agent");
        let agent: serde_json::Value = serde_json::from_str(&agent).expect("JSON");
        agent["config_error"].clone()
    };
    daemon.configure(&format!("{good}nonsense = 1\n"));
    let error = daemon.until("the error is told", |daemon| {
        Some(errors(daemon)).filter(serde_json::Value::is_object)
    });
    assert!(
        error["text"].as_str().expect("text").contains("nonsense"),
        "{error}"
    );
    assert_eq!(daemon.item("one")["result"], "pass");
    assert!(daemon.log().contains("the old one stays in use"));
    std::fs::remove_file(daemon.dir().path().join("probes.toml")).expect("remove");
    daemon.signal("-HUP");
    daemon.until("it is gone", |daemon| {
        let error = errors(daemon);
        let text = error["text"].as_str()?;
        text.contains("cannot read").then_some(())
    });
    assert_eq!(daemon.item("one")["result"], "pass");
    daemon.configure(&good);
    daemon.until("the error is gone", |daemon| {
        errors(daemon).is_null().then_some(())
    });
}

#[test]
fn a_rule_that_changed_is_judged_on_the_evidence_that_is_there() {
    let one = Switch::new(true);
    let rare = |rule: &str| one.probe("one", rule).replace("300ms", "1h");
    let daemon = Daemon::start(&rare(""));
    daemon.until_item("one", "pass");
    let asked = one.server.asked().len();
    daemon.configure(&rare("rules.mine = \"status == 201\""));
    daemon.signal("-HUP");
    daemon.until_item("one", "fail");
    assert_eq!(one.server.asked().len(), asked, "nothing was asked again");
}
