//! Questions: runs by page, slots, what was last seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::Value;

use super::super::pack::{Row, merge};
use super::super::page::{Cursor, Pager};
use super::super::run::{Latest, RunPage, RunQuery, RunRecord};
use super::super::slots::{DAY_US, Grid, Slot};
use super::super::{HistoryError, stored};
use super::{HOUR_US, PROBE_BITS, compact, key, wrong};

/// Asks within one transaction: a run that is being packed is seen in one of its places.
fn consistent<T>(
    conn: &mut Connection,
    ask: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, HistoryError> {
    let tx = conn.transaction().map_err(|error| wrong(&error))?;
    ask(&tx).map_err(|error| wrong(&error))
}

fn probe_id(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("select id from probes where name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// A page of runs, newest first. `oldest`: the start before which no run is shown.
pub(in super::super) fn runs(
    conn: &mut Connection,
    query: &RunQuery,
    oldest: Timestamp,
) -> Result<RunPage, HistoryError> {
    let pager = Pager::new(query, oldest)?;
    let page = consistent(conn, |tx| {
        let Some(probe) = probe_id(tx, &query.probe)? else {
            return Ok(None);
        };
        page(tx, probe, pager).map(Some)
    })?;
    let Some((rows, next)) = page else {
        return Ok(RunPage::default());
    };
    let agents = agents(conn)?;
    let name: Arc<str> = query.probe.as_str().into();
    let runs = rows.iter().map(|row| {
        let agent = agents.get(&row.agent).cloned();
        RunRecord::from_row(row, &name, agent.unwrap_or_default())
    });
    Ok(RunPage {
        runs: runs.collect(),
        next: next.map(|cursor| cursor.to_string()),
    })
}

/// Goes from hour to hour, from the newest that can hold a run of the page, until it is full.
fn page(
    tx: &Transaction<'_>,
    probe: i64,
    mut pager: Pager,
) -> rusqlite::Result<(Vec<Row>, Option<Cursor>)> {
    let Some((first, last)) = span(tx, probe)? else {
        return Ok(pager.finish());
    };
    let begin = first.max(pager.earliest_us().div_euclid(HOUR_US));
    let mut hour = last.min(pager.latest_us().div_euclid(HOUR_US));
    while hour >= begin && !pager.is_full() {
        let mut rows = compact::hour(tx, key(hour, probe))?;
        let single = compact::recent(tx, probe, hour * HOUR_US, (hour + 1) * HOUR_US)?;
        merge(&mut rows, single);
        for row in rows.into_iter().rev() {
            pager.add(row);
        }
        hour -= 1;
    }
    Ok(pager.finish())
}

/// The hours in which this probe, or any, has runs.
fn span(tx: &Transaction<'_>, probe: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let (oldest, newest): (Option<i64>, Option<i64>) = tx.query_row(
        "select (select min(started_us) from recent where probe = ?1), \
         (select max(started_us) from recent where probe = ?1)",
        [probe],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (first, last): (Option<i64>, Option<i64>) = tx.query_row(
        "select (select min(key) from hours), (select max(key) from hours)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let hour_of = |us: i64| us.div_euclid(HOUR_US);
    let ends = [
        oldest.map(hour_of),
        newest.map(hour_of),
        first.map(|key| key >> PROBE_BITS),
        last.map(|key| key >> PROBE_BITS),
    ];
    let hours = ends.iter().flatten();
    Ok(hours.clone().min().copied().zip(hours.max().copied()))
}

fn agents(conn: &Connection) -> Result<BTreeMap<i64, Arc<str>>, HistoryError> {
    let ask = || -> rusqlite::Result<BTreeMap<i64, Arc<str>>> {
        conn.prepare_cached("select id, name from agents")?
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?.into())))?
            .collect()
    };
    ask().map_err(|error| wrong(&error))
}

/// The slots of a probe.
pub(in super::super) fn slots(
    conn: &mut Connection,
    probe: &str,
    from: Timestamp,
    to: Timestamp,
    slot: Duration,
) -> Result<Vec<Slot>, HistoryError> {
    let mut grid = Grid::new(from, to, slot);
    consistent(conn, |tx| {
        let Some(probe) = probe_id(tx, probe)? else {
            return Ok(());
        };
        let (begin_us, end_us) = grid.span_us();
        for row in compact::recent(tx, probe, begin_us, end_us)? {
            grid.add(row.started_us, row.slot());
        }
        if grid.is_of_minutes() {
            for day in begin_us.div_euclid(DAY_US)..=(end_us - 1).div_euclid(DAY_US) {
                if let Some(packed) = compact::day_of(tx, key(day, probe))? {
                    packed.add_to(day * DAY_US, &mut grid);
                }
            }
            return Ok(());
        }
        for hour in begin_us.div_euclid(HOUR_US)..=(end_us - 1).div_euclid(HOUR_US) {
            for row in compact::hour(tx, key(hour, probe))? {
                grid.add(row.started_us, row.slot());
            }
        }
        Ok(())
    })?;
    Ok(grid.into_slots())
}

/// What was last seen of each probe, after a version.
pub(in super::super) fn latest(
    conn: &mut Connection,
    after_version: i64,
) -> Result<Vec<Latest>, HistoryError> {
    let read = consistent(conn, |tx| {
        tx.prepare_cached(
            "select name, params_digest, state, envelope, version from latest \
             join probes on id = probe where version > ? order by version",
        )?
        .query_map([after_version], |row| {
            let state: String = row.get(2)?;
            let envelope: Vec<u8> = row.get(3)?;
            Ok(stored::latest(
                row.get::<_, String>(0)?.into(),
                row.get(1)?,
                &state,
                &envelope,
                row.get(4)?,
            ))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    })?;
    // What cannot be read is not known again; the probe's next run brings it.
    Ok(read.into_iter().flatten().collect())
}

/// What was seen when the result of a probe changed, newest first.
pub(in super::super) fn changes(
    conn: &mut Connection,
    probe: &str,
    limit: usize,
) -> Result<Vec<crate::evidence::Envelope>, HistoryError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = consistent(conn, |tx| {
        let Some(probe) = probe_id(tx, probe)? else {
            return Ok(Vec::new());
        };
        tx.prepare_cached(
            "select envelope from changes where probe = ? order by observed_us desc limit ?",
        )?
        .query_map(params![probe, limit], |row| {
            row.get_ref(0)?
                .as_blob()
                .map(stored::read)
                .map_err(Into::into)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()
    })?;
    Ok(read.into_iter().flatten().collect())
}

/// All that is kept.
pub(in super::super) fn kept(
    conn: &mut Connection,
) -> Result<BTreeMap<String, Value>, HistoryError> {
    let read = consistent(conn, |tx| {
        tx.prepare_cached("select key, value from kept")?
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()
    })?;
    let parsed = read.into_iter().filter_map(|(key, text)| {
        let value = serde_json::from_str(&text).ok()?;
        Some((key, value))
    });
    Ok(parsed.collect())
}
