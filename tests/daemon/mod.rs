//! The daemon: schedule, rules with a past, reload, life. The binary as it is, against servers that a test
//! switches.

mod digest;
mod life;
mod past;
mod process;
mod reload;
mod schedule;
mod shared;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lab::{Reply, Scripted};

/// A server that is well or not.
struct Switch {
    server: Scripted,
    well: Arc<AtomicBool>,
}

impl Switch {
    fn new(well: bool) -> Self {
        let well = Arc::new(AtomicBool::new(well));
        let state = Arc::clone(&well);
        let server = Scripted::start(move |_| {
            let well = state.load(Ordering::Relaxed);
            Reply::new(if well { 200 } else { 500 }, "")
        });
        Self { server, well }
    }

    fn set(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    fn probe(&self, id: &str, more: &str) -> String {
        http(id, &self.server.url("/"), more)
    }
}

fn http(id: &str, url: &str, more: &str) -> String {
    format!(
        "[[probe]]\nid = \"{id}\"\nkind = \"http\"\nurl = \"{url}\"\ninterval = \"300ms\"\n{more}\n"
    )
}
