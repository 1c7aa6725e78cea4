//! The plaintext port beside TLS: it must not answer, while the TLS port did.

use redis::cmd;
use tokio::time::Instant;

use super::config::{Config, Endpoint};
use super::connect::{Dial, Down};
use super::facts::PortState;
use super::node::Asked;
use super::reply::Problem;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::NetError;

/// Looks at the plaintext port of the server at `url`.
pub async fn observe(
    dial: &Dial<'_>,
    config: &Config,
    asked: &[Asked],
    deadline: Instant,
) -> Observed<PortState> {
    let not_asked = |why, detail: &str| Observed::unknown(why, detail);
    let Some(url) = asked.first() else {
        return not_asked(UnknownWhy::NotObserved, "no server was asked");
    };
    if !config.is_tls() {
        return not_asked(UnknownWhy::NotApplicable, "`url` is not `rediss`");
    }
    if url.link.is_none() {
        let detail = "without an answer of the TLS port a silent port proves nothing";
        return not_asked(UnknownWhy::NotObserved, detail);
    }
    let port = match (config.plaintext_port, &url.plaintext_port) {
        (Some(port), _) => i64::from(port),
        (None, Observed::Value(port)) => *port,
        (None, Observed::Unknown(unknown)) => return unknown.clone().into(),
    };
    match u16::try_from(port) {
        Ok(0) => Observed::Value(PortState::Closed),
        Ok(port) => look(dial, &url.endpoint, port, deadline).await,
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
        Err(Problem::Broken(_)) => Observed::Value(PortState::Closed),
        Err(problem) => problem.unknown("PING").into(),
    }
}
