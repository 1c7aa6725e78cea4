//! The slow log, without the arguments of its commands: they are other people's data.

use jiff::Timestamp;
use redis::Value;

use super::facts::{SlowCommand, SlowLog};
use super::reply::{self, Reply};
use crate::evidence::{Observed, UnknownWhy};

/// The longest name of a command.
const MAX_NAME_CHARS: usize = 32;

/// Reads the reply of `SLOWLOG GET`.
pub fn slow_log(reply: Option<&Reply>) -> SlowLog {
    let newest = match reply::value(reply, "SLOWLOG GET") {
        Err(unknown) => Observed::Unknown(unknown),
        Ok(value) => reply::items(value)
            .and_then(|entries| entries.iter().map(entry).collect::<Option<Vec<_>>>())
            .map_or_else(|| reply::unparseable("SLOWLOG GET").into(), Observed::Value),
    };
    let slowest_ms = newest
        .clone()
        .map(|entries| entries.iter().map(|entry| entry.ms).fold(0.0, f64::max));
    SlowLog { newest, slowest_ms }
}

/// `[id, seconds, microseconds, [command, arguments…], …]`
fn entry(value: &Value) -> Option<SlowCommand> {
    let [_, at, micros, words, ..] = reply::items(value)? else {
        return None;
    };
    let name = reply::items(words)?.first().and_then(reply::text)?;
    let micros = u64::try_from(reply::int(micros)?).ok()?;
    let at = Timestamp::from_second(reply::int(at)?);
    Some(SlowCommand {
        command: name
            .chars()
            .filter(char::is_ascii_graphic)
            .take(MAX_NAME_CHARS)
            .collect(),
        at: at.map_or_else(
            |_| Observed::unknown(UnknownWhy::Unparseable, "SLOWLOG GET: no such time"),
            Observed::Value,
        ),
        ms: crate::evidence::millis(std::time::Duration::from_micros(micros)),
    })
}
