//! A login at the database that agents share: every statement under a deadline, every read capped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::super::HistoryError;
use crate::evidence::{Failure, Outcome};
use crate::net::Dialler;
use crate::net::postgres::{Ready, Target, login, open};

/// Logging in, TLS included.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// One statement.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What goes to a statement.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A login. Dropping it ends it.
pub(in super::super) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    read_bytes: Arc<AtomicU64>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Why there is no login.
pub(super) enum Refused {
    /// The database works and does not let us in, or is not what it is to be: trying again is no use.
    ForGood(HistoryError),
    /// It cannot be reached now.
    ForNow(HistoryError),
}

impl Refused {
    pub(super) fn into_error(self) -> HistoryError {
        match self {
            Self::ForGood(error) | Self::ForNow(error) => error,
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let error = HistoryError::Unavailable(failure.detail().to_owned());
        match failure.outcome() {
            Outcome::Denied => Self::ForGood(error),
            _ => Self::ForNow(error),
        }
    }
}

impl Session {
    pub(super) async fn open(
        dialler: &Dialler,
        target: &Target,
        read_only: bool,
    ) -> Result<Self, Refused> {
        let deadline = Instant::now() + LOGIN_WITHIN;
        let wire = open(dialler, &|_| {}, target, deadline).await?;
        let read_bytes = wire.counter();
        let config = login(target, None);
        let (client, connection) = match timeout_at(deadline, config.connect_raw(wire, Ready)).await
        {
            Ok(connected) => connected.map_err(|error| refused(&error))?,
            Err(_) => {
                return Err(Refused::ForNow(unavailable(
                    "login: no answer from the database in time",
                )));
            }
        };
        let session = Self {
            client,
            connection: tokio::spawn(async move {
                // What ends it is seen by the statements that were waiting.
                connection.await.ok();
            }),
            read_bytes,
        };
        let settings = format!(
            "set statement_timeout = {}; set lock_timeout = {}; set default_transaction_read_only = {}",
            ANSWER_WITHIN.as_millis(),
            ANSWER_WITHIN.as_millis() / 2,
            if read_only { "on" } else { "off" },
        );
        session.run(&settings).await.map_err(Refused::ForNow)?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Statements without parameters and rows.
    pub(super) async fn run(&self, sql: &str) -> Result<(), HistoryError> {
        self.within(self.client.batch_execute(sql)).await
    }

    /// One statement and its rows.
    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, HistoryError> {
        self.within(self.client.query_typed(sql, params)).await
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, HistoryError> {
        // The cap holds for one answer, not for all of a session that lives for months.
        self.read_bytes.store(0, Ordering::Relaxed);
        match timeout(ANSWER_WITHIN, work).await {
            Ok(done) => done.map_err(|error| unavailable(&in_words(&error))),
            Err(_) => {
                // Nobody knows what it still does: the next statement gets a new login.
                self.connection.abort();
                Err(unavailable("no answer from the database in time"))
            }
        }
    }
}

pub(super) fn unavailable(text: &str) -> HistoryError {
    HistoryError::Unavailable(text.to_owned())
}

/// A value of a row; a type that does not fit is a defect of the schema.
pub(super) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    at: usize,
) -> Result<T, HistoryError> {
    row.try_get(at)
        .map_err(|error| HistoryError::Corrupt(in_words(&error)))
}

fn refused(error: &Error) -> Refused {
    let words = unavailable(&format!("login: {}", in_words(error)));
    let code = error.as_db_error().map(|db| db.code().code().to_owned());
    match code.as_deref() {
        // A wrong password or role, no such database, no right to connect.
        Some(code) if code.starts_with("28") || code == "3D000" || code == "42501" => {
            Refused::ForGood(words)
        }
        None if in_words(error).contains("password missing") => Refused::ForGood(unavailable(
            "login: the database asks for a password, and none is given",
        )),
        _ => Refused::ForNow(words),
    }
}

/// An error with its causes; the library's own text leaves them out.
fn in_words(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("SQLSTATE {}: {}", db.code().code(), db.message());
    }
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
