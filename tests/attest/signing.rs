//! What is signed, and what must be there to sign.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::{Bench, DIGEST, OTHER};

#[test]
fn a_statement_says_what_the_verdict_says() {
    let bench = Bench::new();
    bench.configure("[[item]]\nid = \"open\"\nneeds = [\"a/*\"]\n[[item]]\nid = \"later\"\n[[gate]]\nid = \"g\"\nitems = [\"open\"]\n");
    let code = bench.sign("ed25519", &["--output", "json=v.json"]);
    assert_eq!(code, 0);
    let statement = bench.statement();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(
        statement["predicateType"],
        "https://in-toto.io/attestation/test-result/v0.1"
    );
    assert_eq!(statement["subject"][0]["name"], "registry.example/app");
    assert_eq!(
        format!(
            "sha256:{}",
            statement["subject"][0]["digest"]["sha256"]
                .as_str()
                .expect("hex")
        ),
        DIGEST
    );
    let predicate = &statement["predicate"];
    assert_eq!(predicate["result"], "PASSED");
    assert_eq!(predicate["passedTests"], serde_json::json!(["open"]));
    assert_eq!(predicate["warnedTests"], serde_json::json!([]));
    assert_eq!(predicate["failedTests"], serde_json::json!(["later"]));
    let note = &predicate["configuration"][0]["annotations"]["verdict"];
    let json = bench.read("v.json");
    assert_eq!(
        note["digest"],
        format!("sha256:{:x}", Sha256::digest(&json))
    );
    let verdict: serde_json::Value = serde_json::from_slice(&json).expect("a verdict");
    for field in ["run_id", "mode", "started_at", "finished_at", "gate"] {
        assert_eq!(note[field], verdict[field], "{field}");
    }
    assert_eq!(note["unknown"], serde_json::json!(["later"]));
}

#[test]
fn unknown_is_failed_and_a_waiver_warns() {
    let bench = Bench::new();
    bench.configure("[[item]]\nid = \"later\"\n");
    assert_eq!(bench.sign("p256", &[]), 3);
    assert_eq!(bench.statement()["predicate"]["result"], "FAILED");
    assert_eq!(bench.verify("p256", &[]).0, 1);

    bench.configure("[[item]]\nid = \"later\"\n[[waiver]]\nitem = \"later\"\nresult = \"unknown\"\nowner = \"me\"\nreason = \"soon\"\nexpires = 2026-12-31\n");
    let expires = jiff::Zoned::now()
        .date()
        .saturating_add(jiff::Span::new().days(30));
    let config = String::from_utf8(bench.read("probes.toml")).expect("UTF-8");
    bench.write(
        "probes.toml",
        config.replace("2026-12-31", &expires.to_string()),
    );
    assert_eq!(bench.sign("p256", &[]), 0);
    let predicate = &bench.statement()["predicate"];
    assert_eq!(predicate["result"], "WARNED");
    assert_eq!(
        predicate["failedTests"],
        serde_json::json!(["later"]),
        "the true result"
    );
    let note = &predicate["configuration"][0]["annotations"]["verdict"];
    assert_eq!(note["waived"], serde_json::json!(["later"]));
    assert_eq!(bench.verify("p256", &[]).0, 0);
    let (code, text) = bench.verify("p256", &["--fail-on-warn"]);
    assert_eq!(code, 1);
    assert!(text.contains("FAIL  gate"), "{text}");
}

#[test]
fn the_command_line_says_what_is_deployed() {
    let bench = Bench::new();
    let subject = format!("other@{OTHER}");
    let args = ["--output", "json=v.json", "--subject", &subject];
    assert_eq!(bench.sign("ed25519", &args), 0);
    assert_eq!(bench.verify("ed25519", &["--subject", OTHER]).0, 0);
    assert_eq!(bench.verify("ed25519", &["--subject", DIGEST]).0, 1);
    let verdict: serde_json::Value =
        serde_json::from_slice(&bench.read("v.json")).expect("a verdict");
    assert_eq!(verdict["subject"]["digests"], serde_json::json!([subject]));
}

#[test]
fn nothing_is_probed_where_nothing_could_be_signed() {
    let bench = Bench::new();
    let sign = ["--output", "intoto=signed.json"];
    let key = ["--sign-key", "ed25519.pem"];
    let refused = |args: &[&str], says: &str| {
        let output = bench.probe(&[&["--once", "--output", "json=v.json"], args].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
        assert!(
            !bench.dir().join("v.json").exists(),
            "{args:?}: it was probed"
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    };
    refused(&sign, "--sign-key");
    refused(&key, "intoto=FILE");
    refused(&["--format", "intoto"], "--sign-key");
    for bad in [
        "app",
        "app@sha256:12",
        DIGEST,
        "@sha256:00",
        "app@sha512:00",
    ] {
        refused(&[&sign[..], &key, &["--subject", bad]].concat(), "sha256");
    }
    let config = String::from_utf8(bench.read("probes.toml")).expect("UTF-8");
    for bad in ["app", "", DIGEST, "app@sha256:zz"] {
        bench.write(
            "probes.toml",
            config.replace(&format!("registry.example/app@{DIGEST}"), bad),
        );
        refused(&[&sign[..], &key].concat(), "[agent] digests");
    }
    let (_, probes) = config.split_once("[[probe]]").expect("a probe");
    bench.write("probes.toml", format!("[[probe]]{probes}"));
    refused(&[&sign[..], &key].concat(), "[agent] digests");
}

#[test]
fn a_statement_may_go_to_stdout() {
    let bench = Bench::new();
    let output = bench.probe(&["--once", "--format", "intoto", "--sign-key", "p256.pem"]);
    assert_eq!(output.status.code(), Some(0));
    bench.write("signed.json", output.stdout);
    assert_eq!(bench.verify("p256", &["--subject", DIGEST]).0, 0);
}

#[test]
fn a_replay_is_as_old_as_its_evidence() {
    let bench = Bench::new();
    let stored = bench.probe(&["--once", "--format", "json"]).stdout;
    let mut stored: serde_json::Value = serde_json::from_slice(&stored).expect("a verdict");
    for (time, max_age, code, says) in [
        ("2020-01-01T00:00:00Z", &[][..], 0, "replayed evidence"),
        (
            "2020-01-01T00:00:00Z",
            &["--max-age", "24h"],
            1,
            "FAIL  age",
        ),
        ("2999-01-01T00:00:00Z", &[], 1, "in the future"),
    ] {
        stored["finished_at"] = time.into();
        bench.write("old.json", stored.to_string());
        let output = bench.probe(&[
            "replay",
            "old.json",
            "--output",
            "intoto=signed.json",
            "--sign-key",
            "ed25519.pem",
        ]);
        assert_eq!(output.status.code(), Some(0));
        let (is, text) = bench.verify("ed25519", max_age);
        assert_eq!(is, code, "{time} {max_age:?}: {text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn a_report_never_takes_the_place_of_the_key() {
    let bench = Bench::new();
    let key = bench.read("ed25519.pem");
    for output in ["intoto=ed25519.pem", "json=./ed25519.pem"] {
        let args = ["--once", "--output", "intoto=s.json", "--output", output];
        let output = bench.probe(&[&args[..], &["--sign-key", "ed25519.pem"]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(bench.read("ed25519.pem"), key);
    }
}

#[test]
fn an_interrupted_run_signs_nothing() {
    let bench = Bench::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = silent.local_addr().expect("an address").port();
    bench.configure(&format!(
        "[[probe]]\nid = \"b\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}/\"\ntimeout = \"60s\"\n\
         [[item]]\nid = \"i\"\nneeds = [\"a/*\"]\n"
    ));
    let args = [
        "--once",
        "--output",
        "intoto=signed.json",
        "--sign-key",
        "p256.pem",
    ];
    let child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(args)
        .current_dir(bench.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run probe");
    // It looks, so it listens for signals; it never hears an answer.
    let (_open, _) = silent.accept().expect("a connection");
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("run kill").success());
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert!(!bench.dir().join("signed.json").exists());
}
