//! Starts real servers as child processes on free loopback ports, in temporary directories, and
//! stops them whatever happens; runs the real binary and reads its verdict.

mod apicurio;
mod bind;
pub mod certs;
mod direct;
mod hostile;
pub mod kafka;
mod nginx;
mod process;
mod run;
mod scripted;

pub use apicurio::Apicurio;
pub use bind::{Bind, Signed, Unbound, Zone};
pub use direct::{Attempt, attempt, wrong_params};
pub use hostile::Hostile;
pub use kafka::Kafka;
pub use nginx::Nginx;
pub use process::{Server, free_port, require};
pub use run::{Run, Verdict};
pub use scripted::{Asked, Reply, Scripted};
