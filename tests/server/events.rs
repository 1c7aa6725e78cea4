//! Events, to clients that keep up and to those that do not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::daemon;
use crate::lab::Daemon;

fn listen(daemon: &Daemon, last_id: Option<&str>) -> BufReader<TcpStream> {
    let mut stream = daemon.connect();
    let last = last_id
        .map(|id| format!("last-event-id: {id}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n{last}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("write");
    BufReader::new(stream)
}

/// Lines until one begins as wanted.
fn until(reader: &mut BufReader<TcpStream>, begins: &str) -> Vec<String> {
    let begun = Instant::now();
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let count = reader.read_line(&mut line).expect("a line");
        assert!(
            count > 0 && begun.elapsed() < Duration::from_secs(30),
            "no {begins}: {lines:?}"
        );
        lines.push(line.trim_end().to_owned());
        if line.starts_with(begins) {
            return lines;
        }
    }
}

#[test]
fn a_change_is_told_and_can_be_caught_up_with() {
    let (daemon, up) = daemon("");
    let mut reader = listen(&daemon, None);
    let head = until(&mut reader, "retry:");
    assert!(head[0].contains("200"), "{head:?}");
    assert!(
        head.iter()
            .any(|line| line == "content-type: text/event-stream"),
        "{head:?}"
    );
    drop(up);
    let lines = until(&mut reader, "data: {\"kind\":\"gate\"");
    let data = lines.last().expect("a line").trim_start_matches("data: ");
    let event: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(
        (
            event["id"].as_str(),
            event["from"].as_str(),
            event["to"].as_str()
        ),
        (Some("good"), Some("pass"), Some("fail"))
    );
    let id = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("id: "))
        .expect("an id")
        .to_owned();
    // From the beginning of this process: all that was told is told again.
    let first = format!("{}-0", id.split_once('-').expect("two parts").0);
    let again = until(
        &mut listen(&daemon, Some(&first)),
        "data: {\"kind\":\"gate\",\"id\":\"good\",\"from\":\"pass\"",
    );
    assert!(again.iter().any(|line| line.starts_with("id: ")));
    let lost = until(&mut listen(&daemon, Some("1-1")), "event: reset");
    assert!(!lost.is_empty());
}

#[test]
fn listeners_are_counted_and_let_go() {
    let (daemon, _up) = daemon("");
    let mut listeners: Vec<BufReader<TcpStream>> = (0..64).map(|_| listen(&daemon, None)).collect();
    for listener in &mut listeners {
        until(listener, "retry:");
    }
    let refused = daemon.get("/api/v1/events");
    assert_eq!((refused.status, refused.code().as_str()), (503, "busy"));
    drop(listeners);
    let begun = Instant::now();
    loop {
        let mut stream = listen(&daemon, None);
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        if line.contains("200") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{line}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_new_verdict_is_announced() {
    let (daemon, _up) = daemon("");
    let mut reader = listen(&daemon, None);
    let lines = until(&mut reader, "event: verdict");
    assert!(lines.iter().any(|line| line == "retry: 3000"), "{lines:?}");
}
