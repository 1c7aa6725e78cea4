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
    /// How old that line is, in seconds, by the clock of the server; unknown where the server does not tell the
    /// time, or the line lies in its future.
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

    /// Its newest line was written then, seen at a moment of the server's clock, where that was told.
    pub fn newest(newest_at: Timestamp, now: Option<Timestamp>) -> Self {
        Self {
            seen: Observed::Value(true),
            newest_at: Observed::Value(newest_at),
            age_seconds: age_seconds(newest_at, now),
        }
    }
}

fn age_seconds(newest_at: Timestamp, now: Option<Timestamp>) -> Observed<f64> {
    // Clocks are told in whole seconds, and those of the members of a cluster differ a little.
    const TOLERANCE_SECONDS: f64 = 5.0;
    let Some(now) = now else {
        let detail =
            "the server does not tell the time, and another clock cannot say how old a line is";
        return Observed::unknown(UnknownWhy::NotObserved, detail);
    };
    let age = now.duration_since(newest_at).as_secs_f64();
    if age < -TOLERANCE_SECONDS {
        let ahead = -age;
        let detail =
            format!("the newest line lies {ahead:.0} s in the future of the server's clock");
        return Observed::unknown(UnknownWhy::Inconsistent, detail);
    }
    Observed::Value(age.max(0.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_needs_the_clock_of_the_server_and_a_line_of_its_past() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let before = |seconds: i64| Timestamp::from_second(1_800_000_000 - seconds).unwrap();
        let age = |at, now| App::newest(at, now).age_seconds;
        assert_eq!(age(before(60), Some(now)), Observed::Value(60.0));
        assert_eq!(age(before(-1), Some(now)), Observed::Value(0.0));
        assert!(age(before(-6), Some(now)).value().is_none());
        assert!(age(before(60), None).value().is_none());
    }
}
