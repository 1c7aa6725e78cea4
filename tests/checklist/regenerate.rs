//! `--output markdown=FILE` and `--check`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::{EN, ZH, codes, ports, probe, users_document};
use crate::lab::Run;

const WRITE: [&str; 5] = [
    "--once",
    "--checklist",
    "list.md",
    "--output",
    "markdown=list.md",
];

fn text(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("list.md")).expect("the document")
}

/// Keeps the evidence of one run, so that it can be judged again.
fn keep_evidence(dir: &Path) {
    let (_, _, stderr) = probe(dir, &["--once", "--output", "json=v.json"]);
    assert!(dir.join("v.json").exists(), "{stderr}");
}

fn replay(dir: &Path, more: &[&str]) -> (i32, String, String) {
    let args = [
        "replay",
        "v.json",
        "--checklist",
        "list.md",
        "--output",
        "markdown=list.md",
    ];
    probe(dir, &[&args, more].concat())
}

/// A document as it was: derived columns cut off, statuses put back.
fn undone(new: &str, old: &str) -> String {
    let lines = new.split('\n').zip(old.split('\n'));
    let lines: Vec<String> = lines
        .map(|(new, old)| {
            if new == old || !old.contains('|') {
                return new.to_owned();
            }
            let cells = |line: &str| -> Vec<String> {
                line.replace("\\|", "\u{1}")
                    .split('|')
                    .map(str::to_owned)
                    .collect()
            };
            let (mut new, old) = (cells(new), cells(old));
            let end = new.pop();
            new.truncate(old.len() - 1);
            new.extend(end);
            new[2].clone_from(&old[2]);
            new.join("|").replace('\u{1}', "\\|")
        })
        .collect();
    lines.join("\n")
}

#[test]
fn statuses_are_rewritten_columns_appended_and_every_other_byte_is_kept() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", ZH);
    let (code, _, stderr) = probe(run.dir(), &WRITE);
    assert_eq!(code, 1, "{stderr}");
    let new = text(run.dir());
    assert_eq!(undone(&new, ZH), ZH);
    let line = |at: usize| new.split('\n').nth(at - 1).expect("a line");
    assert!(
        line(16).ends_with("| 推导状态 | 证据 | 观测时间 | 差异 |"),
        "{}",
        line(16)
    );
    assert!(line(18).starts_with("| **端口开放** | ✅ 通过 | 开放80/443端口 | 运维团队 | 已完成 | 通过 · 推导 · 新鲜 | open@"), "{}", line(18));
    assert!(line(18).ends_with("Z | — |"), "{}", line(18));
    assert!(
        line(19).contains("| ❌ 失败 |")
            && line(19).ends_with("| 声称通过，推导失败; claimed-pass-failing |"),
        "{}",
        line(19)
    );
    assert!(
        line(20).starts_with("| **域名\\|别名** | ❓ 未知 | `a|b` 以内 |"),
        "{}",
        line(20)
    );
    assert!(
        line(26).contains("| ✅ 通过 |") && line(26).ends_with("claimed-warn-passing |\r"),
        "{:?}",
        line(26)
    );
    assert!(
        line(28).contains("| ❓ 未知 | 7天") && line(28).contains("| 未知 · 未映射 |"),
        "{}",
        line(28)
    );
    let lock = std::fs::read_to_string(run.dir().join("list.md.lock")).expect("the lock");
    let lock: Value = serde_json::from_str(&lock).expect("JSON");
    assert_eq!(lock["rows"][1]["claim"]["text"], "✅ 已验证");
    assert_eq!(lock["rows"][1]["generated"], "❌ 失败");
}

#[test]
fn the_same_evidence_twice_changes_nothing() {
    let (_open, config) = ports();
    for document in [ZH, EN] {
        let run = Run::with_config(&config).file("list.md", document);
        keep_evidence(run.dir());
        replay(run.dir(), &[]);
        let (once, lock) = (
            text(run.dir()),
            std::fs::read(run.dir().join("list.md.lock")).expect("a lock"),
        );
        let written = |name: &str| {
            let meta = std::fs::metadata(run.dir().join(name)).expect("it is there");
            meta.modified().expect("a time")
        };
        let times = (written("list.md"), written("list.md.lock"));
        assert_ne!(once, document);
        replay(run.dir(), &[]);
        assert_eq!(text(run.dir()), once);
        assert_eq!(
            std::fs::read(run.dir().join("list.md.lock")).expect("a lock"),
            lock
        );
        assert_eq!(
            (written("list.md"), written("list.md.lock")),
            times,
            "not even written"
        );
        assert_eq!(
            replay(run.dir(), &["--check"]).0,
            1,
            "the gate fails, whatever the document says"
        );
        assert!(replay(run.dir(), &["--check"]).2.contains("is up to date"));
    }
}

#[test]
fn contradictions_outlive_regeneration_until_a_person_claims_anew() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", ZH);
    let findings = || -> Value {
        let (_, stdout, _) = probe(run.dir(), &[&WRITE[..], &["--format", "json"]].concat());
        serde_json::from_str::<Value>(&stdout).expect("JSON")["findings"].take()
    };
    let first = findings();
    assert_eq!(codes(&first, "A1.2"), ["claimed-pass-failing"]);
    assert!(text(run.dir()).contains("❌ 失败"));
    let second = findings();
    assert_eq!(first, second);
    let conceded = text(run.dir()).replace("❌ 失败", "⚠️ 修复中");
    std::fs::write(run.dir().join("list.md"), conceded).expect("write");
    assert!(codes(&findings(), "A1.2").is_empty());
    assert!(text(run.dir()).contains("❌ 失败"));
    assert!(
        codes(&findings(), "A1.2").is_empty(),
        "the new claim is kept as well"
    );
}

#[test]
fn check_writes_nothing_and_tells_an_outdated_document() {
    let (_open, config) = ports();
    let config = config.replace("needs = [\"closed/*\"]", "needs = [\"open/*\"]");
    // Everything passes; the rest is not part of the gate.
    let config = format!("{config}[[gate]]\nid = \"g\"\nitems = [\"A1.1\", \"A1.2\"]\n");
    let run = Run::with_config(&config).file("list.md", ZH);
    let check = ["--once", "--checklist", "list.md", "--check"];
    let (code, _, stderr) = probe(run.dir(), &check);
    assert_eq!(code, 1);
    assert!(stderr.contains("list.md:16 is out of date"), "{stderr}");
    let with_output = [&WRITE[..], &["--check"]].concat();
    assert_eq!(probe(run.dir(), &with_output).0, 1);
    assert_eq!(text(run.dir()), ZH);
    assert!(!run.dir().join("list.md.lock").exists());
    assert_eq!(probe(run.dir(), &WRITE).0, 0);
    // Another run has other times and hashes; the statuses are the same.
    let (code, _, stderr) = probe(run.dir(), &check);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("up to date"), "{stderr}");
    let typed = text(run.dir()).replacen("✅ 通过", "✅ 已验证", 1);
    std::fs::write(run.dir().join("list.md"), typed).expect("write");
    assert_eq!(probe(run.dir(), &with_output).0, 1);
}

#[test]
fn boxes_are_ticked_by_results() {
    let (_open, config) = ports();
    let config = config
        .replace("A1.1", "people.rehearsed")
        .replace("A1.2", "people.trained")
        .replace("A2.1", "post-deploy.1");
    let run = Run::with_config(&config).file("list.md", EN);
    probe(run.dir(), &WRITE);
    let new = text(run.dir());
    assert!(new.contains("- [ ] Trained\n- [x] Rehearsed\n"), "{new}");
    assert!(new.contains("- [x] Error rate is normal"), "{new}");
    assert!(
        new.contains("Backups tested | ❓ unknown | unknown · unmapped | "),
        "{new}"
    );
    assert!(
        new.contains("| net-open | The port is open | ❓ unknown | ops | see wiki | unknown"),
        "{new}"
    );
    let (_, stdout, _) = probe(run.dir(), &["checklist", "read", "list.md"]);
    let list: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        list["items"][4]["claim"]["status"], "pass",
        "what was ticked is still claimed"
    );
}

#[test]
fn the_document_may_be_written_elsewhere_or_to_stdout_and_in_another_language() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", ZH);
    let args = [
        "--once",
        "--checklist",
        "list.md",
        "--output",
        "markdown=out.md",
        "--lang",
        "en",
        "--format",
        "markdown",
    ];
    let (_, stdout, _) = probe(run.dir(), &args);
    assert_eq!(text(run.dir()), ZH);
    assert!(!run.dir().join("list.md.lock").exists());
    assert!(run.dir().join("out.md.lock").exists());
    let out = std::fs::read_to_string(run.dir().join("out.md")).expect("the report");
    assert_eq!(out, stdout);
    assert!(
        out.contains("| Derived status | Evidence | Observed at | Difference |"),
        "{out}"
    );
    assert!(
        out.contains("| ❌ fail |")
            && out.contains("claimed pass, derived fail; claimed-pass-failing"),
        "{out}"
    );
}

#[test]
fn who_may_read_the_document_stays_as_it_is() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", ZH);
    let path = run.dir().join("list.md");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    probe(run.dir(), &WRITE);
    let mode = std::fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    let mut names: Vec<String> = std::fs::read_dir(run.dir())
        .expect("list")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["list.md", "list.md.lock", "probes.toml"]);
}

#[test]
fn the_users_document_survives() {
    let Some(document) = users_document("the_users_document_survives") else {
        return;
    };
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", &document);
    keep_evidence(run.dir());
    replay(run.dir(), &[]);
    let once = text(run.dir());
    assert_eq!(undone(&once, &document), document);
    assert_eq!(once.matches("| ❓ 未知 |").count(), 131);
    assert_eq!(
        (
            once.matches("| ✅ 通过 |").count(),
            once.matches("| ❌ 失败 |").count()
        ),
        (2, 1)
    );
    replay(run.dir(), &[]);
    assert_eq!(text(run.dir()), once);
}

#[test]
fn a_column_behind_the_derived_ones_does_not_hide_them() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file(
        "list.md",
        "## A1. S\n\n| Item | Status |\n|---|---|\n| a | done |\n| b | todo |\n",
    );
    let arguments = [
        "--once",
        "--checklist",
        "list.md",
        "--format",
        "json",
        "--output",
        "markdown=list.md",
    ];
    probe(run.dir(), &arguments);
    let path = run.dir().join("list.md");
    let text = std::fs::read_to_string(&path).expect("the document");
    let noted: String = text
        .lines()
        .map(|line| match line {
            line if line.contains("Difference") => format!("{line} Notes |\n"),
            line if line.starts_with("|---") => format!("{line} --- |\n"),
            line if line.starts_with('|') => format!("{line} mine |\n"),
            line => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&path, &noted).expect("write");
    probe(run.dir(), &arguments);
    let again = std::fs::read_to_string(&path).expect("the document");
    assert_eq!(again.matches("Derived status").count(), 1, "{again}");
    assert_eq!(again.matches(" mine |").count(), 2, "{again}");
    assert!(again.contains("| a | ✅ pass |"), "{again}");
    assert!(again.contains("| b | ❌ fail |"), "{again}");
}
