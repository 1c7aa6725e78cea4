//! The tables, and how they came to be.
//!
//! - `recent`: single runs as they come in, one row each; a commit touches one place per probe.
//! - `hours`: the runs of a probe in an hour, packed; `key` is the hour (from the epoch) and the probe, so
//!   that new chunks go to the end of the table and old ones leave from its beginning.
//! - `days`: the minutes of a probe in a day, two bits each; `key` likewise.
//! - `latest`: what was last seen of a probe. `changes`: what was seen when its result changed.
//! - `kept`: small values of the agent.

use rusqlite::{Connection, Transaction};

use super::super::HistoryError;
use super::wrong;

/// Says that a file is a history: `prob`.
pub(super) const APPLICATION_ID: i32 = 0x7072_6f62;

/// Each brings the schema from the version before to its own.
const MIGRATIONS: [&str; 1] = ["
    create table probes (id integer primary key, name text not null unique);
    create table agents (id integer primary key, name text not null unique);
    create table recent (
        probe integer not null, started_us integer not null, agent integer not null,
        duration_us integer not null, marks integer not null,
        primary key (probe, started_us, agent)
    ) without rowid;
    create table hours (key integer primary key, runs blob not null);
    create table days (key integer primary key, slots blob not null);
    create table latest (
        probe integer primary key, version integer not null, observed_us integer not null,
        params_digest text not null, state text not null, envelope blob not null
    );
    create index latest_version on latest (version);
    create table changes (
        probe integer not null, observed_us integer not null, envelope blob not null,
        primary key (probe, observed_us)
    ) without rowid;
    create table kept (key text primary key, value text not null) without rowid;
"];

/// The newest version that is known.
const KNOWN: i64 = 1;

/// Brings a file that may be written to the newest version.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), HistoryError> {
    let found = version(conn)?;
    check_version(found)?;
    for (migration, to) in MIGRATIONS.iter().zip(1_i64..) {
        if found < to {
            let step = |tx: Transaction<'_>| {
                tx.execute_batch(migration)?;
                tx.pragma_update(None, "user_version", to)?;
                tx.commit()
            };
            let tx = conn.transaction().map_err(|error| wrong(&error))?;
            step(tx).map_err(|error| wrong(&error))?;
        }
    }
    Ok(())
}

/// Whether a file that is only read has the version that is known.
pub(super) fn check(conn: &Connection) -> Result<(), HistoryError> {
    let found = version(conn)?;
    check_version(found)?;
    if found < KNOWN {
        return Err(HistoryError::Unavailable(format!(
            "it has the older schema {found}: start a daemon on it once, which brings it to {KNOWN}"
        )));
    }
    Ok(())
}

fn version(conn: &Connection) -> Result<i64, HistoryError> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| wrong(&error))
}

const fn check_version(found: i64) -> Result<(), HistoryError> {
    if found > KNOWN {
        return Err(HistoryError::Newer {
            found,
            known: KNOWN,
        });
    }
    Ok(())
}
