//! Where verdicts go: stdout, files, pipes that close, disks that are full; and what is never in them.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Run, Verdict, free_port};

fn good() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let config =
        format!("[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    (listener, config)
}

#[test]
fn stdout_is_json_when_nobody_looks() {
    let (_open, config) = good();
    let output = Run::with_config(&config).args(["--once"]).output();
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(verdict["schema"], "probe.verdict/v1");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn one_run_writes_many_reports() {
    let (_open, config) = good();
    let keep = Run::with_config(&config);
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args([
            "--once",
            "--format",
            "table",
            "--output",
            "json=v.json",
            "--output",
            "table=v.txt",
        ])
        .current_dir(keep.dir())
        .output()
        .expect("run");
    assert!(output.status.success());
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("gate    default PASS"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where nobody looks");
    let stored = std::fs::read(keep.dir().join("v.json")).expect("the JSON report");
    assert!(serde_json::from_slice::<Value>(&stored).is_ok());
    assert_eq!(
        std::fs::read_to_string(keep.dir().join("v.txt")).expect("the table"),
        table
    );
    assert_eq!(
        std::fs::read_dir(keep.dir()).expect("list").count(),
        3,
        "no temporary file is left"
    );
}

#[test]
fn a_report_that_is_not_delivered_is_never_a_pass() {
    let (_open, config) = good();
    for (output, code) in [
        ("json=/dev/full", 3),
        // Known before anything is probed.
        ("json=/none/at/all.json", 2),
        ("json=.", 2),
    ] {
        let result = Run::with_config(&config)
            .args(["--once", "--output", output])
            .output();
        assert_eq!(result.status.code(), Some(code), "{output}");
        assert!(
            String::from_utf8_lossy(&result.stderr).contains("cannot write"),
            "{output}"
        );
    }
    let run = Run::with_config(&config);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("open");
    let status = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--once")
        .current_dir(run.dir())
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .expect("run");
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_closed_pipe_is_not_a_panic() {
    let (_open, config) = good();
    let run = Run::with_config(&config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--once")
        .current_dir(run.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn unknown_formats_are_usage_errors() {
    let (_open, config) = good();
    for args in [
        &["--once", "--output", "yaml=x"][..],
        &["--once", "--output", "json"],
        &["--once", "--format", "x"],
        &["--nope"],
    ] {
        let output = Run::with_config(&config)
            .args(args.iter().copied())
            .output();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

/// A server that answers every request with that request.
fn echo() -> u16 {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).expect("read");
            let body = &request[..read];
            let head = format!(
                "HTTP/1.1 200 OK\r\nx-echo: {}\r\ncontent-length: {read}\r\n\r\n",
                String::from_utf8_lossy(body)
                    .lines()
                    .collect::<Vec<_>>()
                    .join(" ")
            );
            stream.write_all(head.as_bytes()).expect("write");
            stream.write_all(body).expect("write");
        }
    });
    port
}

#[test]
fn no_output_holds_a_secret_that_the_target_echoes() {
    let port = echo();
    let secrets = [
        "Sup3r/S3cret+p@ss",
        "tok-en~42 ü",
        "q&v=äö",
        "b0dy-\"quoted\"",
        "l1teral-pass",
    ];
    let config = format!(
        r#"
[[probe]]
id = "a"
kind = "http"
url = "http://user:${{env:PASSWORD}}@127.0.0.1:{port}/?q=${{env:QUERY}}"
method = "POST"
headers = {{ X-Api-Key = "${{file:token}}" }}
body = "${{env:BODY}}"
rules.leak = "body.contains('no such text') || body == '${{env:PASSWORD}}'"

[[probe]]
id = "b"
kind = "http"
url = "http://user:l1teral-pass@127.0.0.1:{port}/"
rules.leak = "body == ''"

[[probe]]
id = "c"
kind = "http"
url = "http://user:${{env:PASSWORD}}@127.0.0.1:{closed}/?q=${{env:QUERY}}"
"#,
        closed = free_port()
    );
    let run = |args: &[&str]| {
        Run::with_config(&config)
            .env("PASSWORD", secrets[0])
            .file("token", format!("{}\n", "tok-en~42"))
            .env("QUERY", secrets[2])
            .env("BODY", secrets[3])
            .args(args.iter().copied())
            .output()
    };
    for args in [
        &["--once", "--format", "json", "-vv"][..],
        &["--once", "--format", "table"],
        &["check"],
    ] {
        let output = run(args);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        for secret in [
            "Sup3r", "S3cret", "tok-en", "q&v", "q%26v", "b0dy", "l1teral", "dXNlcj", "U3VwM3I",
        ] {
            assert!(!text.contains(secret), "{args:?} shows `{secret}`:\n{text}");
        }
    }
    let verdict = Verdict::read(&run(&["--once", "--format", "json"]));
    assert_eq!(
        verdict.result("a/status"),
        "pass",
        "the target was asked with the secrets"
    );
    let body = verdict.facts("a")["body"].as_str().expect("a body");
    assert!(body.contains("[redacted]"), "{body}");
}

#[test]
fn replay_judges_stored_evidence_again() {
    let (open, config) = good();
    let run = Run::with_config(&config);
    let stored = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--once")
        .current_dir(run.dir())
        .output()
        .expect("run");
    // Nothing listens any more: a replay that passes made no connection.
    drop(open);
    let replay = |evidence: &[u8], config: &str| {
        Run::with_config(config)
            .file("e.json", evidence)
            .args(["replay", "e.json", "--format", "json"])
            .output()
    };
    let same = Verdict::read(&replay(&stored.stdout, &config));
    assert_eq!((same.code, &same.json["mode"]), (0, &"replay".into()));
    let stricter = format!("{config}rules.state = \"state == 'refused'\"\n");
    assert_eq!(Verdict::read(&replay(&stored.stdout, &stricter)).code, 1);
    let more = config.replace("id = \"a\"", "id = \"other\"");
    assert_eq!(Verdict::read(&replay(&stored.stdout, &more)).code, 3);

    let forged = String::from_utf8_lossy(&stored.stdout)
        .replace("\"state\":\"open\"", "\"state\":\"refused\"");
    let verdict = Verdict::read(&replay(forged.as_bytes(), &stricter));
    assert_eq!(verdict.code, 3, "evidence that was changed proves nothing");

    for garbage in [&b""[..], b"{}", b"[1]", &[0xff; 64], &b"[".repeat(100_000)] {
        let output = replay(garbage, &config);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn stale_evidence_is_unknown() {
    let (_open, config) = good();
    let config = format!("{config}[[item]]\nid = \"I\"\nneeds = [\"a/*\"]\nttl = \"1h\"\n");
    let output = Run::with_config(&config).args(["--once"]).output();
    let mut verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let fresh = Verdict::read(&output);
    assert_eq!(fresh.item("I")["freshness"], "fresh");
    verdict["finished_at"] = "2999-01-01T00:00:00Z".into();
    let replay = Run::with_config(&config)
        .file("e.json", verdict.to_string())
        .args(["replay", "e.json", "--format", "json"])
        .output();
    let replay = Verdict::read(&replay);
    assert_eq!(replay.item("I")["freshness"], "stale");
    assert_eq!(replay.item("I")["result"], "unknown");
    assert_eq!(replay.item("I")["last_known"], "pass");
    assert_eq!(replay.code, 3);
}

#[test]
fn a_rule_about_an_echoed_secret_sees_the_echo() {
    let port = echo();
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}/?q=${{env:WORD}}\"\n\
         bearer_token = \"${{env:API_TOKEN}}\"\n\
         rules.no-leak = \"!body.contains('${{env:API_TOKEN}}')\"\n\
         rules.no-part = \"!body.contains('SECRET2')\"\n\
         rules.word = \"body.contains('status')\"\n"
    );
    let run = Run::with_config(&config)
        .env("API_TOKEN", "tok-SECRET2xyz")
        .env("WORD", "status");
    let output = run.args(["--once", "--format", "json"]).output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("SECRET2xyz"), "{text}");
    let verdict = Verdict::read(&output);
    assert_eq!(verdict.result("a/no-leak"), "fail");
    assert_eq!(verdict.result("a/no-part"), "fail");
    assert_eq!(verdict.result("a/word"), "pass");
    // A secret that is also the name of a fact does not take the fact away.
    assert_eq!(verdict.result("a/status"), "pass");
    assert_eq!(verdict.facts("a")["status"], 200);
}

#[test]
fn an_error_about_a_secret_does_not_quote_it() {
    let probe = |more: &str| {
        format!("[[probe]]\nid = \"a\"\nkind = \"http\"\nurl = \"http://127.0.0.1/\"\n{more}\n")
    };
    for config in [
        probe("timeout = \"${env:DB_PASSWORD}\""),
        probe("method = \"${env:DB_PASSWORD} x\""),
        probe("rules.x = \"status == ${env:DB_PASSWORD}\""),
        probe("ca_file = \"${env:DB_PASSWORD}\""),
        probe("").replace(
            "http://127.0.0.1/",
            "http://u:hunter2SECRET@127.0.0.1:99999/",
        ),
    ] {
        let run = Run::with_config(&config).env("DB_PASSWORD", "hunter2SECRET");
        let output = run.args(["check"]).output();
        assert_eq!(output.status.code(), Some(2), "{config}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("hunter2SECRET"), "{stderr}");
    }
}

#[test]
fn replay_asks_the_same_questions() {
    let (_open, config) = good();
    let stored = Run::with_config(&config).args(["--once"]).output().stdout;
    let port: u16 = {
        let text = config
            .lines()
            .find(|line| line.starts_with("port"))
            .expect("a port");
        text.rsplit(' ')
            .next()
            .expect("a number")
            .parse()
            .expect("a number")
    };
    let replay = |config: &str| {
        let run = Run::with_config(config).file("e.json", &stored);
        Verdict::read(&run.args(["replay", "e.json", "--format", "json"]).output())
    };
    for other in [
        config.replace(&format!("port = {port}"), "port = 9"),
        config.replace("host = \"127.0.0.1\"", "host = \"127.0.0.2\""),
        format!("{config}expect = \"closed\"\ncontrol = \"127.0.0.1:9\"\n"),
    ] {
        assert_eq!(replay(&other).code, 3, "{other}");
    }
    let timeout = replay(&format!("{config}timeout = \"1s\"\ntags = [\"x\"]\n"));
    assert_eq!(timeout.code, 0, "how a question is asked is not part of it");
}

#[test]
fn replay_honours_dependencies() {
    let (_open, config) = good();
    let second = config.replace("id = \"a\"", "id = \"b\"\ndepends_on = [\"a\"]");
    let both = format!("{second}{config}");
    let stored = Run::with_config(&both).args(["--once"]).output();
    assert_eq!(stored.status.code(), Some(0));
    let run = Run::with_config(&format!("{both}rules.never = \"state == 'refused'\"\n"))
        .file("e.json", &stored.stdout);
    let replay = Verdict::read(&run.args(["replay", "e.json", "--format", "json"]).output());
    assert_eq!(replay.result("a/never"), "fail");
    assert_eq!(replay.result("b/state"), "unknown");
}

#[test]
fn a_usage_error_has_the_code_of_the_map_that_was_asked_for() {
    let (_open, config) = good();
    for (args, code) in [
        (&["--once", "--nope"][..], 2),
        (&["--once", "--exit-map", "nagios", "--nope"], 3),
        (&["--once", "--exit-map=nagios", "--nope"], 3),
    ] {
        let output = Run::with_config(&config)
            .args(args.iter().copied())
            .output();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_reason_does_not_quote_the_beginning_of_a_long_secret() {
    let token = "abcdefghij".repeat(40);
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{}/\"\nrules.x = \"body == '${{file:token}}'\"\n",
        echo()
    );
    let run = Run::with_config(&config).file("token", &token);
    let output = run.args(["--once", "--format", "json"]).output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("abcdefghij"), "{text}");
    assert_eq!(Verdict::read(&output).result("a/x"), "fail");
}

#[test]
fn flags_before_a_command_are_not_dropped() {
    let (_open, config) = good();
    for args in [
        &["--gate", "x", "check"][..],
        &["--once", "kinds"],
        &["--output", "json=f", "check"],
    ] {
        let output = Run::with_config(&config)
            .args(args.iter().copied())
            .output();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let output = Run::with_config("")
        .args(["--config", "probes.toml", "kinds"])
        .output();
    assert!(output.status.success());
}

#[test]
fn replay_uses_the_exit_map_that_it_was_given() {
    let config = format!(
        "[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        free_port()
    );
    let stored = Run::with_config(&config).args(["--once"]).output().stdout;
    let run = Run::with_config(&config).file("e.json", &stored);
    let output = run
        .args(["replay", "e.json", "--exit-map", "nagios"])
        .output();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error() {
    let (_open, config) = good();
    let run = Run::with_config(&config);
    let made = Command::new("mkfifo").arg(run.dir().join("pipe")).status();
    assert!(made.expect("mkfifo").success());
    let output = run.args(["--once", "--output", "json=pipe"]).output();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write"));
}

#[test]
fn a_signal_ends_a_report_that_nobody_takes() {
    let (_open, config) = good();
    // More than a pipe holds.
    let long = format!(
        "{config}rules.long = {{ expr = \"state == 'open'\", why = \"{}\" }}\n",
        "x".repeat(200_000)
    );
    let run = Run::with_config(&long);
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--once")
        .current_dir(run.dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(
        child.try_wait().expect("a status").is_none(),
        "it waits for its reader"
    );
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .expect("kill");
    assert_eq!(child.wait().expect("wait").code(), Some(3));
}
