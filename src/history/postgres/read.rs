//! Questions: runs by page, slots, what was last seen by whichever agent.
//!
//! Single runs are read before what they are packed into: one that is packed in between is seen twice,
//! which counts once, and never not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::super::pack::{Row, merge};
use super::super::page::Pager;
use super::super::run::{Latest, RunPage, RunQuery, RunRecord};
use super::super::slots::{DAY_US, Grid, Slot};
use super::super::{HistoryError, stored};
use super::compact::{chunks, packed_days, row_of};
use super::session::{Session, get};
use crate::evidence::Envelope;

const HOUR_US: i64 = 3_600_000_000;
/// Chunks that are fetched at once.
const HOURS_AT_ONCE: i64 = 24;

async fn probe_id(session: &Session, name: &str) -> Result<Option<i32>, HistoryError> {
    let rows = session
        .query(
            "select id from probe.probes where name = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    rows.first().map(|row| get(row, 0)).transpose()
}

/// A page of runs, newest first.
pub(in super::super) async fn runs(
    session: &Session,
    query: &RunQuery,
    oldest: Timestamp,
) -> Result<RunPage, HistoryError> {
    let mut pager = Pager::new(query, oldest)?;
    let Some(probe) = probe_id(session, &query.probe).await? else {
        return Ok(RunPage::default());
    };
    let mut single = recent(session, probe, pager.earliest_us(), pager.latest_us()).await?;
    let sql = "select min(hour), max(hour) from probe.hours where probe = $1";
    let rows = session.query(sql, &[(&probe, Type::INT4)]).await?;
    let (first, last) = match rows.first() {
        Some(row) => (get::<Option<i64>>(row, 0)?, get::<Option<i64>>(row, 1)?),
        None => (None, None),
    };
    let mut end = last.map_or(0, |last| {
        last.min(pager.latest_us().div_euclid(HOUR_US)) + 1
    });
    let begin = first.map_or(0, |first| {
        first.max(pager.earliest_us().div_euclid(HOUR_US))
    });
    while !pager.is_full() && begin < end {
        let from = (end - HOURS_AT_ONCE).max(begin);
        let mut rows = chunks(session, probe, from, end).await?;
        // Those that are newer than this part of the chunks come with it.
        let newer = single.partition_point(|row| row.started_us < from * HOUR_US);
        merge(&mut rows, single.split_off(newer));
        rows.into_iter().rev().for_each(|row| pager.add(row));
        end = from;
    }
    single.into_iter().rev().for_each(|row| pager.add(row));
    let (rows, next) = pager.finish();
    let agents = agents(session).await?;
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

async fn recent(
    session: &Session,
    probe: i32,
    from_us: i64,
    to_us: i64,
) -> Result<Vec<Row>, HistoryError> {
    let sql = "select started_us, agent, duration_us, marks from probe.recent \
               where probe = $1 and started_us >= $2 and started_us < $3 order by started_us, agent";
    let params = [
        (&probe as _, Type::INT4),
        (&from_us as _, Type::INT8),
        (&to_us as _, Type::INT8),
    ];
    let rows = session.query(sql, &params).await?;
    rows.iter().map(row_of).collect()
}

async fn agents(session: &Session) -> Result<BTreeMap<i64, Arc<str>>, HistoryError> {
    let rows = session
        .query("select id, name from probe.agents", &[])
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                i64::from(get::<i32>(row, 0)?),
                get::<String>(row, 1)?.into(),
            ))
        })
        .collect()
}

/// The slots of a probe.
pub(in super::super) async fn slots(
    session: &Session,
    probe: &str,
    from: Timestamp,
    to: Timestamp,
    slot: Duration,
) -> Result<Vec<Slot>, HistoryError> {
    let mut grid = Grid::new(from, to, slot);
    let Some(probe) = probe_id(session, probe).await? else {
        return Ok(grid.into_slots());
    };
    let (begin_us, end_us) = grid.span_us();
    for row in recent(session, probe, begin_us, end_us).await? {
        grid.add(row.started_us, row.slot());
    }
    let ends = |span: i64| (begin_us.div_euclid(span), (end_us - 1).div_euclid(span) + 1);
    if grid.is_of_minutes() {
        let (from, to) = ends(DAY_US);
        for (day, packed) in packed_days(session, probe, from, to).await? {
            packed.add_to(day * DAY_US, &mut grid);
        }
    } else {
        let (from, to) = ends(HOUR_US);
        for row in chunks(session, probe, from, to).await? {
            grid.add(row.started_us, row.slot());
        }
    }
    Ok(grid.into_slots())
}

/// What was last seen of each probe, after a version.
pub(in super::super) async fn latest(
    session: &Session,
    after_version: i64,
) -> Result<Vec<Latest>, HistoryError> {
    let sql = "select name, params_digest, state, envelope, version from probe.latest \
               join probe.probes on id = probe where version > $1 order by version";
    let rows = session.query(sql, &[(&after_version, Type::INT8)]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = get(row, 0)?;
        all.extend(stored::latest(
            name.into(),
            get(row, 1)?,
            get(row, 2)?,
            get(row, 3)?,
            get(row, 4)?,
        ));
    }
    Ok(all)
}

/// What was seen when the result of a probe changed, newest first.
pub(in super::super) async fn changes(
    session: &Session,
    probe: &str,
    limit: usize,
) -> Result<Vec<Envelope>, HistoryError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "select envelope from probe.changes join probe.probes on id = probe \
               where name = $1 order by observed_us desc limit $2";
    let rows = session
        .query(sql, &[(&probe, Type::TEXT), (&limit, Type::INT8)])
        .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        all.extend(stored::read(get(row, 0)?));
    }
    Ok(all)
}

/// All that is kept.
pub(in super::super) async fn kept(
    session: &Session,
) -> Result<BTreeMap<String, Value>, HistoryError> {
    let rows = session
        .query("select key, value from probe.kept", &[])
        .await?;
    let mut all = BTreeMap::new();
    for row in &rows {
        if let Ok(value) = serde_json::from_str(get(row, 1)?) {
            all.insert(get(row, 0)?, value);
        }
    }
    Ok(all)
}
