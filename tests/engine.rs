//! The engine: dependencies, deadlines, retries, bounds, signals, and how results fold.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Run, Verdict, free_port};

fn tcp(id: &str, port: u16, more: &str) -> String {
    format!(
        "[[probe]]\nid = \"{id}\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n{more}\n"
    )
}

fn http(id: &str, port: u16, more: &str) -> String {
    format!(
        "[[probe]]\nid = \"{id}\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}/\"\n{more}\n"
    )
}

/// A port that accepts and then says nothing, for as long as the listener lives.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

#[test]
fn exit_codes_follow_the_gate() {
    let (_open, port) = silent();
    let pass = Run::with_config(&tcp("a", port, "")).once();
    assert_eq!((pass.code, pass.result("a/state")), (0, "pass"));
    let fail = Run::with_config(&tcp("a", free_port(), "")).once();
    assert_eq!((fail.code, fail.result("a/state")), (1, "fail"));
    let never = "rules.never = { expr = \"state == 'refused'\", severity = \"should\" }";
    let warn = Run::with_config(&tcp("a", port, never)).once();
    assert_eq!(warn.code, 0);
    assert_eq!(warn.json["gate"]["result"], "warn");
    let warn = Run::with_config(&tcp("a", port, never))
        .args(["--fail-on-warn"])
        .once();
    assert_eq!(warn.code, 4);
    let unknown = Run::with_config(
        "[[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"none.invalid\"\nport = 1\n",
    );
    let unknown = unknown.once();
    assert_eq!(unknown.code, 3, "{:#}", unknown.json);
    for (config, code) in [
        (tcp("a", free_port(), ""), 2),
        (tcp("a", port, never), 1),
        (tcp("a", port, ""), 0),
    ] {
        assert_eq!(
            Run::with_config(&config)
                .args(["--exit-map", "nagios"])
                .once()
                .code,
            code
        );
    }
}

#[test]
fn a_probe_runs_only_after_what_it_depends_on_has_passed() {
    let (_open, port) = silent();
    let config = [
        tcp("last", port, "depends_on = [\"middle\"]"),
        tcp("middle", port, "depends_on = [\"first\"]"),
        tcp("first", free_port(), ""),
        tcp("other", port, ""),
    ]
    .concat();
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.result("middle/state"), "unknown");
    assert_eq!(verdict.result("last/state"), "unknown");
    assert_eq!(verdict.result("other/state"), "pass");
    assert!(
        verdict.rule("middle/state")["reason"]
            .as_str()
            .expect("text")
            .contains("depends on first")
    );
    assert_eq!(
        verdict.probe("middle")["tries"].as_array().map(Vec::len),
        Some(0)
    );
    assert_eq!(verdict.code, 1);
}

#[test]
fn a_dependency_that_only_warns_is_met() {
    let (_open, port) = silent();
    let warns = "rules.never = { expr = \"state == 'refused'\", severity = \"should\" }";
    let config = [
        tcp("a", port, warns),
        tcp("b", port, "depends_on = [\"a\"]"),
    ]
    .concat();
    assert_eq!(Run::with_config(&config).once().result("b/state"), "pass");
}

#[test]
fn ten_thousand_probes_in_a_chain_do_not_exhaust_a_stack() {
    let mut config = tcp("p0", free_port(), "");
    for index in 1..10_000 {
        config.push_str(&tcp(
            &format!("p{index}"),
            9,
            &format!("depends_on = [\"p{}\"]", index - 1),
        ));
    }
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.result("p9999/state"), "unknown");
    assert_eq!(verdict.code, 1);
}

#[test]
fn selection_takes_dependencies_along_and_leaves_the_rest_unknown() {
    let (_open, port) = silent();
    let config = [
        tcp("a", port, "tags = [\"app\"]\ndepends_on = [\"b\"]"),
        tcp("b", port, ""),
        tcp("c", port, ""),
    ]
    .concat();
    for selection in ["a", "tag:app", "tag:a*"] {
        let verdict = Run::with_config(&config)
            .args(["--select", selection])
            .once();
        assert_eq!(verdict.result("a/state"), "pass");
        assert_eq!(verdict.result("b/state"), "pass");
        assert_eq!(verdict.result("c/state"), "unknown");
        assert_eq!(verdict.code, 3);
    }
    let output = Run::with_config(&config)
        .args(["--once", "--select", "nope"])
        .output();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn gates_choose_what_decides() {
    let (_open, port) = silent();
    let config = [
        tcp("good", port, ""),
        tcp("bad", free_port(), ""),
        "[[item]]\nid = \"A.1\"\nneeds = [\"good/*\"]\n[[item]]\nid = \"B.1\"\nneeds = [\"bad/*\"]\n\
         [[item]]\nid = \"C.1\"\n\
         [[gate]]\nid = \"a\"\nitems = [\"A.*\"]\n[[gate]]\nid = \"b\"\nitems = [\"A.*\", \"B.*\"]\n\
         [[gate]]\nid = \"c\"\nitems = [\"A.*\", \"C.*\"]\n[[gate]]\nid = \"empty\"\nitems = []\n"
            .to_owned(),
    ]
    .concat();
    for (gate, code) in [("a", 0), ("b", 1), ("c", 3), ("empty", 3)] {
        let verdict = Run::with_config(&config).args(["--gate", gate]).once();
        assert_eq!(verdict.code, code, "gate {gate}");
        assert_eq!(verdict.json["gate"]["id"], gate);
    }
    let all = Run::with_config(&config).once();
    assert_eq!((all.code, &all.json["gate"]["id"]), (1, &"all".into()));
    assert_eq!(
        all.json["gate"]["blocking"],
        serde_json::json!(["B.1", "C.1"])
    );
    assert_eq!(all.item("C.1")["reason"], "no probe for this yet");
    let none = Run::with_config(&config)
        .args(["--once", "--gate", "z"])
        .output();
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_rule_that_is_off_leaves_an_item_that_names_it_unknown() {
    let (_open, port) = silent();
    let probe = tcp(
        "a",
        port,
        "rules.state = false\nrules.own = \"state == 'open'\"",
    );
    let item = |needs: &str| format!("{probe}[[item]]\nid = \"I\"\nneeds = [\"{needs}\"]\n");
    assert_eq!(Run::with_config(&item("a/state")).once().code, 3);
    let glob = Run::with_config(&item("a/*")).once();
    assert_eq!(glob.code, 0);
    assert_eq!(glob.rule("a/state")["enabled"], false);
}

#[test]
fn misses_make_an_item_at_best_a_warning() {
    let (_open, port) = silent();
    let config = format!(
        "{}[[item]]\nid = \"I\"\nneeds = [\"a/*\"]\nmisses = \"outside vantage\"\n",
        tcp("a", port, "")
    );
    let verdict = Run::with_config(&config).once();
    assert_eq!(verdict.item("I")["result"], "warn");
    assert!(
        verdict.item("I")["reason"]
            .as_str()
            .expect("text")
            .contains("partly derived")
    );
}

#[test]
fn a_waiver_covers_one_result_and_keeps_it_visible() {
    let waiver = |result: &str, days: i64| {
        let expires = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            + jiff::Span::new().days(days);
        format!(
            "[[waiver]]\nitem = \"a\"\nresult = \"{result}\"\nowner = \"sec@example.org\"\nreason = \"ordered\"\nexpires = {expires}\n"
        )
    };
    let bad = tcp("a", free_port(), "");
    let waived = Run::with_config(&format!("{bad}{}", waiver("fail", 30))).once();
    assert_eq!(waived.code, 0);
    assert_eq!(waived.json["gate"]["result"], "warn");
    assert_eq!(waived.item("a")["result"], "fail");
    assert_eq!(waived.item("a")["basis"], "waived");
    assert_eq!(waived.json["score"]["high"], 0.0);
    for not_covering in [waiver("unknown", 30), waiver("fail", -1)] {
        assert_eq!(
            Run::with_config(&format!("{bad}{not_covering}"))
                .once()
                .code,
            1
        );
    }
    let too_long = Run::with_config(&format!("{bad}{}", waiver("fail", 91)))
        .args(["--once"])
        .output();
    assert_eq!(too_long.status.code(), Some(2));
}

#[test]
fn a_hanging_target_costs_its_own_probe_only() {
    let (_hangs, port) = silent();
    let (_open, good) = silent();
    let config = [
        http("hangs", port, "timeout = \"1s\""),
        tcp("good", good, ""),
    ]
    .concat();
    let begun = Instant::now();
    let verdict = Run::with_config(&config).once();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(verdict.result("good/state"), "pass");
    assert_eq!(verdict.probe("hangs")["outcome"], "target_error");
    assert_eq!(verdict.result("hangs/status"), "fail");
}

#[test]
fn the_deadline_of_the_run_ends_what_still_runs() {
    let (_hangs, port) = silent();
    let (_open, good) = silent();
    let config = [
        http("hangs", port, "timeout = \"60s\""),
        tcp("good", good, ""),
    ]
    .concat();
    let begun = Instant::now();
    let verdict = Run::with_config(&config)
        .args(["--deadline", "500ms"])
        .once();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(verdict.result("good/state"), "pass");
    assert_eq!(verdict.result("hangs/status"), "unknown");
    assert_eq!(verdict.code, 3);
}

#[test]
fn an_interrupt_ends_the_run_with_what_was_learnt() {
    let (_hangs, port) = silent();
    let closed = free_port();
    let config = [
        http("hangs", port, "timeout = \"60s\""),
        tcp("bad", closed, ""),
    ]
    .concat();
    for signal in ["INT", "TERM"] {
        let run = Run::with_config(&config);
        let child = Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(["--once", "--format", "json"])
            .current_dir(run.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start probe");
        std::thread::sleep(Duration::from_millis(700));
        let begun = Instant::now();
        Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .expect("kill");
        let verdict = Verdict::read(&child.wait_with_output().expect("wait"));
        assert!(begun.elapsed() < Duration::from_secs(2), "{signal}");
        assert_eq!(verdict.code, 3, "{signal}");
        assert_eq!(verdict.result("bad/state"), "fail");
        assert_eq!(verdict.result("hangs/status"), "unknown");
    }
}

#[test]
fn what_fails_first_and_passes_later_is_flaky() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        // The first connection is dropped, the second is answered.
        drop(listener.accept());
        let (mut stream, _) = listener.accept().expect("accept");
        let read = stream.read(&mut [0; 1024]).expect("read");
        assert!(read > 0, "a request");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .expect("write");
    });
    let verdict = Run::with_config(&http("a", port, "retries = 2")).once();
    server.join().expect("the server");
    assert_eq!(verdict.result("a/status"), "pass");
    assert_eq!(verdict.item("a")["flaky"], true);
    assert_eq!(
        verdict.probe("a")["tries"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(verdict.probe("a")["tries"][0]["outcome"], "target_error");
}

#[test]
fn few_open_files_slow_a_run_down_and_fail_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let config: String = (0..200)
        .map(|index| tcp(&format!("p{index}"), port, ""))
        .collect();
    let run = Run::with_config(&config);
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 48 && exec \"$0\" --once --format json",
            env!("CARGO_BIN_EXE_probe"),
        ])
        .current_dir(run.dir())
        .output()
        .expect("run");
    let verdict = Verdict::read(&output);
    assert_eq!(verdict.code, 0, "{:#}", verdict.json["gate"]);
}

#[test]
fn attempts_that_ended_are_kept_when_the_run_is_cut() {
    let closed = free_port();
    let config = http("a", closed, "retries = 50");
    let verdict = Run::with_config(&config).args(["--deadline", "1s"]).once();
    assert_eq!(verdict.code, 3);
    let tries = verdict.probe("a")["tries"].as_array().map_or(0, Vec::len);
    assert!(tries > 1, "{tries}");
}

#[test]
fn a_starved_agent_does_not_blame_the_target() {
    let (_hangs, port) = silent();
    let run = Run::with_config(&http("a", port, "timeout = \"1s\""));
    let child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(["--once", "--format", "json"])
        .current_dir(run.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start probe");
    let pid = child.id().to_string();
    let signal = |name: &str| {
        Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill")
    };
    std::thread::sleep(Duration::from_millis(300));
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(2));
    signal("-CONT");
    let verdict = Verdict::read(&child.wait_with_output().expect("wait"));
    assert_eq!(
        verdict.probe("a")["outcome"],
        "probe_error",
        "{:#}",
        verdict.probe("a")
    );
    assert_eq!(verdict.code, 3);
}
