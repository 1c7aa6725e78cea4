//! The `kafka` kind against a real cluster and a real schema registry.

mod access;
mod canary;
mod controls;
mod groups;
mod outages;
mod parameters;
mod registry;
mod registry_hostile;
mod scale;
mod topics;

use crate::lab::{Run, Verdict};

/// One run of a probe with these parameters, 10 s long.
fn run(params: &str) -> Verdict {
    run_within("10s", params)
}

/// The same with another timeout.
fn run_within(timeout: &str, params: &str) -> Verdict {
    let config = format!(
        "[[probe]]\nid = \"stream\"\nkind = \"kafka\"\ntimeout = \"{timeout}\"\n{params}\n"
    );
    Run::with_config(&config).once()
}
