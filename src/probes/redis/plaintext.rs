//! The plaintext ports beside TLS: they must not answer, while the TLS ports did.

use futures_util::future::join_all;
use redis::cmd;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::AT_ONCE;
use super::config::{Config, Endpoint};
use super::connect::{Dial, Down};
use super::facts::PortState;
use super::node::Asked;
use super::reply::Problem;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::NetError;

/// Looks at the plaintext ports of each server, in their order.
pub async fn observe(
    dial: &Dial<'_>,
    config: &Config,
    asked: &[Asked],
    deadline: Instant,
) -> Vec<Observed<PortState>> {
    let permits = Semaphore::new(AT_ONCE);
    let looking = asked.iter().map(|one| async {
        let _permit = permits.acquire().await;
        beside(dial, config, one, deadline).await
    });
    join_all(looking).await
}

/// All of them together: one that is open counts, whatever is not known of the others.
pub fn worst<'n>(states: impl Iterator<Item = &'n Observed<PortState>>) -> Observed<PortState> {
    states
        .cloned()
        .reduce(|known, new| match (&known, &new) {
            (Observed::Value(PortState::Open), _) => known,
            (_, Observed::Value(PortState::Open)) => new,
            (Observed::Unknown(_), _) => known,
            _ => new,
        })
        .unwrap_or_else(|| Observed::unknown(UnknownWhy::NotObserved, "no server was asked"))
}

async fn beside(
    dial: &Dial<'_>,
    config: &Config,
    one: &Asked,
    deadline: Instant,
) -> Observed<PortState> {
    let not_asked = |why, detail: &str| Observed::unknown(why, detail);
    if !config.is_tls() {
        return not_asked(UnknownWhy::NotApplicable, "`url` is not `rediss`");
    }
    if !one.endpoint.tls && one.failure.is_none() {
        return Observed::Value(PortState::Open);
    }
    if one.failure.is_some() {
        let detail = "without an answer of the TLS port a silent port proves nothing";
        return not_asked(UnknownWhy::NotObserved, detail);
    }
    let named = match &one.plaintext_port {
        Observed::Value(port) => named(dial, one, *port, deadline).await,
        Observed::Unknown(unknown) => unknown.clone().into(),
    };
    let Some(declared) = config.plaintext_port else {
        return named;
    };
    if one.plaintext_port == Observed::Value(i64::from(declared)) {
        return named;
    }
    let declared = look(dial, &one.endpoint, declared, deadline).await;
    // The one that is declared stands for a name that the server does not give away.
    if one.plaintext_port.value().is_none() {
        return declared;
    }
    worst([&named, &declared].into_iter())
}

/// The port that the server itself names; 0: it has none.
async fn named(dial: &Dial<'_>, one: &Asked, port: i64, deadline: Instant) -> Observed<PortState> {
    match u16::try_from(port) {
        Ok(0) => Observed::Value(PortState::Closed),
        Ok(port) => look(dial, &one.endpoint, port, deadline).await,
        Err(_) => super::reply::unparseable("CONFIG GET port").into(),
    }
}

async fn look(
    dial: &Dial<'_>,
    url: &Endpoint,
    port: u16,
    deadline: Instant,
) -> Observed<PortState> {
    let endpoint = Endpoint {
        tls: false,
        port,
        ..url.anonymous()
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let link = match dial.open(&endpoint, Instant::now() + left / 2).await {
        Ok(link) => link,
        Err(Down::Net(NetError::Refused(_) | NetError::Filtered { .. })) => {
            return Observed::Value(PortState::Closed);
        }
        Err(down) => {
            let failure = crate::evidence::Failure::from(down);
            return Observed::unknown(UnknownWhy::NotObserved, failure.detail());
        }
    };
    match link.ask_one(cmd("PING"), deadline).await {
        // Also a refusal is an answer that was sent in the clear.
        Ok(_) | Err(Problem::Refused { .. }) => Observed::Value(PortState::Open),
        // What ends the connection without a word of the protocol is there, and may take others in.
        Err(problem) => problem.unknown("PING").into(),
    }
}
