//! `probe wait`.

use std::time::{Duration, Instant};

use super::Switch;
use super::process::Daemon;
use crate::lab::{Run, free_port};

fn gate() -> &'static str {
    "[[gate]]\nid = \"g\"\nitems = [\"*\"]\n"
}

#[test]
fn it_probes_again_and_again_until_the_gate_passes() {
    let target = Switch::new(false);
    let config = format!("{}{}", target.probe("api", ""), gate());
    let well = std::sync::Arc::clone(&target.well);
    let waiter = std::thread::spawn({
        let config = config.clone();
        move || {
            let args = [
                "wait",
                "--gate",
                "g",
                "--timeout",
                "60s",
                "--every",
                "200ms",
            ];
            Run::with_config(&config).args(args).output()
        }
    });
    while target.server.asked().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    well.store(true, std::sync::atomic::Ordering::Relaxed);
    let output = waiter.join().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    well.store(false, std::sync::atomic::Ordering::Relaxed);
    for (gate, code) in [("g", 1), ("none", 2)] {
        let args = [
            "wait",
            "--gate",
            gate,
            "--timeout",
            "1s",
            "--every",
            "200ms",
        ];
        let output = Run::with_config(&config).args(args).output();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn it_asks_a_daemon() {
    let target = Switch::new(true);
    let config = format!("{}{}", target.probe("api", ""), gate());
    let mut daemon = Daemon::start(&config);
    let wait = |url: &str, gate: &str, timeout: &str| {
        let args = ["wait", "--url", url, "--gate", gate, "--timeout", timeout];
        let output = Run::with_config("").args(args).output();
        output.status.code()
    };
    assert_eq!(wait(daemon.url(), "g", "60s"), Some(0));
    assert_eq!(wait(daemon.url(), "none", "60s"), Some(2));
    let health = |url: &str| {
        let output = Run::with_config("").args(["health", "--url", url]).output();
        output.status.code()
    };
    assert_eq!(health(daemon.url()), Some(0));
    target.set(false);
    daemon.until_item("api", "fail");
    // The agent lives, whatever it sees.
    assert_eq!(health(daemon.url()), Some(0));
    assert_eq!(wait(daemon.url(), "g", "1s"), Some(1));
    daemon.signal("-KILL");
    daemon.wait();
    let begun = Instant::now();
    let gone = format!("http://127.0.0.1:{}", free_port());
    assert_eq!(wait(&gone, "g", "1s"), Some(3));
    assert_eq!(health(&gone), Some(1));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}
