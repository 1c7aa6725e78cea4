//! The tables, in a schema of their own; what they hold is what the embedded store holds, and `agents`
//! and `leases` beside it.

use super::super::HistoryError;
use super::session::{Session, get, unavailable};

/// Each brings the schema from the version before to its own.
const MIGRATIONS: [&str; 1] = ["
    create sequence probe.version;
    create table probe.probes (
        id integer generated always as identity primary key, name text not null unique
    );
    create table probe.agents (
        id integer generated always as identity primary key, name text not null unique,
        seen_at timestamptz not null default '-infinity', probes bigint not null default 0
    );
    create table probe.recent (
        probe integer not null, started_us bigint not null, agent integer not null,
        duration_us bigint not null, marks smallint not null,
        primary key (probe, started_us, agent)
    );
    create table probe.hours (
        hour bigint not null, probe integer not null, runs bytea not null, primary key (hour, probe)
    );
    create table probe.days (
        day bigint not null, probe integer not null, slots bytea not null, primary key (day, probe)
    );
    create table probe.latest (
        probe integer primary key, version bigint not null, observed_us bigint not null,
        params_digest text not null, state text not null, envelope bytea not null
    );
    create index on probe.latest (version);
    create table probe.changes (
        probe integer not null, observed_us bigint not null, envelope bytea not null,
        primary key (probe, observed_us)
    );
    create table probe.kept (key text primary key, value text not null);
    create table probe.leases (
        probe integer primary key, agent integer,
        slot timestamptz not null default '-infinity',
        free_since timestamptz not null default clock_timestamp()
    );
"];

const KNOWN: i64 = 1;

/// Agents that start at once must not make the same tables: a number that only they lock.
const MIGRATING: i64 = 0x7072_6f62_0001;

/// Brings the schema to the newest version. Several agents may do so at once.
pub(super) async fn migrate(session: &Session) -> Result<(), HistoryError> {
    if check(found(session).await?)? {
        return Ok(());
    }
    let begin = format!("begin; select pg_advisory_xact_lock({MIGRATING})");
    session.run(&begin).await?;
    let done = migrate_locked(session).await;
    session
        .run(if done.is_ok() { "commit" } else { "rollback" })
        .await?;
    done
}

async fn migrate_locked(session: &Session) -> Result<(), HistoryError> {
    // Whoever had the lock before may have done it.
    let from = found(session).await?;
    if check(from)? {
        return Ok(());
    }
    if from == 0 {
        let make = "create schema if not exists probe; create table probe.meta (version bigint not null); insert into probe.meta values (0)";
        session.run(make).await.map_err(|error| {
            unavailable(&format!(
                "cannot make the schema `probe`: {error} (GRANT CREATE ON DATABASE … TO …)"
            ))
        })?;
    }
    for (migration, to) in MIGRATIONS.iter().zip(1_i64..) {
        if from < to {
            session.run(migration).await?;
            session
                .run(&format!("update probe.meta set version = {to}"))
                .await?;
        }
    }
    Ok(())
}

/// Whether a store that is only read is there.
pub(super) async fn look(session: &Session) -> Result<(), HistoryError> {
    if check(found(session).await?)? {
        return Ok(());
    }
    Err(unavailable(
        "this database holds no history yet: a daemon with this configuration makes it",
    ))
}

async fn found(session: &Session) -> Result<i64, HistoryError> {
    // Of the catalogue itself: what a function knows of names may be older than the lock.
    let sql = "select exists (select 1 from pg_catalog.pg_class c \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = 'probe' and c.relname = 'meta')";
    let rows = session.query(sql, &[]).await?;
    let exists = rows.first().map_or(Ok(false), |row| get(row, 0))?;
    if !exists {
        return Ok(0);
    }
    let rows = session.query("select version from probe.meta", &[]).await?;
    rows.first().map_or(Ok(0), |row| get(row, 0))
}

/// Whether nothing is to be done.
const fn check(found: i64) -> Result<bool, HistoryError> {
    if found > KNOWN {
        return Err(HistoryError::Newer {
            found,
            known: KNOWN,
        });
    }
    Ok(found == KNOWN)
}
