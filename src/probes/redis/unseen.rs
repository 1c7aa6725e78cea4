//! Servers of which nothing was seen, and why.

use super::cluster;
use super::config::Endpoint;
use super::connect::Down;
use super::facts::{DeclaredAs, Node, State};
use super::info::Info;
use super::node::{Asked, Replies, from_info};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use crate::net::NetError;

/// A server that could not be connected to.
pub fn unreached(endpoint: &Endpoint, declared_as: DeclaredAs, down: Down) -> Asked {
    let (state, failure) = state_of(down);
    let failure = hinted(failure, &state, endpoint);
    let why = match &state {
        Observed::Unknown(unknown) => unknown.clone(),
        Observed::Value(_) => Unknown {
            why: UnknownWhy::NotObserved,
            detail: failure.detail().to_owned(),
        },
    };
    let node = blind(
        endpoint,
        declared_as,
        state,
        failure.detail().to_owned(),
        &why,
    );
    Asked {
        node,
        endpoint: endpoint.clone(),
        remote: None,
        link: None,
        members: Err(why.clone()),
        failure: Some(failure),
        cluster_enabled: why.clone().into(),
        plaintext_port: why.into(),
        is_second_refused: false,
    }
}

/// Whether a server broke off without a word, or with words of another protocol.
pub fn said_nothing_readable(error: &str) -> bool {
    error.contains("closed the connection") || error.contains("not the Redis protocol")
}

/// A TLS handshake with a server that speaks none ends in silence, in words that are no TLS, or at once.
fn hinted(failure: Failure, state: &Observed<State>, endpoint: &Endpoint) -> Failure {
    let is_certificate = failure
        .detail()
        .to_ascii_lowercase()
        .contains("certificate");
    let is_met = matches!(state, Observed::Value(State::Broken | State::Silent));
    if !endpoint.tls || !is_met || is_certificate {
        return failure;
    }
    let detail = failure.detail();
    Failure::target(format!(
        "{detail}: where it is a port for plaintext, write `redis`"
    ))
}

/// What was met where there is no connection.
pub fn state_of(down: Down) -> (Observed<State>, Failure) {
    let state = match &down {
        Down::Net(NetError::Refused(_)) => Some(State::Refused),
        Down::Net(NetError::Filtered { .. }) => Some(State::Filtered),
        Down::Net(NetError::Silent { .. }) => Some(State::Silent),
        Down::Net(NetError::Broken { .. }) => Some(State::Broken),
        Down::Net(_) | Down::Own(_) => None,
    };
    let failure = Failure::from(down);
    debug_assert_eq!(state.is_some(), failure.outcome() == Outcome::TargetError);
    let state = state.map_or_else(
        || Observed::unknown(UnknownWhy::NotObserved, failure.detail()),
        Observed::Value,
    );
    (state, failure)
}

/// Stands for the nodes of a cluster that nobody named: nothing is known of them.
pub fn unnamed(url: &Endpoint, why: &Unknown) -> Node {
    let mut node = blind(
        url,
        DeclaredAs::ClusterNode,
        why.clone().into(),
        why.detail.clone(),
        why,
    );
    "the other nodes of the cluster".clone_into(&mut node.address);
    node
}

/// A server of which nothing was seen.
fn blind(
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
    state: Observed<State>,
    error: String,
    why: &Unknown,
) -> Node {
    let info = Info::unknown(why.clone());
    let replies = Replies::default();
    let mut node = from_info(&info, &replies, why, endpoint, declared_as);
    node.state = state;
    node.error = error;
    node.cluster = cluster::unseen(why);
    node
}
