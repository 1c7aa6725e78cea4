//! `probe diff`: two runs of the real binary, compared.

use std::net::TcpListener;
use std::process::Output;

use serde_json::Value;

use crate::lab::Run;

/// Verdicts of runs, and changes to them.
struct Pair {
    old: Value,
    new: Value,
}

impl Pair {
    fn of(config: &str) -> Self {
        let output = Run::with_config(config).args(["--once"]).output();
        let old: Value = serde_json::from_slice(&output.stdout).expect("a verdict");
        let new = old.clone();
        Self { old, new }
    }

    fn diff(&self, args: &[&str]) -> Output {
        Run::with_config("")
            .file("old.json", self.old.to_string())
            .file("new.json", self.new.to_string())
            .args(["diff", "old.json", "new.json"])
            .args(args.iter().copied())
            .output()
    }

    fn json(&self) -> (i32, Value) {
        let output = self.diff(&["--format", "json"]);
        let json = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code().expect("an exit code"), json)
    }
}

const ITEMS: &str =
    "[[item]]\nid = \"one\"\nneeds = [\"a/*\"]\n[[item]]\nid = \"two\"\nneeds = [\"a/*\"]\n";

fn open() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let probe =
        format!("[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    (listener, probe)
}

#[test]
fn a_target_that_broke_is_a_regression_and_its_repair_is_none() {
    let (listener, config) = open();
    let config = format!("{config}{ITEMS}");
    let green = Pair::of(&config);
    drop(listener);
    let red = Pair::of(&config);
    let pair = |old: &Pair, new: &Pair| Pair {
        old: old.old.clone(),
        new: new.old.clone(),
    };
    let (code, diff) = pair(&green, &red).json();
    assert_eq!((code, &diff["regression"]), (1, &true.into()));
    assert_eq!(diff["schema"], "probe.diff/v1");
    assert_eq!(diff["items"].as_array().expect("items").len(), 2);
    assert_eq!(diff["items"][0]["change"], "worse");
    assert_eq!(diff["items"][0]["old"]["result"], "pass");
    assert_eq!(diff["items"][0]["new"]["result"], "fail");
    assert!(
        diff["items"][0]["reason"]
            .as_str()
            .expect("a reason")
            .contains("refused")
    );
    assert_eq!(diff["gates"][0]["id"], "default");
    assert_eq!(diff["old"]["score"]["low"], 1.0);
    assert_eq!(diff["new"]["score"]["low"], 0.0);

    let (code, diff) = pair(&red, &green).json();
    assert_eq!((code, &diff["regression"]), (0, &false.into()));
    assert_eq!(diff["items"][0]["change"], "better");
    let (code, diff) = pair(&green, &green).json();
    assert_eq!((code, &diff["unchanged"]), (0, &2.into()));
    assert_eq!(diff["items"], serde_json::json!([]));
}

#[test]
fn what_vanished_and_what_is_new_and_bad_are_regressions() {
    let (_listener, probe) = open();
    let all = Pair::of(&format!("{probe}{ITEMS}"));
    let unseen = Pair::of(&format!("{probe}{ITEMS}[[item]]\nid = \"later\"\n"));
    let fewer = Pair::of(&format!(
        "{probe}[[item]]\nid = \"one\"\nneeds = [\"a/*\"]\n"
    ));
    let gated = Pair::of(&format!(
        "{probe}{ITEMS}[[gate]]\nid = \"g\"\nitems = [\"one\"]\n"
    ));
    let code = |old: &Pair, new: &Pair| {
        let pair = Pair {
            old: old.old.clone(),
            new: new.old.clone(),
        };
        pair.json()
    };
    let (is, diff) = code(&all, &fewer);
    assert_eq!(is, 1);
    assert_eq!(
        (&diff["items"][0]["id"], &diff["items"][0]["change"]),
        (&"two".into(), &"vanished".into())
    );
    assert_eq!(code(&fewer, &all).0, 0, "new, and it passes");
    assert_eq!(code(&all, &unseen).0, 1, "new, and unknown");
    let (is, diff) = code(&all, &gated);
    assert_eq!(
        (is, &diff["gates"][0]["change"]),
        (1, &"vanished".into()),
        "{diff:#}"
    );
}

#[test]
fn what_is_no_verdict_cannot_be_compared() {
    let (_listener, config) = open();
    let pair = Pair::of(&config);
    let mut other = pair.old.clone();
    other["schema"] = "probe.verdict/v2".into();
    let mut twice = pair.old.clone();
    let item = twice["items"][0].clone();
    twice["items"].as_array_mut().expect("items").push(item);
    let good = pair.old.to_string();
    for bad in [
        other.to_string(),
        twice.to_string(),
        String::new(),
        "{}".into(),
        "[".repeat(100_000),
    ] {
        for (old, new) in [(&bad, &good), (&good, &bad)] {
            let output = Run::with_config("")
                .file("old.json", old)
                .file("new.json", new)
                .args(["diff", "old.json", "new.json"])
                .output();
            assert_eq!(output.status.code(), Some(2), "{bad:.40}");
            assert!(output.stdout.is_empty());
            let named = if old == &bad { "old.json" } else { "new.json" };
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains(named), "{text}");
        }
    }
    let output = Run::with_config("")
        .args(["diff", "old.json", "new.json"])
        .output();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn text_from_a_target_is_harmless() {
    let (_listener, config) = open();
    let mut pair = Pair::of(&config);
    let item = &mut pair.new["items"][0];
    item["result"] = "fail".into();
    item["reason"] = "\u{1b}[2J| <script>alert(1)</script> [x](http://evil) @all \u{202e}".into();
    item["title"] = "`x` | y\n\n# z".into();
    for format in ["table", "markdown"] {
        let output = pair.diff(&["--format", format]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert!(text.contains("1 regression"), "{text}");
        if format == "markdown" {
            for bad in ["<script", "http:", "@all", "\n# z", "[x]"] {
                assert!(!text.contains(bad), "{bad}: {text}");
            }
            let rows = text.lines().filter(|line| line.starts_with("| item"));
            let cells = rows.map(|row| row.replace("\\|", "").matches('|').count());
            assert_eq!(cells.collect::<Vec<_>>(), [6], "{text}");
        }
    }
    let wide = Pair {
        old: pair.new.clone(),
        new: pair.old.clone(),
    };
    assert_eq!(wide.diff(&["--format", "table"]).status.code(), Some(0));
}
