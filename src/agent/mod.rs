//! The agent: probes a plan again and again, remembers what rules with a past need, and keeps the current
//! verdict ready.

mod clock;
mod core;
mod evidence;
mod handle;
mod lag;
mod memory;
mod notify;
mod publish;
mod reload;
mod runs;
mod snapshot;
mod start;
mod strip;
mod supervise;
mod takeover;

pub use handle::{
    AgentHealth, ConfigError, Counts, Event, EventKind, Handle, Outcomes, RunNowError,
};
pub use lag::{LAG_BOUNDS_SECONDS, LagSummary};
pub use notify::Notify;
pub use reload::Watch;
pub use snapshot::{Index, ItemState, ProbeState, RuleState, Snapshot};
pub use start::{Agent, DRAIN, Settings};
pub use supervise::{TaskHealth, Tasks};
