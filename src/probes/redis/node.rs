//! One data server: what it is asked, and what its answers say.

use std::time::Duration;

use redis::{Cmd, cmd};
use tokio::time::{Instant, sleep};

use super::cluster::Member;
use super::commands::{cluster_command, commands};
use super::config::{Config, Endpoint};
use super::connect::{Dial, Link};
use super::door::{closed_door, database_exists, is_denied, login, outcome, turned_away};
use super::facts::{Anonymous, DeclaredAs, Flavour, Node, Ping, Role, State};
use super::info::{Info, part};
use super::reply::{self, Reply};
use super::unseen::{said_nothing_readable, unreached};
use super::{cluster, memory, persistence, replication, security, slow_log, writes};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy, millis};

/// Only a server that was asked no more commands is asked for `INFO` twice, so that none is asked more than 20.
const MOST_FOR_A_SECOND_LOOK: usize = 12;

/// A server that was asked: its facts, and what later steps need of it.
pub struct Asked {
    pub node: Node,
    pub endpoint: Endpoint,
    /// The connection, where there is one, logged in.
    pub link: Option<Link>,
    /// Where it was found.
    pub remote: Option<std::net::SocketAddr>,
    /// The members that it names, where `CLUSTER NODES` was asked.
    pub members: Result<Vec<Member>, Unknown>,
    /// Why nothing was observed.
    pub failure: Option<Failure>,
    /// Whether it is a node of a cluster.
    pub cluster_enabled: Observed<bool>,
    /// Whether a second connection, the one without credentials, came to nothing.
    pub is_second_refused: bool,
    /// The port for plaintext that it names itself.
    pub plaintext_port: Observed<i64>,
}

/// The replies of one server, by what was asked.
#[derive(Default)]
pub struct Replies(Vec<(&'static str, Reply)>);

impl Replies {
    /// One reply, as if it had come.
    #[cfg(test)]
    pub fn of(label: &'static str, value: redis::Value) -> Self {
        Self(vec![(label, Ok((value, std::time::Duration::ZERO)))])
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Reply> {
        self.0.iter().map(|(_, reply)| reply)
    }

    /// The reply to the command of that label.
    pub fn get(&self, label: &str) -> Option<&Reply> {
        self.0
            .iter()
            .find(|(name, _)| *name == label)
            .map(|(_, reply)| reply)
    }
}

/// Asks one server everything, by `deadline`.
pub async fn ask(
    dial: &Dial<'_>,
    config: &Config,
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
    deadline: Instant,
) -> Asked {
    match dial.open(endpoint, deadline).await {
        Ok(link) => ask_over(dial, config, endpoint, declared_as, link, deadline).await,
        Err(down) => unreached(endpoint, declared_as, down),
    }
}

async fn ask_over(
    dial: &Dial<'_>,
    config: &Config,
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
    link: Link,
    deadline: Instant,
) -> Asked {
    let commands = commands(config, endpoint, declared_as);
    let sent: Vec<Cmd> = commands
        .iter()
        .map(|(_, command)| command.clone())
        .collect();
    let (replies, anonymous) = if config.pool_size.is_some() {
        // One after the other: the list of clients is not to hold our second connection.
        let replies = link.ask(&sent, deadline).await;
        let anonymous = security::anonymous(dial, endpoint, deadline).await;
        (replies, anonymous)
    } else {
        tokio::join!(
            link.ask(&sent, deadline),
            security::anonymous(dial, endpoint, deadline)
        )
    };
    let labels = commands.into_iter().map(|(label, _)| label);
    let mut replies = Replies(labels.zip(replies).collect());
    let login = login(replies.get("AUTH"), endpoint, replies.get("PING"));
    let (mut state, mut error, mut failure) = outcome(&replies, &login);
    let is_turned_away = is_denied(&login);
    let said = match replies.all().find_map(closed_door) {
        Some(said) => Some(said),
        None if state == Observed::Value(State::Broken) => dial.greeting(endpoint, deadline).await,
        None => None,
    };
    if let Some(said) = said {
        (state, error, failure) = turned_away(&said);
    }
    if let Some(target) = failure.as_mut()
        && state == Observed::Value(State::Broken)
        && !endpoint.tls
        && said_nothing_readable(&error)
    {
        error.push_str(": where it is a port for TLS, write `rediss`");
        *target = Failure::target(error.clone());
    }
    let mut info = info(&replies);
    // A cache that is filled in one go is over its bound until it has evicted: it does so as it is asked.
    if replies.0.len() <= MOST_FOR_A_SECOND_LOOK && memory::is_evicting(&info) {
        sleep(Duration::from_millis(100)).await;
        let again = link.ask_one(cmd("INFO"), deadline).await;
        if let Ok((value, _)) = again {
            info = Info::parse(&reply::text(&value).unwrap_or_default());
        }
    }
    let cluster_enabled = info.flag("cluster_enabled");
    if !config.cluster && cluster_enabled == Observed::Value(true) {
        let late = link.ask_one(cluster_command("INFO"), deadline).await;
        replies.0.push(("CLUSTER INFO", late));
    }
    let is_second_refused = anonymous.is_some();
    let anonymous = security::conclude(anonymous, endpoint, &login, replies.get("PING"));
    let is_second_refused = is_second_refused && anonymous.value().is_none();
    let open_commands = security::open_commands(&anonymous, &link, &replies, deadline).await;
    if is_turned_away && anonymous == Observed::Value(Anonymous::Accepted) {
        // That anybody else gets in was seen, and is worth a verdict.
        failure = None;
    }
    let facts = Gathered {
        config,
        dial,
        info: &info,
        replies: &replies,
        local: link.local,
    };
    let mut node = facts.node(endpoint, declared_as);
    node.state = state;
    node.error = error;
    node.is_loopback = Observed::Value(link.remote.ip().to_canonical().is_loopback());
    node.login = login;
    node.database_exists = database_exists(&replies, endpoint);
    node.security.anonymous = anonymous;
    node.security.open_commands = open_commands;
    let members = reply::value(replies.get("CLUSTER NODES"), "CLUSTER NODES")
        .and_then(|value| reply::text(value).ok_or_else(|| reply::unparseable("CLUSTER NODES")))
        .and_then(|text| cluster::members(&text));
    if config.cluster {
        (node.cluster.migrating_slots, node.cluster.importing_slots) =
            cluster::open_slots(&members);
    }
    Asked {
        plaintext_port: plaintext_port(&replies, &info),
        is_second_refused,
        node,
        endpoint: endpoint.clone(),
        remote: Some(link.remote),
        // Whoever refused our credentials is asked nothing more, least of all to write.
        link: (failure.is_none() && !is_turned_away).then_some(link),
        members,
        failure,
        cluster_enabled,
    }
}

fn info(replies: &Replies) -> Info {
    match reply::value(replies.get("INFO"), "INFO") {
        Err(unknown) => Info::unknown(unknown),
        Ok(value) => reply::text(value).map_or_else(
            || Info::unknown(reply::unparseable("INFO")),
            |text| Info::parse(&text),
        ),
    }
}

/// The plaintext port by its own word; 0: it has none.
fn plaintext_port(replies: &Replies, info: &Info) -> Observed<i64> {
    let configured = reply::config_value(replies.get("CONFIG GET port"), "port");
    if let Observed::Value(text) = &configured {
        return text.parse().map_or_else(
            |_| reply::unparseable("CONFIG GET port").into(),
            Observed::Value,
        );
    }
    // Newer servers list their listeners: one of plain TCP is the port in question.
    match info.numbered("listener") {
        Ok(listeners) if !listeners.is_empty() => {
            let plain = listeners
                .iter()
                .find(|listener| part(listener, "name") == Some("tcp"))
                .and_then(|listener| part(listener, "port"))
                .unwrap_or("0");
            plain.parse().map_or_else(
                |_| reply::unparseable("INFO listener").into(),
                Observed::Value,
            )
        }
        _ => configured.map(|_| 0),
    }
}

/// Whether ids are all different; one that is not known may be any.
pub fn all_different<'i>(ids: impl Iterator<Item = &'i Observed<String>>) -> Observed<bool> {
    let mut known = std::collections::BTreeSet::new();
    let mut blind = None;
    for id in ids {
        match id {
            Observed::Value(id) if !known.insert(id) => return Observed::Value(false),
            Observed::Value(_) => {}
            Observed::Unknown(unknown) => blind = blind.or_else(|| Some(unknown.clone())),
        }
    }
    blind.map_or(Observed::Value(true), Observed::Unknown)
}

/// A server of which only `INFO` was seen.
#[cfg(test)]
pub fn of_info(address: &Endpoint, text: &str) -> Node {
    let why = Unknown {
        why: UnknownWhy::NotObserved,
        detail: "it was not asked".to_owned(),
    };
    let replies = Replies(Vec::new());
    from_info(&Info::parse(text), &replies, &why, address, DeclaredAs::Url)
}

/// All that was gathered from one server.
struct Gathered<'g> {
    config: &'g Config,
    dial: &'g Dial<'g>,
    info: &'g Info,
    replies: &'g Replies,
    local: Option<std::net::SocketAddr>,
}

impl Gathered<'_> {
    fn node(&self, endpoint: &Endpoint, declared_as: DeclaredAs) -> Node {
        let not_asked = Unknown {
            why: UnknownWhy::NotObserved,
            detail: "it was not asked".to_owned(),
        };
        let mut node = from_info(self.info, self.replies, &not_asked, endpoint, declared_as);
        let clock = persistence::Clock::of(self.info, self.dial.ctx().now());
        node.persistence = persistence::persistence(self.info, self.replies, &clock);
        node.loss = persistence::loss(&node.persistence);
        if self.config.pool_size.is_some() && declared_as == DeclaredAs::Url {
            node.clients.pooled =
                memory::pooled_clients(self.replies.get("CLIENT LIST"), self.local);
        }
        node.cluster = cluster::view(self.replies, self.info);
        node.writes_refused = writes::refused(&node, self.info);
        node
    }
}

pub fn from_info(
    info: &Info,
    replies: &Replies,
    why: &Unknown,
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
) -> Node {
    let role = info.read("role", |role| match role {
        "master" => Some(Role::Primary),
        "slave" => Some(Role::Replica),
        _ => None,
    });
    let clock = persistence::Clock::unknown();
    let persistence = persistence::persistence(info, replies, &clock);
    let uptime_seconds = info.int("uptime_in_seconds");
    Node {
        address: endpoint.address(),
        declared_as,
        state: why.clone().into(),
        error: String::new(),
        is_loopback: why.clone().into(),
        login: why.clone().into(),
        database_exists: why.clone().into(),
        ping: ping(replies.get("PING"), why),
        command_ms: first_answer(replies, why),
        flavour: flavour(info),
        version: version(info),
        run_id: info.text("run_id"),
        keys: memory::keys(info),
        writes_refused: why.clone().into(),
        clients: memory::clients(info),
        memory: memory::memory(info),
        loss: persistence::loss(&persistence),
        persistence,
        replication: replication::replication(info, replies, &role),
        security: security::security(replies.get("ACL GETUSER"), why),
        plaintext_port: why.clone().into(),
        slow_log: slow_log::slow_log(replies.get("SLOWLOG GET")),
        cluster: cluster::view(replies, info),
        role,
        uptime_seconds,
    }
}

fn ping(reply: Option<&Reply>, why: &Unknown) -> Observed<Ping> {
    match reply {
        None => why.clone().into(),
        Some(Ok((value, _))) if reply::text(value).as_deref() == Some("PONG") => {
            Observed::Value(Ping::Pong)
        }
        Some(Ok(_)) => Observed::Value(Ping::Error),
        Some(Err(problem)) => match problem.code() {
            "LOADING" => Observed::Value(Ping::Loading),
            "BUSY" => Observed::Value(Ping::Busy),
            "MISCONF" => Observed::Value(Ping::Misconf),
            "MASTERDOWN" => Observed::Value(Ping::Masterdown),
            "" | "NOPERM" | "NOAUTH" | "DENIED" => problem.unknown("PING").into(),
            _ if problem.is_unknown_command() => problem.unknown("PING").into(),
            _ => Observed::Value(Ping::Error),
        },
    }
}

fn first_answer(replies: &Replies, why: &Unknown) -> Observed<f64> {
    replies
        .0
        .iter()
        .find_map(|(_, reply)| reply.as_ref().ok().map(|(_, took)| millis(*took)))
        .map_or_else(|| why.clone().into(), Observed::Value)
}

fn flavour(info: &Info) -> Observed<Flavour> {
    match info.get("valkey_version") {
        Err(unknown) => unknown.clone().into(),
        Ok(Some(_)) => Observed::Value(Flavour::Valkey),
        Ok(None) => info.read("redis_version", |_| Some(Flavour::Redis)),
    }
}

/// Valkey keeps `redis_version` at the last Redis that it is compatible with.
fn version(info: &Info) -> Observed<String> {
    match info.get("valkey_version") {
        Ok(Some(version)) => Observed::Value(version.to_owned()),
        _ => info.text("redis_version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Node {
        let endpoint = Endpoint {
            host: "cache".to_owned(),
            port: 6379,
            tls: false,
            user: None,
            password: None,
            db: 0,
            names_db: false,
            shows_certificate: true,
        };
        of_info(&endpoint, text)
    }

    #[test]
    fn valkey_is_told_from_the_redis_that_it_is_compatible_with() {
        let valkey =
            seen("redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.1\nrole:master\n");
        assert_eq!(valkey.flavour, Observed::Value(Flavour::Valkey));
        assert_eq!(valkey.version, Observed::Value("8.1.1".to_owned()));
        let redis = seen("redis_version:6.2.14\nrole:slave\nmaster_link_status:down\n");
        assert_eq!(redis.flavour, Observed::Value(Flavour::Redis));
        assert_eq!(redis.role, Observed::Value(Role::Replica));
        assert!(seen("role:master\n").flavour.value().is_none());
    }

    #[test]
    fn the_replicas_of_a_primary_are_read_in_any_version() {
        let primary = seen(
            "role:master\nmaster_repl_offset:100\nslave0:ip=10.0.0.1,port=6379,state=online,offset=90,lag=1,type=replica\nslave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0\n",
        );
        let Observed::Value(replicas) = &primary.replication.replicas else {
            panic!("no replicas");
        };
        assert_eq!(replicas[0].gap_bytes, Observed::Value(10));
        assert_eq!(replicas[0].lag_seconds, Observed::Value(1));
        assert!(replicas[1].lag_seconds.value().is_none());
    }
}
