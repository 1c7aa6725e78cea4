//! Integration tests: the real binary against real servers on loopback.

mod lab;

mod config;
mod drift;
mod engine;
mod http;
mod output;
mod tcp;
mod tls;
