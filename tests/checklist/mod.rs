//! The checklist: read, matched, contradicted, written anew.

mod attest;
mod contradict;
mod read;
mod regenerate;
mod score;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lab::{Run, Verdict, free_port};

const ZH: &str = include_str!("fixture.zh.md");
const EN: &str = include_str!("fixture.en.md");

/// The project's own checklist, where this copy of the project stands beside it.
fn users_document(test: &str) -> Option<String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/checklist.zh.md");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        // Written past the harness, which shows nothing of a test that succeeds.
        writeln!(
            std::io::stderr(),
            "NOT RUN: {test} needs {}",
            path.display()
        )
        .expect("stderr");
    }
    text
}

/// A port that is open for as long as the listener lives, and a configuration of rows for the
/// fixture in Chinese: A1.1 passes, A1.2 fails, A1.3 has no probe, A2.1 passes.
fn ports() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let open = listener.local_addr().expect("an address").port();
    let closed = free_port();
    let config = format!(
        r#"
[[probe]]
id = "open"
kind = "tcp"
host = "127.0.0.1"
port = {open}
[[probe]]
id = "closed"
kind = "tcp"
host = "127.0.0.1"
port = {closed}
[[item]]
id = "A1.1"
title = "Open"
titles.zh = "端口开放"
section = "A1"
needs = ["open/*"]
[[item]]
id = "A1.2"
title = "Closed"
section = "A1"
needs = ["closed/*"]
[[item]]
id = "A1.3"
title = "Domain"
section = "A1"
[[item]]
id = "A2.1"
title = "Monitoring"
section = "A2"
needs = ["open/*"]
"#
    );
    (listener, config)
}

/// Runs the binary in a directory and returns code, stdout, stderr.
fn probe(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("run probe");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).expect("UTF-8"),
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

fn list(text: &str) -> Value {
    let run = Run::with_config("").file("list.md", text);
    let (code, stdout, stderr) = probe(
        run.dir(),
        &["checklist", "read", "list.md", "--format", "json"],
    );
    assert_eq!(code, 0, "{stderr}");
    assert!(
        !run.dir().join("list.md.lock").exists(),
        "reading writes nothing"
    );
    serde_json::from_str(&stdout).expect("JSON")
}

/// One run with the checklist; the verdict is checked against its schema.
fn judge(config: &str, text: &str) -> Verdict {
    Run::with_config(config)
        .file("list.md", text)
        .args(["--checklist", "list.md"])
        .once()
}

fn codes<'v>(findings: &'v Value, item: &str) -> Vec<&'v str> {
    let findings = findings.as_array().expect("findings").iter();
    findings
        .filter(|finding| finding["item"] == item)
        .map(|finding| finding["code"].as_str().expect("a code"))
        .collect()
}

fn finding<'v>(findings: &'v Value, code: &str) -> &'v Value {
    let mut found = findings.as_array().expect("findings").iter();
    found
        .find(|finding| finding["code"] == code)
        .unwrap_or_else(|| panic!("no {code} in {findings:#}"))
}
