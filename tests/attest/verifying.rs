//! What a verifier refuses.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use probe::attest::{Envelope, MAX_AHEAD, VerifyingKey, Wanted, verify};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{Bench, DIGEST, OTHER};

const TYPE: &str = "application/vnd.in-toto+json";

#[test]
fn only_the_signer_is_believed() {
    let bench = Bench::new();
    for (key, other) in [("ed25519", "p256"), ("p256", "ed25519")] {
        assert_eq!(bench.sign(key, &[]), 0);
        let (code, text) = bench.verify(key, &["--subject", DIGEST, "--max-age", "1h"]);
        assert_eq!(code, 0, "{text}");
        assert!(!text.contains("FAIL"), "{text}");
        let (code, text) = bench.verify(other, &[]);
        assert_eq!(code, 1, "{text}");
        assert!(
            text.starts_with("FAIL  signature") && text.lines().count() == 1,
            "{text}"
        );
    }
    let ours = bench.read("ed25519.pub.pem");
    bench.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "x.pem"]);
    bench.openssl(&["pkey", "-in", "x.pem", "-pubout", "-out", "x.pub.pem"]);
    assert_eq!(bench.sign("ed25519", &[]), 0);
    assert_eq!(
        bench.verify("x", &[]).0,
        1,
        "the same algorithm, another key"
    );
    assert_ne!(ours, bench.read("x.pub.pem"));
}

#[test]
fn what_was_changed_is_refused() {
    let bench = Bench::new();
    assert_eq!(bench.sign("ed25519", &[]), 0);
    let envelope = bench.envelope();
    let mut statement = bench.statement();
    statement["subject"][0]["digest"]["sha256"] = OTHER["sha256:".len()..].into();
    let refused = |change: &dyn Fn(&mut Value), code: i32| {
        let mut changed = envelope.clone();
        change(&mut changed);
        bench.write("signed.json", changed.to_string());
        let (is, text) = bench.verify("ed25519", &[]);
        assert_eq!(is, code, "{changed}: {text}");
    };
    refused(&|_| {}, 0);
    refused(
        &|e| e["payload"] = STANDARD.encode(statement.to_string()).into(),
        1,
    );
    refused(
        &|e| e["payloadType"] = "application/vnd.in-toto+json ".into(),
        1,
    );
    refused(&|e| e["signatures"] = json!([]), 1);
    refused(&|e| e["signatures"][0]["sig"] = "".into(), 1);
    refused(&|e| e["signatures"][0]["sig"] = "?".into(), 1);
    refused(&|e| e["payload"] = "?".into(), 2);
    refused(&|e| e["signatures"] = Value::Null, 2);
    refused(
        &|e| e["signatures"][0]["keyid"] = "of somebody else".into(),
        0,
    );
    refused(
        &|e| {
            let good = e["signatures"][0].clone();
            e["signatures"] = json!([{ "sig": STANDARD.encode([7; 64]) }, good]);
        },
        0,
    );
    for encoded in [URL_SAFE, URL_SAFE_NO_PAD] {
        let payload = |e: &Value, key: &str| {
            encoded.encode(
                STANDARD
                    .decode(e[key].as_str().expect("text"))
                    .expect("base64"),
            )
        };
        refused(
            &|e| {
                e["payload"] = payload(e, "payload").into();
                e["signatures"][0]["sig"] = payload(&e["signatures"][0], "sig").into();
            },
            0,
        );
    }
}

#[test]
fn what_is_no_envelope_cannot_be_read() {
    let bench = Bench::new();
    let deep = "[".repeat(100_000);
    for garbage in ["", "{}", "[]", "\u{0}", "{\"payload\":1}", &deep] {
        bench.write("signed.json", garbage);
        let (code, text) = bench.verify("ed25519", &[]);
        assert_eq!(code, 2, "{garbage:.20}: {text}");
    }
    bench.write("signed.json", vec![b' '; (16 << 20) + 1]);
    assert_eq!(bench.verify("ed25519", &[]).0, 2);
    std::fs::remove_file(bench.dir().join("signed.json")).expect("remove it");
    assert_eq!(bench.verify("ed25519", &[]).0, 2);
}

#[test]
fn a_signed_payload_of_another_kind_is_refused() {
    let bench = Bench::new();
    assert_eq!(bench.sign("ed25519", &[]), 0);
    let good = bench.statement();
    let refused = |payload_type: &str, payload: &str, says: &str| {
        bench.sign_payload(payload_type, payload.as_bytes());
        let (code, text) = bench.verify("ed25519", &[]);
        assert_eq!(code, i32::from(!says.is_empty()), "{payload:.60}: {text}");
        assert!(text.starts_with("ok    signature"), "{text}");
        assert!(text.contains(says), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut statement = good.clone();
        change(&mut statement);
        statement.to_string()
    };
    refused(TYPE, &good.to_string(), "");
    refused("text/plain", &good.to_string(), "FAIL  type");
    refused(TYPE, "", "FAIL  type");
    refused(TYPE, "\u{1b}[31m", "FAIL  type");
    refused(
        TYPE,
        &changed(&|s| s["_type"] = "x\u{1b}[2J".into()),
        "FAIL  type",
    );
    refused(
        TYPE,
        &changed(&|s| s["predicateType"] = "https://slsa.dev/provenance/v1".into()),
        "FAIL  type",
    );
    refused(
        TYPE,
        &changed(&|s| s["predicate"] = json!({"result": "PASSED"})),
        "FAIL  type",
    );
    refused(
        TYPE,
        &changed(&|s| s["predicate"]["result"] = "OK".into()),
        "FAIL  type",
    );
    refused(
        TYPE,
        &changed(&|s| s["predicate"]["result"] = "WARNED".into()),
        "FAIL  gate",
    );
    refused(
        TYPE,
        &changed(&|s| s["subject"] = json!([])),
        "FAIL  subject",
    );
    refused(
        TYPE,
        &changed(&|s| s["predicate"]["configuration"] = json!([])),
        "FAIL  verdict",
    );
    refused(
        TYPE,
        &changed(&|s| {
            s["predicate"]["configuration"][0]["annotations"]["verdict"]["schema"] = "x".into();
        }),
        "FAIL  verdict",
    );
    let twice =
        good.to_string()
            .replacen('{', "{\"_type\":\"https://in-toto.io/Statement/v1\",", 1);
    refused(TYPE, &twice, "twice");
}

#[test]
fn the_gate_that_is_asked_for_decides() {
    let bench = Bench::new();
    bench.configure(
        "rules.shut = \"state == 'refused'\"\nrules.quiet = { expr = \"state == 'refused'\", severity = \"should\" }\n\
         [[item]]\nid = \"bad\"\nneeds = [\"a/shut\"]\n[[item]]\nid = \"meh\"\nneeds = [\"a/quiet\"]\n\
         [[gate]]\nid = \"one\"\nitems = [\"bad\"]\n[[gate]]\nid = \"two\"\nitems = [\"meh\"]\n",
    );
    assert_eq!(bench.sign("ed25519", &[]), 1);
    assert_eq!(bench.statement()["predicate"]["result"], "FAILED");
    for (args, code) in [
        (&[][..], 1),
        (&["--gate", "one"], 1),
        (&["--gate", "two"], 0),
        (&["--gate", "two", "--fail-on-warn"], 1),
        (&["--gate", "three"], 1),
        (&["--gate", "all"], 1),
    ] {
        let (is, text) = bench.verify("ed25519", args);
        assert_eq!(is, code, "{args:?}: {text}");
        let refused = text.lines().filter(|line| line.starts_with("FAIL")).count();
        assert_eq!(refused, usize::from(code == 1), "{text}");
    }
}

#[test]
fn a_statement_is_about_its_subjects_alone() {
    let bench = Bench::new();
    let one = format!("one@{DIGEST}");
    let two = format!("two@{OTHER}");
    assert_eq!(
        bench.sign("p256", &["--subject", &one, "--subject", &two]),
        0
    );
    let upper = format!("sha256:{}", DIGEST["sha256:".len()..].to_uppercase());
    let neither = format!("sha256:{}", "0".repeat(64));
    for (subjects, code) in [
        (vec![DIGEST], 0),
        (vec![&upper], 0),
        (vec![DIGEST, OTHER], 0),
        (vec![&one], 0),
        (vec![DIGEST, &neither], 1),
        (vec![&neither], 1),
        (vec!["one"], 2),
        (vec!["sha256:00"], 2),
    ] {
        let args: Vec<&str> = subjects.iter().flat_map(|s| ["--subject", s]).collect();
        let (is, text) = bench.verify("p256", &args);
        assert_eq!(is, code, "{subjects:?}: {text}");
    }
    let crossed = format!("two@{DIGEST}");
    assert_eq!(bench.verify("p256", &["--subject", &crossed]).0, 1);
}

#[test]
fn age_has_bounds_on_both_sides() {
    let bench = Bench::new();
    assert_eq!(bench.sign("ed25519", &[]), 0);
    let key = VerifyingKey::from_pem(&bench.read("ed25519.pub.pem")).expect("a key");
    let envelope = Envelope::read(&bench.read("signed.json")).expect("an envelope");
    let note = &bench.statement()["predicate"]["configuration"][0]["annotations"]["verdict"];
    let at: Timestamp = note["finished_at"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    let hour = SignedDuration::from_hours(1);
    let ahead = SignedDuration::try_from(MAX_AHEAD).expect("a duration");
    let tick = SignedDuration::from_millis(1);
    for (now, max_age, holds) in [
        (at, Some(hour), true),
        (at + hour, Some(hour), true),
        (at + hour + tick, Some(hour), false),
        (at + hour * 10_000, None, true),
        (at - ahead, Some(hour), true),
        (at - ahead - tick, Some(hour), false),
        (at - ahead - tick, None, false),
    ] {
        let wanted = Wanted {
            subjects: Vec::new(),
            max_age: max_age.map(SignedDuration::unsigned_abs),
            gate: None,
            fail_on_warn: false,
            now,
        };
        let checks = verify(&envelope, &key, &wanted);
        assert_eq!(
            checks.iter().all(|check| check.holds),
            holds,
            "{now} {max_age:?}: {checks:?}"
        );
    }
}

/// Whatever single byte of the file is changed: it is refused, or says the same as before.
#[test]
fn no_changed_byte_changes_what_is_believed() {
    for key in ["ed25519", "p256"] {
        let bench = Bench::new();
        assert_eq!(bench.sign(key, &[]), 0);
        let public = VerifyingKey::from_pem(&bench.read(&format!("{key}.pub.pem"))).expect("a key");
        let signed = bench.read("signed.json");
        let original = Envelope::read(&signed).expect("an envelope");
        let payload = original.payload_signed_by(&public).expect("signed");
        let text = String::from_utf8(signed.clone()).expect("UTF-8");
        let inside = |what: &str| {
            let value = bench.envelope()[what].as_str().map(str::to_owned);
            let value = value.unwrap_or_else(|| {
                let sig = &bench.envelope()["signatures"][0]["sig"];
                sig.as_str().expect("a signature").to_owned()
            });
            let start = text.find(&value).expect("it is there");
            start..start + value.len()
        };
        let secured = [inside("payload"), inside("sig"), inside("payloadType")];
        let mut runner = TestRunner::new(Config::with_cases(2_000));
        let change = (0..signed.len(), 1..=255_u8);
        runner
            .run(&change, |(at, flip)| {
                let mut changed = signed.clone();
                changed[at] ^= flip;
                let believed = Envelope::read(&changed)
                    .ok()
                    .filter(|envelope| envelope.payload_type() == TYPE)
                    .and_then(|envelope| envelope.payload_signed_by(&public));
                if secured.iter().any(|range| range.contains(&at)) {
                    prop_assert_eq!(believed, None);
                } else if let Some(believed) = believed {
                    prop_assert_eq!(&believed, &payload);
                }
                Ok(())
            })
            .unwrap();
    }
}
