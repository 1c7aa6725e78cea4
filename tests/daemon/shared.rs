//! Two daemons on one PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http;
use super::process::Daemon;
use crate::history::shared::new_database;
use crate::lab::{Reply, Scripted};

/// A target that counts who comes.
fn target() -> (Scripted, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let server = Scripted::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Reply::new(200, "")
    });
    (server, asked)
}

/// The names of the agents behind the latest runs of a probe.
fn agents(daemon: &Daemon) -> Vec<String> {
    let (_, page) = daemon.get("/api/v1/probes/api/history?limit=1000");
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let runs = page["runs"].as_array().into_iter().flatten();
    runs.map(|run| run["agent"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn each_slot_is_run_once_and_the_dead_are_replaced() {
    const OBSERVED: u32 = 6;
    let (target, asked) = target();
    let url = new_database("two_daemons");
    let history = format!("[history]\nurl = \"{url}\"\nlease = \"2s\"\n");
    let probe = http("api", &target.url("/"), "").replace("300ms", "1s");
    let config = format!("{history}{probe}");
    let mut daemons = [Daemon::start(&config), Daemon::start(&config)];
    for daemon in &daemons {
        daemon.until_item("api", "pass");
    }
    let (before, begun) = (asked.load(Ordering::Relaxed), Instant::now());
    sleep(Duration::from_secs(OBSERVED.into()));
    let runs = asked.load(Ordering::Relaxed) - before;
    // A busy machine may miss a slot; two agents that each ran every slot would have asked twice as often.
    let slots = begun.elapsed().as_secs_f64();
    assert!(
        runs >= 2 && f64::from(u32::try_from(runs).expect("a count")) < slots * 1.5 + 1.0,
        "{runs} runs in {slots} s"
    );
    // Both say the same, whoever looked.
    let items = daemons.each_ref().map(|daemon| {
        let mut item = daemon.item("api");
        item.as_object_mut().expect("an item").retain(|key, _| {
            ["id", "result", "reason", "basis", "freshness", "since"].contains(&key.as_str())
        });
        item
    });
    assert_eq!(items[0], items[1]);

    // Whichever of them holds the probe: it is gone at once, and the other goes on.
    let latest = agents(&daemons[0]).first().cloned().expect("runs");
    let pid: u32 = latest
        .rsplit('/')
        .next()
        .expect("a pid")
        .parse()
        .expect("a number");
    let holder = daemons
        .iter()
        .position(|daemon| daemon.pid() == pid)
        .expect("one of both");
    daemons[holder].signal("-KILL");
    daemons[holder].wait();
    let survivor = &daemons[1 - holder];
    let before = asked.load(Ordering::Relaxed);
    let begun = Instant::now();
    survivor.until("the other takes over", |_| {
        (asked.load(Ordering::Relaxed) >= before + 3).then_some(())
    });
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    survivor.until("its runs are kept under its own name", |daemon| {
        let name = format!("/{}", daemon.pid());
        agents(daemon)
            .first()
            .is_some_and(|agent| agent.ends_with(&name))
            .then_some(())
    });
    assert_eq!(survivor.item("api")["result"], "pass");
}
