//! Attestations: somebody's word, bound to a document that is fetched at every run.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{codes, finding};
use crate::lab::certs::{Authority, Leaf};
use crate::lab::{Nginx, Reply, Run, Scripted, Verdict, free_port};

const REPORT: &str = "penetration test, 2026: nothing found\n";

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn day(days: i64) -> Date {
    today().checked_add(days.days()).expect("a date")
}

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// A web server with the report at `/report.txt`.
fn library() -> (TempDir, Nginx) {
    let dir = TempDir::new().expect("temporary directory");
    std::fs::write(dir.path().join("report.txt"), REPORT).expect("write the report");
    let nginx = Nginx::plain_with(&format!("root {};", dir.path().display()));
    (dir, nginx)
}

/// An attestation of `item`, in force for two months; `more` are further lines.
fn attested(item: &str, url: &str, hash: &str, more: &str) -> String {
    dated(item, url, hash, (day(-30), day(30)), more)
}

fn dated(item: &str, url: &str, hash: &str, (issued, expires): (Date, Date), more: &str) -> String {
    format!(
        "[[attestation]]\nitem = \"{item}\"\nowner = \"sec@example.org\"\nissued = {issued}\nexpires = {expires}\n\
         url = \"{url}\"\nsha256 = \"{hash}\"\n{more}\n"
    )
}

/// One item that no rule decides.
const ITEM: &str = "[[item]]\nid = \"I1\"\ntitle = \"Penetration test\"\n";

fn replay(evidence: &Value, config: &str) -> Verdict {
    let output = Run::with_config(config)
        .file("e.json", evidence.to_string())
        .args(["replay", "e.json", "--format", "json"])
        .output();
    Verdict::read(&output)
}

/// Result, basis, freshness.
fn axes(item: &Value) -> [&str; 3] {
    ["result", "basis", "freshness"].map(|key| item[key].as_str().expect("text"))
}

fn reason(item: &Value) -> &str {
    item["reason"].as_str().expect("text")
}

#[test]
fn a_document_that_is_the_same_holds_and_counts_apart() {
    let (_dir, nginx) = library();
    let url = format!("http://127.0.0.1:{}/report.txt", nginx.port);
    let config = format!(
        "{ITEM}{}",
        attested("I1", &url, &sha256(REPORT).to_uppercase(), "")
    );
    let verdict = Run::with_config(&config).once();
    let item = verdict.item("I1");
    assert_eq!(axes(item), ["pass", "attested", "fresh"], "{item:#}");
    assert_eq!(verdict.code, 0);
    let attestation = &item["attestation"];
    assert_eq!(attestation["held"], true);
    assert_eq!(attestation["owner"], "sec@example.org");
    assert_eq!(attestation["url"], url.as_str());
    assert_eq!(attestation["sha256"], sha256(REPORT).as_str());
    assert_eq!(attestation["issued"], day(-30).to_string().as_str());
    assert_eq!(attestation["reason"], "");
    let probe = verdict.probe("attestation.I1");
    assert_eq!(probe["facts"]["sha256"], sha256(REPORT).as_str());
    assert_eq!(probe["facts"]["size_bytes"], REPORT.len());
    let seen = format!(
        "attestation.I1@{}",
        probe["evidence_hash"].as_str().expect("a hash")
    );
    assert_eq!(item["evidence"][0], seen.as_str());
    let score = &verdict.json["score"];
    assert_eq!(
        (&score["derived"], &score["attested"]),
        (&0.0.into(), &1.0.into())
    );
    assert!(
        verdict.json["findings"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    // The content is nobody's business.
    assert!(!verdict.json.to_string().contains("nothing found"));

    let table = Run::with_config(&config)
        .args(["--once", "--format", "table"])
        .output();
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    assert!(table.contains("attested until"), "{table}");
    assert!(table.contains("derived 0 + attested 100"), "{table}");

    // Judged again when nothing listens any more: no connection is made.
    drop(nginx);
    let again = replay(&verdict.json, &config);
    assert_eq!(axes(again.item("I1")), ["pass", "attested", "fresh"]);
    let other = config.replace(&sha256(REPORT).to_uppercase(), &sha256("another"));
    assert_eq!(
        axes(replay(&verdict.json, &other).item("I1")),
        ["unknown", "derived", "stale"]
    );
    let elsewhere = config.replace("report.txt", "other.txt");
    let elsewhere = replay(&verdict.json, &elsewhere);
    assert_eq!(axes(elsewhere.item("I1")), ["unknown", "derived", "fresh"]);
    let mut forged = verdict.json.clone();
    let facts = forged["probes"][0]["facts"].as_object_mut().expect("facts");
    facts.insert("sha256".to_owned(), sha256("another").into());
    assert_eq!(replay(&forged, &other).item("I1")["result"], "unknown");
}

#[test]
fn what_does_not_hold_is_unknown_and_says_why() {
    let (dir, nginx) = library();
    std::fs::write(dir.path().join("empty.txt"), "").expect("write");
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", nginx.port);
    let here = url("/report.txt");
    let hash = sha256(REPORT);
    let hangs = Scripted::start(|_| Reply::hang());
    let refused = format!("http://127.0.0.1:{}/", free_port());
    let big = "max_body_bytes = 16";
    let quick = "timeout = \"500ms\"";
    let cases: [(&str, String, &str, &str); 9] = [
        (
            "drift",
            attested("I1", &here, &sha256("the other one"), ""),
            "stale",
            "is not the document that was attested",
        ),
        (
            "expired",
            dated("I1", &here, &hash, (day(-30), day(-1)), ""),
            "stale",
            "has expired",
        ),
        (
            "early",
            dated("I1", &here, &hash, (day(1), day(30)), ""),
            "fresh",
            "is not in force yet",
        ),
        (
            "404",
            attested("I1", &url("/none"), &hash, ""),
            "fresh",
            "HTTP 404",
        ),
        (
            "hang",
            attested("I1", &hangs.url("/"), &hash, quick),
            "fresh",
            "was not seen",
        ),
        (
            "refused",
            attested("I1", &refused, &hash, ""),
            "fresh",
            "was not seen",
        ),
        (
            "large",
            attested("I1", &here, &hash, big),
            "fresh",
            "larger than max_body_bytes",
        ),
        (
            "empty",
            attested("I1", &url("/empty.txt"), &sha256(""), ""),
            "fresh",
            "size_bytes > 0",
        ),
        (
            "no name",
            attested("I1", "http://none.invalid/", &hash, ""),
            "fresh",
            "was not seen",
        ),
    ];
    for (case, attestation, freshness, why) in cases {
        let verdict = Run::with_config(&format!("{ITEM}{attestation}")).once();
        let item = verdict.item("I1");
        assert_eq!(
            axes(item),
            ["unknown", "derived", freshness],
            "{case}: {item:#}"
        );
        assert!(reason(item).contains(why), "{case}: {}", reason(item));
        assert_eq!(item["attestation"]["held"], false, "{case}");
        assert_eq!(item["attestation"]["reason"], item["reason"], "{case}");
        let stale = (freshness == "stale").then_some("pass");
        assert_eq!(
            item.get("last_known").and_then(Value::as_str),
            stale,
            "{case}"
        );
        assert_eq!(
            codes(&verdict.json["findings"], "I1"),
            ["attestation-not-held"],
            "{case}"
        );
        assert_eq!(verdict.code, 3, "{case}");
        assert_eq!(verdict.json["score"]["attested"], 0.0, "{case}");
    }
}

#[test]
fn it_holds_from_its_first_to_its_last_day() {
    let (_dir, nginx) = library();
    let url = format!("http://127.0.0.1:{}/report.txt", nginx.port);
    let hash = sha256(REPORT);
    let on = |dates| Run::with_config(&format!("{ITEM}{}", dated("I1", &url, &hash, dates, "")));
    let only_today = on((today(), today())).once();
    assert_eq!(axes(only_today.item("I1"))[..2], ["pass", "attested"]);
    let soon = finding(&only_today.json["findings"], "attestation-expires-soon");
    assert_eq!(
        (soon["file"].as_str(), soon["line"].as_u64()),
        (Some("probes.toml"), Some(5))
    );
    assert!(
        only_today.stderr.contains("expires in 0 days"),
        "{}",
        only_today.stderr
    );
    assert!(
        on((day(-30), day(15))).once().json["findings"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );

    // A replay revives none, neither one that has expired since nor one that was issued since.
    let (from, until) = (day(-200), day(150));
    let mut old = on((from, until)).once().json;
    let then = Timestamp::now() - 240.hours();
    old["finished_at"] = then.to_string().into();
    let judged = |dates| {
        let config = format!("{ITEM}{}", dated("I1", &url, &hash, dates, ""));
        replay(&old, &config)
    };
    assert_eq!(
        axes(judged((from, until)).item("I1"))[..2],
        ["pass", "attested"]
    );
    let expired = judged((from, day(-5)));
    assert_eq!(axes(expired.item("I1")), ["unknown", "derived", "stale"]);
    let early = judged((day(-5), until));
    assert_eq!(axes(early.item("I1")), ["unknown", "derived", "fresh"]);
    assert!(reason(early.item("I1")).contains("not in force yet"));
}

#[test]
fn https_is_verified_and_credentials_stay_with_their_host() {
    let dir = TempDir::new().expect("temporary directory");
    std::fs::write(dir.path().join("report.txt"), REPORT).expect("write the report");
    let root = Authority::root("attest root");
    let identity = root.issue(&Leaf::sound().names(&["127.0.0.1"]));
    let (chain, key) = identity.write(dir.path(), "site");
    let port = free_port();
    let _nginx = Nginx::plain_with(&format!(
        "listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; root {};",
        chain.display(),
        key.display(),
        dir.path().display()
    ));
    let url = format!("https://127.0.0.1:{port}/report.txt");
    let run = |more: &str| {
        let config = format!("{ITEM}{}", attested("I1", &url, &sha256(REPORT), more));
        Run::with_config(&config).file("ca.pem", root.pem()).once()
    };
    let trusted = run("ca_file = \"ca.pem\"");
    assert_eq!(
        axes(trusted.item("I1"))[..2],
        ["pass", "attested"],
        "{:#}",
        trusted.json
    );
    let distrusted = run("");
    assert_eq!(axes(distrusted.item("I1")), ["unknown", "derived", "fresh"]);
    assert!(
        reason(distrusted.item("I1")).contains("tls handshake"),
        "{}",
        reason(distrusted.item("I1"))
    );

    let store = Scripted::start(|_| Reply::new(200, REPORT));
    let stored = store.url("/signed?sig=of-the-store");
    let door = Scripted::start(move |asked| match asked.path.as_str() {
        "/doc" => Reply::new(302, "").header(&format!("location: {stored}")),
        _ => Reply::new(404, ""),
    });
    let at = door
        .url("/doc")
        .replace("http://", "http://reader:${env:DOC_PASSWORD}@");
    let config = format!(
        "{ITEM}{}",
        attested(
            "I1",
            &format!("{at}?t=${{env:DOC_TOKEN}}"),
            &sha256(REPORT),
            ""
        )
    );
    let verdict = Run::with_config(&config)
        .env("DOC_PASSWORD", "hunter2-of-docs")
        .env("DOC_TOKEN", "token-of-docs")
        .once();
    assert_eq!(
        axes(verdict.item("I1"))[..2],
        ["pass", "attested"],
        "{:#}",
        verdict.json
    );
    let text = format!("{}{}", verdict.json, verdict.stderr);
    assert!(
        !text.contains("hunter2-of-docs") && !text.contains("token-of-docs"),
        "{text}"
    );
    let asked = door.asked();
    assert!(
        asked[0]
            .head
            .to_lowercase()
            .contains("authorization: basic"),
        "{asked:?}"
    );
    assert_eq!(asked[0].query, "t=token-of-docs");
    let elsewhere = store.asked();
    assert_eq!(elsewhere.len(), 1);
    assert!(
        !elsewhere[0].head.to_lowercase().contains("authorization"),
        "{elsewhere:?}"
    );
    assert!(
        elsewhere[0]
            .head
            .to_lowercase()
            .contains("accept-encoding: identity"),
        "{elsewhere:?}"
    );
}

#[test]
fn beside_rules_it_can_only_take_away() {
    let (_dir, nginx) = library();
    let at = format!("http://127.0.0.1:{}", nginx.port);
    let url = format!("{at}/report.txt");
    let hash = sha256(REPORT);
    let probe = format!(
        "[[probe]]\nid = \"web\"\nkind = \"http\"\nurl = \"{url}\"\n\
         rules.bad = \"status == 500\"\nrules.meh = {{ expr = \"status == 500\", severity = \"should\" }}\n\
         rules.dim = \"json.x == 1\"\n"
    );
    let run = |rule: &str, hash: &str| {
        let item = format!("[[item]]\nid = \"I1\"\nneeds = [\"web/{rule}\"]\n");
        let other = "[[item]]\nid = \"rest\"\nneeds = [\"web/*\"]\n";
        Run::with_config(&format!(
            "{probe}{item}{other}{}",
            attested("I1", &url, hash, "")
        ))
        .once()
    };
    for (rule, result) in [
        ("status", "pass"),
        ("bad", "fail"),
        ("meh", "warn"),
        ("dim", "unknown"),
    ] {
        let verdict = run(rule, &hash);
        let item = verdict.item("I1");
        assert_eq!(axes(item), [result, "derived", "fresh"], "{rule}: {item:#}");
        assert_eq!(item["attestation"]["held"], true);
        assert_eq!(verdict.json["score"]["attested"], 0.0);
    }
    let drifted = sha256("another");
    for (rule, result, freshness) in [
        ("status", "unknown", "stale"),
        ("bad", "fail", "fresh"),
        ("meh", "unknown", "stale"),
        ("dim", "unknown", "fresh"),
    ] {
        let verdict = run(rule, &drifted);
        let item = verdict.item("I1");
        assert_eq!(
            axes(item),
            [result, "derived", freshness],
            "{rule}: {item:#}"
        );
    }
}

#[test]
fn waivers_aliases_misses_and_selections_know_it() {
    let (_dir, nginx) = library();
    let url = format!("http://127.0.0.1:{}/report.txt", nginx.port);
    let hash = sha256(REPORT);
    let waiver = format!(
        "[[waiver]]\nitem = \"I1\"\nresult = \"unknown\"\nowner = \"ops\"\nreason = \"the new report is being written\"\nexpires = {}\n",
        day(40)
    );
    let with = |hash: &str, more: &str| {
        Run::with_config(&format!("{ITEM}{}{more}", attested("I1", &url, hash, "")))
    };
    let waived = with(&sha256("another"), &waiver).once();
    assert_eq!(axes(waived.item("I1")), ["unknown", "waived", "stale"]);
    assert_eq!(
        (waived.code, &waived.json["gate"]["result"]),
        (0, &"warn".into())
    );
    assert_eq!(waived.json["score"]["high"], 0.0);
    let needless = with(&hash, &waiver).once();
    assert_eq!(axes(needless.item("I1")), ["pass", "attested", "fresh"]);
    assert_eq!(
        codes(&needless.json["findings"], "I1"),
        ["waiver-not-applied"]
    );

    let alias = "[[item]]\nid = \"I2\"\nalias_of = \"I1\"\n";
    let both = with(&hash, alias).once();
    assert_eq!(axes(both.item("I2")), ["pass", "attested", "fresh"]);
    assert!(
        both.json["findings"].as_array().is_some_and(Vec::is_empty),
        "{:#}",
        both.json["findings"]
    );

    let item = format!("{ITEM}misses = \"the retest\"\n");
    let missing = Run::with_config(&format!("{item}{}", attested("I1", &url, &hash, ""))).once();
    assert_eq!(axes(missing.item("I1")), ["warn", "attested", "fresh"]);
    assert_eq!(missing.json["score"]["attested"], 0.5);

    let other = format!(
        "[[probe]]\nid = \"web\"\nkind = \"http\"\nurl = \"{url}\"\n[[item]]\nid = \"I3\"\nneeds = [\"web/*\"]\n"
    );
    let unselected = with(&hash, &other).args(["--select", "web"]).once();
    assert_eq!(axes(unselected.item("I1")), ["unknown", "derived", "fresh"]);
    assert!(reason(unselected.item("I1")).contains("not selected"));
    assert!(
        unselected.json["findings"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    let selected = with(&hash, &other).args(["--select", "I1"]).once();
    assert_eq!(selected.item("I1")["basis"], "attested");
    assert_eq!(selected.item("I3")["result"], "unknown");
}

#[test]
fn claims_are_held_against_it() {
    let (_dir, nginx) = library();
    let url = format!("http://127.0.0.1:{}/report.txt", nginx.port);
    let list = "## I. Security\n\n| Item | Status |\n|---|---|\n| Penetration test | ✅ done |\n";
    let run = |hash: &str| {
        let config = format!(
            "[[item]]\nid = \"I.1\"\n{}",
            attested("I.1", &url, hash, "")
        );
        Run::with_config(&config)
            .file("list.md", list)
            .args(["--checklist", "list.md"])
    };
    let held = run(&sha256(REPORT)).once();
    assert_eq!(held.item("I.1")["claim"]["status"], "pass");
    assert!(
        codes(&held.json["findings"], "I.1").is_empty(),
        "{:#}",
        held.json["findings"]
    );
    let stale = run(&sha256("another")).once();
    assert_eq!(
        codes(&stale.json["findings"], "I.1"),
        ["claimed-pass-unsupported", "attestation-not-held"]
    );
    let document = run(&sha256(REPORT))
        .args(["--once", "--format", "markdown"])
        .output();
    let document = String::from_utf8(document.stdout).expect("UTF-8");
    assert!(
        document.contains("| ✅ pass | pass · attested · fresh | attestation.I.1@"),
        "{document}"
    );
}

#[test]
fn what_cannot_be_an_attestation_has_its_place() {
    let hash = "a".repeat(64);
    let url = "https://docs.example.com/report.pdf";
    let good = dated("I1", url, &hash, (day(-1), day(100)), "");
    let refuses = |config: &str, text: &str| {
        let output = Run::with_config(config).args(["check"]).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}\n{stderr}");
        assert!(stderr.contains(text), "{text}\n{stderr}");
        assert!(stderr.contains("probes.toml:"), "{stderr}");
    };
    let with = |attestation: &str| format!("{ITEM}{attestation}");
    refuses(
        &with(&dated("I1", url, &hash, (day(0), day(367)), "")),
        "for at most a year",
    );
    refuses(
        &with(&dated("I1", url, &hash, (day(2), day(1)), "")),
        "it expires before it is issued",
    );
    refuses(
        &with(&dated("I1", url, "abc", (day(0), day(9)), "")),
        "64 hexadecimal digits",
    );
    refuses(
        &with(&dated(
            "I1",
            url,
            &format!("g{}", &hash[1..]),
            (day(0), day(9)),
            "",
        )),
        "64 hexadecimal digits",
    );
    refuses(
        &with(&dated("I9", url, &hash, (day(0), day(9)), "")),
        "there is no item `I9`",
    );
    refuses(
        &with(&format!("{good}{good}")),
        "a second attestation for `I1`",
    );
    refuses(
        &with(&dated("I1", "ftp://x/y", &hash, (day(0), day(9)), "")),
        "only http and https",
    );
    refuses(
        &with(&dated(
            "I1",
            url,
            &hash,
            (day(0), day(9)),
            "ca_file = \"none.pem\"",
        )),
        "none.pem",
    );
    refuses(
        &with(&dated(
            "I1",
            url,
            &hash,
            (day(0), day(9)),
            "max_body_bytes = 0",
        )),
        "from 1 to",
    );
    refuses(
        &with(&dated("I1", url, &hash, (day(0), day(9)), "expired = 1")),
        "did you mean `expires`?",
    );
    refuses(
        &with(&good.replace("sec@example.org", " ")),
        "without owner",
    );
    refuses(
        &with(&good.replace(&format!("issued = {}", day(-1)), "issued = \"soon\"")),
        "`soon` is not a date",
    );
    refuses(
        &with(&good.replace(&format!("expires = {}\n", day(100)), "")),
        "has no `expires`",
    );
    refuses(
        &format!(
            "[[probe]]\nid = \"attestation.I1\"\nkind = \"tcp\"\nhost = \"h\"\nport = 1\n{}",
            with(&good)
        ),
        "is the id of the probe of this attestation",
    );
    let fine = Run::with_config(&with(&good)).args(["check"]).output();
    let stderr = String::from_utf8_lossy(&fine.stderr);
    assert_eq!((fine.status.code(), stderr.as_ref()), (Some(0), ""));
    let expired = with(&dated("I1", url, &hash, (day(-9), day(-1)), ""));
    let expired = Run::with_config(&expired).args(["check"]).output();
    assert!(String::from_utf8_lossy(&expired.stderr).contains("has expired"));
}

#[test]
fn documents_are_fetched_at_the_same_time_and_one_that_hangs_delays_no_other() {
    let (_dir, nginx) = library();
    let url = format!("http://127.0.0.1:{}/report.txt", nginx.port);
    let hangs = Scripted::start(|_| Reply::hang());
    let mut config = String::new();
    for at in 0..8 {
        let (url, more) = if at == 0 {
            (url.clone(), "")
        } else {
            (hangs.url("/"), "timeout = \"2s\"")
        };
        config += &format!(
            "[[item]]\nid = \"I{at}\"\n{}",
            attested(&format!("I{at}"), &url, &sha256(REPORT), more)
        );
    }
    let begun = std::time::Instant::now();
    let verdict = Run::with_config(&config).once();
    // One after the other they would take fourteen seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(verdict.item("I0")["basis"], "attested");
    assert_eq!(verdict.item("I7")["result"], "unknown");
}
