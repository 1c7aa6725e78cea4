//! What the primary says of those that stream from it, and of the slots that hold WAL for them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, first, unknown};
use super::server::NEEDS_MONITOR;
use super::session::Session;
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::postgres::Target;

/// One that streams from the primary.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Standby {
    /// Its `application_name`.
    pub name: String,
    /// What it does with what it receives.
    pub kind: Observed<Kind>,
    /// Where it connects from; empty for a Unix socket.
    pub address: String,
    /// `streaming`, `catchup`, `stopping`.
    pub state: Observed<String>,
    /// `async`, `potential`, `sync`, `quorum`.
    pub sync_state: Observed<String>,
    /// The slot it uses; empty where it uses none.
    pub slot: String,
    /// WAL bytes that were not sent to it yet.
    pub sent_lag_bytes: Observed<i64>,
    /// WAL bytes that it has not written yet.
    pub write_lag_bytes: Observed<i64>,
    /// WAL bytes that it has not flushed to disk yet.
    pub flush_lag_bytes: Observed<i64>,
    /// WAL bytes that it has not replayed yet.
    pub replay_lag_bytes: Observed<i64>,
    /// WAL bytes that it is behind at the last stage it has: replay, or, for one that only stores
    /// WAL, write.
    pub lag_bytes: Observed<i64>,
    /// Seconds since its last reply; several on an idle link are normal.
    pub reply_age_seconds: Observed<f64>,
}

/// What one that streams does with what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It replays it, as a standby does.
    Standby,
    /// It stores it and replays none, as `pg_receivewal` does.
    Storage,
    /// It decodes it: a logical subscriber.
    Logical,
}

/// A standby that must stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExpectedStandby {
    /// Its `application_name`.
    pub name: String,
    /// `streaming`, `catchup`, `stopping`; `absent` where the primary knows no standby of that name:
    /// what only stores WAL or decodes it is none, whatever it calls itself.
    pub state: Observed<String>,
    /// WAL bytes that it is behind at the last stage it has.
    pub lag_bytes: Observed<i64>,
}

/// Synchronous replication.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sync {
    /// `synchronous_standby_names`.
    pub standby_names: Observed<String>,
    /// How many standbys must confirm a commit, by `synchronous_standby_names` and the server's
    /// `synchronous_commit`; 0 where none must.
    pub required: Observed<i64>,
    /// How many synchronous standbys stream now.
    pub present: Observed<i64>,
    /// Commits that wait for a standby at this moment.
    pub waiting_commits: Observed<i64>,
}

/// A replication slot.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Slot {
    /// The slot and the server that has it: `standby2 on 10.0.0.5:5432`.
    pub name: String,
    /// The server that has it, as configured.
    pub server: String,
    /// Its name.
    pub slot: String,
    /// `physical` or `logical`.
    pub kind: Observed<String>,
    /// Whether somebody uses it now.
    pub active: Observed<bool>,
    /// What became of the WAL that it holds.
    pub wal_status: Observed<WalStatus>,
    /// Bytes of WAL that it holds. Unknown where it holds none yet, or has lost it.
    pub retained_bytes: Observed<i64>,
    /// Bytes that can still be written before it may lose WAL. Unknown where there is no limit.
    pub safe_wal_size_bytes: Observed<i64>,
}

/// What became of the WAL that a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WalStatus {
    /// It is there, within `max_wal_size`.
    Reserved,
    /// It is there, beyond `max_wal_size`.
    Extended,
    /// It is about to be removed.
    Unreserved,
    /// Some of it is gone: whoever uses the slot cannot go on.
    Lost,
    /// The slot has never held any.
    None,
}

/// What the primary says.
pub(super) struct Replication {
    pub(super) standbys: Observed<Vec<Standby>>,
    pub(super) sync: Sync,
    pub(super) slots: Observed<Vec<Slot>>,
    /// The `synchronous_commit` of everybody.
    pub(super) commit_level: Observed<String>,
}

/// Where the log ends, on a primary and on a standby.
const NOW: &str = "(select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
     else pg_current_wal_lsn() end as lsn) now";

fn standbys_sql() -> String {
    format!(
        "select r.application_name as name, coalesce(host(r.client_addr), '') as address, r.state,
          r.sync_state, coalesce(s.slot_name, '') as slot, coalesce(s.slot_type = 'logical', false) as logical,
          pg_wal_lsn_diff(now.lsn, r.sent_lsn)::bigint as sent,
          pg_wal_lsn_diff(now.lsn, r.write_lsn)::bigint as write,
          pg_wal_lsn_diff(now.lsn, r.flush_lsn)::bigint as flush,
          pg_wal_lsn_diff(now.lsn, r.replay_lsn)::bigint as replay,
          extract(epoch from clock_timestamp() - r.reply_time)::float8 as reply_age
        from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid, {NOW}
        where r.state is null or r.state not in ('startup', 'backup')
        order by r.application_name, r.pid"
    )
}

fn slots_sql(version: i64) -> String {
    let since_13 = if version >= 130_000 {
        "wal_status, safe_wal_size"
    } else {
        "null as unsupported"
    };
    format!(
        "select slot_name as slot, slot_type as kind, active, {since_13},
          pg_wal_lsn_diff(now.lsn, restart_lsn)::bigint as retained
        from pg_replication_slots, {NOW} order by slot_name"
    )
}

const SYNC: &str = "select current_setting('synchronous_standby_names') as names,
  (select reset_val from pg_settings where name = 'synchronous_commit') as commit,
  (select source from pg_settings where name = 'synchronous_commit') as commit_source,
  (select count(*) from pg_stat_activity where wait_event = 'SyncRep') as waiting,
  (select count(*) from pg_stat_activity where backend_type is null) as hidden";

/// Asks the primary, and every server for its slots.
pub(super) async fn read(
    session: &Session,
    targets: &[Arc<Target>],
    sessions: &[Result<Session, Failure>],
) -> Replication {
    let standbys_sql = standbys_sql();
    let (standbys, slots, sync) = futures_util::join!(
        session.rows(&standbys_sql, &[]),
        all_slots(targets, sessions),
        session.rows(SYNC, &[]),
    );
    let standbys = list(standbys, standby);
    let sync = first(sync);
    let commit_level = match &sync {
        Ok(row) => commit_level(session, row),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    };
    Replication {
        sync: self::sync(sync, &commit_level, &standbys),
        standbys,
        slots,
        commit_level,
    }
}

/// The slots of every server that could be asked; a server that could not is told of by its own
/// rule.
async fn all_slots(
    targets: &[Arc<Target>],
    sessions: &[Result<Session, Failure>],
) -> Observed<Vec<Slot>> {
    let asked = targets.iter().zip(sessions);
    let asked = asked.filter_map(|(target, session)| Some((target, session.as_ref().ok()?)));
    let answers = asked.map(|(target, session)| async move {
        let rows = session.rows(&slots_sql(session.version_num()), &[]).await;
        let server = target.dsn.name();
        list(rows, |row| slot(row, &server))
    });
    let mut all = Vec::new();
    for answer in futures_util::future::join_all(answers).await {
        match answer {
            Observed::Value(slots) => all.extend(slots),
            Observed::Unknown(unknown) => return Observed::Unknown(unknown),
        }
    }
    Observed::Value(all)
}

/// What everybody's commits wait for. Where nobody need confirm them it does not matter what hides
/// it.
fn commit_level(session: &Session, row: &Row) -> Observed<String> {
    let source = row.shown("commit_source");
    match session.is_server_wide("synchronous_commit", &source) {
        Ok(()) => row.must("commit"),
        Err(_) if row.shown("names").trim().is_empty() => Observed::Value("on".to_owned()),
        Err(hidden) => Observed::Unknown(hidden),
    }
}

impl Replication {
    /// Nothing, for this reason.
    pub(super) fn unknown(why: &Unknown) -> Self {
        Self {
            standbys: why.clone().into(),
            sync: Sync {
                standby_names: why.clone().into(),
                required: why.clone().into(),
                present: why.clone().into(),
                waiting_commits: why.clone().into(),
            },
            slots: why.clone().into(),
            commit_level: why.clone().into(),
        }
    }
}

type StateAndLag = (Observed<String>, Observed<i64>);

/// Of two standbys of one name: a state that is known and is not streaming, then one that is
/// unknown; the greater lag, unknown where either is.
fn worst(left: StateAndLag, right: StateAndLag) -> StateAndLag {
    let badness = |state: &Observed<String>| match state {
        Observed::Value(state) if state == "streaming" => 0,
        Observed::Unknown(_) => 1,
        Observed::Value(_) => 2,
    };
    let state = if badness(&left.0) >= badness(&right.0) {
        left.0
    } else {
        right.0
    };
    let lag = left.1.and_then(|left| right.1.map(|right| left.max(right)));
    (state, lag)
}

/// Each declared name among those that stream; where several have it, the worst of them.
pub(super) fn expected(
    names: &[String],
    standbys: &Observed<Vec<Standby>>,
) -> Vec<ExpectedStandby> {
    let of = |name: &String| {
        let (state, lag_bytes) = match standbys {
            Observed::Unknown(unknown) => (unknown.clone().into(), unknown.clone().into()),
            Observed::Value(standbys) => {
                let is_other = |seen: &&Standby| {
                    matches!(seen.kind, Observed::Value(Kind::Storage | Kind::Logical))
                };
                let named = standbys.iter().filter(|seen| seen.name == *name);
                let own = named.filter(|seen| !is_other(seen));
                // A name may be there twice: for a moment after a reconnection, or because two
                // servers have it, one of which may be far behind.
                own.map(|seen| {
                    let state = seen.kind.clone().and_then(|_| seen.state.clone());
                    (state, seen.lag_bytes.clone())
                })
                .reduce(worst)
                .unwrap_or_else(|| {
                    let why = "it is not connected";
                    (
                        Observed::Value("absent".to_owned()),
                        Observed::unknown(UnknownWhy::NotObserved, why),
                    )
                })
            }
        };
        ExpectedStandby {
            name: name.clone(),
            state,
            lag_bytes,
        }
    };
    names.iter().map(of).collect()
}

fn list<T>(
    rows: Result<Vec<Row>, Unknown>,
    f: impl Fn(&Row) -> Result<T, Unknown>,
) -> Observed<Vec<T>> {
    /// A server with more of them than this is none.
    const MOST: usize = 10_000;
    rows.and_then(|rows| {
        if rows.len() > MOST {
            return Err(unknown(UnknownWhy::TooLarge, format!("more than {MOST}")));
        }
        rows.iter().map(f).collect()
    })
    .map_or_else(Observed::Unknown, Observed::Value)
}

fn standby(row: &Row) -> Result<Standby, Unknown> {
    let sent = row.get::<i64>("sent")?.is_some();
    let stores_only = row.get::<i64>("write")?.is_some() && row.get::<i64>("replay")?.is_none();
    let stage = |column| {
        if sent {
            row.or_unknown(column, UnknownWhy::NotObserved, "it has not replied yet")
        } else {
            row.granted::<i64>(column, NEEDS_MONITOR)
        }
    };
    let logical = row.get::<bool>("logical")? == Some(true);
    let kind = if logical {
        Observed::Value(Kind::Logical)
    } else if stores_only {
        Observed::Value(Kind::Storage)
    } else {
        stage("replay").map(|_: i64| Kind::Standby)
    };
    let replay = if stores_only {
        Observed::unknown(UnknownWhy::NotApplicable, "it stores WAL and replays none")
    } else {
        stage("replay")
    };
    Ok(Standby {
        name: row.get("name")?.unwrap_or_default(),
        kind,
        address: row.get("address")?.unwrap_or_default(),
        state: row.granted("state", NEEDS_MONITOR),
        sync_state: row.granted("sync_state", NEEDS_MONITOR),
        slot: row.get("slot")?.unwrap_or_default(),
        sent_lag_bytes: stage("sent"),
        write_lag_bytes: stage("write"),
        flush_lag_bytes: stage("flush"),
        lag_bytes: stage(if stores_only { "write" } else { "replay" }),
        replay_lag_bytes: replay,
        reply_age_seconds: row.or_unknown(
            "reply_age",
            UnknownWhy::NotObserved,
            "no reply seen; needs pg_monitor",
        ),
    })
}

fn slot(row: &Row, server: &str) -> Result<Slot, Unknown> {
    let status = match row.get::<String>("wal_status") {
        Err(unknown) => Observed::Unknown(unknown),
        Ok(text) => match text.as_deref() {
            Some("reserved") => Observed::Value(WalStatus::Reserved),
            Some("extended") => Observed::Value(WalStatus::Extended),
            Some("unreserved") => Observed::Value(WalStatus::Unreserved),
            Some("lost") => Observed::Value(WalStatus::Lost),
            None => Observed::Value(WalStatus::None),
            Some(other) => Observed::unknown(UnknownWhy::Unparseable, other),
        },
    };
    let slot: String = row.get("slot")?.unwrap_or_default();
    Ok(Slot {
        name: format!("{slot} on {server}"),
        server: server.to_owned(),
        slot,
        kind: row.must("kind"),
        active: row.must("active"),
        wal_status: status,
        retained_bytes: row.or_unknown(
            "retained",
            UnknownWhy::NotApplicable,
            "the slot holds no WAL: it never did, or has lost it",
        ),
        safe_wal_size_bytes: row.or_unknown(
            "safe_wal_size",
            UnknownWhy::NotApplicable,
            "max_slot_wal_keep_size sets no limit, or the slot has lost its WAL",
        ),
    })
}

fn sync(
    row: Result<Row, Unknown>,
    commit_level: &Observed<String>,
    standbys: &Observed<Vec<Standby>>,
) -> Sync {
    let row = match row {
        Ok(row) => row,
        Err(unknown) => return Replication::unknown(&unknown).sync,
    };
    let standby_names: Observed<String> = row.must("names");
    let required = standby_names.clone().and_then(|names| {
        commit_level.clone().map(|level| match level.as_str() {
            "off" | "local" => 0,
            _ => required(&names),
        })
    });
    let present = match standbys {
        Observed::Unknown(unknown) => Observed::Unknown(unknown.clone()),
        Observed::Value(standbys) => present(standbys),
    };
    let waiting_commits = row.must::<i64>("waiting").and_then(|waiting| {
        if matches!(row.get::<i64>("hidden"), Ok(Some(0))) {
            Observed::Value(waiting)
        } else {
            Observed::unknown(UnknownWhy::Denied, NEEDS_MONITOR)
        }
    });
    Sync {
        standby_names,
        required,
        present,
        waiting_commits,
    }
}

/// Those that stream and count for a commit.
fn present(standbys: &[Standby]) -> Observed<i64> {
    let mut count = 0;
    for standby in standbys {
        match (&standby.state, &standby.sync_state) {
            (Observed::Value(state), Observed::Value(sync)) => {
                count +=
                    i64::from(state == "streaming" && matches!(sync.as_str(), "sync" | "quorum"));
            }
            (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => {
                return Observed::Unknown(unknown.clone());
            }
        }
    }
    Observed::Value(count)
}

/// How many must confirm, from `synchronous_standby_names`: `FIRST 2 (a, b, c)`, `ANY 1 (a, b)`,
/// `2 (a, b)`, or a list of which the first one counts.
fn required(names: &str) -> i64 {
    let names = names.trim();
    if names.is_empty() {
        return 0;
    }
    let Some((before, _)) = names.split_once('(') else {
        return 1;
    };
    let number = before.split_whitespace().last().unwrap_or_default();
    number.parse().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_synchronous_standbys_is_read() {
        for (names, wanted) in [
            ("", 0),
            ("a", 1),
            ("a, b", 1),
            ("*", 1),
            ("FIRST 2 (a, b, c)", 2),
            ("any 3(a,b,c)", 3),
            ("2 (a, b)", 2),
        ] {
            assert_eq!(required(names), wanted, "{names}");
        }
    }

    #[test]
    fn of_several_standbys_of_one_name_the_worst_counts() {
        let seen = |state: &str, lag| (Observed::Value(state.to_owned()), Observed::Value(lag));
        let (state, lag) = worst(seen("catchup", 5), seen("streaming", 7));
        assert_eq!((state, lag), seen("catchup", 7));
        let hidden = unknown(UnknownWhy::Denied, "hidden");
        let both = (hidden.clone().into(), hidden.into());
        let (state, lag) = worst(seen("streaming", 5), both);
        assert!(state.value().is_none() && lag.value().is_none());
    }
}
