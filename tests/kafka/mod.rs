//! The `kafka` kind against a real cluster and a real schema registry.

mod canary;
mod controls;
mod registry;
