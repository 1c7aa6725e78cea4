//! Starts real servers as child processes on free loopback ports, in temporary directories, and
//! stops them whatever happens; runs the real binary and reads its verdict.

mod direct;
mod hostile;
mod process;
mod run;

pub use direct::{Attempt, attempt, wrong_params};
pub use hostile::Hostile;
pub use process::{Server, free_port};
pub use run::{Run, Verdict};
