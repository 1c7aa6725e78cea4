//! Integration tests: the real binary against real servers on loopback.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends by panicking, and reads what it has made itself"
)]

mod lab;

mod config;
mod dns;
mod drift;
mod engine;
mod http;
mod output;
mod tcp;
mod tls;
