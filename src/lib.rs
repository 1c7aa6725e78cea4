//! `probe` derives the status of a checklist from what it observes on real endpoints, and fails
//! closed: what it could not see is unknown, and unknown never passes.
//!
//! Data flows one way; the modules in its order:
//!
//! - [`config`] reads `probes.toml` into a typed, validated [`plan`]; every error has its place.
//! - [`plan`] is what runs: probes, rules, items, gates, dependencies, selection.
//! - [`observe`] runs probes: deadlines, retries, bounds, panic isolation.
//! - [`probes`] are the kinds; each gathers facts about one kind of system and judges nothing.
//! - [`net`] is the one dialler of all probes: DNS → TCP → TLS, each step timed.
//! - [`evidence`] is what a run saw: facts that may be unknown, the envelope, redaction.
//! - [`judge`] holds rules against facts: CEL, verdicts, the fold, the score.
//! - [`verdict`] folds a whole run into the one document that everything else reads.
//! - [`agent`] does all of this again and again, and keeps the verdict of now.
//! - [`history`] keeps what probes saw over time, embedded or shared by several agents.
//! - [`server`] lets others ask the agent over HTTP.
//! - [`checklist`] reads the document that people tick, holds its claims against results, and writes it back.
//! - [`attest`] signs a statement of a verdict, and verifies one.
//! - [`diff`] compares two verdicts.
//! - [`report`] renders a verdict. [`cli`] is the command line; it has no logic of its own.

pub mod agent;
pub mod attest;
pub mod checklist;
pub mod cli;
pub mod config;
pub mod diff;
pub mod evidence;
pub mod history;
pub mod judge;
pub mod limits;
pub mod net;
pub mod observe;
pub mod params;
pub mod plan;
pub mod probes;
pub mod report;
pub mod server;
pub mod verdict;
