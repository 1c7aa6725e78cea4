//! Servers that are none, or mean harm.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use probe::evidence::Outcome;

use super::probe;
use crate::lab::{Attempt, Redis, attempt, free_port, wrong_params};

/// A server that does `act` with every connection, on a thread that ends with the process.
fn server(act: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = act.clone();
            std::thread::spawn(move || act(stream));
        }
    });
    port
}

/// One that reads a little, then sends `first` once and `then` without end.
fn endless(first: &'static [u8], then: &'static [u8]) -> u16 {
    server(move |mut stream| {
        // A reply before its question is none: all of them are asked by then.
        std::thread::sleep(Duration::from_millis(100));
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(first);
        while !then.is_empty() && stream.write_all(then).is_ok() {}
        // Closing with something unread would take back what was sent.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    })
}

async fn observe(port: u16) -> Attempt {
    let params = format!("url = \"redis://:hunter2222@127.0.0.1:{port}\"");
    let seen = attempt("redis", &params, Duration::from_secs(2)).await;
    assert!(seen.took < Duration::from_millis(2_200), "{:?}", seen.took);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_silent_or_nonsense_is_the_target_s_fault() {
    let silent = server(|stream| {
        std::thread::sleep(Duration::from_secs(30));
        drop(stream);
    });
    let closing = server(drop);
    for (name, port) in [
        ("refused", free_port()),
        ("silent", silent),
        ("closing", closing),
        ("garbage", endless(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"")),
        ("bytes", endless(b"", &[0xff; 1024])),
        (
            "endless bulk string",
            endless(b"$8000000\r\n", &[b'x'; 8_192]),
        ),
        (
            "huge bulk string",
            endless(b"$9223372036854775807\r\n", b"x"),
        ),
        ("negative length", endless(b"=-5\r\n", b"x")),
        ("huge array", endless(b"*2147483647\r\n", b":1\r\n")),
        ("huge map", endless(b"%9223372036854775807\r\n", b":1\r\n")),
        (
            "deep arrays",
            endless(b"", b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
        ),
        ("wide deep arrays", endless(b"", b"*4096\r\n+\r\n")),
        ("endless line", endless(b"+", &[b'x'; 4096])),
        ("endless pushes", endless(b"", b">1\r\n+invalidate\r\n")),
    ] {
        let seen = observe(port).await;
        assert_eq!(
            seen.outcome(),
            Outcome::TargetError,
            "{name}: {:?}",
            seen.result
        );
        let said = seen.failure().to_string();
        assert!(!said.contains("hunter2222"), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_before_silence_is_kept() {
    let port = endless(
        b"+OK\r\n+PONG\r\n$30\r\nredis_version:7.0.0\r\nrole:mas\r\n",
        b"",
    );
    let held = server(|mut stream| {
        std::thread::sleep(Duration::from_millis(100));
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"+OK\r\n+PONG\r\n");
        std::thread::sleep(Duration::from_secs(30));
    });
    for port in [port, held] {
        let seen = observe(port).await;
        let node = &seen.fact("nodes")[0];
        assert_eq!(node["state"], "answered");
        assert_eq!(node["ping"], "pong");
        assert!(
            node["memory"]["used_bytes"]["unknown"].is_string(),
            "{node:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_replies_of_a_plausible_kind_are_bounded_in_number_and_time() {
    let begun = Instant::now();
    let seen = observe(endless(b"", b"+OK\r\n")).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(seen.result.is_ok());
    let node = &seen.fact("nodes")[0];
    assert!(node["memory"]["used_bytes"]["unknown"].is_string());
    let huge = endless(b"+OK\r\n+PONG\r\n$99999999\r\n", b"redis_version:7\r\n");
    let seen = observe(huge).await;
    let fact = &seen.fact("nodes")[0]["memory"]["used_bytes"];
    assert_eq!(fact["unknown"], "too_large", "{fact}");
}

#[test]
fn a_server_that_says_it_is_busy_is_not_well() {
    let server = Redis::start("--busy-reply-threshold 100");
    let port = server.port.to_string();
    let mut script = std::process::Command::new("redis-cli")
        .args(["-p", &port, "eval", "while true do end", "0"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("run redis-cli");
    server.wait_for("ping", "BUSY");
    let verdict = probe(&server.url(), "");
    assert_eq!(verdict.result("r/ready"), "fail");
    assert_eq!(verdict.facts("r")["nodes"][0]["ping"], "busy");
    assert_eq!(verdict.code, 1);
    script.kill().expect("end redis-cli");
    script.wait().expect("end redis-cli");
}

#[test]
fn wrong_parameters_are_all_told() {
    let wrong = wrong_params(
        "redis",
        "url = \"http://x\"\nreplicas = [\"redis://a\", \"redis://\"]\nsentinels = [\"redis://s\"]\ncluster = true\npool_size = 0\nca_file = \"/none\"",
    );
    for param in [
        "url",
        "replicas.1",
        "replicas",
        "sentinels",
        "master_name",
        "pool_size",
        "ca_file",
    ] {
        assert!(wrong.iter().any(|one| one == param), "{param}: {wrong:?}");
    }
    assert_eq!(
        wrong_params("redis", "url = \"redis://a\"\nsentinels = [\"redis://s\"]"),
        ["master_name"]
    );
}

#[test]
fn a_server_without_room_says_so() {
    let server = Redis::start("--maxclients 4");
    let held: Vec<_> = (0..4)
        .map(|_| TcpStream::connect(("127.0.0.1", server.port)).expect("connect"))
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let verdict = probe(&server.url(), "");
    assert_eq!(verdict.probe("r")["outcome"], "target_error");
    let reason = super::reason(&verdict, "reachable");
    assert!(reason.contains("max number of clients"), "{reason}");
    drop(held);
}
