//! Drops what is too old or too much: single runs first, then the minutes of days.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::slots::DAY_US;
use super::super::{HistoryError, HistorySettings};
use super::{HOUR_US, key, wrong};

/// The most rows that one commit drops: the writer has others to serve.
const MAX_ROWS: u32 = 5_000;
/// Ends what would never end.
const MAX_ROUNDS: usize = 10_000;

/// Drops what is older than it is to be kept.
pub(super) fn by_age(
    conn: &mut Connection,
    settings: &HistorySettings,
    now: Timestamp,
) -> Result<(), HistoryError> {
    let before = |kept: Duration| {
        let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
        now.as_microsecond().saturating_sub(kept)
    };
    let (runs, all) = (before(settings.runs_retention), before(settings.retention));
    let drop_old = || -> rusqlite::Result<()> {
        // Those whose minutes are still to be kept are packed before they are that old.
        conn.execute("delete from recent where started_us < ?", [runs])?;
        drop_rows(conn, "hours", key(runs.div_euclid(HOUR_US), 0))?;
        drop_rows(conn, "days", key(all.div_euclid(DAY_US), 0))?;
        conn.execute("delete from changes where observed_us < ?", [all])?;
        conn.execute("delete from latest where observed_us < ?", [all])?;
        give_back(conn)
    };
    drop_old().map_err(|error| wrong(&error))
}

/// Drops the oldest until the store is small enough.
pub(super) fn by_size(conn: &mut Connection, max_bytes: u64) -> Result<(), HistoryError> {
    let shrink = || -> rusqlite::Result<()> {
        for _ in 0..MAX_ROUNDS {
            if used(conn)? <= max_bytes {
                break;
            }
            if drop_oldest(conn, "hours")? == 0
                && drop_oldest(conn, "days")? == 0
                && drop_changes(conn)? == 0
            {
                break;
            }
        }
        give_back(conn)
    };
    shrink().map_err(|error| wrong(&error))
}

fn drop_rows(conn: &Connection, table: &str, before: i64) -> rusqlite::Result<()> {
    let sql = format!(
        "delete from {table} where key in (select key from {table} where key < ? order by key limit ?)"
    );
    for _ in 0..MAX_ROUNDS {
        if conn.execute(&sql, params![before, MAX_ROWS])? < MAX_ROWS as usize {
            break;
        }
    }
    Ok(())
}

fn drop_oldest(conn: &Connection, table: &str) -> rusqlite::Result<usize> {
    let sql =
        format!("delete from {table} where key in (select key from {table} order by key limit ?)");
    conn.execute(&sql, [500])
}

fn drop_changes(conn: &Connection) -> rusqlite::Result<usize> {
    conn.execute(
        "delete from changes where (probe, observed_us) in \
         (select probe, observed_us from changes order by observed_us limit ?)",
        [100],
    )
}

/// Returns free pages to the file system, a few at a time.
fn give_back(conn: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = conn.prepare_cached("pragma incremental_vacuum(2000)")?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The size of the file, with what its log has not yet brought there.
pub(super) fn bytes(conn: &Connection) -> Result<u64, HistoryError> {
    used(conn).map_err(|error| wrong(&error))
}

fn used(conn: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| -> rusqlite::Result<u64> {
        conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages * number("page_size")?)
}

/// When the oldest that is kept began.
pub(super) fn oldest(conn: &Connection) -> Result<Option<Timestamp>, HistoryError> {
    let ask = || -> rusqlite::Result<Option<i64>> {
        let chunk: Option<i64> = conn
            .query_row("select key from hours order by key limit 1", [], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(key) = chunk {
            return Ok(super::compact::hour(conn, key)?
                .first()
                .map(|row| row.started_us));
        }
        conn.query_row("select min(started_us) from recent", [], |row| row.get(0))
    };
    let oldest = ask().map_err(|error| wrong(&error))?;
    Ok(oldest.and_then(|us| Timestamp::from_microsecond(us).ok()))
}
