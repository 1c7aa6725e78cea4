//! Starts real servers as child processes on free loopback ports, in temporary directories, and
//! stops them whatever happens; runs the real binary and reads its verdict.

mod alertmanager;
mod apicurio;
mod bind;
pub mod certs;
mod daemon;
mod direct;
mod hostile;
pub mod kafka;
mod loki;
mod nginx;
pub mod patroni;
pub mod pgbouncer;
pub mod postgres;
mod process;
mod prometheus;
mod python;
mod redis;
mod run;
mod scripted;

pub use alertmanager::Alertmanager;
pub use apicurio::Apicurio;
pub use bind::{Bind, Signed, Unbound, Zone};
pub use daemon::{Answer, Daemon};
pub use direct::{Attempt, attempt, attempt_with, wrong_params};
pub use hostile::Hostile;
pub use kafka::Kafka;
pub use loki::Loki;
pub use nginx::Nginx;
pub use process::{Server, free_port, require};
pub use prometheus::{NodeExporter, Prometheus, RunningPrometheus};
pub use python::run_python;
pub use redis::{Redis, RedisCluster, Sentinel};
pub use run::{Run, Started, Verdict};
pub use scripted::{Asked, Reply, Scripted};
