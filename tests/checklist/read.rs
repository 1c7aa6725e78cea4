//! `probe checklist read` and `lock`.

use serde_json::Value;

use super::{EN, ZH, finding, list, probe, users_document};
use crate::lab::Run;

fn rows(list: &Value) -> Vec<(&str, &str, &str, u64)> {
    let items = list["items"].as_array().expect("items").iter();

    items
        .map(|item| {
            (
                item["id"].as_str().expect("an id"),
                item["title"].as_str().expect("a title"),
                item["claim"]["status"].as_str().expect("a status"),
                item["claim"]["line"].as_u64().expect("a line"),
            )
        })
        .collect()
}

#[test]
fn a_checklist_in_chinese() {
    let list = list(ZH);
    assert_eq!(
        rows(&list),
        [
            ("A1.1", "端口开放", "pass", 18),
            ("A1.2", "端口关闭", "pass", 19),
            ("A1.3", "域名|别名", "warn", 20),
            ("A2.1", "监控配置", "warn", 26),
            ("A2.2", "监控配置", "pending", 27),
            ("A2.3", "备份", "pass", 28),
        ]
    );
    let first = &list["items"][0];
    assert_eq!(first["section"], "A1");
    assert_eq!(first["owner"], "运维团队");
    assert_eq!(first["claim"]["text"], "✅ 已验证");
    assert_eq!(first["claim"]["file"], "list.md");
    let gate = &list["gates"][0];
    assert_eq!(
        (gate["id"].as_str(), gate["line"].as_u64()),
        (Some("pre-deploy"), Some(38))
    );
    assert_eq!(gate["items"][0]["claim"]["status"], "pass");
    assert_eq!(gate["items"][1]["id"], "pre-deploy.2");
    let texts = |at: usize| -> Vec<String> {
        let thresholds = list["items"][at]["thresholds"]
            .as_array()
            .expect("a list")
            .iter();
        thresholds
            .map(|one| one["text"].as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(texts(0), ["80", "443端口"]);
    assert_eq!(texts(3), ["25条"]);
    assert_eq!(texts(4), ["70%+"]);
    assert_eq!(texts(5), ["7天", "4周", "3个月"]);
    let lines = |code: &str| -> Vec<u64> {
        let findings = list["findings"].as_array().expect("findings").iter();
        let of_code = findings.filter(|finding| finding["code"] == code);
        of_code
            .map(|finding| finding["line"].as_u64().expect("a line"))
            .collect()
    };
    assert_eq!(lines("placeholder"), [27, 28]);
    // 90% stated twice of the whole, 75% of the network: half of the rows are ticked.
    assert_eq!(lines("stated-score-differs"), [3, 9, 10]);
    // A pipe within code is one too.
    assert_eq!(lines("broken-row"), [20]);
}

#[test]
fn a_checklist_in_english_with_ids_tables_without_outer_pipes_and_tasks() {
    let list = list(EN);
    assert_eq!(
        rows(&list),
        [
            ("net-open", "The port is open", "pass", 11),
            ("net-closed", "The port is closed", "pass", 12),
            ("operations.backups-tested", "Backups tested", "pending", 18),
            ("operations.runbook-written", "Runbook written", "pass", 19),
            ("people.trained", "Trained", "pass", 23),
            ("people.rehearsed", "Rehearsed", "pending", 24),
        ]
    );
    assert_eq!(list["items"][0]["section"], "Network");
    assert_eq!(list["gates"][0]["id"], "post-deploy");
    assert_eq!(finding(&list["findings"], "placeholder")["line"], 12);
    assert_eq!(
        finding(&list["findings"], "placeholder")["item"],
        "net-closed"
    );
    assert_eq!(
        finding(&list["findings"], "stated-score-differs")["line"],
        4
    );
}

#[test]
fn the_users_document_has_its_rows() {
    let Some(text) = users_document("the_users_document_has_its_rows") else {
        return;
    };
    let list = list(&text);
    let rows = rows(&list);
    assert_eq!(rows.len(), 134);
    let passed = rows.iter().filter(|(_, _, status, _)| *status == "pass");
    assert_eq!(passed.count(), 69);
    assert_eq!((rows[0].0, rows[133].0), ("A1.1", "I3.5"));
    let gates = list["gates"].as_array().expect("gates").iter();
    let gates: Vec<(&str, usize)> = gates
        .map(|gate| {
            (
                gate["id"].as_str().expect("an id"),
                gate["items"].as_array().map_or(0, Vec::len),
            )
        })
        .collect();
    assert_eq!(
        gates,
        [
            ("pre-deploy", 20),
            ("in-deploy", 10),
            ("post-deploy", 10),
            ("acceptance", 15)
        ]
    );
    let findings = list["findings"].as_array().expect("findings");
    let placeholders = findings
        .iter()
        .filter(|finding| finding["code"] == "placeholder");
    assert_eq!(placeholders.count(), 10);
    let stated: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["code"] == "stated-score-differs")
        .map(|finding| finding["text"].as_str().expect("text"))
        .collect();
    assert!(
        stated
            .iter()
            .any(|text| text.contains("91%") && text.contains("51.5%")),
        "{stated:?}"
    );
    assert!(
        stated
            .iter()
            .any(|text| text.contains("85%") && text.contains("26.7%")),
        "{stated:?}"
    );
}

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let run = Run::with_config("").file("bad.md", b"# a\n\n\xff\xfe");
    let (code, _, stderr) = probe(run.dir(), &["checklist", "read", "bad.md"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("bad.md:3: not UTF-8"), "{stderr}");
    let (code, _, stderr) = probe(run.dir(), &["checklist", "read", "none.md"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot read none.md"), "{stderr}");
    let (code, _, stderr) = probe(run.dir(), &["checklist", "read", "."]);
    assert_eq!(code, 2, "{stderr}");
    for lock in [
        "{\n",
        "{\"schema\": \"other/v1\", \"rows\": []}",
        "{\"schema\": \"probe.checklist-lock/v1\", \"rows\": [{\"id\": \"/\", \"section\": \"\", \"title\": \"\", \"claim\": {\"status\": \"pass\", \"text\": \"\"}}]}",
    ] {
        std::fs::write(run.dir().join("list.md"), ZH).expect("write");
        std::fs::write(run.dir().join("list.md.lock"), lock).expect("write");
        let (code, stdout, stderr) = probe(run.dir(), &["checklist", "read", "list.md"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{lock}");
        assert!(stderr.contains("list.md.lock:"), "{stderr}");
    }
    let run = Run::with_config("").file("text.md", "# nothing to tick\n");
    assert_eq!(probe(run.dir(), &["checklist", "read", "text.md"]).0, 0);
    let (code, _, stderr) = probe(run.dir(), &["checklist", "lock", "text.md"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("this is no checklist"), "{stderr}");
    assert!(!run.dir().join("text.md.lock").exists());
}

#[test]
fn a_locked_row_keeps_its_id_wherever_it_goes() {
    let run = Run::with_config("").file("list.md", ZH);
    let (code, stdout, _) = probe(run.dir(), &["checklist", "lock", "list.md"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("8 rows"), "{stdout}");
    let lock = std::fs::read(run.dir().join("list.md.lock")).expect("the lock");
    probe(run.dir(), &["checklist", "lock", "list.md"]);
    assert_eq!(
        std::fs::read(run.dir().join("list.md.lock")).expect("the lock"),
        lock
    );
    let lines: Vec<&str> = ZH.split('\n').collect();
    let swapped = ZH
        .replace(lines[17], "@")
        .replace(lines[18], lines[17])
        .replace('@', lines[18]);
    std::fs::write(run.dir().join("list.md"), swapped).expect("write");
    let (_, stdout, _) = probe(run.dir(), &["checklist", "read", "list.md"]);
    let list: Value = serde_json::from_str(&stdout).expect("JSON");
    let ids: Vec<&str> = rows(&list).into_iter().map(|row| row.0).collect();
    assert_eq!(ids, ["A1.2", "A1.1", "A1.3", "A2.1", "A2.2", "A2.3"]);
    assert_eq!(
        std::fs::read(run.dir().join("list.md.lock")).expect("the lock"),
        lock
    );
}

#[test]
fn people_get_a_table() {
    let run = Run::with_config("").file("list.md", ZH);
    let (code, stdout, _) = probe(
        run.dir(),
        &["checklist", "read", "list.md", "--format", "table"],
    );
    assert_eq!(code, 0);
    assert!(
        stdout.contains("claimed  3 pass, 2 warn, 1 pending of 6 items"),
        "{stdout}"
    );
    assert!(stdout.contains("finding  placeholder line 28"), "{stdout}");
    assert!(
        stdout.contains("gate     pre-deploy: 1 of 2 ticked"),
        "{stdout}"
    );
}

/// Code and line of every finding.
fn found(list: &Value) -> Vec<(&str, u64)> {
    let findings = list["findings"].as_array().expect("findings").iter();
    findings
        .map(|finding| {
            (
                finding["code"].as_str().expect("a code"),
                finding["line"].as_u64().expect("a line"),
            )
        })
        .collect()
}

fn titles(list: &Value) -> Vec<&str> {
    rows(list).iter().map(|row| row.1).collect()
}

#[test]
fn rows_that_people_see_are_read_or_said_not_to_be() {
    let table = "## A1. S\n\n| Item | Status |\n|---|---|\n";
    let interrupted = list(&format!(
        "{table}| a | done |\nsome text\n| b | done |\ntext\n\nmore"
    ));
    assert_eq!(titles(&interrupted), ["a", "b"]);
    assert_eq!(found(&interrupted), [("broken-row", 6)]);
    let alone = list(&format!("{table}| a | done |\n\n| b | done |\n"));
    assert_eq!(
        (titles(&alone), found(&alone)),
        (vec!["a"], vec![("broken-row", 7)])
    );
    let wide = list(&format!("{table}| a | done |\n｜ b ｜ done ｜\n"));
    assert_eq!(
        (titles(&wide), found(&wide)),
        (vec!["a"], vec![("broken-row", 6)])
    );
    let ended = list(&format!("{table}| a | done |\n---\n| b |\n"));
    assert_eq!(
        (titles(&ended), found(&ended)),
        (vec!["a"], Vec::new()),
        "a line ends the table"
    );
    let quoted = list(&format!(
        "> | Item | Status |\n> |---|---|\n> | q | done |\n\n{table}| a | done |\n"
    ));
    assert_eq!(
        (titles(&quoted), found(&quoted)),
        (vec!["a"], vec![("broken-table", 1)])
    );
    let dashes = list("| Item | Status |\n|---|-x-|\n|---|---|\n| a | done |\n");
    assert!(!titles(&dashes).contains(&"---"), "{dashes:#}");
}

#[test]
fn an_id_that_two_rows_give_themselves_is_that_of_the_first() {
    let list =
        list("| ID | Item | Status |\n|---|---|---|\n| X-1 | a | done |\n| X-1 | b | todo |\n");
    let ids: Vec<&str> = rows(&list).iter().map(|row| row.0).collect();
    assert_eq!(ids, ["X-1", "rows.b"]);
    assert_eq!(found(&list), [("duplicate-id", 4)]);
    assert_eq!(list["findings"][0]["item"], "rows.b");
}
