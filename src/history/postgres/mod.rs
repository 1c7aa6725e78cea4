//! The store that several agents share: one schema in one PostgreSQL. Agents know nothing of each other
//! but what stands there, and all times that decide between them are the database's.

mod compact;
mod lease;
mod names;
mod read;
mod schema;
mod session;
mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::Queue;
use super::{Access, HistoryError, HistorySettings};
use crate::net::Dialler;
use crate::net::postgres::Target;
pub(super) use read::{changes, kept, latest, runs, slots};
use session::{Refused, Session, unavailable};

/// After a login that failed nobody waits for the next one: what is asked meanwhile fails at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A shared store.
pub(super) struct Shared {
    desk: Arc<Desk>,
    leases: Arc<lease::Leases>,
}

/// Where sessions come from.
pub(super) struct Desk {
    dialler: Dialler,
    target: Arc<Target>,
    access: Access,
    /// For questions and leases; the writer has its own.
    current: tokio::sync::Mutex<Option<Arc<Session>>>,
    failed: Mutex<Option<(Instant, HistoryError)>>,
}

impl Desk {
    /// A login with the schema as it must be.
    async fn login(&self) -> Result<Session, Refused> {
        let read_only = self.access == Access::Read;
        let session = Session::open(&self.dialler, &self.target, read_only).await?;
        let ready = match self.access {
            Access::Write => schema::migrate(&session).await,
            Access::Read => schema::look(&session).await,
        };
        match ready {
            Ok(()) => Ok(session),
            Err(error @ HistoryError::Newer { .. }) => Err(Refused::ForGood(error)),
            Err(error) if session.is_closed() => Err(Refused::ForNow(error)),
            Err(error) => Err(Refused::ForGood(error)),
        }
    }

    /// The session for questions.
    pub(super) async fn session(&self) -> Result<Arc<Session>, HistoryError> {
        let mut current = self.current.lock().await;
        if let Some(session) = current.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        if let Some((at, error)) = self.failed().as_ref()
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        match self.login().await {
            Ok(session) => {
                *self.failed() = None;
                Ok(Arc::clone(current.insert(Arc::new(session))))
            }
            Err(refused) => {
                let error = refused.into_error();
                *current = None;
                *self.failed() = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<(Instant, HistoryError)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Opens the store, and starts its tasks where it is to be written. A database that cannot be
    /// reached now is no error for who writes: it is told of, and tried again.
    pub(super) async fn open(
        target: &Arc<Target>,
        settings: &HistorySettings,
        agent: &Arc<str>,
        access: Access,
        queue: &Arc<Queue>,
    ) -> Result<Self, HistoryError> {
        let desk = Arc::new(Desk {
            dialler: Dialler::new(),
            target: Arc::clone(target),
            access,
            current: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
        });
        let leases = Arc::new(lease::Leases::new(agent, settings.lease));
        match desk.login().await {
            Ok(session) => *desk.current.lock().await = Some(Arc::new(session)),
            Err(Refused::ForNow(error)) if access == Access::Write => {
                queue.fail(&error.to_string(), write::now());
            }
            Err(refused) => return Err(refused.into_error()),
        }
        if access == Access::Write {
            write::start(&desk, &leases, settings, queue);
        }
        Ok(Self { desk, leases })
    }

    pub(super) async fn session(&self) -> Result<Arc<Session>, HistoryError> {
        self.desk.session().await
    }

    pub(super) async fn lease(
        &self,
        due: &[(&str, jiff::Timestamp)],
    ) -> Result<Vec<bool>, HistoryError> {
        if self.desk.access == Access::Read {
            return Err(unavailable("it was opened for reading"));
        }
        let session = self.desk.session().await?;
        self.leases.lease(&session, due).await
    }
}
