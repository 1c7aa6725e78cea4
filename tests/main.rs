//! Integration tests: the real binary against real servers on loopback.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test, and the lab it stands on, ends by panicking"
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
