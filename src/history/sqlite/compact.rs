//! Packs single runs into chunks of an hour and minutes of a day.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::HistoryError;
use super::super::pack::{Row, merge, pack, unpack};
use super::super::run::Marks;
use super::super::slots::{DAY_US, MINUTE_US, PackedDay};
use super::{HOUR_US, key, wrong};

/// The probes of which there are single runs.
pub(super) fn waiting(conn: &Connection) -> Result<Vec<i64>, HistoryError> {
    let ask = || -> rusqlite::Result<Vec<i64>> {
        conn.prepare_cached(
            "select id from probes where exists (select 1 from recent where probe = id)",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
    };
    ask().map_err(|error| wrong(&error))
}

/// How many single runs there are.
pub(super) fn count(conn: &Connection) -> Result<usize, HistoryError> {
    let counted = conn.query_row("select count(*) from recent", [], |row| {
        row.get::<_, i64>(0)
    });
    let count = counted.map_err(|error| wrong(&error))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Packs all runs of a probe, in one transaction: a run is in one place or in the other.
pub(super) fn probe(conn: &mut Connection, probe: i64) -> Result<(), HistoryError> {
    let pack_all = |tx: &Transaction<'_>| -> rusqlite::Result<()> {
        let rows = recent(tx, probe, i64::MIN, i64::MAX)?;
        let mut hours: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        let mut days: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let (hour, day) = (
                row.started_us.div_euclid(HOUR_US),
                row.started_us.div_euclid(DAY_US),
            );
            hours.entry(hour).or_default().push(row);
            days.entry(day).or_default().push(row);
        }
        for (hour, rows) in hours {
            add_to_hour(tx, key(hour, probe), rows)?;
        }
        for (day, rows) in days {
            add_to_day(tx, day, probe, &rows)?;
        }
        tx.prepare_cached("delete from recent where probe = ?")?
            .execute([probe])
            .map(drop)
    };
    let tx = conn.transaction().map_err(|error| wrong(&error))?;
    pack_all(&tx).map_err(|error| wrong(&error))?;
    tx.commit().map_err(|error| wrong(&error))
}

fn add_to_hour(tx: &Transaction<'_>, key: i64, rows: Vec<Row>) -> rusqlite::Result<()> {
    let mut all = hour(tx, key)?;
    merge(&mut all, rows);
    tx.prepare_cached("insert or replace into hours values (?, ?)")?
        .execute(params![key, pack(&all)])
        .map(drop)
}

fn add_to_day(tx: &Transaction<'_>, day: i64, probe: i64, rows: &[Row]) -> rusqlite::Result<()> {
    let key = key(day, probe);
    let mut packed = day_of(tx, key)?.unwrap_or_default();
    for row in rows {
        let minute = row.started_us.rem_euclid(DAY_US) / MINUTE_US;
        packed.add(usize::try_from(minute).unwrap_or(0), row.slot());
    }
    tx.prepare_cached("insert or replace into days values (?, ?)")?
        .execute(params![key, packed.as_bytes()])
        .map(drop)
}

/// The packed runs of an hour.
pub(super) fn hour(conn: &Connection, key: i64) -> rusqlite::Result<Vec<Row>> {
    let bytes: Option<Vec<u8>> = conn
        .prepare_cached("select runs from hours where key = ?")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let Some(bytes) = bytes else {
        return Ok(Vec::new());
    };
    unpack(&bytes).ok_or_else(|| damaged(&format!("the chunk {key} of runs")))
}

/// The packed minutes of a day.
pub(super) fn day_of(conn: &Connection, key: i64) -> rusqlite::Result<Option<PackedDay>> {
    conn.prepare_cached("select slots from days where key = ?")?
        .query_row([key], |row| {
            row.get_ref(0)?
                .as_blob()
                .map(PackedDay::from_bytes)
                .map_err(Into::into)
        })
        .optional()
}

/// Single runs that began from `from_us` up to, without, `to_us`, in order.
pub(super) fn recent(
    conn: &Connection,
    probe: i64,
    from_us: i64,
    to_us: i64,
) -> rusqlite::Result<Vec<Row>> {
    conn.prepare_cached(
        "select started_us, agent, duration_us, marks from recent \
         where probe = ? and started_us >= ? and started_us < ? order by started_us, agent",
    )?
    .query_map([probe, from_us, to_us], |row| {
        Ok(Row {
            started_us: row.get(0)?,
            agent: row.get(1)?,
            duration_us: row.get(2)?,
            marks: Marks(row.get(3)?),
        })
    })?
    .collect()
}

fn damaged(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some(format!("{what} cannot be read")),
    )
}
