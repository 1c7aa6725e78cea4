//! One login at one server, read-only, every statement under a timeout.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Error};

use super::pooler;
use super::row::{Row, first, unknown};
use crate::evidence::{Failure, Unknown, UnknownWhy};
use crate::net::postgres::Target;
use crate::net::postgres::{MAX_READ_BYTES, Ready, TOO_MUCH, Wire, login, open};
use crate::probes::{CleanUp, Context};

/// What goes to every statement of a session.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A logged-in connection. Dropping it ends it.
pub(super) struct Login {
    client: Client,
    connection: Guard,
    read_bytes: Arc<AtomicU64>,
    asked: Arc<AtomicI32>,
    encrypted: bool,
}

/// The task that owns the socket: when it is aborted the connection closes, also one that hangs.
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Login {
    /// Logs in, with startup options beside the user's own.
    async fn start(
        ctx: &Context,
        target: &Target,
        options: Option<&str>,
        dbname: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, Refused> {
        let begun = Instant::now();
        let wire = open(ctx.net(), &|at| ctx.address(at), target, deadline).await?;
        ctx.phase("connect", begun.elapsed());
        let (encrypted, read_bytes, asked) = (wire.is_encrypted(), wire.counter(), wire.asked());
        let begun = Instant::now();
        let mut config = login(target, options);
        if let Some(dbname) = dbname {
            config.dbname(dbname);
        }
        let (client, connection) = log_in(wire, &config, deadline).await?;
        ctx.phase("login", begun.elapsed());
        Ok(Self {
            client,
            connection: Guard(connection),
            read_bytes,
            asked,
            encrypted,
        })
    }

    /// Logs in beside a session: at this database, or the target's own. Nothing is set: every
    /// statement must bring what it needs.
    ///
    /// # Errors
    /// Whose fault it is.
    pub(super) async fn open(
        ctx: &Context,
        target: &Target,
        dbname: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        Self::start(ctx, target, None, dbname, deadline)
            .await
            .map_err(Refused::into_failure)
    }

    /// The client.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Says goodbye, so that the server has ended the session when this returns, or nearly.
    pub(super) async fn close(self) {
        const LONGEST: Duration = Duration::from_millis(50);
        let Self {
            client,
            connection: mut guard,
            ..
        } = self;
        // The task ends once nobody can send through it any more.
        drop(client);
        timeout(LONGEST, &mut guard.0).await.ok();
    }
}

/// A login for reading: every statement is read-only and under a timeout.
pub(super) struct Session {
    login: Arc<Login>,
    /// Ends at the server what is under way there when this session is cut: a backend does not see
    /// that its client has gone before it has an answer for it.
    cut: CleanUp,
    deadline: Instant,
    version_num: i64,
    /// Behind a pooler that keeps no settings of a session: each statement brings its own.
    pooled: bool,
    statement_timeout: Duration,
    /// Where the settings that the session itself changes had their values from before.
    sources: BTreeMap<String, String>,
}

/// A startup option that does nothing. A pooler refuses it or swallows it, and then must not be told
/// settings either: they would stay with the server's connection, which others use next.
const MARK: &str = "-c probe.session=1";
/// What every session begins with.
const INTRODUCTION: &str = "select current_setting('server_version_num')::bigint as version_num, \
     current_setting('probe.session', true) as mark, \
     (select json_object_agg(name, source) from pg_catalog.pg_settings where name in \
     ('default_transaction_read_only', 'statement_timeout', 'lock_timeout')) as sources";

impl Session {
    /// Logs in before one deadline, for statements that end before another.
    ///
    /// # Errors
    /// Whose fault it is, with the SQLSTATE where the server gave one.
    pub(super) async fn open(
        ctx: &Context,
        target: &Arc<Target>,
        login_deadline: Instant,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let login = match Login::start(ctx, target, Some(MARK), None, login_deadline).await {
            Err(refused) if refused.is_about_options() => {
                Login::open(ctx, target, None, login_deadline).await?
            }
            other => other.map_err(Refused::into_failure)?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let cut = cancel_when_cut(ctx, target, login.client());
        let mut session = Self {
            login: Arc::new(login),
            cut,
            deadline: login_deadline,
            version_num: 0,
            pooled: false,
            // The statements go out together, one after the other: one that waits for a lock must
            // leave time for those behind it.
            statement_timeout: (left / 3).max(Duration::from_millis(1)),
            sources: BTreeMap::new(),
        };
        if let Err(failure) = session.introduce().await {
            let is_late = Instant::now() >= login_deadline;
            session.close().await;
            // A pooler lets clients in that it has no connection for.
            let full = if is_late {
                pooler::full(ctx, target, deadline).await
            } else {
                None
            };
            return Err(match full {
                Some(words) => Failure::target(format!("{}: {words}", failure.detail())),
                None => failure,
            });
        }
        session.deadline = deadline;
        Ok(session)
    }

    async fn introduce(&mut self) -> Result<(), Failure> {
        let said = first(self.rows(INTRODUCTION, &[]).await);
        let row = said.map_err(failed_statement)?;
        self.version_num = row.get("version_num").ok().flatten().ok_or_else(|| {
            Failure::target("the first statement: the server does not tell its version")
        })?;
        self.sources = row.get("sources").ok().flatten().unwrap_or_default();
        let mark: Option<String> = row.get("mark").unwrap_or_default();
        self.pooled = mark.is_none();
        if self.pooled {
            return Ok(());
        }
        let settings = format!(
            "set default_transaction_read_only = on; set statement_timeout = {}; set lock_timeout = {}",
            self.statement_timeout.as_millis(),
            self.statement_timeout.as_millis().div_ceil(3),
        );
        let set = self.login.client().batch_execute(&settings);
        match timeout_at(self.deadline, set).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed_statement(self.explain(&error))),
            Err(_) => Err(Failure::target(
                "the first statement: the server did not answer in time",
            )),
        }
    }

    /// Ends it; see [`Login::close`].
    pub(super) async fn close(self) {
        // A clean-up that still needs the connection ends it.
        if let Some(login) = Arc::into_inner(self.login) {
            login.close().await;
        }
        self.cut.disarm();
    }

    /// The connection, for a clean-up that outlives the session.
    pub(super) fn login(&self) -> Arc<Login> {
        Arc::clone(&self.login)
    }

    /// `server_version_num` of the server itself, such as 150020.
    pub(super) const fn version_num(&self) -> i64 {
        self.version_num
    }

    /// When every statement must have ended.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether something between us and the server keeps no settings of a session.
    pub(super) const fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Where a setting has its value from that stands for everybody; what the session itself
    /// changed does not count. Unknown where something of the probe's own (its role, its database,
    /// its connection string) hides what others get.
    pub(super) fn is_server_wide(&self, name: &str, source: &str) -> Result<(), Unknown> {
        let before = self.sources.get(name).map_or(source, String::as_str);
        let of = match before {
            "user" => "the role of the probe",
            "database user" => "the role of the probe in its database",
            "database" => "the database of the probe",
            "client" | "session" => "the connection of the probe",
            _ => return Ok(()),
        };
        Err(unknown(
            UnknownWhy::NotObserved,
            format!("{of} has a value of its own for {name}, which hides what others get"),
        ))
    }

    /// Whether the connection has TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.login.encrypted
    }

    /// What the server asked for at the login: the number in its first authentication request.
    pub(super) fn asked(&self) -> i32 {
        self.login.asked.load(Ordering::Relaxed)
    }

    /// The client, for what [`rows`](Self::rows) cannot say.
    pub(super) fn client(&self) -> &Client {
        self.login.client()
    }

    /// Runs one `select` (or `with`, `values`, `table`) in a read-only transaction, in one round
    /// trip, and reads its rows. Several at once on one session go out together.
    ///
    /// # Errors
    /// Why there are none: denied, timed out, not supported by this server.
    pub(super) async fn rows(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Unknown> {
        let sql = format!("select row_to_json(probe_row)::text from ({sql}\n) probe_row");
        let texts = self.texts(&sql, params).await?;
        texts
            .iter()
            .map(|text| {
                serde_json::from_str(text).map(Row).map_err(|_| {
                    unknown(UnknownWhy::Unparseable, "a row that is not a JSON object")
                })
            })
            .collect()
    }

    /// Runs one statement whose only column is text, in a read-only transaction.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub(super) async fn texts(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<String>, Unknown> {
        let run = async {
            if !self.pooled {
                return self.statement(sql, params).await;
            }
            // All three are queued at once and in this order, so that no other statement of ours
            // comes between; the last ends the transaction whatever became of the second.
            let begin = format!(
                "begin read only; set local statement_timeout = {}",
                self.statement_timeout.as_millis()
            );
            let (begun, texts, ended) = futures_util::join!(
                self.client().batch_execute(&begin),
                self.statement(sql, params),
                self.client().batch_execute("rollback"),
            );
            begun?;
            let texts = texts?;
            ended?;
            Ok(texts)
        };
        match timeout_at(self.deadline, run).await {
            Ok(Ok(texts)) => Ok(texts),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(unknown(
                UnknownWhy::TimedOut,
                "the server did not answer in time",
            )),
        }
    }

    async fn statement(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<String>, Error> {
        let params = params.iter().map(|(value, ty)| (*value, ty.clone()));
        let rows = self.client().query_typed_raw(sql, params).await?;
        rows.and_then(|row| std::future::ready(row.try_get(0)))
            .try_collect()
            .await
    }

    /// An error of a statement as the reason why a fact has no value.
    pub(super) fn explain(&self, error: &Error) -> Unknown {
        if let Some(db) = error.as_db_error() {
            let detail = format!("SQLSTATE {}: {}", db.code().code(), db.message());
            let why = if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE {
                UnknownWhy::Denied
            } else if *db.code() == SqlState::QUERY_CANCELED
                || *db.code() == SqlState::LOCK_NOT_AVAILABLE
            {
                UnknownWhy::TimedOut
            } else if is_missing(db.code()) {
                UnknownWhy::Unsupported
            } else {
                UnknownWhy::NotObserved
            };
            return unknown(why, detail);
        }
        if self.login.read_bytes.load(Ordering::Relaxed) > MAX_READ_BYTES {
            return unknown(UnknownWhy::TooLarge, TOO_MUCH);
        }
        unknown(UnknownWhy::NotObserved, in_words(error))
    }
}

/// Asks the server, over a connection of its own, to end what a session has under way.
fn cancel_when_cut(ctx: &Context, target: &Arc<Target>, client: &Client) -> CleanUp {
    /// The statement has a timeout too: nobody waits long for what only ends it earlier.
    const LONGEST: Duration = Duration::from_millis(500);
    let (target, token) = (Arc::clone(target), client.cancel_token());
    ctx.clean_up(move |ctx| async move {
        cancel(&ctx, &target, &token, Instant::now() + LONGEST).await;
    })
}

/// Asks the server, over a connection that this alone is for, to end what is under way.
pub(super) async fn cancel(ctx: &Context, target: &Target, token: &CancelToken, deadline: Instant) {
    let asking = async {
        if let Ok(wire) = open(ctx.net(), &|at| ctx.address(at), target, deadline).await {
            token.cancel_query_raw(wire, Ready).await.ok();
        }
    };
    timeout_at(deadline, asking).await.ok();
}

fn failed_statement(unknown: Unknown) -> Failure {
    match unknown.why {
        UnknownWhy::Denied => Failure::denied(unknown.detail),
        _ => Failure::target(format!("the first statement: {unknown}")),
    }
}

/// SQLSTATEs of what this server, or its version, does not have.
fn is_missing(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .contains(code)
}

/// An error with its causes; the library's own text leaves them out.
pub(super) fn in_words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

async fn log_in(
    wire: Wire,
    config: &tokio_postgres::Config,
    deadline: Instant,
) -> Result<(Client, JoinHandle<()>), Refused> {
    let connecting = config.connect_raw(wire, Ready);
    match timeout_at(deadline, connecting).await {
        Ok(Ok((client, connection))) => {
            let task = tokio::spawn(async move {
                // What ends it is seen by the statements that were waiting.
                connection.await.ok();
            });
            Ok((client, task))
        }
        Ok(Err(error)) => Err(Refused::from(error)),
        Err(_) => Err(Refused::Other(Failure::target(
            "login: the server accepted the connection and did not answer in time",
        ))),
    }
}

/// A login that did not come about.
enum Refused {
    Startup(Error),
    Other(Failure),
}

impl Refused {
    /// A pooler that takes no startup options says so with a protocol violation.
    fn is_about_options(&self) -> bool {
        let Self::Startup(error) = self else {
            return false;
        };
        error.as_db_error().is_some_and(|db| {
            *db.code() == SqlState::PROTOCOL_VIOLATION && db.message().contains("options")
        })
    }

    fn into_failure(self) -> Failure {
        let error = match self {
            Self::Other(failure) => return failure,
            Self::Startup(error) => error,
        };
        let Some(db) = error.as_db_error() else {
            let words = in_words(&error);
            if words.contains("password missing") {
                return Failure::denied("login: the server asks for a password, and none is given");
            }
            return Failure::target(format!("login: {words}"));
        };
        let code = db.code().code();
        let detail = format!("login refused, SQLSTATE {code}: {}", db.message());
        // Wrong password or role, no such database, no CONNECT: the server works and refused us.
        if code.starts_with("28") || code.starts_with("3D") || code == "42501" {
            Failure::denied(detail)
        } else {
            Failure::target(detail)
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Startup(error)
    }
}
