//! Claims against results.

use super::{EN, ZH, codes, finding, judge, ports, probe, users_document};
use crate::lab::Run;

#[test]
fn claims_are_held_against_results() {
    let (_open, config) = ports();
    let verdict = judge(&config, ZH);
    let findings = &verdict.json["findings"];
    assert!(codes(findings, "A1.1").is_empty(), "{findings:#}");
    assert_eq!(codes(findings, "A1.2"), ["claimed-pass-failing"]);
    assert_eq!(
        codes(findings, "A1.3"),
        ["broken-row"],
        "not ticked, unknown"
    );
    assert_eq!(codes(findings, "A2.1"), ["claimed-warn-passing"]);
    assert!(codes(findings, "A2.3").contains(&"claimed-pass-unsupported"));
    let failing = finding(findings, "claimed-pass-failing");
    assert_eq!(
        (failing["file"].as_str(), failing["line"].as_u64()),
        (Some("list.md"), Some(19))
    );
    let claim = &verdict.item("A1.2")["claim"];
    assert_eq!(claim["status"], "pass");
    assert_eq!(
        (claim["file"].as_str(), claim["line"].as_u64()),
        (Some("list.md"), Some(19))
    );
    // What the document alone gives away.
    assert_eq!(finding(findings, "placeholder")["line"], 27);
    assert_eq!(finding(findings, "stated-score-differs")["line"], 3);
    // A bullet of a gate is ticked, and no item answers for it.
    assert_eq!(
        codes(findings, "pre-deploy.1"),
        ["claimed-pass-unsupported"]
    );
}

#[test]
fn a_row_that_no_item_answers_for_is_unknown_and_blocks() {
    let (_open, config) = ports();
    let verdict = judge(
        &format!("{config}[[gate]]\nid = \"two\"\nitems = [\"A2.*\"]\n"),
        ZH,
    );
    let row = verdict.item("A2.3");
    assert_eq!(
        (row["result"].as_str(), row["unmapped"].as_bool()),
        (Some("unknown"), Some(true))
    );
    assert_eq!(row["title"], "备份");
    assert_eq!(
        (
            row["source"]["file"].as_str(),
            row["source"]["line"].as_u64()
        ),
        (Some("list.md"), Some(28))
    );
    let blocking = verdict.json["gate"]["blocking"].as_array().expect("a list");
    assert_eq!(blocking, &["A2.2", "A2.3"]);
    assert_eq!(verdict.code, 3);
    let of_all = judge(&config, ZH);
    let items = of_all.json["items"].as_array().expect("items").len();
    assert_eq!(items, 6, "four configured, two unmapped");
    assert_eq!(of_all.code, 1);
}

#[test]
fn aliases_and_prerequisites() {
    let (_open, config) = ports();
    let config = config
        .replace("id = \"A2.1\"", "id = \"A2.1\"\nalias_of = \"A1.1\"")
        .replace(
            "id = \"A1.1\"\n",
            "id = \"A1.1\"\nprerequisites = [\"A1.3\", \"A1.2\"]\n",
        );
    let verdict = judge(&config, ZH);
    let findings = &verdict.json["findings"];
    assert!(codes(findings, "A2.1").contains(&"aliases-disagree"));
    let alias = finding(findings, "aliases-disagree");
    assert_eq!(alias["line"], 26);
    // A1.3 is not ticked; A1.2 is, and fails.
    assert_eq!(codes(findings, "A1.1"), ["prerequisite-unmet"; 2]);
    assert_eq!(finding(findings, "prerequisite-unmet")["line"], 18);
    let agreed = judge(&config, &ZH.replace("⚠ 待配置", "✅ 已验证"));
    assert!(!codes(&agreed.json["findings"], "A2.1").contains(&"aliases-disagree"));
}

#[test]
fn an_alias_without_rules_is_decided_by_those_of_the_other() {
    let (_open, config) = ports();
    let config = config.replace(
        "id = \"A1.3\"\ntitle = \"Domain\"",
        "id = \"A1.3\"\ntitle = \"Domain\"\nalias_of = \"A1.2\"",
    );
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.item("A1.3")["result"], "fail");
}

#[test]
fn relations_and_categories_that_do_not_exist_are_errors() {
    for (config, text) in [
        (
            "[[item]]\nid = \"one\"\nalias_of = \"ono\"\n",
            "did you mean `one`?",
        ),
        (
            "[[item]]\nid = \"one\"\nalias_of = \"one\"\n",
            "`one` is an alias of itself",
        ),
        (
            "[[item]]\nid = \"one\"\nprerequisites = [\"onee\"]\n",
            "did you mean `one`?",
        ),
        (
            "[[item]]\nid = \"a\"\nalias_of = \"b\"\n[[item]]\nid = \"b\"\nalias_of = \"c\"\n[[item]]\nid = \"c\"\n",
            "`b` is an alias itself",
        ),
        (
            "[[item]]\nid = \"a\"\ncategory = \"securty\"\n[[category]]\nid = \"security\"\n",
            "did you mean `security`?",
        ),
        (
            "[[category]]\nid = \"a\"\n[[category]]\nid = \"a\"\n",
            "a second category",
        ),
        (
            "[[category]]\nid = \"a\"\ntarget = 90\n",
            "`target` is from 0 to 1",
        ),
        ("[score]\ntarget = 90\n", "`target` is from 0 to 1"),
    ] {
        let config = format!(
            "[[probe]]\nid = \"p\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\n{config}"
        );
        let output = Run::with_config(&config).args(["check"]).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}\n{stderr}");
        assert!(stderr.contains(text), "{text}\n{stderr}");
    }
}

#[test]
fn people_see_findings_in_their_language() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("list.md", ZH);
    let table = |more: &[&str]| {
        let args = [
            &["--once", "--checklist", "list.md", "--format", "table"],
            more,
        ]
        .concat();
        probe(run.dir(), &args).1
    };
    let english = table(&[]);
    assert!(
        english.contains("finding claimed-pass-failing list.md:19: "),
        "{english}"
    );
    assert!(english.contains("FAIL") && english.contains("Open") && !english.contains("失败"));
    let chinese = table(&["--lang", "zh"]);
    assert!(
        chinese.contains("失败") && chinese.contains("端口开放"),
        "{chinese}"
    );
    assert!(
        chinese.contains("finding claimed-pass-failing list.md:19: "),
        "{chinese}"
    );
    assert!(chinese.contains("关卡    default 失败"), "{chinese}");
}

#[test]
fn a_checklist_that_cannot_be_read_stops_the_run_before_it_looks() {
    let (_open, config) = ports();
    let run = Run::with_config(&config).file("text.md", "# nothing\n");
    for (file, text) in [
        ("none.md", "cannot read none.md"),
        ("text.md", "this is no checklist"),
    ] {
        let (code, stdout, stderr) = probe(run.dir(), &["--once", "--checklist", file]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    for args in [
        &["--once", "--output", "markdown=x.md"][..],
        &["--once", "--format", "markdown"],
        &["--once", "--check"],
        &["replay", "v.json", "--check"],
        &["check", "--checklist", "text.md"],
    ] {
        let (code, _, stderr) = probe(run.dir(), args);
        assert_eq!(code, 2, "{args:?} {stderr}");
    }
}

#[test]
fn derived_from_nothing_the_users_document_scores_nothing() {
    let Some(text) = users_document("derived_from_nothing_the_users_document_scores_nothing")
    else {
        return;
    };
    let (_open, config) = ports();
    let config = config
        .split("[[item]]")
        .next()
        .expect("the probes")
        .to_owned();
    let config = format!("{config}[[item]]\nid = \"A1.1\"\n");
    let verdict = judge(&config, &text);
    assert_eq!(verdict.json["items"].as_array().map(Vec::len), Some(134));
    let score = &verdict.json["score"];
    for (share, wanted) in [("low", 0.0), ("coverage", 0.0), ("high", 1.0)] {
        assert_eq!(score[share].as_f64(), Some(wanted), "{share}");
    }
    let findings = verdict.json["findings"].as_array().expect("findings");
    let unsupported = findings
        .iter()
        .filter(|f| f["code"] == "claimed-pass-unsupported");
    assert_eq!(unsupported.count(), 69);
    assert_eq!(verdict.code, 3);
}

#[test]
fn rows_with_ids_of_their_own_are_matched_by_them() {
    let (_open, config) = ports();
    let config = config
        .replace("A1.1", "net-open")
        .replace("A1.2", "net-closed");
    let verdict = judge(&config, EN);
    let findings = &verdict.json["findings"];
    assert!(codes(findings, "net-open").is_empty());
    assert!(codes(findings, "net-closed").contains(&"claimed-pass-failing"));
}
