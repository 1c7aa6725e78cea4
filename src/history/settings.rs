//! `[history]`, checked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::net::postgres::Target;

const DAY: Duration = Duration::from_secs(86_400);

/// A PostgreSQL that agents share, and how to log in there.
#[derive(Clone)]
pub struct Server(pub(super) Arc<Target>);

impl Server {
    /// Reads a connection string.
    ///
    /// # Errors
    /// What is wrong and what to write instead; never the text itself, which holds a password.
    pub fn new(text: &str) -> Result<Self, String> {
        Target::new(text, None).map(|target| Self(Arc::new(target)))
    }
}

/// Where runs are kept.
#[derive(Clone)]
pub enum StoreSettings {
    /// Nowhere but in this process.
    Memory,
    /// In a file.
    Sqlite(PathBuf),
    /// In a PostgreSQL that agents share.
    Postgres(Server),
}

impl StoreSettings {
    /// `memory`, `sqlite` or `postgres`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Where runs are kept, and for how long.
#[derive(Clone)]
pub struct HistorySettings {
    /// Where.
    pub store: StoreSettings,
    /// How long anything is kept.
    pub retention: Duration,
    /// How long single runs are kept; slots of a minute stay for all of `retention`.
    pub runs_retention: Duration,
    /// The most bytes; past it the oldest is dropped, single runs first.
    pub max_bytes: u64,
    /// An agent that is silent this long loses its probes to the others.
    pub lease: Duration,
}

impl HistorySettings {
    /// Without `[history]` anywhere.
    pub const DEFAULT_RETENTION: Duration = DAY.saturating_mul(90);
    /// Without `runs_retention`.
    pub const DEFAULT_RUNS_RETENTION: Duration = DAY.saturating_mul(30);
    /// Without `max_bytes`.
    pub const DEFAULT_MAX_BYTES: u64 = 10 << 30;
    /// Without `lease`.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(15);
    /// An agent must be able to say that it lives a few times in a lease.
    pub const SHORTEST_LEASE: Duration = Duration::from_secs(1);
    /// What a store in memory may take.
    const MEMORY_BYTES: u64 = 64 << 20;

    /// A store in memory of at most a day: what a daemon without `[history]` has. A restart loses it.
    pub fn memory() -> Self {
        Self {
            store: StoreSettings::Memory,
            retention: DAY,
            runs_retention: DAY,
            max_bytes: Self::MEMORY_BYTES,
            lease: Self::DEFAULT_LEASE,
        }
    }

    /// A file, with the defaults.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self {
            store: StoreSettings::Sqlite(path.into()),
            retention: Self::DEFAULT_RETENTION,
            runs_retention: Self::DEFAULT_RUNS_RETENTION,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            lease: Self::DEFAULT_LEASE,
        }
    }
}
