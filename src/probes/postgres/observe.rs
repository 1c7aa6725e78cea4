//! One attempt: logs in everywhere at once, and asks every server everything at once.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::activity::{self, Activity};
use super::archiver::{self, Archiver};
use super::canary::{self, Canary};
use super::facts::{Facts, Role};
use super::hba;
use super::plaintext;
use super::pooler::{self, Pooler};
use super::replication::{self, Replication};
use super::row::{first, unknown};
use super::server::{self, Position, Server, position, with};
use super::session::Session;
use super::{Postgres, database, patroni, settings};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::net::postgres::Target;
use crate::probes::Context;

pub(super) async fn observe(probe: &Postgres, ctx: &Context) -> Result<Facts, Failure> {
    // A little is kept to return what was seen.
    let deadline = ctx.deadline() - ctx.remaining() / 20;
    // A server that hangs at the login takes half of the time, not all of it.
    let login_deadline = ctx.share(2);
    let logins = probe
        .targets
        .iter()
        .map(|target| Session::open(ctx, target, login_deadline, deadline));
    let sessions = join_all(logins).await;
    if let Some(failure) = nothing_seen(&sessions) {
        return Err(failure);
    }
    // Boxed: it holds what is asked of all servers at once.
    let facts = Box::pin(ask(probe, ctx, &sessions, deadline)).await;
    join_all(sessions.into_iter().flatten().map(Session::close)).await;
    Ok(facts)
}

async fn ask(
    probe: &Postgres,
    ctx: &Context,
    sessions: &[Result<Session, Failure>],
    deadline: Instant,
) -> Facts {
    let primary = match sessions.first() {
        Some(Ok(session)) => Ok(session),
        Some(Err(failure)) => Err(not_seen(failure)),
        None => Err(not_seen(&Failure::probe("no server is configured"))),
    };
    let servers = probe.targets.iter().zip(sessions).enumerate();
    let servers = join_all(servers.map(|(at, (target, session))| {
        let declared = if at == 0 {
            Role::Primary
        } else {
            Role::Standby
        };
        one_server(probe, ctx, target, declared, session.as_ref(), deadline)
    }));
    let patroni = join_all(
        probe
            .patroni
            .iter()
            .map(|declared| patroni::read(ctx, declared, deadline)),
    );
    // The statements of one session go out in this order: what may be slow comes last.
    let config = &probe.config;
    let (servers, (replication, archiver, activity), database, hba, patroni) = futures_util::join!(
        servers,
        cluster(probe, sessions),
        database::read(primary.as_ref().copied(), config, probe.revisions.as_ref()),
        hba::files(probe, sessions),
        patroni,
    );
    let mut settings = Vec::new();
    let mut seen = Vec::new();
    for (server, position, own) in servers {
        settings.extend(own);
        seen.push((server, position));
    }
    let servers = with_lags(seen, primary.clone()).await;
    let (queries, pooler) = futures_util::join!(
        database::queries(primary.as_ref().copied(), config),
        pooler(probe, ctx, primary.clone(), deadline),
    );
    // On the same connection, so that it comes when nothing else is under way there.
    let canary = canary(probe, ctx, primary.clone(), &replication, deadline).await;
    let own = servers.first();
    Facts {
        server_version_num: fact(own, |server| server.server_version_num.clone()),
        system_identifier: fact(own, |server| server.system_identifier.clone()),
        timeline: fact(own, |server| server.timeline.clone()),
        split_brain: split_brain(&servers),
        expected_standbys: replication::expected(
            &probe.config.expect_standbys,
            &replication.standbys,
        ),
        standbys: replication.standbys,
        sync: replication.sync,
        slots: replication.slots,
        archiver,
        connections: activity.connections,
        transactions: activity.transactions,
        wraparound: activity.wraparound,
        settings,
        pooler,
        patroni,
        canary,
        servers,
        readers: database.readers,
        audit: database.audit,
        encrypted_columns: database.encrypted_columns,
        migrations: database.migrations,
        indexes: database.indexes,
        queries,
        hba,
    }
}

/// What stands before the primary.
async fn pooler(
    probe: &Postgres,
    ctx: &Context,
    primary: Result<&Session, Unknown>,
    deadline: Instant,
) -> Pooler {
    match (primary, probe.targets.first()) {
        (Ok(session), Some(target)) => pooler::read(ctx, target, session, deadline).await,
        (Err(why), _) => Pooler::unknown(&why),
        (_, None) => Pooler::unknown(&unknown(UnknownWhy::NotObserved, "no server is configured")),
    }
}

/// A commit of our own, where it is allowed.
async fn canary(
    probe: &Postgres,
    ctx: &Context,
    primary: Result<&Session, Unknown>,
    replication: &Replication,
    deadline: Instant,
) -> Canary {
    if !probe.config.allow_writes {
        let why = "`allow_writes = true` is not declared";
        return Canary::unknown(&unknown(UnknownWhy::NotApplicable, why));
    }
    let (session, target) = match (primary, probe.targets.first()) {
        (Ok(session), Some(target)) => (session, target),
        (Err(why), _) => return Canary::unknown(&why),
        (_, None) => {
            let why = "no server is configured";
            return Canary::unknown(&unknown(UnknownWhy::NotObserved, why));
        }
    };
    match &replication.commit_level {
        Observed::Value(level) => canary::run(ctx, target, session, level, deadline).await,
        Observed::Unknown(why) => Canary::unknown(why),
    }
}

async fn one_server(
    probe: &Postgres,
    ctx: &Context,
    target: &Target,
    declared: Role,
    session: Result<&Session, &Failure>,
    deadline: Instant,
) -> (Server, Position, Vec<settings::Setting>) {
    let plain = async {
        match (probe.config.plaintext, session) {
            (None, _) => {
                Observed::unknown(UnknownWhy::NotApplicable, "`plaintext` is not declared")
            }
            // Without a login that gets through, a refusal proves nothing.
            (Some(_), Err(failure)) => Observed::Unknown(not_seen(failure)),
            (Some(_), Ok(_)) => plaintext::read(ctx, target, deadline).await,
        }
    };
    let (plain, (server, position), settings) = futures_util::join!(
        plain,
        server::read(target, declared, session),
        settings::read(target, &probe.config.settings, session.map_err(not_seen),),
    );
    (
        Server {
            plaintext: plain,
            ..server
        },
        position,
        settings,
    )
}

/// What only the primary tells of the whole cluster.
async fn cluster(
    probe: &Postgres,
    sessions: &[Result<Session, Failure>],
) -> (Replication, Archiver, Activity) {
    let primary = match sessions.first() {
        Some(Ok(session)) => Ok(session),
        Some(Err(failure)) => Err(not_seen(failure)),
        None => Err(not_seen(&Failure::probe("no server is configured"))),
    };
    match primary {
        Ok(session) => {
            futures_util::join!(
                replication::read(session, &probe.targets, sessions),
                archiver::read(session),
                activity::read(session),
            )
        }
        Err(why) => (
            Replication::unknown(&why),
            Archiver::unknown(&why),
            Activity::unknown(&why),
        ),
    }
}

/// Compares every standby with where the primary's log ends after all of them were asked, so that a
/// standby ahead of it has another history and not only a later answer.
async fn with_lags(
    mut seen: Vec<(Server, Position)>,
    primary: Result<&Session, Unknown>,
) -> Vec<Server> {
    const END: &str = "select pg_current_wal_lsn()::text as lsn";
    if seen.len() > 1 {
        let row = match primary {
            Ok(session) => first(session.rows(END, &[]).await),
            Err(unknown) => Err(unknown),
        };
        let end = with(&row, |row| {
            row.must::<String>("lsn").and_then(|text| position(&text))
        });
        for (server, position) in seen.iter_mut().skip(1) {
            server.set_lag(position, &end);
        }
    }
    if let Some((server, position)) = seen.first_mut() {
        server.lag_bytes = position.replayed.clone().and_then(|_| {
            let detail = "this server is declared as the primary";
            Observed::unknown(UnknownWhy::NotApplicable, detail)
        });
    }
    seen.into_iter().map(|(server, _)| server).collect()
}

fn fact<T>(server: Option<&Server>, f: impl Fn(&Server) -> Observed<T>) -> Observed<T> {
    server.map_or_else(
        || Observed::unknown(UnknownWhy::NotObserved, "no server is configured"),
        f,
    )
}

/// Those that accept writes beside another server of the same cluster.
fn split_brain(servers: &[Server]) -> Observed<Vec<String>> {
    let mut first: Option<&String> = None;
    let mut others = Vec::new();
    let mut unseen = None;
    for server in servers {
        match (&server.role, &server.system_identifier) {
            (Observed::Value(Role::Primary), Observed::Value(identifier)) => match first {
                None => first = Some(identifier),
                Some(known) if known == identifier => others.push(server.name.clone()),
                Some(_) => {}
            },
            (Observed::Value(Role::Standby), _) => {}
            (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => {
                unseen = unseen.or(Some(unknown.clone()));
            }
        }
    }
    match unseen {
        Some(unknown) if others.is_empty() => Observed::Unknown(unknown),
        _ => Observed::Value(others),
    }
}

/// Why nothing is known of a server that could not be asked.
pub(super) fn not_seen(failure: &Failure) -> Unknown {
    Unknown {
        why: match failure.outcome() {
            Outcome::Denied => UnknownWhy::Denied,
            _ => UnknownWhy::NotObserved,
        },
        detail: failure.detail().to_owned(),
    }
}

/// Why nothing was observed: no server could be asked, and for one reason. Where one is broken and
/// another refused us, each is told of itself.
fn nothing_seen(sessions: &[Result<Session, Failure>]) -> Option<Failure> {
    let failures: Vec<&Failure> = sessions
        .iter()
        .map(|session| session.as_ref().err())
        .collect::<Option<_>>()?;
    let first = *failures.first()?;
    let alike = failures
        .iter()
        .all(|failure| failure.outcome() == first.outcome());
    alike.then(|| first.clone())
}
