//! `probes.toml` → a typed, validated [`Plan`](crate::plan::Plan): everything that can be wrong
//! is found before anything is probed, all of it at once, each with its place.

mod attestations;
mod categories;
mod diagnostics;
mod gates;
mod history;
#[cfg(test)]
mod hostile_tests;
mod include;
mod interpolate;
mod items;
mod link;
mod load;
mod lookup;
mod maintenance;
mod modules;
mod overlay;
mod probe_table;
mod relations;
mod risks;
mod rules;
mod schema;
mod segments;
mod server;
mod shape;
mod sources;
mod suggest;
mod tables;
mod url_part;

pub use diagnostics::{Diagnostic, Diagnostics, Level};
pub use load::{LoadError, Loaded, load};
pub use schema::config_schema;
pub(crate) use shape::is_slug;
pub use sources::{Place, Sources};
pub use suggest::closest;
