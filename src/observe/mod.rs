//! The engine that runs probes: dependencies, bounds, deadlines, retries, panic isolation. It knows
//! no kind and judges nothing; a callback judges each probe as it ends.

mod attempt;
mod budget;
mod pulse;
mod schedule;

pub use attempt::not_observed;
pub use budget::{Budget, raise_open_files};
pub use schedule::{Engine, Interrupt, Runner, Seen, defect, run};
