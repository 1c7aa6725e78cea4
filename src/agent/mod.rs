//! The agent: probes a plan again and again, remembers what rules with a past need, and keeps the current
//! verdict ready.

mod handle;
mod lag;
mod snapshot;
mod supervise;

pub use handle::{AgentHealth, ConfigError, Counts, Event, EventKind, Handle, RunNowError};
pub use lag::{LAG_BOUNDS_SECONDS, LagSummary};
pub use snapshot::{Index, ItemState, ProbeState, RuleState, Snapshot};
pub use supervise::{TaskHealth, Tasks};
