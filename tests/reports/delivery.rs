//! Reports of real runs on their way: files, stdout, what cannot be written, exit codes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use probe::report::Format;
use serde_json::Value;

use super::read_back::{parse, read};
use crate::lab::{Run, free_port};

const NAMES: [(&str, Format); 12] = [
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("table", Format::Table),
    ("junit", Format::Junit),
    ("sarif", Format::Sarif),
    ("tap", Format::Tap),
    ("nagios", Format::Nagios),
    ("prometheus", Format::Prometheus),
    ("summary", Format::Summary),
    ("github", Format::Github),
    ("cdevents", Format::Cdevents),
    ("ohdf", Format::Ohdf),
];

/// A probe that passes and one that fails; items of every result but `na`.
fn config(listener: &TcpListener) -> String {
    let port = listener.local_addr().expect("an address").port();
    format!(
        r#"
[[probe]]
id = "up"
kind = "tcp"
host = "127.0.0.1"
port = {port}
rules.slow = {{ expr = "state == 'refused'", severity = "should" }}

[[probe]]
id = "down"
kind = "tcp"
host = "127.0.0.1"
port = {closed}

[[item]]
id = "A1"
needs = ["up/state"]
[[item]]
id = "A2"
needs = ["up/*"]
[[item]]
id = "A3"
needs = ["down/*"]
[[item]]
id = "A4"
needs = ["down/*"]
[[item]]
id = "A5"
title = "not wired"
[[waiver]]
item = "A4"
result = "fail"
owner = "ops@example.org"
reason = "it is being moved"
expires = {expires}
"#,
        closed = free_port(),
        expires = soon(),
    )
}

/// A day on which a waiver of today still holds.
fn soon() -> String {
    let day = Command::new("date")
        .args(["-u", "-d", "+30 days", "+%F"])
        .output()
        .expect("date");
    String::from_utf8(day.stdout)
        .expect("a date")
        .trim()
        .to_owned()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("bind")
}

fn probe(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("run probe")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_run_writes_every_format_live_and_replayed() {
    let open = listener();
    let run = Run::with_config(&config(&open));
    let outputs: Vec<String> = NAMES
        .iter()
        .map(|(name, _)| format!("--output={name}=out.{name}"))
        .collect();
    let mut args = vec!["--once"];
    args.extend(outputs.iter().map(String::as_str));
    let live = probe(run.dir(), &args);
    assert_eq!(live.status.code(), Some(1), "{}", stderr(&live));
    let check = |wanted: &BTreeMap<String, (String, bool)>| {
        for (name, format) in NAMES {
            let text = std::fs::read_to_string(run.dir().join(format!("out.{name}"))).expect(name);
            if let Some(items) = read(format, &text) {
                assert_eq!(&items, wanted, "{name}");
            }
        }
    };
    let stdout = String::from_utf8_lossy(&live.stdout).into_owned();
    let wanted = read(Format::Json, &stdout).expect("items");
    let words: Vec<(&str, bool)> = wanted
        .values()
        .map(|(word, waived)| (word.as_str(), *waived))
        .collect();
    assert_eq!(
        words,
        [
            ("pass", false),
            ("warn", false),
            ("fail", false),
            ("fail", true),
            ("unknown", false)
        ]
    );
    check(&wanted);
    std::fs::write(run.dir().join("evidence.json"), &stdout).expect("keep it");
    args.splice(0..1, ["replay", "evidence.json"]);
    let replay = probe(run.dir(), &args);
    assert_eq!(replay.status.code(), Some(1), "{}", stderr(&replay));
    check(&wanted);
}

#[test]
fn a_dash_makes_stdout_that_report_alone() {
    let open = listener();
    let run = Run::with_config(&config(&open));
    for (name, format) in NAMES {
        let whole = probe(
            run.dir(),
            &[
                "--once",
                "--output",
                &format!("{name}=-"),
                "--output",
                "json=v.json",
            ],
        );
        let text = String::from_utf8(whole.stdout).expect("UTF-8");
        assert!(whole.stderr.is_empty());
        let stored = std::fs::read_to_string(run.dir().join("v.json")).expect("the file beside it");
        match read(format, &text) {
            Some(items) => assert_eq!(Some(items), read(Format::Json, &stored), "{name}"),
            None => assert!(!text.contains("\"schema\""), "{name} alone: {text}"),
        }
    }
    assert!(!run.dir().join("-").exists());
    let instead = probe(
        run.dir(),
        &["--once", "--format", "json", "--output", "tap=-"],
    );
    assert!(instead.stdout.starts_with(b"TAP version 14\n"));
    let twice = probe(
        run.dir(),
        &["--once", "--output", "tap=-", "--output", "json=-"],
    );
    assert_eq!(twice.status.code(), Some(2));
    assert!(twice.stdout.is_empty());
}

/// What would be asked of a target, had anything been probed.
fn asked(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).expect("a listener");
    listener.accept().is_ok()
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_probed() {
    let open = listener();
    let run = Run::with_config(&config(&open));
    let dir = run.dir();
    std::fs::create_dir(dir.join("folder")).expect("a folder");
    std::fs::write(dir.join("file"), "old").expect("a file");
    std::os::unix::fs::symlink("file", dir.join("link")).expect("a link");
    let long = format!("json={}", "x".repeat(300));
    for outputs in [
        &["json=none/v.json"][..],
        &["json=folder"],
        &["json=folder/"],
        &["json=new/"],
        &["json=."],
        &["json=.."],
        &["json=file/v.json"],
        &[&long],
        &["tap=ok.tap", "junit=none/at/all.xml"],
        &["json=file", "tap=./file"],
        &["json=file", "tap=link"],
        &["json=new", "tap=folder/../new"],
        &["json=same", "json=same"],
        &["json=./probes.toml"],
    ] {
        let mut args = vec!["--once"];
        args.extend(outputs.iter().flat_map(|output| ["--output", output]));
        let refused = probe(dir, &args);
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{outputs:?}: {}",
            stderr(&refused)
        );
        assert!(refused.stdout.is_empty(), "{outputs:?}");
        let (_, path) = outputs
            .last()
            .and_then(|output| output.split_once('='))
            .expect("a path");
        assert!(stderr(&refused).contains(path), "{}", stderr(&refused));
        assert!(!asked(&open), "{outputs:?}: nothing is probed");
    }
    assert_eq!(std::fs::read(dir.join("file")).expect("the file"), b"old");
    assert!(!dir.join("ok.tap").exists() && !dir.join("same").exists());
    let through = probe(
        dir,
        &[
            "--once",
            "--output",
            "json=link",
            "--output",
            "tap=/dev/null",
            "--output",
            "json=/dev/null",
        ],
    );
    assert_eq!(through.status.code(), Some(1), "{}", stderr(&through));
    assert!(dir.join("link").is_symlink());
    let written = std::fs::read_to_string(dir.join("file")).expect("the file");
    assert_eq!(parse(&written)["schema"], "probe.verdict/v1");
}

/// In a user namespace of its own the process is nobody who may write everywhere.
#[test]
fn what_may_not_be_written_is_told_before_anything_is_probed() {
    let open = listener();
    let run = Run::with_config(&config(&open));
    let dir = run.dir();
    std::fs::create_dir(dir.join("kept")).expect("a folder");
    std::fs::write(dir.join("kept/v.json"), "old").expect("a file");
    let read_only = "mount --bind kept kept && mount -o remount,bind,ro kept && exec \"$0\" \"$@\"";
    for path in ["kept/v.json", "kept/new.json"] {
        let refused = Command::new(crate::lab::require("unshare"))
            .args(["--map-root-user", "--mount", "sh", "-c", read_only])
            .arg(env!("CARGO_BIN_EXE_probe"))
            .args(["--once", "--output", &format!("json={path}")])
            .current_dir(dir)
            .output()
            .expect("run");
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{path}: {}",
            stderr(&refused)
        );
        assert!(stderr(&refused).contains(path), "{}", stderr(&refused));
    }
    assert!(!asked(&open));
    assert_eq!(
        std::fs::read(dir.join("kept/v.json")).expect("the file"),
        b"old"
    );
}

#[test]
fn a_write_that_fails_names_the_file_and_keeps_the_old_report() {
    let open = listener();
    let config = config(&open);
    for (name, format) in NAMES {
        let run = Run::with_config(&config);
        let dir = run.dir();
        std::fs::write(dir.join("report"), "old").expect("an old report");
        // No file may grow past 0 bytes: what a full disk does to one of them.
        let full = Command::new("sh")
            .args(["-c", "ulimit -f 0; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_probe"))
            .args(["--once", "--output", &format!("{name}=report")])
            .current_dir(dir)
            .output()
            .expect("run");
        let code = full.status.code().expect("an exit code, not a signal");
        assert_ne!(code, 0, "{name}");
        assert!(
            stderr(&full).contains("cannot write report"),
            "{name}: {}",
            stderr(&full)
        );
        assert_eq!(
            std::fs::read(dir.join("report")).expect("the report"),
            b"old",
            "{name}"
        );
        let left: Vec<_> = std::fs::read_dir(dir).expect("list").collect();
        assert_eq!(left.len(), 2, "{name}: no half a file is left: {left:?}");
        let device = probe(dir, &["--once", "--output", &format!("{name}=/dev/full")]);
        assert_ne!(device.status.code(), Some(0), "{format:?}");
        assert!(
            stderr(&device).contains("cannot write /dev/full"),
            "{format:?}"
        );
    }
}

#[test]
fn an_unknown_format_names_the_known_ones() {
    let run = Run::with_config(&config(&listener()));
    for args in [
        &["--once", "--output", "yaml=x"][..],
        &["--once", "--format", "yaml"],
    ] {
        let output = probe(run.dir(), args);
        assert_eq!(output.status.code(), Some(2));
        for (name, _) in NAMES {
            assert!(
                stderr(&output).contains(name),
                "{name}: {}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn the_line_of_a_plugin_comes_with_its_exit_code() {
    let open = listener();
    let passing = format!(
        "[[probe]]\nid = \"up\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        open.local_addr().expect("an address").port()
    );
    let warning = format!(
        "{passing}rules.slow = {{ expr = \"state == 'refused'\", severity = \"should\" }}\n"
    );
    let failing = format!("{passing}rules.never = \"state == 'refused'\"\n");
    let unknown = format!("{passing}[[item]]\nid = \"I\"\n");
    for (config, code, state) in [
        (passing, 0, "OK"),
        (warning, 1, "WARNING"),
        (failing, 2, "CRITICAL"),
        (unknown, 3, "UNKNOWN"),
    ] {
        let run = Run::with_config(&config);
        for args in [
            &["--once", "--format", "nagios"][..],
            &["--once", "--output=nagios=-"],
        ] {
            let output = probe(run.dir(), args);
            assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
            let line = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(line.starts_with(&format!("READINESS {state} - ")), "{line}");
        }
        let own = probe(
            run.dir(),
            &[
                "--once",
                "--format",
                "nagios",
                "--exit-map",
                "probe",
                "--fail-on-warn",
            ],
        );
        let codes = BTreeMap::from([(0, 0), (1, 4), (2, 1), (3, 3)]);
        assert_eq!(own.status.code(), Some(codes[&code]));
        let file = probe(
            run.dir(),
            &["--once", "--output=nagios=line", "--fail-on-warn"],
        );
        assert_eq!(
            file.status.code(),
            Some(codes[&code]),
            "a file has no exit code"
        );
    }
    let usage = Run::with_config("")
        .args(["--once", "--format", "nagios", "--nope"])
        .output();
    assert_eq!(usage.status.code(), Some(3));
}

#[test]
fn a_report_holds_no_more_than_the_verdict() {
    let open = listener();
    let run = Run::with_config(&config(&open));
    let verdict = probe(run.dir(), &["--once", "--format", "json"]);
    let verdict: Value = parse(&String::from_utf8_lossy(&verdict.stdout));
    let lines = probe(run.dir(), &["--once", "--format", "jsonl"]);
    let lines = String::from_utf8(lines.stdout).expect("UTF-8");
    assert_eq!(
        lines.lines().count(),
        verdict["items"].as_array().expect("items").len()
    );
}
