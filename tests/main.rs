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

mod api;
mod config;
mod dns;
mod drift;
mod engine;
mod http;
mod kafka;
mod output;
mod tcp;
mod tls;
