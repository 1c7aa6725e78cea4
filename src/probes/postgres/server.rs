//! What every server is asked, whatever its role.

use schemars::JsonSchema;
use serde::Serialize;

use super::facts::{Role, Switch};
use super::lsn;
use super::plaintext::Plain;
use super::row::{Row, first};
use super::session::Session;
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::net::postgres::Target;

/// What a role without it does not see.
pub(super) const NEEDS_MONITOR: &str = "needs: GRANT pg_monitor TO the role of the probe";

/// One server.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Server {
    /// Host and port as configured.
    pub name: String,
    /// What it is declared as.
    pub declared: Role,
    /// Why it could not be asked: refused, silent, not trusted; empty where it could. Unknown
    /// where the login was refused, with the SQLSTATE, or where we could not look.
    pub connect_error: Observed<String>,
    /// Whether our connection to it has TLS.
    pub encrypted: Observed<bool>,
    /// Its version as a number, such as 150020 for 15.20.
    pub server_version_num: Observed<i64>,
    /// What it is: whether it is in recovery.
    pub role: Observed<Role>,
    /// Which database cluster its data belong to.
    pub system_identifier: Observed<String>,
    /// The timeline that it writes, or of which it receives WAL now.
    pub timeline: Observed<i64>,
    /// Of a standby: what its WAL receiver does.
    pub receiver: Observed<Receiver>,
    /// Of a standby: seconds since the last message from its upstream; 30 on an idle link is
    /// normal.
    pub receiver_silent_seconds: Observed<f64>,
    /// Of a standby: the `application_name` by which its upstream knows it.
    pub receiver_name: Observed<String>,
    /// Of a standby: whether replay goes on.
    pub replay: Observed<Replay>,
    /// Of a standby: WAL bytes of the primary that it has not replayed; negative where it has WAL
    /// that the primary does not have, so that their histories differ.
    pub lag_bytes: Observed<i64>,
    /// Of a standby that receives: age of the last transaction it replayed, 0 where it has
    /// replayed all that it received and the primary is no more than 1 MiB further. Unknown while
    /// nothing is received, and where the last message is more than a minute ago: a receiver that
    /// died or was cut off leaves everything as it was.
    pub lag_seconds: Observed<f64>,
    /// Of a standby: queries that replay has cancelled since its statistics were reset.
    pub replay_conflicts: Observed<i64>,
    /// Whether its pages have checksums.
    pub checksums: Observed<Switch>,
    /// Pages that failed their checksum since the statistics were reset.
    pub checksum_failures: Observed<i64>,
    /// Settings that are written in its files and hold only after a restart.
    pub pending_restart: Observed<Vec<String>>,
    /// Whether it takes an unencrypted startup for the same user and database.
    pub plaintext: Observed<Plain>,
}

/// What a WAL receiver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    /// It receives.
    Streaming,
    /// It is on its way to, or waits for what to do, or ends.
    Other,
    /// There is none: nothing is received.
    Absent,
}

/// Whether replay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    /// It does.
    Running,
    /// Somebody has paused it, or has asked for that.
    Paused,
}

/// Positions of a server, for comparison with the primary's.
#[derive(Debug, Clone)]
pub(super) struct Position {
    /// The last position it has replayed.
    pub(super) replayed: Observed<i64>,
    /// Whether that is all it has received.
    pub(super) is_all: bool,
    /// Age of the last transaction it replayed, seconds.
    pub(super) replay_age: Observed<f64>,
}

/// A link over which nothing has come for so long is not alive: by default there is a message every
/// 30 s.
const SILENT_SECONDS: f64 = 60.0;
/// A primary that writes is always a little further than what a standby had when it was asked.
const NEARLY_NOTHING_BYTES: i64 = 1 << 20;

impl Server {
    /// Sets how far it is behind the primary's end of the log.
    pub(super) fn set_lag(&mut self, position: &Position, end: &Observed<i64>) {
        let replayed = position.replayed.clone();
        let behind = |replayed| end.clone().map(|end| end.saturating_sub(replayed));
        self.lag_bytes = replayed.and_then(behind);
        // All that was received is not all there is: the link may have stopped since.
        if position.is_all && self.lag_seconds.value().is_some() {
            self.lag_seconds = self.lag_bytes.clone().and_then(|bytes| {
                if bytes < NEARLY_NOTHING_BYTES {
                    Observed::Value(0.0)
                } else {
                    position.replay_age.clone()
                }
            });
        }
    }
}

const BASICS: &str = "select pg_is_in_recovery() as in_recovery,
  current_setting('data_checksums') as checksums,
  (select sum(checksum_failures)::bigint from pg_stat_database) as checksum_failures,
  (select sum(conflicts)::bigint from pg_stat_database) as conflicts,
  case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_lsn()) end as segment";
const IDENTITY: &str = "select system_identifier::text as identifier from pg_control_system()";
const RECEIVER: &str = r"select status, received_tli,
  coalesce(substring(conninfo from '(?:^|\s)application_name=(\S+)'),
    substring(conninfo from 'fallback_application_name=(\S+)')) as name,
  extract(epoch from clock_timestamp() - last_msg_receipt_time)::float8 as silent_seconds
  from pg_stat_wal_receiver";
const PENDING: &str =
    "select pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') as complete,
  coalesce(json_agg(name order by name) filter (where pending_restart), '[]') as names
  from pg_settings";

/// Where replay stands; `pause` is what the version has to say that it is paused.
fn replay_sql(version: i64) -> String {
    let paused = if version >= 140_000 {
        "pg_get_wal_replay_pause_state() <> 'not paused'"
    } else {
        "pg_is_wal_replay_paused()"
    };
    format!(
        "select case when pg_is_in_recovery() then {paused} end as paused,
          pg_last_wal_receive_lsn()::text as received, pg_last_wal_replay_lsn()::text as replayed,
          extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as replay_age"
    )
}

/// Asks one server; `session` is the login there, or why there is none.
pub(super) async fn read(
    target: &Target,
    declared: Role,
    session: Result<&Session, &Failure>,
) -> (Server, Position) {
    let name = target.dsn.name();
    let session = match session {
        Ok(session) => session,
        Err(failure) => return unreachable_server(name, declared, failure),
    };
    let replay_sql = replay_sql(session.version_num());
    let (basics, identity, receiver, replay, pending_rows) = futures_util::join!(
        session.rows(BASICS, &[]),
        session.rows(IDENTITY, &[]),
        session.rows(RECEIVER, &[]),
        session.rows(&replay_sql, &[]),
        session.rows(PENDING, &[]),
    );
    let answers = Answers {
        basics: first(basics),
        receiver: receiver.map(|rows| rows.into_iter().next()),
        replay: first(replay),
    };
    let role = answers.basics(|row| row.must::<bool>("in_recovery").map(role));
    let (receiver, receiver_silent_seconds, receiver_name) = answers.receiver(&role);
    let server = Server {
        name,
        declared,
        connect_error: Observed::Value(String::new()),
        encrypted: Observed::Value(session.is_encrypted()),
        server_version_num: Observed::Value(session.version_num()),
        system_identifier: with(&first(identity), |row| row.must("identifier")),
        timeline: answers.timeline(&role),
        lag_seconds: answers.lag_seconds(&role, &receiver, &receiver_silent_seconds),
        receiver,
        receiver_silent_seconds,
        receiver_name,
        replay: on_standby(&role, || answers.replay(paused)),
        lag_bytes: Observed::unknown(UnknownWhy::NotObserved, "the primary could not be asked"),
        replay_conflicts: on_standby(&role, || answers.basics(|row| row.must("conflicts"))),
        checksums: answers.basics(|row| row.must::<String>("checksums").map(|on| switch(&on))),
        checksum_failures: answers.basics(|row| {
            let off = "data checksums are off on this server";
            row.or_unknown("checksum_failures", UnknownWhy::NotApplicable, off)
        }),
        pending_restart: with(&first(pending_rows), pending),
        plaintext: Observed::unknown(UnknownWhy::NotObserved, "not asked"),
        role,
    };
    let position = Position {
        replayed: on_standby(&server.role, || answers.replay(replayed)),
        is_all: answers.is_all(),
        replay_age: answers.replay(replay_age),
    };
    (server, position)
}

struct Answers {
    basics: Result<Row, Unknown>,
    receiver: Result<Option<Row>, Unknown>,
    replay: Result<Row, Unknown>,
}

impl Answers {
    fn basics<T>(&self, f: impl Fn(&Row) -> Observed<T>) -> Observed<T> {
        with(&self.basics, f)
    }

    fn replay<T>(&self, f: impl Fn(&Row) -> Observed<T>) -> Observed<T> {
        with(&self.replay, f)
    }

    fn receiver(
        &self,
        role: &Observed<Role>,
    ) -> (Observed<Receiver>, Observed<f64>, Observed<String>) {
        let status = on_standby(role, || match &self.receiver {
            Err(unknown) => Observed::Unknown(unknown.clone()),
            Ok(None) => Observed::Value(Receiver::Absent),
            Ok(Some(row)) => row
                .granted::<String>("status", NEEDS_MONITOR)
                .map(|status| match status.as_str() {
                    "streaming" => Receiver::Streaming,
                    _ => Receiver::Other,
                }),
        });
        let silent = on_standby(role, || match &self.receiver {
            Err(unknown) => Observed::Unknown(unknown.clone()),
            Ok(None) => Observed::unknown(UnknownWhy::NotApplicable, "there is no WAL receiver"),
            Ok(Some(row)) => row.granted("silent_seconds", NEEDS_MONITOR),
        });
        let name = on_standby(role, || match &self.receiver {
            Err(unknown) => Observed::Unknown(unknown.clone()),
            Ok(None) => Observed::unknown(UnknownWhy::NotApplicable, "there is no WAL receiver"),
            Ok(Some(row)) => row.granted("name", NEEDS_MONITOR),
        });
        (status, silent, name)
    }

    /// A primary writes the one of its current segment; a standby may have followed a promotion and
    /// still show an older one everywhere but in its receiver.
    fn timeline(&self, role: &Observed<Role>) -> Observed<i64> {
        match role {
            Observed::Unknown(unknown) => Observed::Unknown(unknown.clone()),
            Observed::Value(Role::Primary) => self.basics(|row| {
                row.must::<String>("segment").and_then(|segment| {
                    lsn::timeline(&segment).map_or_else(
                        || Observed::unknown(UnknownWhy::Unparseable, "no WAL segment's name"),
                        Observed::Value,
                    )
                })
            }),
            Observed::Value(Role::Standby) => match &self.receiver {
                Err(unknown) => Observed::Unknown(unknown.clone()),
                Ok(None) => Observed::unknown(UnknownWhy::NotObserved, "nothing is received"),
                Ok(Some(row)) => row.granted("received_tli", NEEDS_MONITOR),
            },
        }
    }

    /// Whether a standby has replayed all that it received.
    fn is_all(&self) -> bool {
        self.replay.as_ref().is_ok_and(|row| {
            let received = row.get::<String>("received").unwrap_or_default();
            received.is_some() && received == row.get::<String>("replayed").unwrap_or_default()
        })
    }

    fn lag_seconds(
        &self,
        role: &Observed<Role>,
        receiver: &Observed<Receiver>,
        silent: &Observed<f64>,
    ) -> Observed<f64> {
        on_standby(role, || match receiver {
            Observed::Unknown(unknown) => Observed::Unknown(unknown.clone()),
            Observed::Value(Receiver::Other | Receiver::Absent) => Observed::unknown(
                UnknownWhy::NotObserved,
                "nothing is received, so that the age of what was replayed says nothing",
            ),
            Observed::Value(Receiver::Streaming) => match silent {
                Observed::Unknown(unknown) => Observed::Unknown(unknown.clone()),
                Observed::Value(seconds) if *seconds >= SILENT_SECONDS => Observed::unknown(
                    UnknownWhy::NotObserved,
                    format!("nothing has come from the upstream for {seconds:.0} s"),
                ),
                Observed::Value(_) if self.is_all() => Observed::Value(0.0),
                Observed::Value(_) => self.replay(replay_age),
            },
        })
    }
}

/// What a row tells, or why there is none.
pub(super) fn with<T>(row: &Result<Row, Unknown>, f: impl Fn(&Row) -> Observed<T>) -> Observed<T> {
    match row {
        Ok(row) => f(row),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    }
}

fn on_standby<T>(role: &Observed<Role>, f: impl FnOnce() -> Observed<T>) -> Observed<T> {
    match role {
        Observed::Value(Role::Standby) => f(),
        Observed::Value(Role::Primary) => {
            Observed::unknown(UnknownWhy::NotApplicable, "this server is a primary")
        }
        Observed::Unknown(unknown) => Observed::Unknown(unknown.clone()),
    }
}

fn paused(row: &Row) -> Observed<Replay> {
    row.must::<bool>("paused").map(|paused| {
        if paused {
            Replay::Paused
        } else {
            Replay::Running
        }
    })
}

fn replay_age(row: &Row) -> Observed<f64> {
    let never = "no transaction has been replayed yet";
    row.or_unknown("replay_age", UnknownWhy::NotObserved, never)
}

fn replayed(row: &Row) -> Observed<i64> {
    row.must::<String>("replayed")
        .and_then(|text| position(&text))
}

/// A position as a number.
pub(super) fn position(text: &str) -> Observed<i64> {
    lsn::parse(text).map_or_else(
        || Observed::unknown(UnknownWhy::Unparseable, "no position in the WAL"),
        Observed::Value,
    )
}

/// Without the grant some settings are hidden: then an empty list shows nothing.
fn pending(row: &Row) -> Observed<Vec<String>> {
    let complete: Observed<bool> = row.must("complete");
    let names: Observed<Vec<String>> = row.must("names");
    match (complete, names) {
        (Observed::Value(false), Observed::Value(names)) if names.is_empty() => Observed::unknown(
            UnknownWhy::Denied,
            "some settings are hidden; needs: GRANT pg_read_all_settings (part of pg_monitor) TO the role of the probe",
        ),
        (Observed::Unknown(unknown), _) => Observed::Unknown(unknown),
        (_, names) => names,
    }
}

fn switch(text: &str) -> Switch {
    if text == "on" {
        Switch::On
    } else {
        Switch::Off
    }
}

const fn role(in_recovery: bool) -> Role {
    if in_recovery {
        Role::Standby
    } else {
        Role::Primary
    }
}

fn unreachable_server(name: String, declared: Role, failure: &Failure) -> (Server, Position) {
    let why = match failure.outcome() {
        Outcome::Denied => UnknownWhy::Denied,
        _ => UnknownWhy::NotObserved,
    };
    let detail = failure.detail();
    let server = Server {
        name,
        declared,
        connect_error: match failure.outcome() {
            Outcome::TargetError => Observed::Value(detail.to_owned()),
            _ => Observed::unknown(why, detail),
        },
        encrypted: Observed::unknown(why, detail),
        server_version_num: Observed::unknown(why, detail),
        role: Observed::unknown(why, detail),
        system_identifier: Observed::unknown(why, detail),
        timeline: Observed::unknown(why, detail),
        receiver: Observed::unknown(why, detail),
        receiver_silent_seconds: Observed::unknown(why, detail),
        receiver_name: Observed::unknown(why, detail),
        replay: Observed::unknown(why, detail),
        lag_bytes: Observed::unknown(why, detail),
        lag_seconds: Observed::unknown(why, detail),
        replay_conflicts: Observed::unknown(why, detail),
        checksums: Observed::unknown(why, detail),
        checksum_failures: Observed::unknown(why, detail),
        pending_restart: Observed::unknown(why, detail),
        plaintext: Observed::unknown(why, detail),
    };
    let replayed = Observed::unknown(why, detail);
    let position = Position {
        replayed,
        is_all: false,
        replay_age: Observed::unknown(why, detail),
    };
    (server, position)
}
