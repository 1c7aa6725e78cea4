//! The store in a file, or in memory: SQLite with a write-ahead log, one thread that writes.

mod compact;
mod open;
mod prune;
mod read;
mod schema;
mod write;

pub(super) use read::{changes, kept, latest, runs, slots};

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use super::queue::Queue;
use super::{Access, HistoryError, HistorySettings, StoreSettings};

/// Connections that are kept for the next reader.
const MAX_IDLE: usize = 4;

/// An embedded store.
pub(super) struct Embedded {
    place: Place,
}

enum Place {
    /// One connection for all: nobody else could see the content.
    Memory(Arc<Mutex<Connection>>),
    /// Beside a writer in this process.
    Beside(Arc<Readers>),
    /// A file that this process only reads.
    Other(PathBuf),
}

/// Connections for reading, beside the writer's.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is another one now.
    fn forget(&self) {
        self.idle().clear();
    }
}

impl Embedded {
    /// Opens the store, and starts its writer where it is to be written.
    pub(super) fn open(
        settings: &HistorySettings,
        access: Access,
        queue: &Arc<Queue>,
        now: Timestamp,
    ) -> Result<Self, HistoryError> {
        let path = match &settings.store {
            StoreSettings::Sqlite(path) => path,
            StoreSettings::Memory | StoreSettings::Postgres(_) => {
                let conn = Arc::new(Mutex::new(open::memory()?));
                write::start(write::Target::memory(&conn), settings, queue)?;
                return Ok(Self {
                    place: Place::Memory(conn),
                });
            }
        };
        if access == Access::Read {
            open::read(path)?;
            return Ok(Self {
                place: Place::Other(path.clone()),
            });
        }
        let lock = open::lock(path)?;
        let opened = open::write(path, now)?;
        if let Some(notice) = opened.notice {
            queue.note(|status| status.notice = Some(notice));
        }
        let readers = Arc::new(Readers {
            path: path.clone(),
            idle: Mutex::default(),
        });
        let target = write::Target::file(opened.conn, lock, &readers);
        write::start(target, settings, queue)?;
        Ok(Self {
            place: Place::Beside(readers),
        })
    }

    /// Runs a question against the store; it blocks.
    pub(super) fn ask<T>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        match &self.place {
            Place::Memory(conn) => {
                question(&mut conn.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Place::Beside(readers) => {
                let idle = readers.idle().pop();
                let mut conn = match idle {
                    Some(conn) => conn,
                    None => open::beside_writer(&readers.path)?,
                };
                let answer = question(&mut conn);
                let mut idle = readers.idle();
                if idle.len() < MAX_IDLE && answer.is_ok() {
                    idle.push(conn);
                }
                answer
            }
            Place::Other(path) => {
                let quiet = open::is_quiet(path);
                let answer = question(&mut open::read(path)?);
                // Somebody began to write meanwhile: what was read without locks may be torn.
                if quiet && !open::is_quiet(path) {
                    return question(&mut open::read(path)?);
                }
                answer
            }
        }
    }
}

/// An error of SQLite in our words.
pub(super) fn wrong(error: &rusqlite::Error) -> HistoryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            HistoryError::Corrupt(error.to_string())
        }
        Some(ErrorCode::DiskFull) => HistoryError::Unavailable("the disk is full".to_owned()),
        _ => HistoryError::Unavailable(error.to_string()),
    }
}

/// The key of what a probe did in a span of time: newer spans have greater keys.
fn key(span: i64, probe: i64) -> i64 {
    span << PROBE_BITS | probe
}

/// Probes of one store, ever: two to the power of this.
const PROBE_BITS: u32 = 24;
/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

#[cfg(test)]
mod tests;
