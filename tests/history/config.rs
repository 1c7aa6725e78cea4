//! `[history]` and `of`: what is wrong is said with its place.

use crate::lab::Run;

const API: &str =
    "[[probe]]\nid = \"api\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 1\nexpect = \"open\"\n";

fn check(config: &str) -> (i32, String) {
    let output = Run::with_config(config).args(["check"]).output();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_section_that_makes_sense_is_taken() {
    for section in [
        "url = \"sqlite:probe.db\"\nretention = \"90d\"\nlease = \"15s\"",
        "url = \"postgres://probe:secret@127.0.0.1:1/app?sslmode=disable\"",
        "url = \"sqlite:/var/lib/probe.db\"\nruns_retention = \"7d\"\nmax_bytes = 1_000_000_000",
    ] {
        let (code, text) = check(&format!("[history]\n{section}\n{API}"));
        assert_eq!(code, 0, "{section}: {text}");
    }
}

#[test]
fn what_is_wrong_has_its_place() {
    for (section, words) in [
        ("retention = \"90d\"", "has no `url`"),
        ("url = \"probe.db\"", "sqlite:FILE"),
        ("url = \"mysql://u:hunter2@h/d\"", "sqlite:FILE"),
        ("url = \"sqlite:\"", "names no file"),
        ("url = \"sqlite:a.db?mode=ro\"", "without parameters"),
        ("url = \"postgres://h\"", "names no user"),
        ("url = \"postgres://u:hunter2@h/d?sslmode=some\"", "sslmode"),
        ("url = \"sqlite:a.db\"\nretention = \"90\"", "duration"),
        (
            "url = \"sqlite:a.db\"\nretention = \"1d\"\nruns_retention = \"2d\"",
            "longer than `retention`",
        ),
        ("url = \"sqlite:a.db\"\nlease = \"10ms\"", "at least \"1s\""),
        ("url = \"sqlite:a.db\"\nlive = \"10s\"", "unknown key"),
        ("url = \"sqlite:a.db\"\nmax_bytes = 10", "at least"),
    ] {
        let (code, text) = check(&format!("[history]\n{section}\n{API}"));
        assert_eq!(code, 2, "{section}: {text}");
        assert!(text.contains(words), "{section}: {text}");
        assert!(text.contains("probes.toml:"), "{section}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_window_is_over_a_probe_that_exists_and_no_longer_than_the_history() {
    let window = |of: &str| {
        format!(
            "{API}[[probe]]\nid = \"week\"\nkind = \"history\"\nof = \"{of}\"\nwindow = \"7d\"\nobjective = 0.999\n"
        )
    };
    let (code, text) = check(&window("api"));
    assert_eq!(code, 0, "{text}");
    let (code, text) = check(&window("apo"));
    assert_eq!(code, 2);
    assert!(text.contains("did you mean `api`?"), "{text}");
    let (code, text) = check(&window("week"));
    assert_eq!(code, 2);
    assert!(text.contains("its own history"), "{text}");
    let short = format!(
        "[history]\nurl = \"sqlite:a.db\"\nretention = \"1d\"\n{}",
        window("api")
    );
    let (code, text) = check(&short);
    assert_eq!(code, 2);
    assert!(text.contains("keep it longer"), "{text}");
}
