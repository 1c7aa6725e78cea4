//! Signals, restarts, the service manager.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Daemon, PATIENCE};
use super::{Switch, http};

#[test]
fn a_termination_lets_what_runs_end_and_a_second_one_does_not_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let slow = http("slow", &url, "timeout = \"4s\"");
    let mut daemon = Daemon::start(&slow);
    drop(silent.accept().map(std::mem::forget));
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("stopped"), "{}", daemon.log());

    let longer = http("slow", &url, "timeout = \"60s\"");
    let mut daemon = Daemon::start(&longer);
    drop(silent.accept().map(std::mem::forget));
    let begun = Instant::now();
    daemon.signal("-TERM");
    daemon.until("it stops", |daemon| {
        daemon.log().contains("SIGTERM").then_some(())
    });
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(3));
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[test]
fn since_and_the_evidence_survive_a_kill() {
    let target = Switch::new(true);
    let history = "[history]\nurl = \"sqlite:probe.db\"\n";
    let config = format!("{history}{}", target.probe("api", ""));
    let mut daemon = Daemon::start(&config);
    let since = daemon.until_item("api", "pass")["since"].clone();
    let runs = |daemon: &Daemon| -> usize {
        let (_, page) = daemon.get("/api/v1/probes/api/history?limit=100");
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        page["runs"].as_array().map_or(0, Vec::len)
    };
    let before = daemon.until("runs are kept", |daemon| {
        Some(runs(daemon)).filter(|runs| *runs > 3)
    });
    daemon.signal("-KILL");
    daemon.wait();
    let dir = daemon.dir();
    let daemon = Daemon::start_in(dir, &config, &[]);
    // Known at once, from what was kept.
    let item = daemon.item("api");
    assert_eq!(item["result"], "pass", "{item:#}\n{}", daemon.log());
    assert_eq!(item["since"], since);
    daemon.until("history goes on", |daemon| {
        (runs(daemon) > before).then_some(())
    });
    assert_eq!(daemon.item("api")["since"], since);
}

/// What the strip of the only item of the page says.
fn strip(daemon: &Daemon) -> Option<String> {
    let (_, page) = daemon.get("/");
    let (_, strip) = page.split_once("<svg class=strip")?;
    let (_, label) = strip.split_once("oldest first: ")?;
    Some(label.split('"').next().expect("a label").to_owned())
}

#[test]
fn what_an_item_was_lately_is_shown_and_survives_a_restart() {
    let target = Switch::new(true);
    let history = "[history]\nurl = \"sqlite:probe.db\"\n";
    let config = format!("{history}{}", target.probe("api", ""));
    let mut daemon = Daemon::start(&config);
    daemon.until("it was well for some periods", |daemon| {
        strip(daemon).filter(|strip| strip.ends_with("pass pass"))
    });
    target.set(false);
    daemon.until_item("api", "fail");
    target.set(true);
    daemon.until_item("api", "pass");
    let healed = |daemon: &Daemon| strip(daemon).filter(|strip| strip.ends_with("fail pass"));
    daemon.until("the strip shows what happened", healed);
    daemon.signal("-TERM");
    daemon.wait();
    let dir = daemon.dir();
    std::thread::sleep(Duration::from_secs(1));
    let daemon = Daemon::start_in(dir, &config, &[]);
    // Nobody looked meanwhile: that is a gap, and not the result before or after it.
    daemon.until("the strip goes on behind a gap", |daemon| {
        let strip = strip(daemon)?;
        (strip.contains("pass fail") && strip.ends_with("unknown pass")).then_some(())
    });
}

#[test]
fn the_service_manager_is_told_and_the_watchdog_fed() {
    let dir = Arc::new(TempDir::new().expect("a directory"));
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let target = Switch::new(true);
    let config = target.probe("api", "");
    let path = path.to_str().expect("text");
    let env = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "900000")];
    let mut daemon = Daemon::start_in(Arc::clone(&dir), &config, &env);
    let until = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let length = socket.recv(&mut buffer).expect(wanted);
            let text = String::from_utf8_lossy(&buffer[..length]);
            if text.starts_with(wanted) {
                return text.into_owned();
            }
        }
    };
    until("READY=1");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    daemon.signal("-HUP");
    assert!(until("RELOADING=1").contains("MONOTONIC_USEC="));
    until("READY=1");
    daemon.signal("-TERM");
    until("STOPPING=1");
    assert_eq!(daemon.wait().code(), Some(0));
}
