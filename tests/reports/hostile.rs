//! Text that nobody here chose is harmless in every format, and every format can still be read.

use probe::report::Format;
use probe::verdict::Verdict;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::read_back::{parse, read};
use super::{FORMATS, frozen, render, verdict};

/// What terminals, parsers and pages have been broken with.
const PIECES: [&str; 45] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "\u{9b}31m",
    "]]>",
    "<![CDATA[",
    "</script><script>alert(1)</script>",
    "<!--",
    "-->",
    "\u{0}",
    "\u{8}",
    "\u{7f}",
    "\u{202e}",
    "\u{2066}",
    "\u{200f}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{2028}",
    "\u{85}",
    "\n::error::owned",
    "\r\n::stop-commands::x",
    "::set-output name=a::b",
    "##[error]owned",
    "%0A::error::x",
    "%25",
    "\nnot ok 1 - owned",
    "\n1..0",
    "\nBail out!",
    " # TODO owned",
    " # SKIP owned",
    "\\# TODO",
    "\n  ...\n",
    "\n---\n",
    "| 'x'=1;;;; ",
    "\" } 1\nreadiness_gate_result{gate=\"x",
    "\\",
    "\"",
    "'",
    "&amp;&lt;\u{26}#0;",
    "| `x` | ![](http://x/y.png) **b** [l](javascript:0)",
    "@everyone #1 www.x.org https://x.org",
    "\n\n# heading\n",
    "{{ x }} ${{ secrets.X }} $(id) `id`",
    "[[ATTACHMENT|/etc/passwd]]",
    "\t中文 👩‍🚒 ",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(PIECES.to_vec()).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,12}",
    ];
    prop_oneof![
        12 => prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        1 => prop::sample::select(PIECES.to_vec()).prop_map(|piece| piece.repeat(400)),
    ]
}

/// Names that something depends on: left as they are, or made unique.
const FIXED: [&str; 16] = [
    "schema",
    "run_id",
    "mode",
    "result",
    "basis",
    "freshness",
    "last_known",
    "severity",
    "outcome",
    "level",
    "status",
    "started_at",
    "finished_at",
    "observed_at",
    "config_digest",
    "evidence_hash",
];

/// Puts the next of `texts` in place of every text; ids stay unique, and begin with a word of their own.
fn infest(
    value: &mut Value,
    name: &str,
    texts: &mut dyn Iterator<Item = String>,
    count: &mut usize,
) {
    let mut next = || texts.next().unwrap_or_default();
    match value {
        Value::String(_) if FIXED.contains(&name) => {}
        Value::String(text) if name == "id" => {
            *count += 1;
            *text = format!("I{count} {}", next());
        }
        Value::String(text) => *text = next(),
        Value::Array(list) => {
            for one in list {
                infest(one, name, texts, count);
            }
        }
        Value::Object(map) => {
            for (key, one) in map.iter_mut() {
                if key != "phases" && key != "facts" {
                    infest(one, key, texts, count);
                }
            }
        }
        _ => {}
    }
}

fn infested(texts: Vec<String>) -> Verdict {
    let mut json = frozen();
    let mut texts = texts.into_iter().cycle();
    infest(&mut json, "", &mut texts, &mut 0);
    let mut facts = Map::new();
    facts.insert("body".to_owned(), texts.next().into());
    json["probes"][0]["facts"] = facts.into();
    verdict(json)
}

/// A few verdicts with each piece in each field, for readers that are programs of their own.
pub fn hostile_verdicts() -> Vec<Verdict> {
    let pieces = |from: usize| -> Vec<String> {
        let order = PIECES.iter().cycle().skip(from).take(PIECES.len());
        order.map(|piece| format!("a{piece}b")).collect()
    };
    vec![
        infested(pieces(0)),
        infested(pieces(17)),
        infested(vec![PIECES.concat()]),
        infested(vec![PIECES.concat().repeat(50)]),
        infested(vec![String::new()]),
    ]
}

/// No byte that a terminal obeys, no mark that turns text around: in no format.
fn is_plain(c: char) -> bool {
    let deceptive = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            | '\u{fffe}' | '\u{ffff}'
    );
    c == '\n' || !(c.is_control() || deceptive)
}

fn check(verdict: &Verdict) {
    let json = render(verdict, Format::Json);
    let whole = serde_json::to_value(verdict).expect("JSON");
    assert_eq!(parse(&json), whole, "JSON says the very text");
    let results = |format| -> Option<Vec<(String, bool)>> {
        let items = read(format, &render(verdict, format))?;
        // Ids differ in what was made harmless; their first words do not.
        let mut items: Vec<_> = items
            .into_iter()
            .map(|(id, item)| (id.split(' ').next().unwrap_or_default().to_owned(), item))
            .collect();
        items.sort();
        Some(items.into_iter().map(|(_, item)| item).collect())
    };
    let expected = results(Format::Json);
    for format in FORMATS {
        let text = render(verdict, format);
        assert!(text.ends_with('\n'), "{format:?}");
        let bad = text.chars().find(|c| !is_plain(*c));
        assert_eq!(bad, None, "{format:?}: {text:?}");
        if let Some(items) = results(format) {
            assert_eq!(Some(items), expected, "{format:?}");
        }
    }
    check_lines(verdict);
    check_summary(&render(verdict, Format::Summary));
}

fn check_lines(verdict: &Verdict) {
    let nagios = render(verdict, Format::Nagios);
    assert_eq!(nagios.lines().count(), 1);
    assert_eq!(nagios.matches('|').count(), 1, "{nagios}");
    assert!(nagios.len() < 8_192, "{}", nagios.len());
    for line in render(verdict, Format::Github).lines() {
        let commands = [
            "::error ",
            "::warning ",
            "::notice ",
            "::group::",
            "::endgroup::",
        ];
        let command = commands.iter().any(|command| line.starts_with(command));
        assert!(command || !line.trim_start().starts_with("::"), "{line}");
        assert!(command || !line.contains("##["), "{line}");
    }
    for line in render(verdict, Format::Tap).lines() {
        let known = ["TAP version 14", "1..8", "# ", "ok ", "not ok ", "  "];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
    let junit = render(verdict, Format::Junit);
    let junit = roxmltree::Document::parse(&junit).expect("XML");
    for text in junit.descendants().filter_map(|node| node.text()) {
        assert!(!text.contains("[[ATTACHMENT"), "{text}");
    }
    for line in render(verdict, Format::Prometheus).lines() {
        let known = ["readiness_", "probe_agent_", "# HELP ", "# TYPE ", "# EOF"];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
}

/// Only tags of our own, no markup of others, and nobody is called.
fn check_summary(text: &str) {
    assert!(text.len() <= 65_536);
    let own = [
        "code>",
        "/code>",
        "details>",
        "/details>",
        "summary>",
        "/summary>",
    ];
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        assert!(own.iter().any(|tag| rest.starts_with(tag)), "{rest}");
    }
    for markup in ["@", "`", "](", "://", "www.", "**b"] {
        assert!(!text.contains(markup), "{markup} in {text}");
    }
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        assert_eq!(line.matches('|').count(), 6, "{line}");
    }
}

#[test]
fn known_attacks() {
    for verdict in hostile_verdicts() {
        check(&verdict);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text(texts in prop::collection::vec(text(), 1..80)) {
        check(&infested(texts));
    }
}
