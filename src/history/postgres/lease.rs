//! Who runs what: each slot of a probe's schedule is given to one agent, a share of the probes to each,
//! and the probes of an agent that is silent to the others. The database's clock decides.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::super::HistoryError;
use super::names::Names;
use super::session::{Session, get};

/// Says that an agent lives, counts those that do, and what each is to have. Of what is too much for this
/// one, the surplus becomes free.
const LIVE: &str = "
with me as (
    update probe.agents set seen_at = clock_timestamp(), probes = $2 where id = $1 returning id
), live as (
    select count(*) as agents, max(probes) as probes from (
        select id, probes from probe.agents
        where seen_at > clock_timestamp() - $3 * interval '1 second' and id <> $1
        union all select $1, $2
    ) a
), share as (
    select ceil(probes::float8 / agents)::int8 as fair, agents,
        (select count(*) from probe.leases where agent = $1) as held
    from live
), surplus as (
    select probe from probe.leases where agent = $1
    order by slot limit (select case when agents > 1 then greatest(held - fair, 0) else 0 end from share)
    for update skip locked
), freed as (
    update probe.leases l set agent = null, free_since = clock_timestamp()
    from surplus s where l.probe = s.probe returning 1
)
select case when agents > 1 then greatest(fair - held, 0) else 9223372036854775807 end,
    (extract(epoch from clock_timestamp()) * 1000000)::int8,
    (select count(*) from me) + (select count(*) from freed)
from share";

/// Takes what is due and this agent's, or nobody's: what was free for longer than a lease whatever the
/// share of this agent is, because those who had room for it did not come.
const LEASE: &str = "
with due as (
    select * from unnest($1::int4[], $2::timestamptz[]) as d(probe, slot)
), free as (
    select l.probe, d.slot, l.agent is not distinct from $3 as own,
        case when l.agent is null then l.free_since < clock_timestamp() - $4 * interval '1 second'
            else coalesce(a.seen_at, '-infinity') < clock_timestamp() - 2 * $4 * interval '1 second' end as overdue
    from probe.leases l join due d on d.probe = l.probe left join probe.agents a on a.id = l.agent
    where d.slot > l.slot and d.slot < clock_timestamp() + $4 * interval '1 second'
        and (l.agent is null or l.agent = $3 or a.seen_at is null
            or a.seen_at <= clock_timestamp() - $4 * interval '1 second')
    for update of l skip locked
), mine as (
    select probe, slot from (
        select *, row_number() over (partition by own or overdue order by probe) as nth from free
    ) n where own or overdue or nth <= $5
), taken as (
    update probe.leases l set agent = $3, slot = mine.slot from mine where l.probe = mine.probe
    returning l.probe
)
select probe, (select own from free where free.probe = taken.probe) from taken";

/// The leases of this agent.
pub(super) struct Leases {
    agent: Arc<str>,
    lease: Duration,
    agents: Names,
    probes: Names,
    /// Probes for which there is a row to be locked.
    known: Mutex<HashSet<i32>>,
    /// How many more probes are this agent's share.
    room: AtomicI64,
}

impl Leases {
    pub(super) fn new(agent: &Arc<str>, lease: Duration) -> Self {
        Self {
            agent: Arc::clone(agent),
            lease,
            agents: Names::new("agents"),
            probes: Names::new("probes"),
            known: Mutex::default(),
            room: AtomicI64::new(0),
        }
    }

    /// How often this agent says that it lives.
    pub(super) fn beat(&self) -> Duration {
        self.lease / 4
    }

    async fn me(&self, session: &Session) -> Result<i32, HistoryError> {
        let numbers = self.agents.numbers(session, &[&self.agent]).await?;
        numbers
            .first()
            .copied()
            .ok_or_else(|| HistoryError::Corrupt("this agent got no number".to_owned()))
    }

    /// Says that this agent lives. What is worth knowing comes back.
    pub(super) async fn live(&self, session: &Session) -> Result<Option<String>, HistoryError> {
        let me = self.me(session).await?;
        let probes = i64::try_from(self.probes.count()).unwrap_or(i64::MAX);
        let lease = self.lease.as_secs_f64();
        let asked = super::write::now().as_microsecond();
        let rows = session
            .query(
                LIVE,
                &[
                    (&me, Type::INT4),
                    (&probes, Type::INT8),
                    (&lease, Type::FLOAT8),
                ],
            )
            .await?;
        let answered = super::write::now().as_microsecond();
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        self.room.store(get(row, 0)?, Ordering::Relaxed);
        Ok(skew(asked, get(row, 1)?, answered))
    }

    /// This agent ends: its probes are free at once.
    pub(super) async fn leave(&self, session: &Session) -> Result<(), HistoryError> {
        let me = self.me(session).await?;
        let free =
            "update probe.leases set agent = null, free_since = '-infinity' where agent = $1";
        session.query(free, &[(&me, Type::INT4)]).await?;
        let gone = "update probe.agents set seen_at = '-infinity' where id = $1";
        session.query(gone, &[(&me, Type::INT4)]).await.map(drop)
    }

    /// Which of these are this agent's to run.
    pub(super) async fn lease(
        &self,
        session: &Session,
        due: &[(&str, Timestamp)],
    ) -> Result<Vec<bool>, HistoryError> {
        let names: Vec<&str> = due.iter().map(|(name, _)| *name).collect();
        let probes = self.probes.numbers(session, &names).await?;
        if self.register(session, &probes).await? {
            // More probes: the shares are others.
            self.live(session).await?;
        }
        let me = self.me(session).await?;
        let slots: Vec<Timestamp> = due.iter().map(|(_, slot)| *slot).collect();
        let lease = self.lease.as_secs_f64();
        let room = self.room.load(Ordering::Relaxed);
        let rows = session
            .query(
                LEASE,
                &[
                    (&probes, Type::INT4_ARRAY),
                    (&slots, Type::TIMESTAMPTZ_ARRAY),
                    (&me, Type::INT4),
                    (&lease, Type::FLOAT8),
                    (&room, Type::INT8),
                ],
            )
            .await?;
        let mut mine = HashSet::new();
        for row in &rows {
            mine.insert(get::<i32>(row, 0)?);
            if !get::<Option<bool>>(row, 1)?.unwrap_or(false) {
                self.room.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(probes.iter().map(|probe| mine.contains(probe)).collect())
    }

    /// Makes rows for probes that have none yet. Whether there were such.
    async fn register(&self, session: &Session, probes: &[i32]) -> Result<bool, HistoryError> {
        let new: Vec<i32> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            probes
                .iter()
                .filter(|probe| !known.contains(probe))
                .copied()
                .collect()
        };
        if new.is_empty() {
            return Ok(false);
        }
        let sql = "insert into probe.leases (probe) select * from unnest($1::int4[]) on conflict do nothing";
        session.query(sql, &[(&new, Type::INT4_ARRAY)]).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(new);
        Ok(true)
    }
}

/// Agents are told of a clock that is off by more: it makes evidence of theirs look old or new.
const MAX_SKEW_US: i64 = 2_000_000;

fn skew(asked: i64, database: i64, answered: i64) -> Option<String> {
    let ahead = asked - database;
    let behind = database - answered;
    let (off, word) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    (off > MAX_SKEW_US).then(|| {
        format!(
            "the clock of this agent is {} s {word} the database's: set one of them right",
            off / 1_000_000
        )
    })
}
