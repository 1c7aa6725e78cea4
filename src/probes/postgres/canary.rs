//! A commit of our own, where `allow_writes` permits it: that reads work says nothing about commits,
//! which hang when a synchronous standby is missing. It waits for what everybody's commits wait for:
//! the server's `synchronous_commit`, not one that the role of the probe has.
//!
//! The table lives in a schema of its own, which is made and removed with `synchronous_commit =
//! local`, so that only the commit in between depends on a standby. `statement_timeout` does not
//! bound that wait; a cancel request ends it, and the row is then committed locally.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::row::unknown;
use super::session::{Login, Session, cancel, in_words};
use crate::evidence::{Observed, Unknown, UnknownWhy, millis};
use crate::net::postgres::Target;
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
    /// Schemas that earlier runs left behind, killed on their way, and that are still there: a minute
    /// old or more. Those of ten minutes are removed first.
    pub left_behind: Observed<Vec<String>>,
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
/// What is older than this is of no run that is still under way, or of one that is late.
const LEFT_SECONDS: i64 = 60;

impl Canary {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            commit: why.clone().into(),
            commit_ms: why.clone().into(),
            error: why.clone().into(),
            removed: why.clone().into(),
            left_behind: why.clone().into(),
        }
    }
}

/// Writes, waits, and removes what it wrote, on the connection of the session: it must have nothing
/// else under way. `level` is the `synchronous_commit` of everybody.
pub(super) async fn run(
    ctx: &Context,
    target: &Arc<Target>,
    session: &Session,
    level: &str,
    deadline: Instant,
) -> Canary {
    let left = deadline.saturating_duration_since(Instant::now());
    // Half for the way to the commit and the commit; the rest is for the cancellation and the removal.
    let commit_deadline = Instant::now() + left / 2;
    let schema = format!(
        "{PREFIX}{}_{:x}",
        ctx.now().as_second(),
        ctx.now().subsec_nanosecond().unsigned_abs() ^ std::process::id(),
    );
    let writer = Writer {
        ctx,
        target,
        client: session.client(),
        deadline,
    };
    let left_behind = match timeout_at(commit_deadline, writer.sweep()).await {
        Ok(Ok(schemas)) => Observed::Value(schemas),
        Ok(Err(error)) => session.explain(&error).into(),
        Err(_) => Observed::unknown(UnknownWhy::TimedOut, "the server did not answer in time"),
    };
    let standing_by = {
        let (target, login, schema) = (Arc::clone(target), session.login(), schema.clone());
        ctx.clean_up(move |ctx| take_back(ctx, target, login, schema))
    };
    let mut canary = match writer
        .bounded(&set_up(&schema, left / 4), commit_deadline)
        .await
    {
        Done::Yes => {
            let mut canary = writer.commit(&schema, level, commit_deadline).await;
            canary.removed = writer.remove(&schema).await;
            canary
        }
        Done::Failed(error) => not_set_up(&error),
        Done::TimedOut => {
            let mut canary = Canary::unknown(&unknown(
                UnknownWhy::TimedOut,
                "the schema of the canary was not made in time",
            ));
            canary.removed = writer.remove(&schema).await;
            canary
        }
    };
    if canary.removed == Observed::Value(true) {
        standing_by.disarm();
    }
    canary.left_behind = left_behind;
    canary
}

/// Ends what the canary has under way, whatever it is, and removes its schema.
async fn take_back(ctx: Context, target: Arc<Target>, login: Arc<Login>, schema: String) {
    const ROUNDS: u32 = 3;
    const PAUSE: Duration = Duration::from_millis(20);
    for round in 0..ROUNDS {
        let writer = Writer {
            ctx: &ctx,
            target: &target,
            client: login.client(),
            deadline: Instant::now() + ctx.remaining() / (ROUNDS - round),
        };
        if round == 0 || !login.client().is_closed() {
            writer.cancel().await;
            // A request that comes late may hit this, or the removal: then there is another round.
            writer.rollback().await;
        }
        if writer.remove(&schema).await == Observed::Value(true) {
            break;
        }
        if login.client().is_closed() {
            take_back_anew(&ctx, &target, &schema).await;
            break;
        }
        sleep(PAUSE).await;
    }
    if let Some(login) = Arc::into_inner(login) {
        login.close().await;
    }
}

/// The same after the connection has broken.
async fn take_back_anew(ctx: &Context, target: &Target, schema: &str) {
    let Ok(login) = Login::open(ctx, target, None, ctx.deadline()).await else {
        return;
    };
    let writer = Writer {
        ctx,
        target,
        client: login.client(),
        deadline: ctx.deadline(),
    };
    writer.remove(schema).await;
    login.close().await;
}

/// What became of statements that end in a `commit`.
enum Done {
    Yes,
    Failed(Error),
    TimedOut,
}

struct Writer<'a> {
    ctx: &'a Context,
    target: &'a Target,
    client: &'a Client,
    deadline: Instant,
}

impl Writer<'_> {
    /// Runs statements; those that fail are rolled back, those that take too long cancelled.
    async fn bounded(&self, sql: &str, deadline: Instant) -> Done {
        let running = self.client.batch_execute(sql);
        let mut running = std::pin::pin!(running);
        match timeout_at(deadline, &mut running).await {
            Ok(Ok(())) => Done::Yes,
            Ok(Err(error)) => {
                self.rollback().await;
                Done::Failed(error)
            }
            Err(_) => {
                self.cancel().await;
                timeout_at(self.deadline, running).await.ok();
                self.rollback().await;
                Done::TimedOut
            }
        }
    }

    async fn rollback(&self) {
        let rollback = self.client.batch_execute("rollback");
        timeout_at(self.deadline, rollback).await.ok();
    }

    async fn cancel(&self) {
        let token = self.client.cancel_token();
        cancel(self.ctx, self.target, &token, self.deadline).await;
    }

    /// Removes schemas of ours that an earlier run left behind, killed between making and removing,
    /// and tells which are still there.
    async fn sweep(&self) -> Result<Vec<String>, Error> {
        for stale in self.older_than(STALE_SECONDS).await? {
            let part = self.deadline.saturating_duration_since(Instant::now()) / 10;
            self.bounded(&removal(&stale, part), Instant::now() + part)
                .await;
        }
        self.older_than(LEFT_SECONDS).await
    }

    async fn older_than(&self, seconds: i64) -> Result<Vec<String>, Error> {
        let sql = format!(
            "select nspname from pg_namespace where nspname ~ '^{PREFIX}[0-9]{{1,12}}_[0-9a-f]+$' \
             and nspowner = (select oid from pg_roles where rolname = current_user) \
             and split_part(nspname, '_', 3)::bigint < extract(epoch from now())::bigint - {seconds} \
             limit 10"
        );
        let messages = self.client.simple_query(&sql).await?;
        Ok(first_columns(&messages))
    }

    async fn commit(&self, schema: &str, level: &str, commit_deadline: Instant) -> Canary {
        let begin = format!(
            "begin read write; set local synchronous_commit = '{}'; \
             insert into {schema}.canary values (clock_timestamp())",
            level.replace('\'', "''"),
        );
        match self.bounded(&begin, commit_deadline).await {
            Done::Yes => {}
            Done::Failed(error) => return not_set_up(&error),
            Done::TimedOut => {
                return Canary::unknown(&unknown(
                    UnknownWhy::TimedOut,
                    "the row of the canary was not written in time",
                ));
            }
        }
        let begun = Instant::now();
        let (commit, commit_ms) = match self.bounded("commit", commit_deadline).await {
            Done::Yes => (Commit::Confirmed, Observed::Value(millis(begun.elapsed()))),
            Done::Failed(error) => return not_set_up(&error),
            Done::TimedOut => (
                Commit::Hanging,
                Observed::unknown(
                    UnknownWhy::TimedOut,
                    "the commit hung until it was cancelled",
                ),
            ),
        };
        Canary {
            commit: Observed::Value(commit),
            commit_ms,
            error: Observed::Value(String::new()),
            removed: Observed::unknown(UnknownWhy::NotObserved, "not removed yet"),
            left_behind: Observed::unknown(UnknownWhy::NotObserved, "not looked for yet"),
        }
    }

    async fn remove(&self, schema: &str) -> Observed<bool> {
        // The rest is for the cancellation.
        let left = self.deadline.saturating_duration_since(Instant::now());
        let removal = removal(schema, left / 2);
        match self.bounded(&removal, Instant::now() + left * 2 / 3).await {
            Done::Yes => Observed::Value(true),
            Done::Failed(_) => Observed::Value(false),
            Done::TimedOut => {
                Observed::unknown(UnknownWhy::TimedOut, "the schema was not removed in time")
            }
        }
    }
}

/// A commit of ours that depends on no standby, and waits for nobody longer than this.
fn beginning(longest: Duration) -> String {
    let longest = longest.as_millis().max(1);
    format!(
        "begin read write; set local synchronous_commit = local; \
         set local statement_timeout = {longest}; set local lock_timeout = {longest}"
    )
}

fn set_up(schema: &str, longest: Duration) -> String {
    format!(
        "{}; create schema {schema}; \
         create table {schema}.canary (written_at timestamptz not null); commit",
        beginning(longest),
    )
}

fn removal(schema: &str, longest: Duration) -> String {
    format!(
        "{}; drop schema if exists {schema} cascade; commit",
        beginning(longest),
    )
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
    if matches!(
        error.code(),
        Some(&SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE)
    ) {
        let why = unknown(UnknownWhy::TimedOut, in_words(error));
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
        left_behind: Observed::unknown(UnknownWhy::NotObserved, "not looked for yet"),
    }
}
