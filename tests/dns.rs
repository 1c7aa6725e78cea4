//! The `dns` kind, against BIND and unbound.

mod authority;
mod dnssec;
mod hostile;
mod records;
mod resolvers;
mod transports;

use crate::lab::{Run, Verdict};

/// Runs one probe `d` with these parameters.
fn run(params: &str) -> Verdict {
    Run::with_config(&probe("d", params)).once()
}

/// A `[[probe]]` with a timeout that leaves silent servers no more than a second or so.
fn probe(id: &str, params: &str) -> String {
    format!("[[probe]]\nid = \"{id}\"\nkind = \"dns\"\ntimeout = \"3s\"\n{params}\n")
}

/// The entry of the only resolver.
fn only_resolver(verdict: &Verdict) -> &serde_json::Value {
    &verdict.facts("d")["by_resolver"][0]
}
