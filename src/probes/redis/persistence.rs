//! Snapshots, the append-only file, and what would be lost without warning.

use jiff::Timestamp;

use super::facts::{Aof, AofStatus, Fsync, Loss, Persistence, Rdb, SavePoint, SaveStatus};
use super::info::Info;
use super::memory::both;
use super::node::Replies;
use super::reply;
use crate::evidence::{Observed, UnknownWhy};

/// The time at the server: ages are differences to its own times.
pub struct Clock(Observed<i64>);

impl Clock {
    /// The server's clock where it tells it, ours otherwise.
    pub fn of(info: &Info, ours: Timestamp) -> Self {
        let theirs = info
            .int("server_time_usec")
            .map(|micros| micros / 1_000_000);
        match theirs {
            Observed::Unknown(_) if info.is_known() => Self(Observed::Value(ours.as_second())),
            told => Self(told),
        }
    }

    /// No clock: nothing was seen.
    pub fn unknown() -> Self {
        Self(Observed::unknown(
            UnknownWhy::NotObserved,
            "it was not asked",
        ))
    }
}

/// How data survives a restart.
pub fn persistence(info: &Info, replies: &Replies, clock: &Clock) -> Persistence {
    Persistence {
        loading: info.flag("loading"),
        rdb: rdb(info, replies, clock),
        aof: aof(info, replies),
    }
}

fn rdb(info: &Info, replies: &Replies, clock: &Clock) -> Rdb {
    let save_points =
        reply::config_value(replies.get("CONFIG GET save"), "save").and_then(|text| {
            save_points(&text).map_or_else(
                || reply::unparseable("CONFIG GET save").into(),
                Observed::Value,
            )
        });
    let saved_once = saved_once(info, clock);
    let last_status = info.text("rdb_last_bgsave_status").and_then(|status| {
        if status == "ok" {
            saved_once.clone().map(|saved| {
                if saved {
                    SaveStatus::Ok
                } else {
                    SaveStatus::Never
                }
            })
        } else {
            Observed::Value(SaveStatus::Err)
        }
    });
    let last_save = info.int("rdb_last_save_time");
    let age = both(&clock.0, &last_save, |now, then| {
        now.saturating_sub(*then).max(0)
    });
    let changes_since = info.count("rdb_changes_since_last_save");
    let overdue = both(&age, &changes_since, |age, changes| (*age, *changes));
    let overdue_seconds = both(&save_points, &overdue, |points, (age, changes)| {
        overdue_by(points, *age, *changes)
    });
    let stops = reply::config_value(
        replies.get("CONFIG GET stop-writes-on-bgsave-error"),
        "stop-writes-on-bgsave-error",
    );
    Rdb {
        enabled: save_points.clone().map(|points| !points.is_empty()),
        save_points,
        last_status,
        last_save_at: saved_once.and_then(|saved| last_save_at(saved, last_save)),
        last_save_age_seconds: age,
        changes_since,
        overdue_seconds,
        in_progress: info.flag("rdb_bgsave_in_progress"),
        failure_stops_writes: stops.map(|value| value == "yes"),
    }
}

fn last_save_at(saved: bool, seconds: Observed<i64>) -> Observed<Timestamp> {
    if !saved {
        let why = "no snapshot was taken or read since the server started";
        return Observed::unknown(UnknownWhy::NotApplicable, why);
    }
    seconds.and_then(|seconds| {
        Timestamp::from_second(seconds).map_or_else(
            |_| reply::unparseable("INFO rdb_last_save_time").into(),
            Observed::Value,
        )
    })
}

/// Whether there is a snapshot of this server at all. Its status says `ok` from the start, its last
/// time is then that of the start, and what it counts as saves are attempts.
fn saved_once(info: &Info, clock: &Clock) -> Observed<bool> {
    const ROUNDING_SECONDS: i64 = 2;
    let is_loaded = matches!(info.int("rdb_last_load_keys_loaded"), Observed::Value(n) if n > 0);
    if is_loaded {
        return Observed::Value(true);
    }
    let attempts = info.int("rdb_saves");
    if attempts == Observed::Value(0) {
        return Observed::Value(false);
    }
    let has_succeeded = attempts.value().is_some()
        && info.text("rdb_last_bgsave_status") == Observed::Value("ok".to_owned())
        && info.flag("rdb_bgsave_in_progress") == Observed::Value(false);
    if has_succeeded {
        return Observed::Value(true);
    }
    let started = both(&clock.0, &info.int("uptime_in_seconds"), |now, uptime| {
        now.saturating_sub(*uptime)
    });
    both(
        &info.int("rdb_last_save_time"),
        &started,
        |saved, started| *saved > started.saturating_add(ROUNDING_SECONDS),
    )
}

/// `3600 1 300 100`
fn save_points(text: &str) -> Option<Vec<SavePoint>> {
    let numbers = text
        .split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect::<Option<Vec<i64>>>()?;
    if numbers.len() % 2 != 0 {
        return None;
    }
    let points = numbers.chunks_exact(2).filter_map(|pair| match pair {
        [seconds, changes] => Some(SavePoint {
            seconds: *seconds,
            changes: *changes,
        }),
        _ => None,
    });
    Some(points.collect())
}

fn overdue_by(points: &[SavePoint], age: i64, changes: i64) -> i64 {
    points
        .iter()
        .filter(|point| changes >= point.changes)
        .map(|point| age.saturating_sub(point.seconds))
        .max()
        .unwrap_or(0)
        .max(0)
}

fn aof(info: &Info, replies: &Replies) -> Aof {
    let enabled = info.flag("aof_enabled");
    let status = |key: &str| {
        enabled.clone().and_then(|on| {
            if !on {
                return Observed::Value(AofStatus::Off);
            }
            info.read(key, |status| {
                Some(if status == "ok" {
                    AofStatus::Ok
                } else {
                    AofStatus::Err
                })
            })
        })
    };
    let fsync = reply::config_value(replies.get("CONFIG GET appendfsync"), "appendfsync");
    Aof {
        last_write_status: status("aof_last_write_status"),
        last_rewrite_status: status("aof_last_bgrewrite_status"),
        fsync: fsync.and_then(|value| match value.as_str() {
            "always" => Observed::Value(Fsync::Always),
            "everysec" => Observed::Value(Fsync::Everysec),
            "no" => Observed::Value(Fsync::No),
            _ => reply::unparseable("CONFIG GET appendfsync").into(),
        }),
        // Counted only while the file is on.
        delayed_fsyncs: match enabled {
            Observed::Value(false) => Observed::Value(0),
            _ => info.count("aof_delayed_fsync"),
        },
        rewrite_in_progress: info.flag("aof_rewrite_in_progress"),
        enabled,
    }
}

/// What is lost if the server dies now.
pub fn loss(persistence: &Persistence) -> Loss {
    let rdb = &persistence.rdb;
    let aof = &persistence.aof;
    match &aof.enabled {
        Observed::Unknown(unknown) => Loss {
            everything: unknown.clone().into(),
            seconds: unknown.clone().into(),
            changes: unknown.clone().into(),
        },
        Observed::Value(true) => loss_with_aof(aof),
        Observed::Value(false) => {
            let saved = match &rdb.last_save_at {
                Observed::Value(_) => Observed::Value(true),
                Observed::Unknown(unknown) if unknown.why == UnknownWhy::NotApplicable => {
                    Observed::Value(false)
                }
                Observed::Unknown(unknown) => unknown.clone().into(),
            };
            Loss {
                everything: both(&saved, &rdb.changes_since, |saved, changes| {
                    !saved && *changes > 0
                }),
                seconds: both(
                    &rdb.changes_since,
                    &rdb.last_save_age_seconds,
                    |changes, age| if *changes > 0 { seconds(*age) } else { 0.0 },
                ),
                changes: rdb.changes_since.clone(),
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an age in seconds")]
fn seconds(age: i64) -> f64 {
    age as f64
}

fn loss_with_aof(aof: &Aof) -> Loss {
    if aof.last_write_status == Observed::Value(AofStatus::Err) {
        let why = "the append-only file cannot be written, since when no server tells";
        return Loss {
            everything: Observed::Value(false),
            seconds: Observed::unknown(UnknownWhy::NotObserved, why),
            changes: Observed::unknown(UnknownWhy::NotObserved, why),
        };
    }
    let uncounted = "changes after the last sync of the append-only file are not counted";
    let kernel = "with `appendfsync no` the system decides when it syncs";
    let (seconds, changes) = match &aof.fsync {
        Observed::Unknown(unknown) => (unknown.clone().into(), unknown.clone().into()),
        Observed::Value(Fsync::Always) => (Observed::Value(0.0), Observed::Value(0)),
        Observed::Value(Fsync::Everysec) => (
            Observed::Value(1.0),
            Observed::unknown(UnknownWhy::Unsupported, uncounted),
        ),
        Observed::Value(Fsync::No) => (
            Observed::unknown(UnknownWhy::Unsupported, kernel),
            Observed::unknown(UnknownWhy::Unsupported, uncounted),
        ),
    };
    Loss {
        everything: Observed::Value(false),
        seconds,
        changes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Persistence, Loss) {
        let info = Info::parse(text);
        let clock = Clock::of(&info, Timestamp::UNIX_EPOCH);
        let save = redis::Value::Array(vec![
            redis::Value::BulkString(b"save".to_vec()),
            redis::Value::BulkString(b"3600 1 60 100".to_vec()),
        ]);
        let replies = Replies::of("CONFIG GET save", save);
        let persistence = persistence(&info, &replies, &clock);
        let loss = loss(&persistence);
        (persistence, loss)
    }

    const FRESH: &str = "server_time_usec:5000000000\nuptime_in_seconds:100\nrdb_last_save_time:4900\n\
        rdb_last_bgsave_status:ok\nrdb_changes_since_last_save:150\naof_enabled:0\naof_last_write_status:ok\n";

    #[test]
    fn a_status_of_ok_is_no_snapshot() {
        let (seen, loss) = read(&format!("{FRESH}rdb_saves:0\n"));
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Never));
        assert!(seen.rdb.last_save_at.value().is_none());
        assert_eq!(seen.rdb.overdue_seconds, Observed::Value(40));
        assert_eq!(seen.aof.last_write_status, Observed::Value(AofStatus::Off));
        assert_eq!(loss.everything, Observed::Value(true));
        assert_eq!(loss.seconds, Observed::Value(100.0));
        // The same on a server that does not count its saves.
        let (seen, _) = read(FRESH);
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Never));
    }

    #[test]
    fn a_snapshot_bounds_the_loss() {
        let (seen, loss) = read(&format!("{FRESH}rdb_saves:1\nrdb_bgsave_in_progress:0\n"));
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Ok));
        assert_eq!(loss.everything, Observed::Value(false));
        assert_eq!(loss.changes, Observed::Value(150));
        let (seen, _) = read(&format!("{FRESH}rdb_saves:1\nrdb_bgsave_in_progress:1\n"));
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Never));
        let old = FRESH.replace("time:4900", "time:4950");
        let (seen, _) = read(&old);
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Ok));
        let (seen, _) = read(&format!(
            "{FRESH}rdb_saves:0\nrdb_last_load_keys_loaded:4\n"
        ));
        assert_eq!(seen.rdb.last_status, Observed::Value(SaveStatus::Ok));
    }

    #[test]
    fn save_points_come_in_pairs() {
        assert_eq!(save_points(""), Some(vec![]));
        assert_eq!(save_points("60 1").map(|points| points.len()), Some(1));
        assert_eq!(save_points("60"), None);
        assert_eq!(save_points("60 x"), None);
    }
}
