//! The one thread that writes: batches, compaction, retention.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::pack::Row;
use super::super::queue::{Batch, Queue};
use super::super::run::Latest;
use super::super::{HistoryError, HistorySettings, stored};
use super::open::{self, Lock};
use super::{PROBE_BITS, Readers, compact, prune, wrong};

/// What is recorded is committed this soon: a process that is killed loses no more.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// The most runs of one commit.
const MAX_BATCH: usize = 20_000;
/// After a commit that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often runs are packed, and what is too old or too much is dropped.
const COMPACT_EVERY: Duration = Duration::from_secs(600);
/// Or after so many runs.
const COMPACT_AFTER: usize = 200_000;
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// What is written to.
pub(super) struct Target {
    conn: Arc<Mutex<Connection>>,
    /// `None`: memory.
    file: Option<(Lock, Arc<Readers>)>,
}

impl Target {
    pub(super) fn memory(conn: &Arc<Mutex<Connection>>) -> Self {
        Self {
            conn: Arc::clone(conn),
            file: None,
        }
    }

    pub(super) fn file(conn: Connection, lock: Lock, readers: &Arc<Readers>) -> Self {
        Self {
            conn: Arc::new(Mutex::new(conn)),
            file: Some((lock, Arc::clone(readers))),
        }
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the writer; it ends when the queue is closed and empty.
pub(super) fn start(
    target: Target,
    settings: &HistorySettings,
    queue: &Arc<Queue>,
) -> Result<(), HistoryError> {
    let mut writer = Writer {
        target,
        settings: settings.clone(),
        queue: Arc::clone(queue),
        names: Names::default(),
        compacted: Instant::now(),
        single: 0,
        pruned: None,
        dead: None,
    };
    writer.note_size();
    // What the agent before did not come to pack.
    writer.single = compact::count(&writer.target.conn())?;
    std::thread::Builder::new()
        .name("history".to_owned())
        .spawn(move || writer.run())
        .map(drop)
        .map_err(|error| HistoryError::Unavailable(format!("cannot start its writer: {error}")))
}

struct Writer {
    target: Target,
    settings: HistorySettings,
    queue: Arc<Queue>,
    names: Names,
    compacted: Instant,
    /// Runs that came since.
    single: usize,
    /// `None`: not yet.
    pruned: Option<Instant>,
    /// Why nothing can be written any more.
    dead: Option<HistoryError>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            self.queue.wait_thread(COMMIT_EVERY);
            let closing = self.queue.is_closing();
            let written = self.write_all();
            if let Err(error) = &written {
                tracing::warn!("history: {error}");
            }
            if closing {
                return;
            }
            if written.is_err() {
                std::thread::sleep(RETRY_AFTER);
                continue;
            }
            if let Err(error) = self.tidy() {
                tracing::warn!("history: {error}");
                self.queue.fail(&error.to_string(), now());
                self.recover(&error);
                std::thread::sleep(RETRY_AFTER);
            }
        }
    }

    /// Writes what waits. Where it comes as fast as it is written, packing has its turn too.
    fn write_all(&mut self) -> Result<(), HistoryError> {
        while self.single < COMPACT_AFTER || self.queue.is_closing() {
            let batch = self.queue.take(MAX_BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            match self.commit(&batch) {
                Ok(()) => {
                    self.single += batch.runs.len();
                    self.queue.done(batch.runs.len());
                }
                Err(error) => {
                    // Numbers that were given within what was rolled back are none.
                    self.names = Names::default();
                    self.queue.put_back(batch, &error.to_string(), now());
                    self.recover(&error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        if let Some(dead) = &self.dead {
            return Err(dead.clone());
        }
        let mut conn = self
            .target
            .conn
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let tx = conn.transaction().map_err(|error| wrong(&error))?;
        write(&tx, &mut self.names, batch).map_err(|error| wrong(&error))?;
        tx.commit().map_err(|error| wrong(&error))
    }

    /// A file that turned out to be damaged is set aside, and what waits goes to a new one.
    fn recover(&mut self, error: &HistoryError) {
        let (HistoryError::Corrupt(why), Some((_, readers))) = (error, &self.target.file) else {
            return;
        };
        readers.forget();
        // The damaged file is closed before it gets another name: closing it later would take the log
        // of the new one with it.
        let closed = Connection::open_in_memory().map_err(|error| wrong(&error));
        let reopened = closed.and_then(|nothing| {
            *self.target.conn() = nothing;
            open::set_aside(&readers.path, why, now())
        });
        match reopened {
            Ok(opened) => {
                readers.forget();
                *self.target.conn() = opened.conn;
                self.names = Names::default();
                self.queue.note(|status| status.notice = opened.notice);
            }
            Err(error) => {
                tracing::error!("history: {error}");
                self.dead = Some(error);
            }
        }
    }

    fn tidy(&mut self) -> Result<(), HistoryError> {
        // Before they are too old to be kept one by one.
        let every = COMPACT_EVERY.min(self.settings.runs_retention / 2);
        if self.compacted.elapsed() >= every || self.single >= COMPACT_AFTER {
            self.compacted = Instant::now();
            self.single = 0;
            let waiting = compact::waiting(&self.target.conn())?;
            for probe in waiting {
                // Between any two, so that what is recorded meanwhile is committed in time.
                compact::probe(&mut self.target.conn(), probe)?;
                if self.queue.is_long_waiting() {
                    self.write_all()?;
                }
            }
        }
        if self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            self.pruned = Some(Instant::now());
            prune::by_age(&mut self.target.conn(), &self.settings, now())?;
            prune::by_size(&mut self.target.conn(), self.settings.max_bytes)?;
            self.note_size();
        }
        Ok(())
    }

    fn note_size(&self) {
        let conn = self.target.conn();
        let bytes = prune::bytes(&conn).ok();
        let oldest = prune::oldest(&conn).ok().flatten();
        drop(conn);
        self.queue.note(|status| {
            status.bytes = bytes;
            status.oldest = oldest;
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer says since when it cannot write, and how old is too old"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The numbers that stand for names.
#[derive(Default)]
struct Names {
    probes: HashMap<Arc<str>, i64>,
    agents: HashMap<Arc<str>, i64>,
}

impl Names {
    fn probe(&mut self, tx: &Transaction<'_>, name: &Arc<str>) -> rusqlite::Result<i64> {
        let id = number(&mut self.probes, tx, "probes", name)?;
        if id >> PROBE_BITS != 0 {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, id));
        }
        Ok(id)
    }

    fn agent(&mut self, tx: &Transaction<'_>, name: &Arc<str>) -> rusqlite::Result<i64> {
        number(&mut self.agents, tx, "agents", name)
    }
}

fn number(
    known: &mut HashMap<Arc<str>, i64>,
    tx: &Transaction<'_>,
    table: &str,
    name: &Arc<str>,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let found = tx
        .prepare_cached(&format!("select id from {table} where name = ?"))?
        .query_row([&**name], |row| row.get(0))
        .optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            tx.prepare_cached(&format!("insert into {table} (name) values (?)"))?
                .execute([&**name])?;
            tx.last_insert_rowid()
        }
    };
    known.insert(Arc::clone(name), id);
    Ok(id)
}

fn write(tx: &Transaction<'_>, names: &mut Names, batch: &Batch) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "insert into recent (probe, started_us, agent, duration_us, marks) values (?, ?, ?, ?, ?) \
         on conflict do nothing",
    )?;
    for run in &batch.runs {
        let probe = names.probe(tx, &run.probe)?;
        let row = Row::of(run, names.agent(tx, &run.agent)?);
        insert.execute(params![
            probe,
            row.started_us.max(0),
            row.agent,
            row.duration_us,
            row.marks.0
        ])?;
    }
    let mut version: i64 =
        tx.query_row("select coalesce(max(version), 0) from latest", [], |row| {
            row.get(0)
        })?;
    for latest in batch.latest.values() {
        version += 1;
        write_latest(tx, names, latest, version)?;
    }
    for change in &batch.changes {
        let probe = names.probe(tx, &change.probe)?;
        tx.prepare_cached("insert or replace into changes values (?, ?, ?)")?
            .execute(params![
                probe,
                change.envelope.observed_at.as_microsecond(),
                envelope(change)?
            ])?;
    }
    for (key, value) in &batch.kept {
        tx.prepare_cached("insert or replace into kept values (?, ?)")?
            .execute(params![key, value.to_string()])?;
    }
    Ok(())
}

fn write_latest(
    tx: &Transaction<'_>,
    names: &mut Names,
    latest: &Latest,
    version: i64,
) -> rusqlite::Result<()> {
    let probe = names.probe(tx, &latest.probe)?;
    tx.prepare_cached("insert or replace into latest values (?, ?, ?, ?, ?, ?)")?
        .execute(params![
            probe,
            version,
            latest.envelope.observed_at.as_microsecond(),
            latest.params_digest,
            latest.state.to_string(),
            envelope(latest)?
        ])
        .map(drop)
}

fn envelope(latest: &Latest) -> rusqlite::Result<Vec<u8>> {
    stored::write(&latest.envelope)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
