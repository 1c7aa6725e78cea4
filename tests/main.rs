//! Integration tests: the real binary against real servers on loopback.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking, and reads and writes what it has made itself"
)]

mod lab;

mod alertmanager;
mod api;
mod attest;
mod checklist;
mod config;
mod daemon;
mod deploy;
mod diff;
mod dns;
mod drift;
mod elasticsearch;
mod engine;
mod grafana;
mod history;
mod http;
mod kafka;
mod loki;
mod memory;
mod output;
mod page;
mod postgres;
mod prometheus;
mod redis;
mod reports;
mod server;
mod shipped;
mod tcp;
mod tls;
