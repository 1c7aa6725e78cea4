//! Integration tests: the real binary against real servers on loopback.

mod lab;

mod drift;
mod http;
mod tcp;
