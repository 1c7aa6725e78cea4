//! One attempt: logs in everywhere at once, and asks every server everything at once.

use futures_util::future::join_all;

use super::facts::{Facts, Role};
use super::hba::{self, Hba};
use super::session::Session;
use super::{Postgres, database, server};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::probes::Context;

pub(super) async fn observe(probe: &Postgres, ctx: &Context) -> Result<Facts, Failure> {
    let config = &probe.config;
    // A little is kept to return what was seen.
    let deadline = ctx.deadline() - ctx.remaining() / 20;
    let logins = probe
        .targets
        .iter()
        .map(|target| Session::open(ctx, target, deadline));
    let sessions = join_all(logins).await;
    if let Some(failure) = nothing_seen(&sessions) {
        return Err(failure);
    }
    let primary = match sessions.first() {
        Some(Ok(session)) => Ok(session),
        Some(Err(failure)) => Err(not_seen(failure)),
        None => Err(not_seen(&Failure::probe("no server is configured"))),
    };
    let servers = probe.targets.iter().zip(&sessions).enumerate();
    let servers = join_all(servers.map(|(at, (target, session))| {
        let declared = if at == 0 {
            Role::Primary
        } else {
            Role::Standby
        };
        server::read(target, declared, session.as_ref())
    }));
    // The statements of one session go out in this order: what may be slow comes last.
    let database = database::read(primary.as_ref().copied(), config, probe.revisions.as_ref());
    let hba = hba_files(probe, &sessions);
    let (servers, database, hba) = futures_util::join!(servers, database, hba);
    let queries = database::queries(primary.as_ref().copied(), config).await;
    Ok(Facts {
        server_version_num: match primary {
            Ok(session) => Observed::Value(session.version_num()),
            Err(unknown) => Observed::Unknown(unknown),
        },
        servers,
        readers: database.readers,
        audit: database.audit,
        encrypted_columns: database.encrypted_columns,
        migrations: database.migrations,
        indexes: database.indexes,
        queries,
        hba,
    })
}

async fn hba_files(probe: &Postgres, sessions: &[Result<Session, Failure>]) -> Observed<Vec<Hba>> {
    if probe.config.hba.is_none() {
        return Observed::unknown(UnknownWhy::NotApplicable, "`hba` is not declared");
    }
    let files = probe.targets.iter().zip(sessions).map(|(target, session)| {
        hba::read(
            target.dsn.name(),
            session.as_ref().map_err(|failure| not_seen(failure)),
        )
    });
    Observed::Value(join_all(files).await)
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

/// Why no server at all could be asked: broken where any is, else refused, else we could not look.
fn nothing_seen(sessions: &[Result<Session, Failure>]) -> Option<Failure> {
    let failures: Vec<&Failure> = sessions
        .iter()
        .map(|session| session.as_ref().err())
        .collect::<Option<_>>()?;
    let worst = [Outcome::TargetError, Outcome::Denied, Outcome::ProbeError]
        .iter()
        .find_map(|outcome| {
            failures
                .iter()
                .find(|failure| failure.outcome() == *outcome)
        });
    worst.map(|failure| (*failure).clone())
}
