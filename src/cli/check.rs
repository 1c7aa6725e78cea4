//! `probe check`, and loading a configuration for the other commands.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::exit::Exit;
use super::terminal;
use crate::config::{Diagnostics, Level, Loaded, Sources, load};

/// Loads a configuration; errors and warnings go to stderr. `None`: it cannot be used.
pub(super) fn load_config(path: &Path) -> Option<Loaded> {
    match load(path, today()) {
        Ok(loaded) => {
            show(&loaded.diagnostics, &loaded.sources);
            Some(loaded)
        }
        Err(failed) => {
            show(&failed.diagnostics, &failed.sources);
            let count = failed.diagnostics.count(Level::Error);
            let errors = if count == 1 {
                "1 error"
            } else {
                &format!("{count} errors")
            };
            terminal::error(&format!("{}: {errors}; nothing was probed", path.display()));
            None
        }
    }
}

fn show(diagnostics: &Diagnostics, sources: &Sources) {
    let text = diagnostics.render(sources, terminal::colour(&io::stderr()));
    terminal::note(&text);
}

pub(super) fn run(path: &Path) -> Exit {
    let Some(loaded) = load_config(path) else {
        return Exit::Usage;
    };
    let plan = &loaded.plan;
    let rules: usize = plan.probes.iter().map(|probe| probe.rules.len()).sum();
    let warnings = loaded.diagnostics.count(Level::Warning);
    terminal::print(&format!(
        "{}: {}, {}, {}, {}, {}: valid\n",
        path.display(),
        counted(plan.probes.len(), "probe"),
        counted(rules, "rule"),
        counted(plan.items.len(), "item"),
        counted(plan.gates.len(), "gate"),
        counted(warnings, "warning"),
    ))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Waivers are held against this day, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line tells the rest of the program what day it is"
)]
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
