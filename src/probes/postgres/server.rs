//! What every server is asked, whatever its role.

use super::config::Target;
use super::facts::{Role, Server};
use super::row::{Row, first};
use super::session::Session;
use crate::evidence::{Failure, Observed, Outcome, UnknownWhy};

/// Asks one server; `session` is the login there, or why there is none.
pub(super) async fn read(
    target: &Target,
    declared: Role,
    session: Result<&Session, &Failure>,
) -> Server {
    let name = target.dsn.name();
    let session = match session {
        Ok(session) => session,
        Err(failure) => return unreachable_server(name, declared, failure),
    };
    let row = first(session.rows(BASICS, &[]).await);
    let with = |f: &dyn Fn(&Row) -> Observed<Role>| match &row {
        Ok(row) => f(row),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    };
    Server {
        name,
        declared,
        connect_error: Observed::Value(String::new()),
        encrypted: Observed::Value(session.is_encrypted()),
        server_version_num: Observed::Value(session.version_num()),
        role: with(&|row| row.must::<bool>("in_recovery").map(role)),
    }
}

const BASICS: &str = "select pg_is_in_recovery() as in_recovery";

const fn role(in_recovery: bool) -> Role {
    if in_recovery {
        Role::Standby
    } else {
        Role::Primary
    }
}

fn unreachable_server(name: String, declared: Role, failure: &Failure) -> Server {
    let detail = failure.detail();
    let connect_error = match failure.outcome() {
        Outcome::Denied => Observed::unknown(UnknownWhy::Denied, detail),
        Outcome::ProbeError => Observed::unknown(UnknownWhy::NotObserved, detail),
        Outcome::TargetError | Outcome::Observed => Observed::Value(detail.to_owned()),
    };
    Server {
        name,
        declared,
        connect_error,
        encrypted: Observed::unknown(UnknownWhy::NotObserved, detail),
        server_version_num: Observed::unknown(UnknownWhy::NotObserved, detail),
        role: Observed::unknown(UnknownWhy::NotObserved, detail),
    }
}
