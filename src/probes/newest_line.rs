//! The newest line of each declared application: what every store of logs is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::ParamError;
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::params::DurationText;

/// The newest line of one application.
#[derive(Debug, Serialize, JsonSchema)]
pub struct App {
    /// Whether a line was found at all.
    pub seen: Observed<bool>,
    /// The time of its newest line; lines from the future do not count.
    pub newest_at: Observed<Timestamp>,
    /// How old that line is, in seconds, by the clock of the server.
    pub age_seconds: Observed<f64>,
}

impl App {
    /// Nothing is known of it.
    pub fn unknown(unknown: Unknown) -> Self {
        Self {
            seen: unknown.clone().into(),
            newest_at: unknown.clone().into(),
            age_seconds: unknown.into(),
        }
    }

    /// It has no line; where it was looked for, for people.
    pub fn none(place: &str) -> Self {
        let unknown = Unknown {
            why: UnknownWhy::NotObserved,
            detail: format!("no line {place}"),
        };
        Self {
            seen: Observed::Value(false),
            newest_at: unknown.clone().into(),
            age_seconds: unknown.into(),
        }
    }

    /// Its newest line was written then, seen at a moment of the same clock.
    pub fn newest(newest_at: Timestamp, now: Timestamp) -> Self {
        // Clocks are told in whole seconds.
        let age = now.duration_since(newest_at).as_secs_f64().max(0.0);
        Self {
            seen: Observed::Value(true),
            newest_at: Observed::Value(newest_at),
            age_seconds: Observed::Value(age),
        }
    }
}

/// A clock as it was told, and when.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    told: Timestamp,
    at: Instant,
}

impl Clock {
    /// It was told just now.
    pub fn told(told: Timestamp) -> Self {
        Self {
            told,
            at: Instant::now(),
        }
    }

    /// What it shows at this moment.
    pub fn now(self) -> Timestamp {
        let since = SignedDuration::try_from(self.at.elapsed()).unwrap_or_default();
        self.told.checked_add(since).unwrap_or(self.told)
    }
}

/// How old a newest line may be unless declared otherwise.
pub const fn default_max_age() -> DurationText {
    DurationText(Duration::from_secs(300))
}

/// The names of applications are words in rules and facts.
pub fn check_names<T>(apps: &BTreeMap<String, T>, problems: &mut Vec<ParamError>) {
    if apps.is_empty() {
        let message =
            "name at least one application: a store of logs that is ready need not take in any";
        problems.push(ParamError::new("apps", message));
    }
    if apps.contains_key("") {
        problems.push(ParamError::new("apps", "an application has a name"));
    }
}
