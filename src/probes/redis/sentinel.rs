//! The sentinels: each is asked itself what it would do.

use std::net::{IpAddr, SocketAddr};

use redis::{Cmd, Value, cmd};
use tokio::time::Instant;

use super::commands::auth;
use super::config::Endpoint;
use super::connect::{Dial, Link};
use super::door::{login, turned_away};
use super::facts::{Node, Quorum, Sentinel, State};
use super::info::Info;
use super::reply::{self, Problem, Reply};
use super::unseen::state_of;
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};

/// A sentinel that was asked.
pub struct Asked {
    pub sentinel: Sentinel,
    /// Why nothing was observed.
    pub failure: Option<Failure>,
    /// Where it was found.
    remote: Option<SocketAddr>,
}

/// Asks one sentinel.
pub async fn ask(dial: &Dial<'_>, endpoint: &Endpoint, master: &str, deadline: Instant) -> Asked {
    match dial.open(endpoint, deadline).await {
        Ok(link) => {
            let (sentinel, failure) = ask_over(dial, endpoint, master, &link, deadline).await;
            Asked {
                sentinel,
                failure,
                remote: Some(link.remote),
            }
        }
        Err(down) => {
            let (state, failure) = state_of(down);
            let why = Unknown {
                why: UnknownWhy::NotObserved,
                detail: failure.detail().to_owned(),
            };
            Asked {
                sentinel: blind(endpoint, state, &why),
                failure: Some(failure),
                remote: None,
            }
        }
    }
}

async fn ask_over(
    dial: &Dial<'_>,
    endpoint: &Endpoint,
    master: &str,
    link: &Link,
    deadline: Instant,
) -> (Sentinel, Option<Failure>) {
    let question = |words: &[&str]| -> Cmd {
        let mut command = cmd("SENTINEL");
        for word in words {
            command.arg(*word);
        }
        command
    };
    let mut commands = vec![
        cmd("PING"),
        question(&["MASTER", master]),
        question(&["CKQUORUM", master]),
        cmd("INFO"),
    ];
    let has_login = match auth(endpoint) {
        Some(auth) => {
            commands.insert(0, auth);
            true
        }
        None => false,
    };
    let replies = link.ask(&commands, deadline).await;
    let (first, rest) = replies.split_at(usize::from(has_login));
    let login = login(first.first(), endpoint, rest.first());
    if let Observed::Unknown(unknown) = &login
        && unknown.why == UnknownWhy::Denied
    {
        let failure = Failure::denied(unknown.detail.clone());
        return (
            blind(endpoint, unknown.clone().into(), unknown),
            Some(failure),
        );
    }
    let heard = rest
        .iter()
        .any(|reply| matches!(reply, Ok(_) | Err(Problem::Refused { .. })));
    if !heard {
        if rest
            .iter()
            .any(|reply| matches!(reply, Err(Problem::Broken(_))))
            && let Some(said) = dial.greeting(endpoint, deadline).await
        {
            let (state, _, failure) = turned_away(&said);
            return (blind(endpoint, state, &said.unknown("connect")), failure);
        }
        let (state, why) = match rest.iter().find_map(|reply| reply.as_ref().err()) {
            Some(problem @ (Problem::Broken(_) | Problem::TooLarge(_))) => {
                (State::Broken, problem.unknown("PING"))
            }
            _ => (State::Silent, Problem::Silent.unknown("PING")),
        };
        let failure = Failure::target(why.detail.clone());
        return (blind(endpoint, Observed::Value(state), &why), Some(failure));
    }
    (read(endpoint, rest), None)
}

fn blind(endpoint: &Endpoint, state: Observed<State>, why: &Unknown) -> Sentinel {
    Sentinel {
        address: endpoint.address(),
        state,
        error: why.detail.clone(),
        run_id: why.clone().into(),
        quorum: why.clone().into(),
        quorum_text: why.clone().into(),
        primary: why.clone().into(),
        primary_run_id: why.clone().into(),
        names_url: why.clone().into(),
        primary_down: why.clone().into(),
        failover_in_progress: why.clone().into(),
        config_epoch: why.clone().into(),
        replicas: why.clone().into(),
        other_sentinels: why.clone().into(),
        required: why.clone().into(),
        tilt: why.clone().into(),
    }
}

/// The replies to `PING`, `SENTINEL MASTER`, `SENTINEL CKQUORUM` and `INFO`.
fn read(endpoint: &Endpoint, replies: &[Reply]) -> Sentinel {
    let master = Master(reply::value(replies.get(1), "SENTINEL MASTER"));
    let (quorum, quorum_text) = quorum(replies.get(2));
    let flag = |wanted: &'static [&'static str]| {
        master
            .text("flags")
            .map(|flags| flags.split(',').any(|flag| wanted.contains(&flag)))
    };
    let host = master.text("ip");
    let primary = super::memory::both(&host, &master.text("port"), |host, port| {
        reply::printable(&format!("{host}:{port}"))
    });
    let info = match reply::value(replies.get(3), "INFO") {
        Err(unknown) => Info::unknown(unknown),
        Ok(value) => Info::parse(&reply::text(value).unwrap_or_default()),
    };
    let run_id = master.text("runid").and_then(|run_id| {
        if run_id.is_empty() {
            let why = "the sentinel has not read the primary's run id yet";
            return Observed::unknown(UnknownWhy::NotObserved, why);
        }
        Observed::Value(reply::printable(&run_id))
    });
    Sentinel {
        address: endpoint.address(),
        state: Observed::Value(State::Answered),
        error: String::new(),
        run_id: info.text("run_id"),
        quorum,
        quorum_text,
        primary,
        primary_run_id: run_id,
        names_url: Observed::unknown(UnknownWhy::NotObserved, "it was not compared"),
        primary_down: flag(&["s_down", "o_down"]),
        failover_in_progress: flag(&["failover_in_progress"]),
        config_epoch: master.int("config-epoch"),
        replicas: master.int("num-slaves"),
        other_sentinels: master.int("num-other-sentinels"),
        required: master.int("quorum"),
        tilt: info.flag("sentinel_tilt"),
    }
}

fn quorum(reply: Option<&Reply>) -> (Observed<Quorum>, Observed<String>) {
    const COMMAND: &str = "SENTINEL CKQUORUM";
    match reply {
        Some(Err(problem @ Problem::Refused { code, text })) => {
            let answer = match code.as_str() {
                "NOQUORUM" => Quorum::NotReached,
                "ERR" if text.contains("No such master") => Quorum::NoSuchMaster,
                _ => {
                    let unknown = problem.unknown(COMMAND);
                    return (unknown.clone().into(), unknown.into());
                }
            };
            let said = format!("{code} {text}");
            (Observed::Value(answer), Observed::Value(said))
        }
        other => match reply::value(other, COMMAND) {
            Err(unknown) => (unknown.clone().into(), unknown.into()),
            Ok(value) => match reply::text(value) {
                Some(said) if said.starts_with("OK") => (
                    Observed::Value(Quorum::Ok),
                    Observed::Value(reply::printable(&said)),
                ),
                _ => {
                    let unknown = reply::unparseable(COMMAND);
                    (unknown.clone().into(), unknown.into())
                }
            },
        },
    }
}

/// The reply of `SENTINEL MASTER`.
struct Master<'r>(Result<&'r Value, Unknown>);

impl Master<'_> {
    fn text(&self, key: &str) -> Observed<String> {
        match &self.0 {
            Err(unknown) => unknown.clone().into(),
            Ok(value) => reply::field(value, key).and_then(reply::text).map_or_else(
                || {
                    Observed::unknown(
                        UnknownWhy::Unsupported,
                        format!("SENTINEL MASTER has no `{key}` on this sentinel"),
                    )
                },
                Observed::Value,
            ),
        }
    }

    fn int(&self, key: &str) -> Observed<i64> {
        self.text(key).and_then(|text| {
            text.parse().map_or_else(
                |_| reply::unparseable("SENTINEL MASTER").into(),
                Observed::Value,
            )
        })
    }
}

/// Holds what the sentinels name against the server at `url`. Addresses differ behind proxies and
/// announced names; the run id does not. Of a primary that it has just made, a sentinel knows the address
/// alone: where that is the one at `url`, it tells enough.
pub fn compare(sentinels: &mut [Asked], url: &Node, remote: Option<SocketAddr>) {
    for asked in sentinels {
        let is_same_address = matches!(
            (&asked.sentinel.primary, remote, asked.remote),
            (Observed::Value(named), Some(url), Some(own)) if is_at(named, url, own)
        );
        let sentinel = &mut asked.sentinel;
        sentinel.names_url = match (&sentinel.primary_run_id, &url.run_id) {
            (Observed::Unknown(_), Observed::Value(_)) if is_same_address => Observed::Value(true),
            (named, own) => super::memory::both(named, own, |named, own| named == own),
        };
    }
}

/// Whether a sentinel's address for its primary leads to where `url` leads us. A loopback address is that of
/// the sentinel's own host, which is ours only where we reach the sentinel over one too.
fn is_at(named: &str, url: SocketAddr, sentinel: SocketAddr) -> bool {
    let url_ip = url.ip().to_canonical();
    let Some((host, port)) = named.rsplit_once(':') else {
        return false;
    };
    let is_equal = host
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip.to_canonical() == url_ip)
        && port.parse() == Ok(url.port());
    is_equal && (!url_ip.is_loopback() || sentinel.ip().to_canonical().is_loopback())
}

/// Whether the sentinels that answered are different processes.
pub fn distinct(sentinels: &[Sentinel]) -> Observed<bool> {
    let answered = sentinels
        .iter()
        .filter(|sentinel| sentinel.state == Observed::Value(State::Answered));
    super::node::all_different(answered.map(|sentinel| &sentinel.run_id))
}

/// Whether all that answered name the same address. One of several that answered agrees with nobody, and one
/// that is there and does not tell us may name another.
pub fn agree(sentinels: &[Sentinel]) -> Observed<bool> {
    if sentinels.is_empty() {
        return Observed::unknown(UnknownWhy::NotApplicable, "no `sentinels` are declared");
    }
    let (mut named, mut untold) = (Vec::new(), None);
    for sentinel in sentinels {
        match (&sentinel.primary, sentinel.state.value()) {
            (Observed::Value(address), _) => named.push(address),
            (Observed::Unknown(unknown), Some(State::Answered) | None) => {
                untold = untold.or(Some(unknown));
            }
            (Observed::Unknown(_), Some(_)) => {}
        }
    }
    let Some((first, others)) = named.split_first() else {
        return Observed::unknown(UnknownWhy::NotObserved, "no sentinel answered");
    };
    match untold {
        _ if others.iter().any(|other| other != first) => Observed::Value(false),
        Some(unknown) => unknown.clone().into(),
        None if others.is_empty() && sentinels.len() > 1 => Observed::unknown(
            UnknownWhy::NotObserved,
            "one sentinel alone answered: nobody said the same",
        ),
        None => Observed::Value(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_is_that_of_the_sentinel_s_own_host() {
        let at = |named: &str, url: &str, sentinel: &str| {
            let address = |text: &str| text.parse().expect("an address");
            is_at(named, address(url), address(sentinel))
        };
        assert!(at("10.0.0.1:6379", "10.0.0.1:6379", "10.0.0.9:26379"));
        assert!(at("127.0.0.1:6379", "127.0.0.1:6379", "[::1]:26379"));
        assert!(at("::1:6379", "[::1]:6379", "[::1]:26379"));
        assert!(!at("127.0.0.1:6379", "127.0.0.1:6379", "10.0.0.9:26379"));
        assert!(!at("10.0.0.1:6380", "10.0.0.1:6379", "10.0.0.9:26379"));
        assert!(!at("cache:6379", "10.0.0.1:6379", "10.0.0.9:26379"));
    }
}
