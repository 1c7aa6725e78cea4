//! All formats of one verdict hold the same items with the same results.

use probe::checklist::Language;
use probe::report::Format;
use serde_json::{Value, json};

use super::read_back::{parse, read};
use super::{FORMATS, frozen, render, render_in, verdict};

#[test]
fn in_every_format() {
    let verdict = verdict(frozen());
    let expected = read(Format::Json, &render(&verdict, Format::Json)).expect("items");
    assert_eq!(expected.len(), 8);
    assert_eq!(expected["B2.2"], ("fail".to_owned(), true));
    for format in FORMATS {
        for language in [Language::En, Language::Zh] {
            let text = render_in(&verdict, format, language);
            if let Some(items) = read(format, &text) {
                assert_eq!(items, expected, "{format:?}");
            }
        }
    }
}

#[test]
fn tables_hold_each_item_with_its_result() {
    let verdict = verdict(frozen());
    for format in [Format::Table, Format::Summary] {
        let text = render(&verdict, format);
        for item in &verdict.items {
            let id = match format {
                Format::Summary => format!("<code>{}</code>", item.id),
                _ => format!(" {} ", item.id),
            };
            let line = text
                .lines()
                .filter(|line| line.starts_with([' ', '|']))
                .find(|line| line.contains(&id))
                .unwrap_or_else(|| panic!("{format:?} lacks {id}:\n{text}"));
            let result = item.result.as_str();
            assert!(line.to_lowercase().contains(result), "{line}");
            let waived = item.waiver.is_some();
            assert_eq!(line.contains("waived"), waived, "{line}");
        }
    }
}

#[test]
fn the_gate_is_in_every_format_that_has_a_place_for_it() {
    let verdict = verdict(frozen());
    for (format, wanted) in [
        (Format::Tap, "# gate all fail, blocked by A1.2, A1.3, D4\n"),
        (
            Format::Nagios,
            "READINESS CRITICAL - gate all fail, blocked by A1.2, A1.3, D4: 1 pass, 1 warn, 2 fail, 3 unknown, 1 na; A1.2: api/fast: total_ms ‹ 100: 740 ‹ 100 | score_low=21.00%;;;0;100 ",
        ),
        (Format::Summary, "## ❌ Gate <code>all</code>: fail\n"),
        (
            Format::Github,
            "::error title=gate all fail::gate all fail, blocked by A1.2, A1.3, D4%0Aitems 1 pass",
        ),
        (
            Format::Prometheus,
            "readiness_gate_result{gate=\"pre-deploy\",result=\"fail\"} 1\n",
        ),
        (Format::Cdevents, "\"outcome\":\"failure\""),
    ] {
        let text = render(&verdict, format);
        assert!(text.contains(wanted), "{format:?}:\n{text}");
    }
    assert_eq!(render(&verdict, Format::Nagios).lines().count(), 1);
}

/// The state of a plugin follows the gate.
#[test]
fn nagios_states() {
    for (result, state) in [
        ("pass", "OK"),
        ("warn", "WARNING"),
        ("fail", "CRITICAL"),
        ("unknown", "UNKNOWN"),
    ] {
        let mut json = frozen();
        json["gate"]["result"] = result.into();
        let text = render(&verdict(json), Format::Nagios);
        assert!(text.starts_with(&format!("READINESS {state} - ")), "{text}");
    }
}

#[test]
fn a_result_sits_at_its_row_or_at_its_line() {
    let mut json = frozen();
    json["items"][2]["source"]["file"] = "/repo/checks/a b.toml".into();
    let log = parse(&render(&verdict(json), Format::Sarif));
    let place = |index: usize| {
        let place = &log["runs"][0]["results"][index]["locations"][0]["physicalLocation"];
        (
            place["artifactLocation"]["uri"].clone(),
            place["region"]["startLine"].clone(),
        )
    };
    assert_eq!(place(0), (json!("probes.toml"), json!(12)));
    assert_eq!(place(1), (json!("CHECKLIST.md"), json!(42)));
    assert_eq!(place(2), (json!("checks/a%20b.toml"), json!(24)));
    let text = render(&verdict(frozen()), Format::Github);
    assert!(
        text.contains("::error file=CHECKLIST.md,line=42,title=A1.2 API is fast%3A fail::api/fast"),
        "{text}"
    );
}

/// A fingerprint holds while rows move, are renamed, and change their results.
#[test]
fn fingerprints_are_stable() {
    let fingerprints = |json: Value| -> Vec<Value> {
        let log = parse(&render(&verdict(json), Format::Sarif));
        let results = log["runs"][0]["results"]
            .as_array()
            .expect("results")
            .clone();
        results
            .iter()
            .map(|result| result["partialFingerprints"].clone())
            .collect()
    };
    let before = fingerprints(frozen());
    let mut json = frozen();
    for item in json["items"].as_array_mut().expect("items") {
        item["title"] = "renamed".into();
        item["source"] = json!({"file": "other.toml", "line": 1});
        item["reason"] = "another".into();
        item["result"] = "fail".into();
    }
    assert_eq!(fingerprints(json), before);
    let mut unique = before.iter().map(Value::to_string).collect::<Vec<_>>();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), before.len());
}

#[test]
fn titles_are_in_the_language_that_was_asked_for() {
    let verdict = verdict(frozen());
    for format in [
        Format::Junit,
        Format::Sarif,
        Format::Tap,
        Format::Summary,
        Format::Github,
        Format::Cdevents,
        Format::Ohdf,
        Format::Table,
    ] {
        assert!(
            render_in(&verdict, format, Language::Zh).contains("接口应答"),
            "{format:?}"
        );
        assert!(
            render_in(&verdict, format, Language::En).contains("API answers"),
            "{format:?}"
        );
    }
}

fn many(count: usize) -> Value {
    let mut json = frozen();
    let kinds = json["items"].as_array().expect("items").clone();
    let items = (0..count).map(|index| {
        let mut item = kinds[index % kinds.len()].clone();
        item["id"] = format!("I{index}").into();
        item
    });
    json["items"] = items.collect();
    json
}

#[test]
fn a_summary_is_never_too_long_to_post() {
    for count in [8, 400, 2_000, 10_000] {
        let verdict = verdict(many(count));
        for language in [Language::En, Language::Zh] {
            let text = render_in(&verdict, Format::Summary, language);
            assert!(text.len() <= 65_536, "{count}: {}", text.len());
            let rows: Vec<&str> = text
                .lines()
                .filter(|line| line.contains("<code>I"))
                .collect();
            let left_out: usize = text
                .lines()
                .filter_map(|line| line.strip_prefix("**"))
                .map(|line| {
                    let digits = line.trim_start_matches("另有 ");
                    let end = digits.find(|c: char| !c.is_ascii_digit()).expect("words");
                    digits[..end].parse::<usize>().expect("a number")
                })
                .sum();
            assert_eq!(rows.len() + left_out, count, "{text}");
            assert_eq!(
                text.matches("<details>").count(),
                text.matches("</details>").count()
            );
            let order = ["❌", "❓", "⚠️", "✅", "➖"];
            let ranks: Vec<usize> = rows
                .iter()
                .filter_map(|row| order.iter().position(|mark| row.contains(mark)))
                .collect();
            assert_eq!(ranks.len(), rows.len());
            assert!(ranks.is_sorted(), "what fails comes first");
        }
    }
}

#[test]
fn nothing_at_all_is_no_pass() {
    let mut json = frozen();
    json["items"] = json!([]);
    json["gate"] = json!({"id": "default", "result": "unknown", "blocking": []});
    let verdict = verdict(json);
    assert!(render(&verdict, Format::Tap).contains("\n1..1\nnot ok 1 - "));
    assert!(render(&verdict, Format::Nagios).starts_with("READINESS UNKNOWN - "));
    assert!(render(&verdict, Format::Github).starts_with("::error title=gate default unknown::"));
    let events = render(&verdict, Format::Cdevents);
    assert_eq!(parse(&events)["subject"]["content"]["outcome"], "error");
    for format in FORMATS {
        render(&verdict, format);
    }
}
