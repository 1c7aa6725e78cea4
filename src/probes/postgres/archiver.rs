//! Whether WAL reaches the archive: progress, and whether there was anything to do.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, first};
use super::server::{NEEDS_MONITOR, with};
use super::session::Session;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// The archiver.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Archiver {
    /// `archive_mode`: `off`, `on`, or `always`.
    pub mode: Observed<String>,
    /// What is to be done with a segment.
    pub command: Observed<Command>,
    /// Segments archived since the statistics were reset.
    pub archived_count: Observed<i64>,
    /// Failed attempts since the statistics were reset.
    pub failed_count: Observed<i64>,
    /// When a segment was last archived.
    pub last_archived_at: Observed<Timestamp>,
    /// When an attempt last failed.
    pub last_failed_at: Observed<Timestamp>,
    /// The segment of the last failed attempt; empty where none failed.
    pub last_failed_segment: Observed<String>,
    /// Whether the last attempt failed.
    pub failing: Observed<bool>,
    /// Segments that wait to be archived.
    pub waiting_segments: Observed<i64>,
    /// How long the oldest of them has been waiting, seconds; 0 where none waits.
    pub oldest_waiting_seconds: Observed<f64>,
    /// How long segments have been waiting of which none was archived since, seconds: the less of
    /// `oldest_waiting_seconds` and the age of the last success; 0 where none waits. A command that
    /// hangs does not fail, and shows here alone.
    pub stalled_seconds: Observed<f64>,
    /// Whether segments get archived. Unknown where none was and none waits: there was nothing to
    /// do.
    pub progress: Observed<bool>,
}

/// What is to be done with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// There is a command or a library.
    Set,
    /// There is none: segments pile up.
    Empty,
    /// The command says yes and stores nothing, as `/bin/true` and `cp %p /dev/null` do.
    Discards,
}

const MODE: &str = "select current_setting('archive_mode') as mode";
const COMMAND: &str = "select current_setting('archive_command') as command,
  coalesce(current_setting('archive_library', true), '') as library";
const STATISTICS: &str = "select archived_count, failed_count, last_archived_time as archived_at,
  last_failed_time as failed_at, last_failed_wal as failed_segment,
  coalesce(last_failed_time > last_archived_time, last_failed_time is not null) as failing
  from pg_stat_archiver";
const STALLED: &str = "select case when last_archived_time is null then null
  else extract(epoch from clock_timestamp() - last_archived_time)::float8 end as since
  from pg_stat_archiver";
const WAITING: &str = "select count(*) as waiting,
  coalesce(extract(epoch from clock_timestamp() - min(modification)), 0)::float8 as oldest
  from pg_ls_archive_statusdir() where name like '%.ready'";

/// Asks the primary.
pub(super) async fn read(session: &Session) -> Archiver {
    let (mode, command, statistics, stalled, waiting) = futures_util::join!(
        session.rows(MODE, &[]),
        session.rows(COMMAND, &[]),
        session.rows(STATISTICS, &[]),
        session.rows(STALLED, &[]),
        session.rows(WAITING, &[]),
    );
    let (mode, command) = (first(mode), first(command));
    let (statistics, waiting) = (first(statistics), first(waiting).map_err(grant));
    let archived_count = with(&statistics, |row| row.must::<i64>("archived_count"));
    let waiting_segments = with(&waiting, |row| row.must::<i64>("waiting"));
    let oldest = with(&waiting, |row| row.must("oldest"));
    let never = "since the statistics were reset";
    Archiver {
        mode: with(&mode, |row| row.must("mode")),
        command: with(&command, what),
        progress: progress(&archived_count, &waiting_segments),
        archived_count,
        failed_count: with(&statistics, |row| row.must("failed_count")),
        last_archived_at: with(&statistics, |row| {
            row.timestamp("archived_at", &format!("nothing was archived {never}"))
        }),
        last_failed_at: with(&statistics, |row| {
            row.timestamp("failed_at", &format!("nothing failed {never}"))
        }),
        last_failed_segment: with(&statistics, |row| row.text("failed_segment")),
        failing: with(&statistics, |row| row.must("failing")),
        waiting_segments,
        stalled_seconds: stalled_seconds(&oldest, &first(stalled)),
        oldest_waiting_seconds: oldest,
    }
}

impl Archiver {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            mode: why.clone().into(),
            command: why.clone().into(),
            archived_count: why.clone().into(),
            failed_count: why.clone().into(),
            last_archived_at: why.clone().into(),
            last_failed_at: why.clone().into(),
            last_failed_segment: why.clone().into(),
            failing: why.clone().into(),
            waiting_segments: why.clone().into(),
            oldest_waiting_seconds: why.clone().into(),
            stalled_seconds: why.clone().into(),
            progress: why.clone().into(),
        }
    }
}

fn grant(mut unknown: Unknown) -> Unknown {
    if unknown.why == UnknownWhy::Denied {
        NEEDS_MONITOR.clone_into(&mut unknown.detail);
    }
    unknown
}

fn what(row: &Row) -> Observed<Command> {
    let command: Observed<String> = row.must("command");
    let library = row.text("library");
    command.and_then(|command| {
        library.map(
            |library| match command.trim().trim_end_matches(';').trim() {
                _ if !library.is_empty() => Command::Set,
                "" | "(disabled)" => Command::Empty,
                command if stores_nothing(command) => Command::Discards,
                _ => Command::Set,
            },
        )
    })
}

/// Whether a command is one of those that say yes and store nothing. Those of several parts are
/// taken to store something, unless `/dev/null` is where it goes.
fn stores_nothing(command: &str) -> bool {
    const IDLE: [&str; 8] = ["true", ":", "test", "[", "echo", "printf", "sleep", "exit"];
    let bare = |word: &str| word.trim_matches(['"', '\'']).to_owned();
    // A message that is thrown away says nothing of where the segment goes.
    let mut words: Vec<String> = command
        .replace("2>/dev/null", " ")
        .replace("2> /dev/null", " ")
        .split_whitespace()
        .map(bare)
        .collect();
    let assigns = |word: &String| word.contains('=') && !word.starts_with('/');
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    while words.first().is_some_and(|word| {
        assigns(word) || ["env", "exec", "command", "nice"].contains(&name(word).as_str())
    }) {
        words.remove(0);
    }
    let is_simple = !command.contains(['|', '&', ';', '\n', '`']) && !command.contains("$(");
    if !is_simple {
        return false;
    }
    let to_file = words
        .iter()
        .position(|word| word.starts_with('>') || word.starts_with("1>"));
    if let Some(at) = to_file {
        let target = words.get(at..).unwrap_or_default().concat();
        return target.trim_start_matches(['1', '>']) == "/dev/null";
    }
    let Some(first) = words.first().map(name) else {
        return true;
    };
    IDLE.contains(&first.as_str())
        || words.last().is_some_and(|word| {
            word == "/dev/null" || word == "of=/dev/null" || word == ">/dev/null"
        })
        || (first == "cat" && words.len() > 1)
}

fn stalled_seconds(oldest: &Observed<f64>, stalled: &Result<Row, Unknown>) -> Observed<f64> {
    oldest.clone().and_then(|oldest| match stalled {
        Ok(row) => match row.get::<f64>("since") {
            Ok(Some(since)) => Observed::Value(oldest.min(since)),
            Ok(None) => Observed::Value(oldest),
            Err(unknown) => Observed::Unknown(unknown),
        },
        Err(unknown) => Observed::Unknown(unknown.clone()),
    })
}

fn progress(archived: &Observed<i64>, waiting: &Observed<i64>) -> Observed<bool> {
    match (archived, waiting) {
        (Observed::Value(1..), _) => Observed::Value(true),
        (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => {
            Observed::Unknown(unknown.clone())
        }
        (_, Observed::Value(1..)) => Observed::Value(false),
        (_, Observed::Value(_)) => Observed::unknown(
            UnknownWhy::NotObserved,
            "no segment was archived since the statistics were reset and none waits: there was nothing to do",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_stores_nothing_is_known() {
        for nothing in [
            "true",
            "/bin/true %p",
            "/usr/bin/env true",
            "FOO=1 true",
            "test 1",
            "echo %p",
            ":",
            "exit 0",
            "cp %p /dev/null",
            "cat %p > /dev/null",
            "cat %p >/dev/null",
            "dd if=%p of=/dev/null",
            "cp \"%p\" \"/dev/null\"",
            "cat %p",
        ] {
            assert!(stores_nothing(nothing), "{nothing}");
        }
        for something in [
            "cp %p /archive/%f",
            "test ! -f /archive/%f && cp %p /archive/%f",
            "pgbackrest --stanza=app archive-push %p",
            "env A=b wal-g wal-push %p",
            "cat %p > /archive/%f",
            "cat %p > /archive/%f 2>/dev/null",
            "gzip < %p > /archive/%f.gz",
            "wal-g wal-push %p 2>/dev/null",
            "true; cp %p /archive/%f",
        ] {
            assert!(!stores_nothing(something), "{something}");
        }
    }

    #[test]
    fn an_archiver_that_had_nothing_to_do_shows_nothing() {
        let known = |count| Observed::Value(count);
        assert_eq!(progress(&known(1), &known(0)), Observed::Value(true));
        assert_eq!(progress(&known(0), &known(3)), Observed::Value(false));
        assert!(progress(&known(0), &known(0)).value().is_none());
    }
}
