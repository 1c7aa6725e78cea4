//! Connections, transactions that are open for long, and the age of transaction numbers.

use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, first};
use super::server::{NEEDS_MONITOR, with};
use super::session::Session;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// Connections in use. Behind a pooler these are the pooler's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Connections {
    /// `max_connections`.
    pub max: Observed<i64>,
    /// Those of them that are kept for superusers and, from 16 on, for `pg_use_reserved_connections`.
    pub reserved: Observed<i64>,
    /// Client connections, ours included.
    pub used: Observed<i64>,
    /// `used` of `max` less `reserved`, percent.
    pub used_percent: Observed<f64>,
}

/// Transactions that are open for long.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Transactions {
    /// Age of the oldest transaction of a client, seconds; 0 where there is none but ours.
    pub oldest_seconds: Observed<f64>,
    /// How long a client in a transaction has been idle at most, seconds; 0 where none is.
    pub idle_seconds: Observed<f64>,
    /// Prepared transactions (two-phase commit) that nobody has committed or rolled back.
    pub prepared: Observed<i64>,
    /// Age of the oldest of them, seconds; 0 where there is none.
    pub oldest_prepared_seconds: Observed<f64>,
}

/// How far the oldest rows are from the end of transaction numbers, of 2.1 thousand million.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Wraparound {
    /// Transactions since the oldest row of any database was frozen.
    pub xid_age: Observed<i64>,
    /// The same for multixacts.
    pub mxid_age: Observed<i64>,
}

/// What the primary says.
pub(super) struct Activity {
    pub(super) connections: Connections,
    pub(super) transactions: Transactions,
    pub(super) wraparound: Wraparound,
}

const CONNECTIONS: &str = "select current_setting('max_connections')::bigint as max,
  current_setting('superuser_reserved_connections')::bigint
    + coalesce(current_setting('reserved_connections', true)::bigint, 0) as reserved,
  count(*) filter (where backend_type = 'client backend') as used,
  count(*) filter (where backend_type is null) as hidden,
  coalesce(extract(epoch from max(clock_timestamp() - xact_start)
    filter (where backend_type = 'client backend' and pid <> pg_backend_pid())), 0)::float8 as oldest,
  coalesce(extract(epoch from max(clock_timestamp() - state_change)
    filter (where state like 'idle in transaction%')), 0)::float8 as idle
  from pg_stat_activity";
const PREPARED: &str = "select count(*) as prepared,
  coalesce(extract(epoch from max(clock_timestamp() - prepared)), 0)::float8 as oldest
  from pg_prepared_xacts";
const WRAPAROUND: &str = "select max(age(datfrozenxid))::bigint as xid_age,
  max(mxid_age(datminmxid))::bigint as mxid_age from pg_database";

/// Asks the primary.
pub(super) async fn read(session: &Session) -> Activity {
    let (connections, prepared, wraparound) = futures_util::join!(
        session.rows(CONNECTIONS, &[]),
        session.rows(PREPARED, &[]),
        session.rows(WRAPAROUND, &[]),
    );
    let (connections, prepared) = (first(connections), first(prepared));
    let wraparound = first(wraparound);
    Activity {
        connections: self::connections(&connections),
        transactions: Transactions {
            oldest_seconds: with(&connections, |row| complete(row, "oldest")),
            idle_seconds: with(&connections, |row| complete(row, "idle")),
            prepared: with(&prepared, |row| row.must("prepared")),
            oldest_prepared_seconds: with(&prepared, |row| row.must("oldest")),
        },
        wraparound: Wraparound {
            xid_age: with(&wraparound, |row| row.must("xid_age")),
            mxid_age: with(&wraparound, |row| row.must("mxid_age")),
        },
    }
}

impl Activity {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            connections: Connections {
                max: why.clone().into(),
                reserved: why.clone().into(),
                used: why.clone().into(),
                used_percent: why.clone().into(),
            },
            transactions: Transactions {
                oldest_seconds: why.clone().into(),
                idle_seconds: why.clone().into(),
                prepared: why.clone().into(),
                oldest_prepared_seconds: why.clone().into(),
            },
            wraparound: Wraparound {
                xid_age: why.clone().into(),
                mxid_age: why.clone().into(),
            },
        }
    }
}

/// What was computed over all sessions, where all of them could be seen.
fn complete<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Observed<T> {
    match row.get::<i64>("hidden") {
        Ok(Some(0)) => row.must(column),
        Ok(_) => Observed::unknown(UnknownWhy::Denied, NEEDS_MONITOR),
        Err(unknown) => Observed::Unknown(unknown),
    }
}

fn connections(row: &Result<Row, Unknown>) -> Connections {
    let max: Observed<i64> = with(row, |row| row.must("max"));
    let reserved: Observed<i64> = with(row, |row| row.must("reserved"));
    let used: Observed<i64> = with(row, |row| complete(row, "used"));
    let used_percent = used.clone().and_then(|used| {
        let (Some(max), Some(reserved)) = (max.value(), reserved.value()) else {
            return Observed::unknown(UnknownWhy::NotObserved, "`max_connections` was not seen");
        };
        percent(used, max.saturating_sub(*reserved))
    });
    Connections {
        max,
        reserved,
        used,
        used_percent,
    }
}

fn percent(used: i64, of: i64) -> Observed<f64> {
    let (Ok(used), Ok(of)) = (u32::try_from(used), u32::try_from(of)) else {
        return Observed::unknown(UnknownWhy::Unparseable, "a negative number of connections");
    };
    if of == 0 {
        return Observed::Value(100.0);
    }
    Observed::Value((f64::from(used) * 1_000.0 / f64::from(of)).round() / 10.0)
}
