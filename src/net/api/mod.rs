//! One client for HTTP APIs that speak JSON: base path, credentials, redirects, caps and deadlines
//! in one place, so that every kind that asks an API fails closed in the same way.
//!
//! - An [`Endpoint`] is made once from parameters; an [`Api`] is opened on it for each attempt, with
//!   connections of its own. There is no system proxy, no cookie, no cache.
//! - At most [`MAX_IN_FLIGHT`] requests run at a time; each has its own deadline.
//! - Credentials go to the origin (scheme, host, port) of the base URL alone.
//! - Answers are decoded into types whose required fields make anything else (a sign-in page, `{}`,
//!   another product) an error. `max_body_bytes` bounds the decompressed bytes of all answers in flight
//!   together; the first answer past it ends the others.
//!
//! A few bytes of JSON can become many in memory, so the number of values in flight is bounded too
//! (one per [`BYTES_PER_VALUE`] bytes of the cap). Types that are decoded into should therefore hold maps of
//! strings in [`Labels`], and elements of lists should have required fields. What a kind keeps of
//! an answer it bounds itself.

mod auth;
mod body;
mod client;
mod endpoint;
mod error;
mod first;
mod labels;
mod resolver;
mod send;

pub use auth::{Auth, BasicCredentials};
pub use body::{BYTES_PER_VALUE, DEFAULT_MAX_BODY_BYTES, MAX_MAX_BODY_BYTES};
pub use client::{Answer, Api};
pub use endpoint::{BadParam, Endpoint, EndpointParams, path};
pub use error::{ApiError, Refusal, short, without_secrets};
pub use first::First;
pub use labels::Labels;

/// The most requests of one attempt that run at the same time.
pub const MAX_IN_FLIGHT: usize = 8;

/// The most file descriptors that an [`Api`] has open at the same time: a connection for each request,
/// as many that are idle, and those of our resolver.
pub const DESCRIPTORS: usize = 2 * MAX_IN_FLIGHT + 4;
