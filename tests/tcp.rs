//! The `tcp` kind.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use probe::evidence::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::lab::{Attempt, Hostile, Run, attempt, free_port};

const TIMEOUT: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_millis(500);

async fn dial(port: u16, params: &str) -> Attempt {
    attempt(
        "tcp",
        &format!("host = '127.0.0.1'\nport = {port}\n{params}"),
        TIMEOUT,
    )
    .await
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port that answers no SYN: its backlog is full and nobody accepts.
async fn silent() -> (tokio::net::TcpListener, Vec<TcpStream>, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 20, "the backlog does not fill");
    }
    (listener, waiting, address.port())
}

#[tokio::test]
async fn open_refused_and_filtered_are_three_facts() {
    let (_listener, open) = listener().await;
    let attempt = dial(open, "").await;
    assert_eq!(attempt.fact("state"), "open");
    assert_eq!(attempt.fact("expect"), "open");
    assert!(attempt.fact("addresses")[0]["connect_ms"].is_f64());
    assert_eq!(attempt.unknown("banner"), "not_applicable");
    assert_eq!(attempt.unknown("controlled"), "not_applicable");

    let attempt = dial(free_port(), "").await;
    assert_eq!(attempt.fact("state"), "refused");
    assert_eq!(attempt.fact("addresses")[0]["state"], "refused");

    let (_listener, _waiting, filtered) = silent().await;
    let attempt = dial(filtered, "").await;
    assert_eq!(attempt.fact("state"), "filtered");
    assert_eq!(attempt.outcome(), Outcome::Observed);
    assert!(attempt.took < TIMEOUT + SLACK, "{:?}", attempt.took);
}

#[tokio::test]
async fn closed_is_proven_by_an_open_control_alone() {
    let (_listener, open) = listener().await;
    let (_silent, _waiting, filtered) = silent().await;
    let refused = free_port();
    let closed = |control: u16| format!("expect = 'closed'\ncontrol = '127.0.0.1:{control}'");
    for (port, state) in [(refused, "refused"), (filtered, "filtered")] {
        let attempt = dial(port, &closed(open)).await;
        assert_eq!(attempt.fact("state"), state);
        assert_eq!(attempt.fact("controlled"), true, "{attempt:?}");
        assert_eq!(attempt.fact("control_state"), "open");
        assert!(attempt.took < TIMEOUT + SLACK, "{:?}", attempt.took);
    }
    for (control, state) in [(free_port(), "refused"), (filtered, "filtered")] {
        let attempt = dial(refused, &closed(control)).await;
        assert_eq!(attempt.fact("control_state"), state);
        assert_eq!(attempt.unknown("controlled"), "not_observed");
        let detail = attempt.fact("controlled")["detail"].as_str().unwrap();
        assert!(
            detail.contains("proves nothing") && detail.contains(state),
            "{detail}"
        );
    }
    let unresolvable = "expect = 'closed'\ncontrol = 'no-such-host.invalid:443'";
    let attempt = dial(refused, unresolvable).await;
    assert_eq!(attempt.unknown("controlled"), "not_observed");
    assert_eq!(attempt.unknown("control_state"), "not_observed");

    let (_second, other) = listener().await;
    let attempt = dial(open, &closed(other)).await;
    assert_eq!(attempt.fact("state"), "open");
}

#[tokio::test]
async fn every_address_of_a_name_is_dialled() {
    let (_listener, port) = listener().await;
    let attempt = attempt(
        "tcp",
        &format!("host = 'localhost'\nport = {port}"),
        TIMEOUT,
    )
    .await;
    assert_eq!(attempt.fact("state"), "open");
    let addresses = attempt.fact("addresses").as_array().unwrap();
    assert_eq!(addresses.len(), attempt.trail.addresses.len());
    assert!(addresses.iter().any(|address| address["state"] == "open"));
    let others = addresses
        .iter()
        .filter(|address| address["state"] != "open");
    for other in others {
        assert!(
            other["address"].as_str().unwrap().starts_with("[::1]"),
            "{other}"
        );
    }
}

#[tokio::test]
async fn what_we_cannot_reach_is_not_the_targets_fault() {
    let name = attempt("tcp", "host = 'no-such-host.invalid'\nport = 1", TIMEOUT).await;
    assert_eq!(name.outcome(), Outcome::ProbeError, "{name:?}");
    let route = attempt("tcp", "host = '255.255.255.255'\nport = 1", TIMEOUT).await;
    assert_eq!(route.outcome(), Outcome::ProbeError, "{route:?}");
}

#[tokio::test]
async fn unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let dial = async |name: &str| {
        let params = format!("path = '{}'", path(name).display());
        attempt("tcp", &params, TIMEOUT).await
    };
    let _listener = UnixListener::bind(path("open")).unwrap();
    assert_eq!(dial("open").await.fact("state"), "open");
    assert_eq!(dial("missing").await.fact("state"), "refused");
    drop(UnixListener::bind(path("stale")).unwrap());
    assert_eq!(dial("stale").await.fact("state"), "refused");
    std::fs::write(path("file"), "").unwrap();
    assert_eq!(dial("file").await.fact("state"), "refused");

    let full = path("open");
    let mut waiting = Vec::new();
    while let Ok(stream) = UnixStream::connect(&full).await {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the backlog does not fill");
    }
    let attempt = dial("open").await;
    assert_eq!(attempt.fact("state"), "filtered");
    assert!(attempt.took < TIMEOUT + SLACK, "{:?}", attempt.took);
}

/// Accepts one connection and says something in pieces, 100 ms apart; then closes, or waits.
async fn say(pieces: Vec<Vec<u8>>, closes: bool) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for piece in pieces {
            // The peer may have heard enough.
            stream.write_all(&piece).await.ok();
            sleep(Duration::from_millis(100)).await;
        }
        if !closes {
            stream.read_u8().await.ok();
        }
    });
    port
}

type Case = (Vec<Vec<u8>>, bool, Result<&'static str, &'static str>);

#[tokio::test]
async fn a_banner_is_a_whole_line_or_unknown() {
    // what is said, whether it then closes, the banner or why it is unknown
    let cases: [Case; 8] = [
        (
            vec![b"220 mail.example ESMTP\r\nmore\r\n".to_vec()],
            false,
            Ok("220 mail.example ESMTP"),
        ),
        (
            vec![b"SSH-".to_vec(), b"2.0-x\n".to_vec()],
            false,
            Ok("SSH-2.0-x"),
        ),
        (vec![b"no line end".to_vec()], true, Ok("no line end")),
        (vec![b"x".to_vec(); 100], false, Err("timed_out")),
        (vec![], false, Err("timed_out")),
        (vec![], true, Err("not_observed")),
        (vec![vec![b'x'; 1 << 20]], false, Err("too_large")),
        (vec![b"\xff\xfe\n".to_vec()], false, Err("unparseable")),
    ];
    for (pieces, closes, expected) in cases {
        let port = say(pieces.clone(), closes).await;
        let attempt = dial(port, "banner = true").await;
        assert_eq!(attempt.fact("state"), "open");
        match expected {
            Ok(line) => assert_eq!(attempt.fact("banner"), line),
            Err(why) => assert_eq!(attempt.unknown("banner"), why, "{attempt:?}"),
        }
        assert!(attempt.took < TIMEOUT + SLACK, "{:?}", attempt.took);
    }
    let hostile = Hostile::start();
    let attempt = dial(hostile.port(), "send = \"GET /ok HTTP/1.0\\r\\n\\r\\n\"").await;
    assert_eq!(attempt.fact("banner"), "HTTP/1.1 200 OK");
    let attempt = dial(free_port(), "banner = true").await;
    assert_eq!(attempt.unknown("banner"), "not_observed");
}

#[test]
fn built_in_rules_pass_fail_and_are_unknown() {
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let (open, other, refused, down) = (port(&open), port(&other), free_port(), free_port());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_silent, _waiting, filtered) = runtime.block_on(silent());
    let closed = |control: u16| format!("expect = 'closed'\ncontrol = '127.0.0.1:{control}'\n");
    let cases = [
        ("open", open, String::new(), "pass"),
        ("refused", refused, String::new(), "fail"),
        ("filtered", filtered, String::new(), "fail"),
        ("closed", refused, closed(open), "pass"),
        ("dropped", filtered, closed(open), "pass"),
        ("exposed", open, closed(other), "fail"),
        ("exposed-anyway", open, closed(down), "fail"),
        ("unproven", refused, closed(down), "unknown"),
        ("unproven-too", refused, closed(filtered), "unknown"),
    ];
    let mut config = String::from("[defaults]\ntimeout = \"1s\"\n");
    for (id, port, params, _) in &cases {
        config += &format!(
            "[[probe]]\nid = '{id}'\nkind = 'tcp'\nhost = '127.0.0.1'\nport = {port}\n{params}"
        );
    }
    let verdict = Run::with_config(&config).once();
    for (id, _, _, result) in &cases {
        assert_eq!(verdict.result(&format!("{id}/state")), *result, "{id}");
        assert_eq!(verdict.probe(id)["outcome"], "observed", "{id}");
    }
    let reason = verdict.rule("unproven/state")["reason"].as_str().unwrap();
    assert!(reason.contains("proves nothing"), "{reason}");
}

#[test]
fn a_name_of_which_one_address_is_down_warns() {
    let listen = |address: &str| std::net::TcpListener::bind((address, 0)).unwrap();
    let (one, all) = (listen("127.0.0.1"), listen("0.0.0.0"));
    let port = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let probe = |id: &str, host: &str, port: u16, more: &str| {
        format!("[[probe]]\nid = '{id}'\nkind = 'tcp'\nhost = '{host}'\nport = {port}\n{more}")
    };
    let closed = format!(
        "expect = 'closed'\ncontrol = 'twins.example:{}'\n",
        port(&all)
    );
    let config = [
        probe("half", "twins.example", port(&one), ""),
        probe("whole", "twins.example", port(&all), ""),
        probe("single", "127.0.0.1", port(&one), ""),
        probe("local", "localhost", port(&one), ""),
        probe("exposed", "twins.example", port(&one), &closed),
    ]
    .concat();
    let hosts =
        "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 twins.example\n127.0.0.2 twins.example\n";
    let verdict = Run::with_hosts(&config, hosts).once();
    assert_eq!(verdict.result("half/state"), "pass");
    assert_eq!(verdict.result("half/every-address"), "warn");
    assert_eq!(verdict.item("half")["result"], "warn");
    let reason = verdict.rule("half/every-address")["reason"]
        .as_str()
        .unwrap();
    assert!(reason.contains("127.0.0.2"), "{reason}");
    assert_eq!(verdict.result("whole/every-address"), "pass");
    assert_eq!(verdict.result("single/every-address"), "na");
    assert_eq!(verdict.item("single")["result"], "pass");
    assert_eq!(verdict.item("local")["result"], "pass");
    // One open address of a name that must be closed is enough.
    assert_eq!(verdict.result("exposed/state"), "fail");
}
