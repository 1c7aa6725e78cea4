//! The tasks that write: batches, signs of life, compaction, retention.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

use super::super::pack::Row;
use super::super::queue::{Batch, Queue};
use super::super::run::Latest;
use super::super::{HistoryError, HistorySettings, stored};
use super::lease::Leases;
use super::names::Names;
use super::session::{Session, unavailable};
use super::{Desk, RETRY_AFTER, compact};

/// What is recorded is committed this soon.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// An agent that ends says so this soon.
const CLOSES_WITHIN: Duration = Duration::from_millis(200);
/// The most runs of one commit.
const MAX_BATCH: usize = 5_000;
const COMPACT_EVERY: Duration = Duration::from_secs(600);
/// Versions are given in the order in which they are seen: one transaction at a time gives them.
const VERSIONING: i64 = 0x7072_6f62_0002;

/// Starts the tasks; they end when the queue is closed.
pub(super) fn start(
    desk: &Arc<Desk>,
    leases: &Arc<Leases>,
    settings: &HistorySettings,
    queue: &Arc<Queue>,
) {
    let mut writer = Writer {
        desk: Arc::clone(desk),
        queue: Arc::clone(queue),
        settings: settings.clone(),
        session: None,
        probes: Names::new("probes"),
        agents: Names::new("agents"),
        compacted: Instant::now(),
    };
    let (desk, leases, queue) = (Arc::clone(desk), Arc::clone(leases), Arc::clone(queue));
    tokio::spawn(async move { writer.run().await });
    tokio::spawn(async move {
        while !queue.is_closing() {
            if let Ok(session) = desk.session().await {
                match leases.live(&session).await {
                    Ok(notice) => queue.note(|status| status.notice = notice),
                    Err(error) => tracing::warn!("history: {error}"),
                }
            }
            let next = Instant::now() + leases.beat();
            while Instant::now() < next && !queue.is_closing() {
                sleep(CLOSES_WITHIN.min(leases.beat())).await;
            }
        }
        if let Ok(session) = desk.session().await {
            leases.leave(&session).await.ok();
        }
    });
}

struct Writer {
    desk: Arc<Desk>,
    queue: Arc<Queue>,
    settings: HistorySettings,
    session: Option<Session>,
    probes: Names,
    agents: Names,
    compacted: Instant,
}

impl Writer {
    async fn run(&mut self) {
        loop {
            self.queue.wait_task(COMMIT_EVERY).await;
            let closing = self.queue.is_closing();
            let written = self.write_all().await;
            if let Err(error) = &written {
                tracing::warn!("history: {error}");
            }
            if closing {
                return;
            }
            if written.is_err() {
                sleep(RETRY_AFTER).await;
            } else if let Err(error) = self.tidy().await {
                tracing::warn!("history: {error}");
                self.queue.fail(&error.to_string(), now());
                self.session = None;
            }
        }
    }

    async fn write_all(&mut self) -> Result<(), HistoryError> {
        loop {
            let batch = self.queue.take(MAX_BATCH);
            if batch.is_empty() {
                // Nothing waits: whether the database is there is still to be known.
                if self.queue.has_error() {
                    self.session().await?;
                    self.queue.done(0);
                }
                return Ok(());
            }
            match self.commit(&batch).await {
                Ok(()) => self.queue.done(batch.runs.len()),
                Err(error) => {
                    self.session = None;
                    self.probes.forget();
                    self.agents.forget();
                    self.queue.put_back(batch, &error.to_string(), now());
                    return Err(error);
                }
            }
        }
    }

    async fn session(&mut self) -> Result<&Session, HistoryError> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            let session = self.desk.login().await;
            self.session = Some(session.map_err(super::Refused::into_error)?);
        }
        let session = self.session.as_ref();
        session.ok_or_else(|| unavailable("no login at the database"))
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        self.session().await?;
        let Some(session) = &self.session else {
            return Err(unavailable("no login at the database"));
        };
        session.run("begin").await?;
        self.write(session, batch).await?;
        session.run("commit").await
    }

    async fn write(&self, session: &Session, batch: &Batch) -> Result<(), HistoryError> {
        self.write_runs(session, batch).await?;
        self.write_changes(session, batch).await?;
        for (key, value) in &batch.kept {
            let sql = "insert into probe.kept values ($1, $2) on conflict (key) do update set value = excluded.value";
            let text = value.to_string();
            session
                .query(sql, &[(key, Type::TEXT), (&text, Type::TEXT)])
                .await?;
        }
        // Last, because others wait for it.
        self.write_latest(session, batch).await
    }

    async fn write_runs(&self, session: &Session, batch: &Batch) -> Result<(), HistoryError> {
        if batch.runs.is_empty() {
            return Ok(());
        }
        let probes: Vec<&str> = batch.runs.iter().map(|run| &*run.probe).collect();
        let agents: Vec<&str> = batch.runs.iter().map(|run| &*run.agent).collect();
        let probes = self.probes.numbers(session, &probes).await?;
        let agents = self.agents.numbers(session, &agents).await?;
        let rows: Vec<Row> = batch.runs.iter().map(|run| Row::of(run, 0)).collect();
        let starts: Vec<i64> = rows.iter().map(|row| row.started_us.max(0)).collect();
        let durations: Vec<i64> = rows.iter().map(|row| row.duration_us).collect();
        let marks: Vec<i16> = rows.iter().map(|row| row.marks.0.cast_signed()).collect();
        let sql = "insert into probe.recent (probe, started_us, agent, duration_us, marks) \
                   select * from unnest($1::int4[], $2::int8[], $3::int4[], $4::int8[], $5::int2[]) on conflict do nothing";
        session
            .query(
                sql,
                &[
                    (&probes, Type::INT4_ARRAY),
                    (&starts, Type::INT8_ARRAY),
                    (&agents, Type::INT4_ARRAY),
                    (&durations, Type::INT8_ARRAY),
                    (&marks, Type::INT2_ARRAY),
                ],
            )
            .await
            .map(drop)
    }

    async fn write_latest(&self, session: &Session, batch: &Batch) -> Result<(), HistoryError> {
        if batch.latest.is_empty() {
            return Ok(());
        }
        let latest: Vec<&Latest> = batch.latest.values().collect();
        let columns = Columns::of(&latest)?;
        let probes = self.probes.numbers(session, &columns.names).await?;
        let lock = format!("select pg_advisory_xact_lock({VERSIONING})");
        session.run(&lock).await?;
        // Evidence that waited here while another agent looked is not the latest.
        let sql = "insert into probe.latest as l (probe, version, observed_us, params_digest, state, envelope) \
                   select probe, nextval('probe.version'), observed_us, params_digest, state, envelope \
                   from unnest($1::int4[], $2::int8[], $3::text[], $4::text[], $5::bytea[]) as n(probe, observed_us, params_digest, state, envelope) \
                   on conflict (probe) do update set version = excluded.version, observed_us = excluded.observed_us, \
                   params_digest = excluded.params_digest, state = excluded.state, envelope = excluded.envelope \
                   where excluded.observed_us >= l.observed_us";
        session
            .query(
                sql,
                &[
                    (&probes, Type::INT4_ARRAY),
                    (&columns.observed, Type::INT8_ARRAY),
                    (&columns.digests, Type::TEXT_ARRAY),
                    (&columns.states, Type::TEXT_ARRAY),
                    (&columns.envelopes, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map(drop)
    }

    async fn write_changes(&self, session: &Session, batch: &Batch) -> Result<(), HistoryError> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        let changes: Vec<&Latest> = batch.changes.iter().collect();
        let columns = Columns::of(&changes)?;
        let probes = self.probes.numbers(session, &columns.names).await?;
        let sql = "insert into probe.changes select * from unnest($1::int4[], $2::int8[], $3::bytea[]) on conflict do nothing";
        session
            .query(
                sql,
                &[
                    (&probes, Type::INT4_ARRAY),
                    (&columns.observed, Type::INT8_ARRAY),
                    (&columns.envelopes, Type::BYTEA_ARRAY),
                ],
            )
            .await
            .map(drop)
    }

    async fn tidy(&mut self) -> Result<(), HistoryError> {
        let every = COMPACT_EVERY.min(self.settings.runs_retention / 2);
        if self.compacted.elapsed() < every {
            return Ok(());
        }
        self.compacted = Instant::now();
        self.session().await?;
        let Some(session) = &self.session else {
            return Ok(());
        };
        if !compact::begin(session).await? {
            return Ok(());
        }
        for probe in compact::waiting(session).await? {
            compact::probe(session, probe).await?;
            if self.queue.is_long_waiting() {
                let batch = self.queue.take(MAX_BATCH);
                match self.commit_in(session, &batch).await {
                    Ok(()) => self.queue.done(batch.runs.len()),
                    Err(error) => {
                        self.queue.put_back(batch, &error.to_string(), now());
                        return Err(error);
                    }
                }
            }
        }
        compact::prune(session, &self.settings).await?;
        let (bytes, oldest) = compact::size(session).await?;
        self.queue.note(|status| {
            status.bytes = bytes;
            status.oldest = oldest;
        });
        compact::end(session).await
    }

    async fn commit_in(&self, session: &Session, batch: &Batch) -> Result<(), HistoryError> {
        session.run("begin").await?;
        self.write(session, batch).await?;
        session.run("commit").await
    }
}

/// What is written of several probes.
struct Columns<'b> {
    names: Vec<&'b str>,
    observed: Vec<i64>,
    digests: Vec<&'b str>,
    states: Vec<String>,
    envelopes: Vec<Vec<u8>>,
}

impl<'b> Columns<'b> {
    fn of(list: &[&'b Latest]) -> Result<Self, HistoryError> {
        let envelopes = list.iter().map(|latest| stored::write(&latest.envelope));
        Ok(Self {
            names: list.iter().map(|latest| &*latest.probe).collect(),
            observed: list
                .iter()
                .map(|latest| latest.envelope.observed_at.as_microsecond())
                .collect(),
            digests: list.iter().map(|latest| &*latest.params_digest).collect(),
            states: list.iter().map(|latest| latest.state.to_string()).collect(),
            envelopes: envelopes
                .collect::<std::io::Result<_>>()
                .map_err(|error| unavailable(&error.to_string()))?,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer says since when it cannot write"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
