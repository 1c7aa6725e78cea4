//! How long samples are kept: what is configured, and what is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::evaluation::seconds;
use super::own_metrics::OwnMetrics;
use super::queries::timestamp;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::ApiError;

/// The facts about retention.
pub(super) struct Retention {
    pub seconds: Observed<f64>,
    pub oldest_at: Observed<Timestamp>,
    pub oldest_age_seconds: Observed<f64>,
    pub size_retentions: Observed<u64>,
    pub flag_reaches: Observed<bool>,
    pub data_reaches: Observed<bool>,
}

/// From what is configured, the server's own metrics and clock, and what is declared.
pub(super) fn retention(
    configured: &Observed<String>,
    own: &Result<OwnMetrics, ApiError>,
    started_at: &Observed<Timestamp>,
    now: &Observed<f64>,
    declared: Option<Duration>,
) -> Retention {
    let limit = configured.clone().and_then(|text| limit(&text));
    let oldest_at = metric(own, "prometheus_tsdb_lowest_timestamp_seconds").and_then(|oldest| {
        // An empty database has the largest time there is.
        let oldest = timestamp(oldest).filter(|oldest| oldest.as_second() > 0);
        oldest.map_or_else(
            || Observed::unknown(UnknownWhy::NotObserved, "the server has no sample yet"),
            Observed::Value,
        )
    });
    let age = oldest_at
        .clone()
        .and_then(|oldest| now.clone().map(|now| now - seconds(oldest)));
    let size_retentions = metric(own, "prometheus_tsdb_size_retentions_total").map(whole);
    let not_declared =
        || Observed::unknown(UnknownWhy::NotApplicable, "`retention` is not declared");
    let (flag_reaches, data_reaches) = match declared {
        None => (not_declared(), not_declared()),
        Some(declared) => {
            let seen = Seen {
                oldest_at: &oldest_at,
                age: &age,
                size_retentions: &size_retentions,
                started_at,
                now,
            };
            let flag = limit
                .clone()
                .map(|limit| limit.is_none_or(|limit| limit >= declared));
            (flag, seen.reaches(declared))
        }
    };
    Retention {
        seconds: limit.and_then(|limit| match limit {
            Some(limit) => Observed::Value(limit.as_secs_f64()),
            None => Observed::unknown(UnknownWhy::NotApplicable, "only size limits it"),
        }),
        oldest_at,
        oldest_age_seconds: age,
        size_retentions,
        flag_reaches,
        data_reaches,
    }
}

struct Seen<'o> {
    oldest_at: &'o Observed<Timestamp>,
    age: &'o Observed<f64>,
    size_retentions: &'o Observed<u64>,
    started_at: &'o Observed<Timestamp>,
    now: &'o Observed<f64>,
}

impl Seen<'_> {
    fn reaches(&self, declared: Duration) -> Observed<bool> {
        self.age.clone().and_then(|age| {
            if age >= declared.as_secs_f64() {
                return Observed::Value(true);
            }
            // Size has cut what time would have kept, or the server is old enough to have it.
            if matches!(self.size_retentions, Observed::Value(1..)) || self.is_older_than(declared) {
                return Observed::Value(false);
            }
            let known_at = self
                .oldest_at
                .clone()
                .map(|oldest| oldest.saturating_add(SignedDuration::try_from(declared).unwrap_or(SignedDuration::MAX)));
            known_at.and_then(|known_at| {
                let detail = match known_at {
                    Ok(at) => format!(
                        "the server is younger than that: its oldest sample is {} old, and it can be known at {}",
                        days(age),
                        at.round(jiff::Unit::Second).unwrap_or(at)
                    ),
                    Err(_) => "the server is younger than that".to_owned(),
                };
                Observed::unknown(UnknownWhy::NotObserved, detail)
            })
        })
    }

    /// By more than it takes until a server that has just started has samples.
    fn is_older_than(&self, declared: Duration) -> bool {
        const START_SECONDS: f64 = 3_600.0;
        match (self.started_at, self.now) {
            (Observed::Value(started), Observed::Value(now)) => {
                now - seconds(*started) > declared.as_secs_f64() + START_SECONDS
            }
            _ => false,
        }
    }
}

fn days(age_seconds: f64) -> String {
    match age_seconds {
        s if s < 3_600.0 => format!("{:.0} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

/// A metric of the server's own.
pub(super) fn metric(own: &Result<OwnMetrics, ApiError>, name: &str) -> Observed<f64> {
    match own {
        Err(error) => error.unknown().into(),
        Ok(own) => own.get(name).filter(|value| value.is_finite()).map_or_else(
            || {
                let detail = format!("the server has no {name}");
                Observed::unknown(UnknownWhy::Unsupported, detail)
            },
            Observed::Value,
        ),
    }
}

/// A counter as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates; counters are whole and not negative"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// The limit by time in `15d`, `15d or 1GiB` or `1GiB`; none in the last.
fn limit(text: &str) -> Observed<Option<Duration>> {
    let mut limit = None;
    for part in text.split(" or ").map(str::trim) {
        // Size, or a share of the disk.
        if part.ends_with(['B', '%']) {
            continue;
        }
        match duration(part) {
            Some(duration) => limit = Some(duration),
            None => {
                let detail = format!("`{}` is no retention", crate::net::api::short(text, 80));
                return Observed::unknown(UnknownWhy::Unparseable, detail);
            }
        }
    }
    Observed::Value(limit)
}

/// A duration as Prometheus writes it: `1y2w3d4h5m6s7ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        let ms = count.parse::<u64>().ok()?.checked_mul(unit_ms)?;
        total = total.checked_add(Duration::from_millis(ms))?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_read_as_the_server_writes_it() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        for (text, expected) in [
            ("15d", days(15)),
            ("2w", days(14)),
            ("1y", days(365)),
            ("1d12h", Some(Duration::from_secs(129_600))),
            ("15d or 1GiB", days(15)),
            ("512MiB", None),
            ("1GB", None),
            ("15d or 80%", days(15)),
        ] {
            assert_eq!(limit(text), Observed::Value(expected), "{text}");
        }
        for bad in ["", "15", "d", "for ever", "99999999999999999999y"] {
            assert!(matches!(limit(bad), Observed::Unknown(_)), "{bad}");
        }
    }
}
