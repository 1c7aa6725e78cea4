//! What is generated is checked in, and true: `UPDATE_DOCS=1 cargo test drift` writes it anew.

use std::path::Path;

use crate::lab::Run;

fn print(args: &[&str]) -> String {
    let output = Run::with_config("").args(args.iter().copied()).output();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn compare(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("create it");
        std::fs::write(&path, generated).expect("write the generated file");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "{} is out of date: UPDATE_DOCS=1 cargo test --test integration drift",
        path.display()
    );
}

#[test]
fn schemas() {
    compare("docs/schema/config.json", &print(&["schema", "config"]));
    compare("docs/schema/verdict.json", &print(&["schema", "verdict"]));
    compare("docs/schema/openapi.json", &print(&["schema", "openapi"]));
}

#[test]
fn references_of_kinds() {
    let kinds = print(&["kinds"]);
    for line in kinds.lines() {
        let kind = line.split_whitespace().next().expect("a name");
        compare(&format!("docs/kinds/{kind}.md"), &print(&["explain", kind]));
    }
    for entry in
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kinds")).expect("docs")
    {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            kinds.contains(&name),
            "docs/kinds/{name}.md describes no kind"
        );
    }
}

#[test]
fn help_manual_and_completions() {
    let mut help = String::from("# Command line\n");
    for command in [
        &["--help"][..],
        &["check", "--help"],
        &["explain", "--help"],
        &["kinds", "--help"],
        &["schema", "--help"],
        &["init", "--help"],
        &["replay", "--help"],
        &["diff", "--help"],
        &["verify", "--help"],
        &["checklist", "--help"],
        &["checklist", "read", "--help"],
        &["checklist", "lock", "--help"],
        &["wait", "--help"],
        &["health", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let words = command.join(" ");
        let text = print(command);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        help.push_str(&format!(
            "\n## `probe {words}`\n\n```text\n{}\n```\n",
            lines.join("\n")
        ));
    }
    compare("docs/cli.md", &help);
    compare("docs/probe.1", &print(&["man"]));
    for shell in ["bash", "zsh", "fish"] {
        compare(
            &format!("docs/completions/probe.{shell}"),
            &print(&["completions", shell]),
        );
    }
}
