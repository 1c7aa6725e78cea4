//! A connection pooler between us and the primary, and what waits there for a connection.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::SimpleQueryMessage;

use super::row::unknown;
use super::session::{Login, Session};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::net::postgres::Target;
use crate::probes::Context;

/// A pooler in front of the primary.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Pooler {
    /// What stands between us and the primary.
    pub kind: Observed<PoolerKind>,
    /// Its pools, as `SHOW POOLS` tells; none where there is no pooler.
    pub pools: Observed<Vec<Pool>>,
}

/// What stands between us and the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolerKind {
    /// Nothing: the server keeps what a session sets.
    None,
    /// `PgBouncer`.
    Pgbouncer,
    /// Something that keeps no settings of a session.
    Other,
}

/// One pool.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Pool {
    /// Database and role: `app/app_rw`.
    pub name: String,
    /// `session`, `transaction` or `statement`.
    pub mode: Observed<String>,
    /// Clients that have a server connection, or need none now.
    pub clients_active: Observed<i64>,
    /// Clients that wait for one.
    pub clients_waiting: Observed<i64>,
    /// Server connections in use.
    pub servers_active: Observed<i64>,
    /// Server connections that are free.
    pub servers_idle: Observed<i64>,
    /// How long the first client in the queue has been waiting, seconds.
    pub max_wait_seconds: Observed<f64>,
}

/// The database that stands for the console of `PgBouncer`.
const CONSOLE: &str = "pgbouncer";

impl Pooler {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            kind: why.clone().into(),
            pools: why.clone().into(),
        }
    }
}

/// Asks what stands before the primary; only where something does, over a connection of its own.
pub(super) async fn read(
    ctx: &Context,
    target: &Target,
    session: &Session,
    deadline: Instant,
) -> Pooler {
    if !session.is_pooled() {
        return Pooler {
            kind: Observed::Value(PoolerKind::None),
            pools: Observed::Value(Vec::new()),
        };
    }
    let login = match Login::open(ctx, target, Some(CONSOLE), deadline).await {
        Ok(login) => login,
        Err(failure) => return not_admitted(&failure),
    };
    let answer = timeout_at(deadline, login.client().simple_query("SHOW POOLS")).await;
    let pooler = match answer {
        Ok(Ok(messages)) => Pooler {
            kind: Observed::Value(PoolerKind::Pgbouncer),
            pools: Observed::Value(messages.iter().filter_map(pool).collect()),
        },
        Ok(Err(error)) => Pooler {
            kind: Observed::Value(PoolerKind::Other),
            pools: session.explain(&error).into(),
        },
        Err(_) => Pooler::unknown(&unknown(
            UnknownWhy::TimedOut,
            "SHOW POOLS was not answered",
        )),
    };
    login.close().await;
    pooler
}

/// Whoever has a database of that name refuses the login; others do not know the name.
fn not_admitted(failure: &Failure) -> Pooler {
    let detail = failure.detail();
    let unknown_name = detail.contains("SQLSTATE 3D000");
    let grant = "needs the role of the probe in stats_users of pgbouncer";
    let (kind, why) = match failure.outcome() {
        _ if unknown_name => (
            Observed::Value(PoolerKind::Other),
            unknown(UnknownWhy::Unsupported, "what pools here is not pgbouncer"),
        ),
        Outcome::Denied | Outcome::TargetError if detail.contains("SQLSTATE") => (
            Observed::Value(PoolerKind::Pgbouncer),
            unknown(UnknownWhy::Denied, format!("{grant} ({detail})")),
        ),
        _ => {
            let why = unknown(UnknownWhy::NotObserved, detail);
            (why.clone().into(), why)
        }
    };
    Pooler {
        kind,
        pools: why.into(),
    }
}

/// What the console of a pooler says of the pool whose connections are all in use, so that we were
/// let in and heard nothing more; nothing where none stands there, or it may not be asked.
pub(super) async fn full(ctx: &Context, target: &Target, deadline: Instant) -> Option<String> {
    let deadline = deadline.min(ctx.share(2));
    let console = Login::open(ctx, target, Some(CONSOLE), deadline)
        .await
        .ok()?;
    let answer = timeout_at(deadline, console.client().simple_query("SHOW POOLS")).await;
    console.close().await;
    let (dsn, messages) = (&target.dsn, answer.ok()?.ok()?);
    let own = format!("{}/{}", dsn.dbname, dsn.user);
    let pool = messages
        .iter()
        .filter_map(pool)
        .find(|pool| pool.name == own)?;
    let count = |count: Observed<i64>| count.value().map_or_else(|| "?".to_owned(), i64::to_string);
    Some(format!(
        "pgbouncer has no server connection free in the pool {own}: {} in use, {} idle, {} more clients wait",
        count(pool.servers_active),
        count(pool.servers_idle),
        count(pool.clients_waiting),
    ))
}

fn pool(message: &SimpleQueryMessage) -> Option<Pool> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    let text = |column: &str| -> Observed<String> {
        match row.try_get(column) {
            Ok(Some(text)) => Observed::Value(text.to_owned()),
            _ => Observed::unknown(
                UnknownWhy::Unsupported,
                format!("this pgbouncer has no `{column}`"),
            ),
        }
    };
    let count = |column: &str| -> Observed<i64> {
        text(column).and_then(|text| {
            text.parse().map_or_else(
                |_| Observed::unknown(UnknownWhy::Unparseable, "not a number"),
                Observed::Value,
            )
        })
    };
    let seconds = count("maxwait").and_then(|seconds| {
        count("maxwait_us").map(|micros| {
            std::time::Duration::from_micros(
                seconds.unsigned_abs().saturating_mul(1_000_000) + micros.unsigned_abs(),
            )
            .as_secs_f64()
        })
    });
    let name = |column: &str| text(column).value().cloned().unwrap_or_default();
    Some(Pool {
        name: format!("{}/{}", name("database"), name("user")),
        mode: text("pool_mode"),
        clients_active: count("cl_active"),
        clients_waiting: count("cl_waiting"),
        servers_active: count("sv_active"),
        servers_idle: count("sv_idle"),
        max_wait_seconds: seconds,
    })
}
