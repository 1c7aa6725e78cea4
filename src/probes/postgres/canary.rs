//! A commit of our own, where `allow_writes` permits it: that reads work says nothing about commits,
//! which hang when a synchronous standby is missing.
//!
//! The table lives in a schema of its own, which is made and removed with `synchronous_commit =
//! local`, so that only the commit in between depends on a standby. `statement_timeout` does not
//! bound that wait; the reading session cancels it, and the row is then committed locally.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::config::Target;
use super::row::unknown;
use super::session::{Login, Session, in_words};
use crate::evidence::{Observed, Unknown, UnknownWhy, millis};
use crate::probes::Context;

/// A commit of our own.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Canary {
    /// What became of it.
    pub commit: Observed<Commit>,
    /// How long the commit took, milliseconds.
    pub commit_ms: Observed<f64>,
    /// Why the server refused it; empty where it did not.
    pub error: Observed<String>,
    /// Whether schema and table are gone again.
    pub removed: Observed<bool>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Commit {
    /// It was confirmed, by the synchronous standbys too where there are any.
    Confirmed,
    /// It hung until it was cancelled.
    Hanging,
    /// The server refused to write.
    Refused,
}

/// Every schema that the probe makes begins with this, followed by the time and a random-looking part.
const PREFIX: &str = "probe_canary_";
/// What an earlier run could not remove is older than this.
const STALE_SECONDS: i64 = 600;

impl Canary {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            commit: why.clone().into(),
            commit_ms: why.clone().into(),
            error: why.clone().into(),
            removed: why.clone().into(),
        }
    }
}

/// Writes, waits, and removes what it wrote. `session` is the reading one: it cancels a commit that
/// hangs, so that no third connection is needed.
pub(super) async fn run(
    ctx: &Context,
    target: &Target,
    session: &Session,
    deadline: Instant,
) -> Canary {
    let left = deadline.saturating_duration_since(Instant::now());
    // Half for the way to the commit and the commit; the rest is for the cancellation and the removal.
    let commit_deadline = Instant::now() + left / 2;
    let login = match Login::open(ctx, target, None, commit_deadline).await {
        Ok(login) => login,
        Err(failure) => {
            let why = unknown(UnknownWhy::NotObserved, failure.detail());
            return Canary::unknown(&why);
        }
    };
    let schema = format!(
        "{PREFIX}{}_{:x}",
        ctx.now().as_second(),
        ctx.now().subsec_nanosecond().unsigned_abs() ^ std::process::id(),
    );
    let client = login.client();
    let canary = match timeout_at(commit_deadline, set_up(client, &schema, left)).await {
        Ok(Ok(())) => {
            let mut canary = commit(client, session, &schema, commit_deadline, deadline).await;
            canary.removed = remove(client, &schema, deadline).await;
            canary
        }
        Ok(Err(error)) => {
            client.batch_execute("rollback").await.ok();
            not_set_up(&error)
        }
        Err(_) => {
            let mut canary = Canary::unknown(&unknown(
                UnknownWhy::TimedOut,
                "the schema of the canary was not made in time",
            ));
            canary.removed = remove(client, &schema, deadline).await;
            canary
        }
    };
    login.close().await;
    canary
}

async fn set_up(client: &Client, schema: &str, left: Duration) -> Result<(), Error> {
    for stale in stale(client).await? {
        client.batch_execute(&removal(&stale)).await?;
    }
    let sql = format!(
        "begin read write; set local synchronous_commit = local; set local statement_timeout = {}; \
         create schema {schema}; create table {schema}.canary (written_at timestamptz not null); commit",
        (left.as_millis() / 3).max(1),
    );
    client.batch_execute(&sql).await
}

/// Schemas of ours that an earlier run left behind, killed between making and removing.
async fn stale(client: &Client) -> Result<Vec<String>, Error> {
    let sql = format!(
        "select nspname from pg_namespace where nspname ~ '^{PREFIX}[0-9]{{1,12}}_[0-9a-f]+$' \
         and nspowner = (select oid from pg_roles where rolname = current_user) \
         and split_part(nspname, '_', 3)::bigint < extract(epoch from now())::bigint - {STALE_SECONDS} \
         limit 10"
    );
    let messages = client.simple_query(&sql).await?;
    Ok(first_columns(&messages))
}

fn first_columns(messages: &[SimpleQueryMessage]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
            _ => None,
        })
        .collect()
}

fn removal(schema: &str) -> String {
    format!(
        "begin read write; set local synchronous_commit = local; drop schema if exists {schema} cascade; commit"
    )
}

async fn commit(
    client: &Client,
    session: &Session,
    schema: &str,
    commit_deadline: Instant,
    deadline: Instant,
) -> Canary {
    let begin = format!("begin read write; insert into {schema}.canary values (clock_timestamp())");
    let written = async {
        client.batch_execute(&begin).await?;
        let messages = client.simple_query("select pg_backend_pid()").await?;
        Ok::<_, Error>(first_columns(&messages))
    };
    let backend = match timeout_at(commit_deadline, written).await {
        Ok(Ok(columns)) => columns.first().and_then(|pid| pid.parse::<i32>().ok()),
        Ok(Err(error)) => {
            client.batch_execute("rollback").await.ok();
            return not_set_up(&error);
        }
        Err(_) => None,
    };
    let begun = Instant::now();
    let committing = client.batch_execute("commit");
    let mut committing = std::pin::pin!(committing);
    match timeout_at(commit_deadline, &mut committing).await {
        Ok(Ok(())) => Canary {
            commit: Observed::Value(Commit::Confirmed),
            commit_ms: Observed::Value(millis(begun.elapsed())),
            error: Observed::Value(String::new()),
            removed: Observed::unknown(UnknownWhy::NotObserved, "not removed yet"),
        },
        Ok(Err(error)) => not_set_up(&error),
        Err(_) => {
            if let Some(pid) = backend {
                let cancel = "select pg_cancel_backend($1)";
                let asked = session.rows(cancel, &[(&pid, Type::INT4)]).await;
                if asked.is_ok() {
                    timeout_at(deadline, &mut committing).await.ok();
                }
            }
            Canary {
                commit: Observed::Value(Commit::Hanging),
                commit_ms: Observed::unknown(
                    UnknownWhy::TimedOut,
                    "the commit hung until it was cancelled",
                ),
                error: Observed::Value(String::new()),
                removed: Observed::unknown(UnknownWhy::NotObserved, "not removed yet"),
            }
        }
    }
}

async fn remove(client: &Client, schema: &str, deadline: Instant) -> Observed<bool> {
    match timeout_at(deadline, client.batch_execute(&removal(schema))).await {
        Ok(Ok(())) => Observed::Value(true),
        Ok(Err(_)) => Observed::Value(false),
        Err(_) => Observed::unknown(UnknownWhy::TimedOut, "the schema was not removed in time"),
    }
}

/// What a write that did not come about means: a missing grant is ours, anything else the server's.
fn not_set_up(error: &Error) -> Canary {
    let nothing_left = Observed::Value(true);
    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        let why = unknown(
            UnknownWhy::Denied,
            "needs: GRANT CREATE ON DATABASE … TO the role of the probe",
        );
        return Canary {
            removed: nothing_left,
            ..Canary::unknown(&why)
        };
    }
    let Some(db) = error.as_db_error() else {
        return Canary::unknown(&unknown(UnknownWhy::NotObserved, in_words(error)));
    };
    let text = format!("SQLSTATE {}: {}", db.code().code(), db.message());
    Canary {
        commit: Observed::Value(Commit::Refused),
        commit_ms: Observed::unknown(UnknownWhy::NotObserved, &text),
        error: Observed::Value(text),
        removed: nothing_left,
    }
}
