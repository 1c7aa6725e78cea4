//! Targets of the score, and waivers that end soon.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::ports;
use crate::lab::Run;

#[test]
fn the_score_is_met_only_when_every_category_meets_its_target() {
    let (_open, config) = ports();
    let config = config
        .replace("section = \"A1\"", "category = \"entry\"")
        .replace("section = \"A2\"", "category = \"watch\"");
    let with = |entry: f64| {
        format!(
            "{config}[score]\ntarget = 0.5\n[[category]]\nid = \"watch\"\ntitles.zh = \"监控\"\ntarget = 1.0\n\
             [[category]]\nid = \"entry\"\ntarget = {entry}\n"
        )
    };
    let missed = Run::with_config(&with(0.9)).once();
    let score = &missed.json["score"];
    assert_eq!(score["met"], false);
    assert_eq!(
        (
            score["categories"][0]["category"].as_str(),
            score["categories"][0]["met"].as_bool()
        ),
        (Some("watch"), Some(true))
    );
    assert_eq!(
        (
            score["categories"][1]["category"].as_str(),
            score["categories"][1]["met"].as_bool()
        ),
        (Some("entry"), Some(false))
    );
    assert_eq!(
        Run::with_config(&with(0.3)).once().json["score"]["met"],
        true
    );
    let table = Run::with_config(&with(0.9))
        .args(["--once", "--format", "table", "--lang", "zh"])
        .output();
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    assert!(table.contains("监控: 100% [100–100]"), "{table}");
    assert!(table.contains("target 90%, not met"), "{table}");
    let none = Run::with_config(&config).once();
    assert!(none.json["score"].get("met").is_none());
}

#[test]
fn whoever_answers_for_a_waiver_is_warned_before_it_ends() {
    let (_open, config) = ports();
    let waived = |days: i64| {
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let expires = today.checked_add(days.days()).expect("a date");
        format!(
            "{config}[[waiver]]\nitem = \"A1.2\"\nresult = \"fail\"\nowner = \"sec\"\nreason = \"r\"\nexpires = {expires}\n"
        )
    };
    let soon = Run::with_config(&waived(10)).once();
    assert_eq!(soon.json["findings"][0]["code"], "waiver-expires-soon");
    assert!(
        soon.stderr.contains("expires in 10 days"),
        "{}",
        soon.stderr
    );
    assert_eq!(soon.item("A1.2")["basis"], "waived");
    let later = Run::with_config(&waived(40)).once();
    assert_eq!(later.json["findings"].as_array().map(Vec::len), Some(0));
    assert!(later.stderr.is_empty(), "{}", later.stderr);
}
