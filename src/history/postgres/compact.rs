//! Packs single runs into chunks of an hour and minutes of a day, and drops what is too old or too much.
//! One agent at a time does so, whichever.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::super::pack::{Row, merge, pack, unpack};
use super::super::run::Marks;
use super::super::slots::{DAY_US, MINUTE_US, PackedDay};
use super::super::{HistoryError, HistorySettings};
use super::session::{Session, get};

/// A number that only compacting agents lock, for as long as their session lives.
const COMPACTING: i64 = 0x7072_6f62_0003;
const HOUR_US: i64 = 3_600_000_000;
const MAX_ROUNDS: usize = 1_000;

/// Whether nobody else does it now.
pub(super) async fn begin(session: &Session) -> Result<bool, HistoryError> {
    let sql = format!("select pg_try_advisory_lock({COMPACTING})");
    let rows = session.query(&sql, &[]).await?;
    rows.first().map_or(Ok(false), |row| get(row, 0))
}

pub(super) async fn end(session: &Session) -> Result<(), HistoryError> {
    session
        .run(&format!("select pg_advisory_unlock({COMPACTING})"))
        .await
}

/// The probes of which there are single runs.
pub(super) async fn waiting(session: &Session) -> Result<Vec<i32>, HistoryError> {
    let sql =
        "select id from probe.probes where exists (select 1 from probe.recent where probe = id)";
    let rows = session.query(sql, &[]).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Packs all runs of a probe. What is taken out is what is put in: a run that is recorded meanwhile
/// stays for the next time.
pub(super) async fn probe(session: &Session, probe: i32) -> Result<(), HistoryError> {
    session.run("begin").await?;
    let sql =
        "delete from probe.recent where probe = $1 returning started_us, agent, duration_us, marks";
    let taken = session.query(sql, &[(&probe, Type::INT4)]).await?;
    let mut hours: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    let mut days: BTreeMap<i64, PackedDay> = BTreeMap::new();
    for row in &taken {
        let row = row_of(row)?;
        let hour = row.started_us.div_euclid(HOUR_US);
        let day = row.started_us.div_euclid(DAY_US);
        let minute = row.started_us.rem_euclid(DAY_US) / MINUTE_US;
        hours.entry(hour).or_default().push(row);
        days.entry(day)
            .or_default()
            .add(usize::try_from(minute).unwrap_or(0), row.slot());
    }
    for (hour, rows) in hours {
        let mut all = chunks(session, probe, hour, hour + 1).await?;
        merge(&mut all, rows);
        let packed = pack(&all);
        let sql = "insert into probe.hours values ($1, $2, $3) on conflict (hour, probe) do update set runs = excluded.runs";
        let params = [
            (&hour as _, Type::INT8),
            (&probe as _, Type::INT4),
            (&packed as _, Type::BYTEA),
        ];
        session.query(sql, &params).await?;
    }
    for (day, mut packed) in days {
        for (_, before) in packed_days(session, probe, day, day + 1).await? {
            packed.merge(&before);
        }
        let bytes = packed.as_bytes();
        let sql = "insert into probe.days values ($1, $2, $3) on conflict (day, probe) do update set slots = excluded.slots";
        let params = [
            (&day as _, Type::INT8),
            (&probe as _, Type::INT4),
            (&bytes as _, Type::BYTEA),
        ];
        session.query(sql, &params).await?;
    }
    session.run("commit").await
}

/// The packed runs from an hour up to, without, another, oldest first.
pub(super) async fn chunks(
    session: &Session,
    probe: i32,
    from: i64,
    to: i64,
) -> Result<Vec<Row>, HistoryError> {
    let sql =
        "select runs from probe.hours where hour >= $1 and hour < $2 and probe = $3 order by hour";
    let params = [
        (&from as _, Type::INT8),
        (&to as _, Type::INT8),
        (&probe as _, Type::INT4),
    ];
    let mut all = Vec::new();
    for row in session.query(sql, &params).await? {
        let rows = unpack(get(&row, 0)?)
            .ok_or_else(|| HistoryError::Corrupt("a chunk of runs cannot be read".to_owned()))?;
        all.extend(rows);
    }
    Ok(all)
}

/// The packed minutes from a day up to, without, another.
pub(super) async fn packed_days(
    session: &Session,
    probe: i32,
    from: i64,
    to: i64,
) -> Result<Vec<(i64, PackedDay)>, HistoryError> {
    let sql = "select day, slots from probe.days where day >= $1 and day < $2 and probe = $3";
    let params = [
        (&from as _, Type::INT8),
        (&to as _, Type::INT8),
        (&probe as _, Type::INT4),
    ];
    let rows = session.query(sql, &params).await?;
    rows.iter()
        .map(|row| Ok((get(row, 0)?, PackedDay::from_bytes(get(row, 1)?))))
        .collect()
}

/// A single run: its start, agent, duration and marks.
pub(super) fn row_of(row: &tokio_postgres::Row) -> Result<Row, HistoryError> {
    Ok(Row {
        started_us: get(row, 0)?,
        agent: i64::from(get::<i32>(row, 1)?),
        duration_us: get(row, 2)?,
        marks: Marks(get::<i16>(row, 3)?.cast_unsigned()),
    })
}

/// Drops what is older than it is to be kept by the database's clock, then the oldest until the rest is
/// small enough.
pub(super) async fn prune(
    session: &Session,
    settings: &HistorySettings,
) -> Result<(), HistoryError> {
    let clock = "select (extract(epoch from clock_timestamp()) * 1000000)::int8";
    let rows = session.query(clock, &[]).await?;
    let now: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
    let before =
        |kept: Duration| now.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    let (runs, all) = (before(settings.runs_retention), before(settings.retention));
    for (sql, bound) in [
        (
            "delete from probe.hours where hour < $1",
            runs.div_euclid(HOUR_US),
        ),
        (
            "delete from probe.days where day < $1",
            all.div_euclid(DAY_US),
        ),
        ("delete from probe.changes where observed_us < $1", all),
        ("delete from probe.latest where observed_us < $1", all),
    ] {
        session.query(sql, &[(&bound, Type::INT8)]).await?;
    }
    for _ in 0..MAX_ROUNDS {
        if live_bytes(session).await? <= settings.max_bytes {
            break;
        }
        // A deleted row still takes its place until it is vacuumed: what counts is what is alive.
        let dropped = session
            .query("delete from probe.hours where hour = (select min(hour) from probe.hours) returning 1", &[])
            .await?;
        if !dropped.is_empty() {
            continue;
        }
        let dropped = session
            .query(
                "delete from probe.days where day = (select min(day) from probe.days) returning 1",
                &[],
            )
            .await?;
        if dropped.is_empty() {
            break;
        }
    }
    Ok(())
}

async fn live_bytes(session: &Session) -> Result<u64, HistoryError> {
    let sql = "select coalesce((select sum(pg_column_size(h.*)) from probe.hours h), 0)::int8 \
               + coalesce((select sum(pg_column_size(d.*)) from probe.days d), 0)::int8 \
               + pg_total_relation_size('probe.recent') + pg_total_relation_size('probe.latest') \
               + pg_total_relation_size('probe.changes')";
    let rows = session.query(sql, &[]).await?;
    let bytes: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// How much it is, and when the oldest run began.
pub(super) async fn size(
    session: &Session,
) -> Result<(Option<u64>, Option<Timestamp>), HistoryError> {
    let sql = "select (select sum(pg_total_relation_size(c.oid)) from pg_class c \
               where c.relnamespace = 'probe'::regnamespace and c.relkind = 'r')::int8, \
               least((select min(hour) * 3600000000 from probe.hours), (select min(started_us) from probe.recent))";
    let rows = session.query(sql, &[]).await?;
    let Some(row) = rows.first() else {
        return Ok((None, None));
    };
    let bytes: Option<i64> = get(row, 0)?;
    let oldest: Option<i64> = get(row, 1)?;
    Ok((
        bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        oldest.and_then(|us| Timestamp::from_microsecond(us).ok()),
    ))
}
