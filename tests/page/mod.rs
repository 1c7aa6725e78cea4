//! The page: its size, what it may not do, and how it works in a real browser.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use probe::judge::Status;
use probe::report::Language;
use probe::report::Style;
use probe::report::html::{self, Live};
use probe::verdict::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{Run, free_port, run_python};

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}txt\u{0}]]>'\"&";

/// A verdict of a real run, with everything a page can show.
fn sample() -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let open = listener.local_addr().expect("an address").port();
    let closed = free_port();
    let config = format!(
        r#"
[agent]
environment = "production"
service = "football-prediction"
git_commit = "3f2a9c1"

[[probe]]
id = "api"
kind = "tcp"
host = "127.0.0.1"
port = {open}
rules.quick = {{ expr = "state == 'refused'", severity = "should", why = "acceptance" }}

[[probe]]
id = "database"
kind = "tcp"
host = "127.0.0.1"
port = {closed}

[[category]]
id = "security"
title = "Security"
titles = {{ zh = "安全" }}
target = 0.9

[[category]]
id = "availability"
title = "Availability"
target = 0.5

[[item]]
id = "F1.1"
title = "The API answers"
titles = {{ zh = "接口可用" }}
section = "F1 Frontend"
category = "availability"
owner = "web"
needs = ["api/state"]

[[item]]
id = "F1.2"
title = "The API answers quickly"
titles = {{ zh = "接口响应快" }}
section = "F1 Frontend"
category = "availability"
owner = "web"
needs = ["api/*"]

[[item]]
id = "D1.1"
title = "The database accepts connections"
titles = {{ zh = "数据库可连接" }}
section = "D1 Data"
category = "availability"
owner = "dba@example.org"
needs = ["database/*"]
remediation = "Start PostgreSQL: systemctl start postgresql, then look at its log"

[[item]]
id = "D1.2"
title = "Backups are restored every week"
titles = {{ zh = "每周恢复备份" }}
section = "D1 Data"
category = "security"

[[item]]
id = "D1.3"
title = "The audit log is on"
section = "D1 Data"
category = "security"
needs = ["database/*"]

[[waiver]]
item = "D1.3"
result = "fail"
owner = "sec@example.org"
reason = "ordered"
expires = {expires}

[[gate]]
id = "pre-deploy"
items = ["F1.*", "D1.*"]

[[gate]]
id = "acceptance"
items = ["F1.*"]

[[risk]]
id = "R1"
title = "Data is lost"
level = "high"
items = ["D1.*"]
"#,
        expires = jiff::Zoned::now()
            .date()
            .saturating_add(jiff::Span::new().days(30))
    );
    let output = Run::with_config(&config).args(["--once"]).output();
    let mut verdict: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    for (at, status) in ["pass", "pass", "pass", "pending", "warn"]
        .iter()
        .enumerate()
    {
        verdict["items"][at]["claim"] =
            json!({ "status": status, "text": "✔", "file": "CHECKLIST.md", "line": 10 + at });
    }
    verdict["findings"] = json!([{
        "code": "claimed-but-failing", "item": "D1.1", "file": "CHECKLIST.md", "line": 12,
        "text": "the checklist says that D1.1 is done; what was seen says that it is not",
    }]);
    verdict
}

/// The same with `count` items and a third as many probes.
fn large(count: usize, text: &str) -> Value {
    let mut verdict = sample();
    let items = verdict["items"].as_array().expect("items").clone();
    let probes = verdict["probes"].as_array().expect("probes").clone();
    let many = (0..count).map(|at| {
        let mut item = items[at % items.len()].clone();
        item["id"] = format!("I{at}").into();
        item["section"] = format!("S{} part", at / 25).into();
        item["reason"] = format!("{} {text}", item["reason"].as_str().expect("text")).into();
        item
    });
    verdict["items"] = many.collect();
    let many = (0..count / 3).map(|at| {
        let mut probe = probes[at % probes.len()].clone();
        probe["id"] = format!("p{at}").into();
        for nth in 0..20 {
            probe["facts"][format!("more_{nth}")] = text.into();
        }
        probe
    });
    verdict["probes"] = many.collect();
    verdict["gate"]["blocking"] = (0..count).map(|at| format!("I{at}")).collect();
    verdict
}

fn style(language: Language) -> Style<'static> {
    Style {
        colour: false,
        width: None,
        language,
        root: None,
    }
}

fn page(verdict: &Value, language: Language) -> String {
    let verdict: Verdict = serde_json::from_value(verdict.clone()).expect("a verdict");
    let mut out = Vec::new();
    html::write(&verdict, style(language), None, &mut out).expect("a page");
    String::from_utf8(out).expect("UTF-8")
}

struct Pages(TempDir);

impl Pages {
    fn new() -> Self {
        Self(TempDir::new().expect("temporary directory"))
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        std::fs::write(&path, text).expect("write a page");
        path
    }
}

#[test]
fn one_run_writes_a_page() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let config =
        format!("[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    for (language, says) in [("en", ">Gate <"), ("zh", ">关卡 <")] {
        let output = Run::with_config(&config)
            .args(["--once", "--format", "html", "--lang", language])
            .output();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.starts_with("<!doctype html>"), "{text:.100}");
        assert!(text.contains(says), "{says}");
        assert!(text.contains("default-src 'none'"));
    }
}

#[test]
fn a_thousand_items_are_less_than_a_megabyte() {
    for text in [
        "",
        &"x".repeat(50),
        &"long and <escaped> ".repeat(200),
        &"证据不足 ".repeat(300),
    ] {
        let verdict = large(1_000, text);
        for language in [Language::En, Language::Zh] {
            let page = page(&verdict, language);
            assert!(
                page.len() < 1_000_000,
                "{} bytes with {:.20}",
                page.len(),
                text
            );
            for item in 0..1_000 {
                assert!(page.contains(&format!("<li id=\"i-I{item}\"")), "{item}");
            }
        }
    }
}

/// Every text of a verdict, replaced by something hostile.
fn poison(value: &mut Value, key: &str) {
    const KEPT: [&str; 21] = [
        "schema",
        "mode",
        "result",
        "status",
        "outcome",
        "basis",
        "freshness",
        "level",
        "severity",
        "started_at",
        "finished_at",
        "observed_at",
        "last_known",
        "at",
        "begun_at",
        "evidence_hash",
        "expires",
        "kind",
        "phase",
        "run_id",
        "weight",
    ];
    match value {
        Value::String(text) if !KEPT.contains(&key) => *text = format!("{text}{HOSTILE}"),
        Value::Array(list) => list.iter_mut().for_each(|value| poison(value, key)),
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| poison(value, key)),
        _ => {}
    }
}

#[test]
fn hostile_text_stays_text() {
    let mut verdict = sample();
    poison(&mut verdict, "");
    for language in [Language::En, Language::Zh] {
        let page = page(&verdict, language);
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("</script").count(), 1);
        assert!(!page.contains("<img"));
        assert!(!page.contains(['\u{1b}', '\u{0}', '\u{202e}']));
        assert!(page.matches("&lt;script&gt;alert(1)").count() > 20);
    }
}

#[test]
fn it_works_in_a_browser() {
    let pages = Pages::new();
    let (sample, mut hostile) = (sample(), sample());
    poison(&mut hostile, "");
    pages.write("en.html", &page(&sample, Language::En));
    pages.write("zh.html", &page(&sample, Language::Zh));
    pages.write("hostile.html", &page(&hostile, Language::En));
    pages.write("large.html", &page(&large(1_000, "because"), Language::En));
    let said = run_python("page/browser.py", &["."], pages.dir());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/page.png");
        std::fs::copy(pages.dir().join("page.png"), docs).expect("keep the picture");
    }
    assert!(said.contains("all as it should be"), "{said}");
}

#[test]
fn it_follows_a_daemon() {
    let pages = Pages::new();
    let first = sample();
    let mut second = first.clone();
    second["gate"]["result"] = "pass".into();
    second["gate"]["blocking"] = json!([]);
    second["items"][2]["result"] = "pass".into();
    let first: Verdict = serde_json::from_value(first).expect("a verdict");
    let second: Verdict = serde_json::from_value(second).expect("a verdict");
    let history = HashMap::from([(
        "D1.1".to_owned(),
        vec![Status::Pass, Status::Unknown, Status::Fail],
    )]);
    let live = |verdict: &Verdict, late: i64| Live {
        events: "/api/v1/events",
        fragment: "/?fragment",
        now: verdict.finished_at + jiff::SignedDuration::from_secs(late),
        stale_after: Duration::from_secs(3600),
        history: &history,
    };
    let mut out = Vec::new();
    html::write(
        &first,
        style(Language::En),
        Some(&live(&first, 1)),
        &mut out,
    )
    .expect("a page");
    pages.write("live.html", &String::from_utf8(out).expect("UTF-8"));
    for (name, late) in [("fresh.part", 1), ("stale.part", 7200)] {
        let mut out = Vec::new();
        html::write_fragment(&second, style(Language::En), &live(&second, late), &mut out)
            .expect("a fragment");
        pages.write(name, &String::from_utf8(out).expect("UTF-8"));
    }
    let said = run_python("page/live.py", &["."], pages.dir());
    assert!(said.contains("all as it should be"), "{said}");
}
