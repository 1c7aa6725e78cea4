//! What is wrong with a configuration is said at once, with its place; nothing is probed.

use crate::lab::{Run, Verdict};

/// Runs `probe check` and returns exit code and stderr.
fn check(config: &str) -> (i32, String) {
    let output = Run::with_config(config).args(["check"]).output();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), stderr)
}

/// Checks that a configuration is refused, and that every text is in what is said.
fn refuses(config: &str, texts: &[&str]) {
    let (code, stderr) = check(config);
    assert_eq!(code, 2, "{config}\n{stderr}");
    for text in texts {
        assert!(stderr.contains(text), "`{text}` is not in:\n{stderr}");
    }
    assert!(stderr.contains("nothing was probed"), "{stderr}");
}

const GOOD: &str = r#"
[[probe]]
id = "a"
kind = "tcp"
host = "127.0.0.1"
port = 9
"#;

#[test]
fn a_valid_file_is_counted() {
    let output = Run::with_config(GOOD).args(["check"]).output();
    assert!(output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(" 1 probe,"), "{stdout}");
}

#[test]
fn all_errors_are_reported_in_one_go_with_their_places() {
    let config = r#"[agent]
enviroment = "x"
[[probe]]
id = "a"
kind = "tcp"
hots = "127.0.0.1"
port = 99999
rules.own = "stat == 'open'"
rules.text = "state"
depends_on = ["none"]
[[probe]]
id = "a"
kind = "tpc"
[[item]]
id = "I"
needs = ["zzz/*"]
[[gate]]
id = "g"
items = ["J"]
[[waiver]]
item = "K"
result = "fail"
owner = ""
reason = "r"
expires = 2999-01-01
"#;
    refuses(
        config,
        &[
            "probes.toml:2:1",
            "did you mean `environment`?",
            "probes.toml:6:1",
            "did you mean `host`?",
            "probes.toml:7:8",
            "from 0 to 65535",
            "probes.toml:8:14",
            "there is no fact `stat`",
            "did you mean `state`?",
            "probes.toml:9:15",
            "a rule must be true or false",
            "probes.toml:10:15",
            "`none`, which is no probe",
            "probes.toml:12:6",
            "a second probe with the id `a`",
            "probes.toml:13:8",
            "did you mean `tcp`?",
            "probes.toml:16:10",
            "matches no probe",
            "probes.toml:19:10",
            "there is no item `J`",
            "a waiver without owner",
            "at most 90 days",
        ],
    );
}

#[test]
fn variables_that_are_missing_have_a_place() {
    refuses(
        "[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"${env:SURELY_UNSET}\"\nport = 1\n",
        &["probes.toml:4:9", "SURELY_UNSET"],
    );
    refuses(
        "[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"${file:none.txt}\"\nport = 1\n",
        &["probes.toml:4:9", "none.txt"],
    );
    refuses(
        "[vars]\nhots = \"h\"\n[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"${var:host}\"\nport = 1\n",
        &["did you mean `hots`?"],
    );
}

#[test]
fn a_variable_may_be_a_number() {
    let run =
        Run::with_config(&GOOD.replace("port = 9", "port = \"${env:PORT}\"")).env("PORT", "9");
    assert!(run.args(["check"]).output().status.success());
    let run =
        Run::with_config(&GOOD.replace("port = 9", "port = \"${env:PORT}\"")).env("PORT", "x9");
    assert_eq!(run.args(["check"]).output().status.code(), Some(2));
}

#[test]
fn cycles_are_named() {
    let probe = |id: &str, on: &str| {
        format!(
            "[[probe]]\nid = \"{id}\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ndepends_on = [\"{on}\"]\n"
        )
    };
    let config = [probe("a", "b"), probe("b", "c"), probe("c", "a")].concat();
    refuses(&config, &["a → b → c → a"]);
    refuses(&probe("self", "self"), &["self → self"]);
}

#[test]
fn needs_are_held_against_probes_and_rules() {
    let with = |needs: &str| format!("{GOOD}[[item]]\nid = \"I\"\nneeds = [\"{needs}\"]\n");
    refuses(
        &with("a/stat"),
        &["matches no rule", "did you mean `state`?"],
    );
    refuses(&with("a"), &["names no rule", "write `a/*`"]);
    refuses(&with("*/nope"), &["matches no rule"]);
    assert_eq!(check(&with("*/state")).0, 0);
}

#[test]
fn a_probe_that_no_item_needs_is_a_warning() {
    let (code, stderr) = check(&format!("{GOOD}[[item]]\nid = \"I\"\n"));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("no rule of the probe `a` is needed"),
        "{stderr}"
    );
}

#[test]
fn includes_are_relative_to_the_file_that_names_them() {
    let run = Run::with_config("include = [\"conf.d/*.toml\"]\n");
    std::fs::create_dir(run.dir().join("conf.d")).expect("create");
    let run = run
        .file(
            "conf.d/a.toml",
            "[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"${file:host.txt}\"\nport = 9\n",
        )
        .file("conf.d/host.txt", "127.0.0.1\n");
    assert!(run.args(["check"]).output().status.success());

    refuses("include = [\"none/*.toml\"]\n", &["probes.toml:1:12"]);
    refuses("include = [\"probes.toml\"]\n", &["includes itself"]);
}

#[test]
fn a_parameter_of_empty_variables_is_as_good_as_not_written() {
    let dns = "[[probe]]\nid = \"d\"\nkind = \"dns\"\nname = \"a.test\"\n\
        resolvers = [\"${env:FIRST:-}\", \"127.0.0.1:1\", \"${env:THIRD:-}\"]\n";
    let tls = "[[probe]]\nid = \"t\"\nkind = \"tls\"\nhost = \"${env:HOST:-}\"\nca_file = \"${env:CA:-}\"\n";
    let one = Run::with_config(dns).once();
    let two = Run::with_config(dns).env("THIRD", "127.0.0.1:2").once();
    let target = |verdict: &Verdict| verdict.json["probes"][0]["target"].to_string();
    assert!(!target(&one).contains("127.0.0.1:2"), "{}", target(&one));
    assert!(target(&two).contains("127.0.0.1:2"), "{}", target(&two));
    let bearer = "[[probe]]\nid = \"p\"\nkind = \"prometheus\"\nurl = \"http://127.0.0.1:1\"\n\
        auth = { bearer = \"${env:TOKEN:-}\" }\n";
    assert!(
        Run::with_config(bearer)
            .args(["check"])
            .output()
            .status
            .success()
    );
    // What is required is still missed.
    refuses(tls, &["this probe has no `host`"]);
    assert!(
        Run::with_config(tls)
            .env("HOST", "127.0.0.1")
            .args(["check"])
            .output()
            .status
            .success()
    );
}

#[test]
fn what_a_file_says_wins_over_what_it_includes() {
    let included = "[vars]\nport = 9\nhost = \"127.0.0.1\"\n\
        [[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"${var:host}\"\nport = \"${var:port}\"\n\
        [[probe]]\nid = \"b\"\nkind = \"tcp\"\nhost = \"${var:host}\"\nport = 9\n\
        [[item]]\nid = \"X1\"\nneeds = [\"a/*\", \"b/*\"]\n\
        [[gate]]\nid = \"g\"\nitems = [\"X1\"]\n";
    let own = "include = [\"profile.toml\"]\n[vars]\nport = 1\n\
        [[probe]]\nid = \"b\"\nkind = \"tcp\"\nhost = \"localhost\"\nport = 2\n\
        [[item]]\nid = \"X2\"\nneeds = [\"b/*\"]\n\
        [[gate]]\nid = \"g\"\nitems = [\"X2\"]\n";
    let verdict = Run::with_config(own).file("profile.toml", included).once();
    let targets: Vec<&str> = verdict.json["probes"]
        .as_array()
        .expect("probes")
        .iter()
        .map(|probe| probe["target"].as_str().expect("target"))
        .collect();
    assert_eq!(targets, ["localhost:2", "127.0.0.1:1"]);
    assert_eq!(verdict.json["gates"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        verdict.json["gates"][0]["blocking"],
        serde_json::json!(["X2"])
    );

    // Two files that do not include each other must not contradict each other.
    let siblings = Run::with_config("include = [\"profile.toml\", \"other.toml\"]\n")
        .file("profile.toml", included)
        .file("other.toml", "[vars]\nport = 3\n");
    let output = siblings.args(["check"]).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("the variable `port` is in two files"),
        "{stderr}"
    );
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let run = Run::with_config("include = [\"b.toml\"]\n")
        .file("b.toml", "[[probe]]\nid = 5\nkind = \"tcp\"\n");
    let output = run.args(["check"]).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("b.toml:2:6"), "{stderr}");
}

#[test]
fn garbage_is_refused_and_never_a_panic() {
    let nested =
        |open: &str, close: &str| format!("a = {}1{}", open.repeat(10_000), close.repeat(10_000));
    let tables: Vec<String> = (1..1_000)
        .map(|depth| format!("[a{}]", ".b".repeat(depth)))
        .collect();
    let tables = tables.join("\n");
    let many = "[[probe]]\n".repeat(10_000);
    for config in [
        String::new(),
        "\0\0\0".to_owned(),
        "[[probe".to_owned(),
        "probe = 5".to_owned(),
        "probe = [5, \"x\", [1]]".to_owned(),
        "[probe]\nid = 1".to_owned(),
        "vars = 3".to_owned(),
        nested("[", "]"),
        nested("{a=", "}"),
        format!("[{}]", vec!["a"; 10_000].join(".")),
        tables,
        many,
        format!(
            "{GOOD}rules.x = \"{}true{}\"",
            "(".repeat(3_000),
            ")".repeat(3_000)
        ),
        format!("{GOOD}rules.x = \"{}\"", vec!["true"; 5_000].join(" && ")),
        format!("{GOOD}rules.x = 5"),
        format!("{GOOD}rules = 5"),
        format!("{GOOD}timeout = \"0s\""),
        format!("{GOOD}retries = -1"),
        format!("{GOOD}retries = 99999999999999999999"),
    ] {
        let (code, stderr) = check(&config);
        let start: String = config
            .chars()
            .skip(config.len().saturating_sub(60))
            .collect();
        assert_eq!(code, 2, "{start}\n{stderr}");
        assert!(!stderr.contains("defect"), "{start}\n{stderr}");
        assert!(stderr.len() < 200_000, "{} bytes of errors", stderr.len());
    }
}

#[test]
fn not_a_file_is_refused() {
    for path in ["none.toml", ".", "/dev/zero"] {
        let output = Run::with_config(GOOD)
            .args(["check", "--config", path])
            .output();
        assert_eq!(output.status.code(), Some(2), "{path}");
    }
}

#[test]
fn the_starter_file_is_valid() {
    let starter = Run::with_config("")
        .env("API_URL", "http://127.0.0.1:1/")
        .args(["init"])
        .output();
    let text = String::from_utf8(starter.stdout).expect("UTF-8");
    assert!(text.contains("${env:API_URL}"), "{text}");
    let run = Run::with_config(&text).env("API_URL", "http://127.0.0.1:1/");
    let output = run.args(["check"]).output();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_examples_of_all_kinds_are_valid() {
    let kinds = Run::with_config("").args(["kinds"]).output();
    for line in String::from_utf8_lossy(&kinds.stdout).lines() {
        let kind = line.split_whitespace().next().expect("a name");
        let text = Run::with_config("").args(["explain", kind]).output();
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let (_, rest) = text.split_once("```toml\n").expect("an example");
        let (example, _) = rest.split_once("```").expect("its end");
        // What looks at another probe needs one.
        let other = "[[probe]]\nid = \"api\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 1\n";
        let other = if example.contains("of = \"api\"") {
            other
        } else {
            ""
        };
        let mut run = Run::with_config(&format!("{example}\n{other}"));
        for named in example.split("${env:").skip(1) {
            let name = named.split(['}', ':']).next().expect("a name");
            run = run.env(name, "http://127.0.0.1:1/");
        }
        let output = run.args(["check"]).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}\n{stderr}");
    }
}

/// Every part of a configuration, as the documentation shows it.
#[test]
fn a_configuration_with_every_part_is_valid() {
    let config = r#"
[agent]
environment = "production"
service     = "football-prediction"
[defaults]
timeout = "5s"
retries = 1
[vars]
api = "${env:API_URL}"
[[probe]]
id   = "api"
kind = "http"
url  = "${var:api}/health"
tags = ["app"]
depends_on = ["api-dns"]
rules.answers = "status == 200"
rules.fast    = { expr = "total_ms < 100", severity = "should", why = "acceptance: mean below 100 ms" }
rules.redirects-to-https = false
[[probe]]
id = "api-dns"
kind = "dns"
name = "api.footballpred.com"
type = "A"
resolvers = ["127.0.0.1:5301", "tls://127.0.0.1:853#dns.example"]
rules.points-at-lb = "answers.exists(a, a == '203.0.113.10')"
[[probe]]
id = "api-cert"
kind = "tls"
host = "api.footballpred.com"
port = 443
rules.expiry = "min_days_left >= 21"
[[probe]]
id = "db-port"
kind = "tcp"
host = "10.0.0.5"
port = 5432
expect = "closed"
control = "10.0.0.5:443"
[[item]]
id = "F1.1"
title = "HTTPS"
section = "F1"
owner = "ops"
needs = ["api/answers", "api-cert/*"]
ttl = "10m"
[[gate]]
id = "pre-deploy"
items = ["F1.*", "B1.*"]
[[waiver]]
item = "F1.1"
result = "fail"
owner = "sec@example.org"
reason = "certificate ordered"
expires = WAIVED
"#;
    let expires = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        + jiff::Span::new().days(38);
    let run = Run::with_config(&config.replace("WAIVED", &expires.to_string()));
    let output = run
        .env("API_URL", "http://127.0.0.1:8000")
        .args(["check"])
        .output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("`B1.*` matches no item"), "{stderr}");
}
