//! Properties of reading and writing, over documents that nobody would write.

mod columns;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::ClaimStatus;
use crate::verdict::{ItemReport, Verdict};

fn read(text: &str, lock: Lock) -> Checklist {
    Checklist::new(Path::new("list.md"), text.to_owned(), lock)
}

fn fresh(text: &str) -> Checklist {
    read(text, Lock::new(vec![]))
}

const RESULTS: [&str; 5] = ["pass", "warn", "fail", "unknown", "na"];

/// A verdict with a result for every row of a checklist, as a number says.
fn verdict(checklist: &Checklist, seed: usize) -> Verdict {
    let items: Vec<ItemReport> = checklist
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let result = RESULTS[(at + seed) % RESULTS.len()];
            serde_json::from_value(json!({
                "id": row.id, "title": row.title, "weight": 1.0,
                "source": { "file": "probes.toml", "line": 1 },
                "result": result, "reason": if result == "pass" { "" } else { "a | b\n[x](y) `c`" },
                "basis": "derived", "freshness": "fresh", "rules": [],
                "observed_at": "2026-11-23T10:00:00.5Z",
                "evidence": ["api@sha256:0123456789abcdef0123"], "flaky": false,
            }))
            .expect("an item")
        })
        .collect();
    let mut verdict: Verdict = serde_json::from_value(json!({
        "schema": "probe.verdict/v1", "run_id": "r", "mode": "once",
        "tool": { "version": "0", "config_digest": "" }, "subject": {}, "vantage": { "host": "h" },
        "started_at": "2026-11-23T10:00:00Z", "finished_at": "2026-11-23T10:00:01Z",
        "gate": { "id": "default", "result": "pass", "blocking": [] }, "gates": [],
        "score": { "applicable": 0, "categories": [] }, "items": [], "probes": [], "findings": [],
        "health": { "planned": 0, "ran": 0, "errored": 0 },
    }))
    .expect("a verdict");
    verdict.items = items;
    verdict
}

fn write(checklist: &Checklist, seed: usize, volatile: Volatile) -> (String, Lock) {
    let verdict = verdict(checklist, seed);
    let new = checklist
        .regenerate(&verdict, Path::new("list.md"), None, volatile)
        .expect("it can be written");
    let lock = serde_json::from_str(&new.lock).expect("a lock is JSON");
    (new.text, lock)
}

/// A line, in parts: before its status, the status, and what follows it.
#[derive(Debug, Clone)]
struct Written {
    before: String,
    status: String,
    after: String,
    is_row: bool,
}

fn other(text: &str) -> Written {
    Written {
        before: text.to_owned(),
        status: String::new(),
        after: String::new(),
        is_row: false,
    }
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        Just("**应用服务器**".to_owned()),
        Just("a \\| b".to_owned()),
        Just("`code`".to_owned()),
        Just("全角　空格（括号）".to_owned()),
        Just("e\u{301} 👩‍💻 ✔\u{fe0f}".to_owned()),
        Just("[姓名]".to_owned()),
        Just("\\\\".to_owned()),
    ]
}

fn status() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "✅ 已验证",
        "⚠️ 待配置",
        "⚠ 待配置",
        "🔄",
        "❌ 失败",
        "✅",
        "pass",
        "todo",
        "ask Bob",
        "**✅ done**",
    ])
    .prop_map(str::to_owned)
}

fn row() -> impl Strategy<Value = Written> {
    let pad = || prop::sample::select(vec!["", " ", "  ", "\u{3000}"]);
    (cell(), status(), cell(), (pad(), pad()), any::<bool>()).prop_map(
        |(title, status, detail, (left, right), closed)| Written {
            before: format!("| {title} |{left}"),
            status,
            after: format!("{right}| {detail}{}", if closed { " |" } else { "" }),
            is_row: true,
        },
    )
}

fn block() -> impl Strategy<Value = Vec<Written>> {
    let head = |zh: bool| {
        if zh {
            [other("| 检查项 | 状态 | 详情 |"), other("|---|:-:|---|")]
        } else {
            [
                other("| Item | Status | Details |"),
                other("| --- | --- | --- |"),
            ]
        }
    };
    prop_oneof![
        (any::<bool>(), prop::collection::vec(row(), 1..5)).prop_map(move |(zh, rows)| {
            let mut lines = head(zh).to_vec();
            lines.extend(rows);
            lines.push(other(""));
            lines
        }),
        prop::sample::select(vec![
            "#### A1. 服务器",
            "## Network",
            "# ✅ 清单",
            "text with | pipe",
            "```\n| 检查项 | 状态 |\n|---|---|\n| x | y |\n```",
            "---",
            "<!-- | a | b | -->",
            "> quote",
            "    code",
            "- list",
            "",
            "\u{feff}",
            "就绪度 91%",
        ])
        .prop_map(|text| {
            let mut lines: Vec<Written> = text.split('\n').map(other).collect();
            lines.push(other(""));
            lines
        }),
    ]
}

fn document() -> impl Strategy<Value = (Vec<Written>, &'static str)> {
    let blocks = prop::collection::vec(block(), 0..8).prop_map(|blocks| blocks.concat());
    (blocks, prop::sample::select(vec!["\n", "\r\n"]))
}

fn text_of(lines: &[Written], line_break: &str) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("{}{}{}", line.before, line.status, line.after))
        .collect();
    lines.join(line_break)
}

proptest! {
    #[test]
    fn every_byte_outside_status_cells_and_derived_columns_is_kept(
        (lines, line_break) in document(), seed in 0usize..5
    ) {
        let (new, _) = write(&fresh(&text_of(&lines, line_break)), seed, Volatile::Renew);
        let new_lines: Vec<&str> = new.split(line_break).collect();
        prop_assert_eq!(new_lines.len(), lines.len().max(1));
        for (line, new) in lines.iter().zip(new_lines) {
            if line.is_row {
                let rest = new.strip_prefix(&line.before).expect("what stands before the status");
                let status = rest.find(&line.after).expect("what follows the status");
                let words = ["✅", "⚠️", "❌", "❓", "➖"];
                prop_assert!(words.iter().any(|word| rest[..status].starts_with(word)), "{}", new);
                prop_assert!(!rest[..status].contains('|'), "{}", new);
                let derived = &rest[status + line.after.len()..];
                let derived = derived.replace("\\|", "");
                prop_assert_eq!(derived.matches('|').count(), 4, "{}", new);
            } else {
                prop_assert!(new.starts_with(&line.before), "{} became {}", line.before, new);
                let more = &new[line.before.len()..];
                let is_head = more.is_empty() || more.contains("---") || more.contains("状态") || more.contains("status");
                prop_assert!(is_head, "{}", new);
            }
        }
    }

    #[test]
    fn the_same_evidence_twice_changes_nothing(
        (lines, line_break) in document(), seed in 0usize..5
    ) {
        let text = text_of(&lines, line_break);
        let first = fresh(&text);
        let (once, lock) = write(&first, seed, Volatile::Renew);
        let second = read(&once, lock.clone());
        let claims = |checklist: &Checklist| -> Vec<(String, ClaimStatus, String)> {
            let rows = checklist.rows.iter();
            rows.map(|row| (row.id.clone(), row.claim.status, row.claim.text.clone())).collect()
        };
        prop_assert_eq!(claims(&first), claims(&second));
        let (twice, again) = write(&second, seed, Volatile::Renew);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(lock, again);
        let (kept, _) = write(&second, seed, Volatile::Keep);
        prop_assert_eq!(once, kept);
    }

    #[test]
    fn anything_can_be_read_and_written(
        text in "(\\| ?|[ab状态项✅] ?|---\\|?|\\n|\r\n|#+ |- \\[x\\] |```|<!--|-->|\\\\|    |A1\\. |status){0,60}",
        seed in 0usize..5
    ) {
        let (once, lock) = write(&fresh(&text), seed, Volatile::Renew);
        let (twice, again) = write(&read(&once, lock.clone()), seed, Volatile::Renew);
        prop_assert_eq!(once, twice);
        prop_assert_eq!(lock, again);
    }

    #[test]
    fn ids_are_ids_and_unique(text in "(## [A-C]1\\. x\n|## [ab ]{1,3}\n|\\| (item|状态) \\| status \\|\n\\|---\\|---\\|\n|\\| [abc] \\| ✅ \\|\n|- \\[ \\] [abc状]\n|\n){0,30}") {
        let checklist = fresh(&text);
        let mut ids: Vec<&str> = checklist.rows.iter().map(|row| row.id.as_str()).collect();
        prop_assert!(ids.iter().all(|id| crate::config::is_slug(id)), "{:?}", ids);
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
    }
}

fn many_rows(count: usize) -> String {
    let mut text = String::new();
    for row in 0..count {
        if row % 5 == 0 {
            let section = row / 5;
            let _ = write!(
                text,
                "\n#### A{section}. 服务器资源配置\n\n| 检查项 | 状态 | 详情 | 负责人 | 完成时间 |\n|---|---|---|---|---|\n",
            );
        }
        text.push_str("| **监控配置** | ✅ 已验证 | CPU: 8核, 内存: 16GB, 存储: 100GB SSD | 运维团队 | 已完成 |\n");
    }
    text
}

#[test]
fn ten_thousand_rows_take_less_than_a_second() {
    let text = many_rows(10_000);
    let begun = Instant::now();
    let checklist = fresh(&text);
    let listing = serde_json::to_string(&Listing::of(&checklist)).expect("JSON");
    let read_in = begun.elapsed();
    assert_eq!(checklist.rows.len(), 10_000);
    assert!(listing.len() > 1_000_000);
    let (once, lock) = write(&checklist, 0, Volatile::Renew);
    let begun = Instant::now();
    let again = read(&once, lock);
    let matched_in = begun.elapsed();
    assert_eq!(again.rows.len(), 10_000);
    assert_eq!(again.rows[9_999].id, "A1999.5");
    // Without optimisation it takes about ten times as long, and more beside a busy neighbour.
    let most = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
    for (what, took) in [("reading", read_in), ("matching", matched_in)] {
        assert!(took < most, "{what} took {took:?}");
        println!("{what}: {took:?}");
    }
}

fn ids(checklist: &Checklist) -> Vec<(&str, &str)> {
    let rows = checklist.rows.iter();
    rows.map(|row| (row.id.as_str(), row.title.as_str()))
        .collect()
}

fn locked(text: &str) -> Lock {
    fresh(text).next_lock(|_| None)
}

const TWO_SECTIONS: &str = "\
#### A1. Servers
| Item | Status | Details |
|---|---|---|
| App | ✅ | 8 cores |
| Database | ✅ | 16 cores |
| Cache | ⚠️ | 4 cores |
#### A2. Network
| Item | Status | Details |
|---|---|---|
| Monitoring | ✅ | x |
| Monitoring | ⚠️ | y |
";

#[test]
fn rows_keep_their_ids_when_they_are_moved_renamed_or_reordered() {
    let lock = locked(TWO_SECTIONS);
    let changed = "\
#### A1. Servers
| Item | Status | Details |
|---|---|---|
| Brand new | ✅ | 1 core |
| Caches | ⚠️ | 4 cores |
| App | ✅ | 8 cores |
#### A2. Network
| Item | Status | Details |
|---|---|---|
| Monitoring | ⚠️ | y |
| Monitoring | ✅ | x |
| Database | ✅ | 16 cores |
";
    let now = read(changed, lock);
    assert_eq!(
        ids(&now),
        [
            ("A1.4", "Brand new"),
            ("A1.3", "Caches"),
            ("A1.1", "App"),
            ("A2.2", "Monitoring"),
            ("A2.1", "Monitoring"),
            ("A1.2", "Database"),
        ]
    );
    let renamed: Vec<&str> = now.findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(renamed, ["row-renamed"]);
}

#[test]
fn a_row_in_the_place_of_another_does_not_inherit_its_id() {
    let lock = locked(TWO_SECTIONS);
    let changed = TWO_SECTIONS.replace(
        "| Cache | ⚠️ | 4 cores |",
        "| Penetration test | ✅ | yearly |",
    );
    let now = read(&changed, lock);
    assert_eq!(now.rows[2].id, "A1.4");
    let next = now.next_lock(|_| None);
    let cache = next.rows.iter().find(|row| row.id == "A1.3").expect("kept");
    assert!(cache.gone, "its id is never given away");
    // It comes back as who it was.
    assert_eq!(read(TWO_SECTIONS, next).rows[2].id, "A1.3");
}

#[test]
fn a_renamed_row_without_details_is_known_by_its_place() {
    let text = "## A1. x\n| Item | Status |\n|---|---|\n| One | ✅ |\n| Two | ✅ |\n";
    let now = read(&text.replace("Two", "Zweitens"), locked(text));
    assert_eq!(ids(&now), [("A1.1", "One"), ("A1.2", "Zweitens")]);
    assert_eq!(now.findings[0].code, "row-renamed");
}

#[test]
fn a_renamed_section_takes_its_rows_along() {
    let text = "## Servers\n| Item | Status |\n|---|---|\n| One | ✅ |\n| Two | ✅ |\n";
    let now = read(&text.replace("Servers", "Machines"), locked(text));
    assert_eq!(ids(&now), [("servers.one", "One"), ("servers.two", "Two")]);
}

#[test]
fn a_cell_that_still_holds_what_was_generated_keeps_its_claim() {
    let text = "## A1. x\n| Item | Status |\n|---|---|\n| One | ✅ done |\n| Two | ✅ done |\n";
    // Two fails.
    let (new, lock) = write(&fresh(text), 1, Volatile::Renew);
    assert!(new.contains("| ❌ fail |"), "{new}");
    let claims = |checklist: &Checklist| -> Vec<ClaimStatus> {
        checklist.rows.iter().map(|row| row.claim.status).collect()
    };
    let kept = read(&new, lock.clone());
    assert_eq!(claims(&kept), [ClaimStatus::Pass; 2]);
    let typed = new.replace("❌ fail", "⚠️ being fixed");
    let changed = read(&typed, lock);
    assert_eq!(claims(&changed), [ClaimStatus::Pass, ClaimStatus::Warn]);
    assert_eq!(changed.rows[1].claim.text, "⚠️ being fixed");
}

#[test]
fn a_row_with_too_many_cells_is_left_alone() {
    let text = "| Item | Status |\n|---|---|\n| a | b | ✅ |\n| c | ✅ |\n| d |\n";
    let (new, lock) = write(&fresh(text), 0, Volatile::Renew);
    let lines: Vec<&str> = new.lines().collect();
    assert_eq!(lines[2], "| a | b | ✅ |");
    assert!(
        lines[3].starts_with("| c | ⚠️ warn | warn · derived"),
        "{new}"
    );
    assert!(
        lines[4].starts_with("| d | ❌ fail | fail · derived"),
        "{new}"
    );
    assert_eq!(write(&read(&new, lock), 0, Volatile::Renew).0, new);
}

#[test]
fn evidence_is_no_markup() {
    let text = "| Item | Status |\n|---|---|\n| a | ✅ |\n";
    let (new, _) = write(&fresh(text), 1, Volatile::Renew);
    assert!(
        new.contains("| api@0123456789ab: a \\| b \\[x\\](y) \\`c\\` |"),
        "{new}"
    );
}

#[test]
fn headings_are_read_as_markdown_has_them() {
    let checklist = fresh(
        "Title\n=====\n\nA1. Under a line\n---\n\n- [x] one\n\n## B1. Hashes ##\n- [X] two\n  - [ ] three\n1. [ ] four\n",
    );
    assert_eq!(
        ids(&checklist),
        [
            ("A1.1", "one"),
            ("B1.1", "two"),
            ("B1.2", "three"),
            ("B1.3", "four")
        ]
    );
}

#[test]
fn what_is_never_closed_is_a_finding() {
    for (text, code) in [
        ("- [x] a\n```\n- [x] b\n", "unclosed-code"),
        ("- [x] a\n<!--\n- [x] b\n", "unclosed-comment"),
    ] {
        let checklist = fresh(text);
        assert_eq!(checklist.rows.len(), 1);
        assert_eq!(checklist.findings[0].code, code);
        assert_eq!(checklist.findings[0].line, Some(2));
    }
}

#[test]
fn broken_tables_are_read_as_far_as_they_go_and_said_to_be_broken() {
    for text in [
        "| Item | Status |\n|---|\n| a | ✅ |\n",
        "| Item | Status |\n| a | ✅ |\n",
    ] {
        let checklist = fresh(text);
        assert_eq!(checklist.rows.len(), 1, "{text}");
        assert_eq!(checklist.findings[0].code, "broken-table", "{text}");
    }
    let checklist = fresh("#### A1. x\n| 检查项 | 负责人 |\n|---|---|\n| a | b |\n");
    assert!(checklist.rows.is_empty());
    assert_eq!(checklist.findings[0].code, "no-status-column");
}

#[test]
fn phases_are_gates_and_other_tasks_are_items() {
    let checklist = fresh(
        "# Pre-deployment checklist\n## Servers\n- [x] a\n## After the deploy\n### Data\n- [ ] b\n- [x] c\n",
    );
    let items: Vec<&str> = checklist.items().map(|row| row.title.as_str()).collect();
    assert_eq!(items, ["a"]);
    assert_eq!(checklist.gates[0].id, "post-deploy");
    assert_eq!(checklist.rows[2].id, "post-deploy.2");
    // With nothing else in it, the bullets are the checklist.
    let alone = fresh("## Before the deploy\n- [x] a\n");
    assert_eq!((alone.gates.len(), alone.items().count()), (0, 1));
}
