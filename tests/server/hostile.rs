//! Clients that want to hurt.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon;
use crate::lab::Daemon;

/// Whether it still answers everybody else.
fn is_well(daemon: &Daemon) -> bool {
    let begun = Instant::now();
    daemon.get("/healthz").status == 200 && begun.elapsed() < Duration::from_secs(5)
}

fn ends_within(mut stream: TcpStream, longest: Duration) -> bool {
    stream.set_read_timeout(Some(longest)).expect("a timeout");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}

#[test]
fn a_slow_head_is_not_waited_for() {
    let (daemon, _up) = daemon("");
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = daemon.connect();
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
                .expect("write");
            stream
        })
        .collect();
    // Each drips a header line, so that something always arrives.
    while begun.elapsed() < Duration::from_secs(12) {
        for stream in &mut slow {
            stream.write_all(b"x: y\r\n").ok();
        }
        assert!(is_well(&daemon));
        sleep(Duration::from_secs(1));
    }
    for stream in slow {
        assert!(ends_within(stream, Duration::from_secs(10)));
    }
}

#[test]
fn an_idle_connection_is_given_up() {
    let (daemon, _up) = daemon("");
    let silent = daemon.connect();
    let mut idle = daemon.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        .expect("write");
    assert!(ends_within(silent, Duration::from_secs(25)));
    assert!(ends_within(idle, Duration::from_secs(25)));
}

#[test]
fn what_is_too_large_is_refused() {
    let (daemon, _up) = daemon("");
    let many = "x: y\r\n".repeat(2_000);
    let long = format!("x: {}\r\n", "y".repeat(200_000));
    for headers in [many, long] {
        let answer = daemon.raw(&format!(
            "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n"
        ));
        // The connection may be reset before the answer was read.
        assert!(matches!(answer.status, 400 | 431 | 0), "{}", answer.status);
        assert!(is_well(&daemon));
    }
    let path = format!("/{}", "a".repeat(100_000));
    assert!(matches!(daemon.get(&path).status, 404 | 414 | 431 | 0));
    let announced = daemon.raw("POST /api/v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 100000000\r\n\r\n");
    assert_eq!(
        (announced.status, announced.code().as_str()),
        (413, "too_large")
    );
    let chunk = format!("10000\r\n{}\r\n", "z".repeat(0x10000));
    let chunked = format!(
        "POST /api/v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(4)
    );
    assert!(matches!(daemon.raw(&chunked).status, 413 | 0));
    assert!(is_well(&daemon));
}

#[test]
fn garbage_is_refused() {
    let (daemon, _up) = daemon("");
    for garbage in [
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost 127.0.0.1\r\n\r\n",
        "POST /api/v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST /api/v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
        "GET /api/v1/items/%ff HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\r\n\r\n",
    ] {
        let status = daemon.raw(garbage).status;
        assert!(
            matches!(status, 0 | 400 | 404 | 505),
            "{garbage:?}: {status}"
        );
        assert!(is_well(&daemon), "{garbage:?}");
    }
}

#[test]
fn http_1_0_and_pipelines_are_answered() {
    let (daemon, _up) = daemon("");
    assert_eq!(daemon.raw("GET /healthz HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(
        daemon.raw("GET /api/v1/verdict HTTP/1.0\r\n\r\n").status,
        200
    );
    let one = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = daemon.connect();
    stream
        .write_all((one.repeat(20) + last).as_bytes())
        .expect("write");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("read");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 21);
}

#[test]
fn connections_are_counted_and_the_rest_is_told_so() {
    let (daemon, _up) = daemon("max_connections = 8");
    sleep(Duration::from_millis(300));
    let held: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = daemon.connect();
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\n")
                .expect("write");
            stream
        })
        .collect();
    sleep(Duration::from_millis(500));
    let refused = daemon.get("/healthz");
    assert!(matches!(refused.status, 503 | 0), "{}", refused.status);
    drop(held);
    daemon.wait_for("/healthz", |answer| answer.status == 200);
}

#[test]
fn who_does_not_read_its_answer_hurts_nobody() {
    let (daemon, _up) = daemon("");
    let request = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(200);
    let deaf: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = daemon.connect();
            stream.write_all(request.as_bytes()).ok();
            stream
        })
        .collect();
    for _ in 0..10 {
        assert!(is_well(&daemon));
    }
    drop(deaf);
}
