//! One data server: what it is asked, and what its answers say.

use redis::{Cmd, cmd};
use tokio::time::Instant;

use super::config::{Config, Endpoint};
use super::connect::{Dial, Down, Link};
use super::facts::{DeclaredAs, Flavour, Login, Node, Ping, Role, State};
use super::info::{Info, part};
use super::reply::{self, Problem, Reply};
use super::{cluster, memory, persistence, replication, security, slow_log, writes};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy, millis};
use crate::net::NetError;

/// Entries of the slow log that are read.
const SLOW_ENTRIES: usize = 16;

/// A server that was asked: its facts, and what later steps need of it.
pub struct Asked {
    pub node: Node,
    pub endpoint: Endpoint,
    /// The connection, where there is one, logged in.
    pub link: Option<Link>,
    /// The reply of `CLUSTER NODES`, where it was asked.
    pub cluster_nodes: Result<String, Unknown>,
    /// Why nothing was observed.
    pub failure: Option<Failure>,
    /// Whether it is a node of a cluster.
    pub cluster_enabled: Observed<bool>,
    /// The port for plaintext that it names itself.
    pub plaintext_port: Observed<i64>,
}

/// The replies of one server, by what was asked.
pub struct Replies(Vec<(&'static str, Reply)>);

impl Replies {
    /// One reply, as if it had come.
    #[cfg(test)]
    pub fn of(label: &'static str, value: redis::Value) -> Self {
        Self(vec![(label, Ok((value, std::time::Duration::ZERO)))])
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
    let said = match replies.0.iter().find_map(|(_, reply)| closed_door(reply)) {
        Some(said) => Some(said),
        None if state == Observed::Value(State::Broken) => dial.greeting(endpoint, deadline).await,
        None => None,
    };
    if let Some(said) = said {
        (state, error, failure) = turned_away(&said);
    }
    let info = info(&replies);
    let cluster_enabled = info.flag("cluster_enabled");
    if !config.cluster && cluster_enabled == Observed::Value(true) {
        let late = link.ask_one(cluster_command("INFO"), deadline).await;
        replies.0.push(("CLUSTER INFO", late));
    }
    let anonymous = security::conclude(anonymous, endpoint, &login, replies.get("PING"));
    let open_commands = security::open_commands(&anonymous, &link, deadline).await;
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
    node.security.anonymous = anonymous;
    node.security.open_commands = open_commands;
    let cluster_nodes = reply::value(replies.get("CLUSTER NODES"), "CLUSTER NODES")
        .and_then(|value| reply::text(value).ok_or_else(|| reply::unparseable("CLUSTER NODES")));
    Asked {
        plaintext_port: plaintext_port(&replies, &info),
        node,
        endpoint: endpoint.clone(),
        link: failure.is_none().then_some(link),
        cluster_nodes,
        failure,
        cluster_enabled,
    }
}

fn cluster_command(what: &str) -> Cmd {
    let mut command = cmd("CLUSTER");
    command.arg(what);
    command
}

/// What is sent, by label, in this order: no server is asked more than 20 commands in all.
fn commands(
    config: &Config,
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
) -> Vec<(&'static str, Cmd)> {
    let mut list = Vec::new();
    let with = |name: &str, args: &[&str]| {
        let mut command = cmd(name);
        for arg in args {
            command.arg(*arg);
        }
        command
    };
    if let Some(auth) = auth(endpoint) {
        list.push(("AUTH", auth));
    }
    if endpoint.db != 0 {
        list.push(("SELECT", with("SELECT", &[&endpoint.db.to_string()])));
    }
    list.push(("PING", with("PING", &[])));
    list.push(("INFO", with("INFO", &[])));
    for (label, parameter) in [
        ("CONFIG GET save", "save"),
        ("CONFIG GET appendfsync", "appendfsync"),
        ("CONFIG GET min-replicas-to-write", "min-replicas-to-write"),
        (
            "CONFIG GET stop-writes-on-bgsave-error",
            "stop-writes-on-bgsave-error",
        ),
    ] {
        list.push((label, with("CONFIG", &["GET", parameter])));
    }
    if endpoint.tls {
        list.push(("CONFIG GET port", with("CONFIG", &["GET", "port"])));
    }
    let entries = SLOW_ENTRIES.to_string();
    list.push(("SLOWLOG GET", with("SLOWLOG", &["GET", &entries])));
    list.push(("ACL GETUSER", with("ACL", &["GETUSER", "default"])));
    if config.pool_size.is_some() {
        list.push(("CLIENT LIST", with("CLIENT", &["LIST", "TYPE", "normal"])));
    }
    if config.cluster {
        list.push(("CLUSTER INFO", cluster_command("INFO")));
        if declared_as == DeclaredAs::Url {
            list.push(("CLUSTER NODES", cluster_command("NODES")));
        }
    }
    list
}

/// The login, where there are credentials.
pub fn auth(endpoint: &Endpoint) -> Option<Cmd> {
    let password = endpoint.password.as_ref()?;
    let mut command = cmd("AUTH");
    if let Some(user) = &endpoint.user {
        command.arg(user.as_str());
    }
    command.arg(password.expose());
    Some(command)
}

/// What the server made of our credentials. What it says to them is never passed on: it may quote them.
pub fn login(auth: Option<&Reply>, endpoint: &Endpoint, ping: Option<&Reply>) -> Observed<Login> {
    match auth {
        Some(Ok(_)) => Observed::Value(Login::Accepted),
        Some(Err(Problem::Refused { code, text })) => {
            let none_set = code == "ERR" && text.contains("without any password configured");
            if none_set && endpoint.user.is_none() {
                return Observed::Value(Login::NoPasswordSet);
            }
            let said = match code.as_str() {
                "WRONGPASS" => "WRONGPASS: user or password is wrong, or the user is off",
                "NOPERM" => "NOPERM: the user may not log in",
                "LOADING" => "LOADING: the server reads its data still",
                _ => "the server refused the credentials",
            };
            Observed::unknown(UnknownWhy::Denied, format!("AUTH: {said}"))
        }
        Some(Err(other)) => other.unknown("AUTH").into(),
        None => match ping {
            Some(Err(problem)) if matches!(problem.code(), "NOAUTH" | "DENIED") => {
                problem.unknown("PING").into()
            }
            Some(Err(Problem::Silent | Problem::Broken(_))) | None => {
                Observed::unknown(UnknownWhy::NotObserved, "PING: no answer")
            }
            Some(_) => Observed::Value(Login::NotNeeded),
        },
    }
}

/// Whether it answered, what went wrong, and whose fault it is where nothing was seen.
fn outcome(
    replies: &Replies,
    login: &Observed<Login>,
) -> (Observed<State>, String, Option<Failure>) {
    let heard = replies
        .0
        .iter()
        .any(|(_, reply)| matches!(reply, Ok(_) | Err(Problem::Refused { .. })));
    if let Observed::Unknown(unknown) = login
        && unknown.why == UnknownWhy::Denied
    {
        let failure = Failure::denied(unknown.detail.clone());
        return (
            unknown.clone().into(),
            unknown.detail.clone(),
            Some(failure),
        );
    }
    if heard {
        return (Observed::Value(State::Answered), String::new(), None);
    }
    let first = replies.0.iter().find_map(|(_, reply)| reply.as_ref().err());
    let (state, said) = match first {
        Some(Problem::Broken(text) | Problem::TooLarge(text)) => (State::Broken, text.clone()),
        _ => (
            State::Silent,
            "the server accepted the connection and answers nothing".to_owned(),
        ),
    };
    let failure = Failure::target(said.clone());
    (Observed::Value(state), said, Some(failure))
}

/// What a server says to a connection that it does not take; it then stands as the reply to whatever
/// was asked first.
fn closed_door(reply: &Reply) -> Option<Problem> {
    let Err(problem @ Problem::Refused { code, text }) = reply else {
        return None;
    };
    let is_one = code == "DENIED" || text.contains("max number of clients");
    is_one.then(|| problem.clone())
}

/// A server that closed the door with a word: in protected mode it refused us, without room it is full.
pub fn turned_away(said: &Problem) -> (Observed<State>, String, Option<Failure>) {
    let unknown = said.unknown("connect");
    let detail = unknown.detail.clone();
    if unknown.why == UnknownWhy::Denied {
        let failure = Failure::denied(detail.clone());
        return (unknown.into(), detail, Some(failure));
    }
    let failure = Failure::target(detail.clone());
    (Observed::Value(State::Broken), detail, Some(failure))
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

/// A server that could not be connected to.
fn unreached(endpoint: &Endpoint, declared_as: DeclaredAs, down: Down) -> Asked {
    let (state, failure) = state_of(down);
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
        link: None,
        cluster_nodes: Err(why.clone()),
        failure: Some(failure),
        cluster_enabled: why.clone().into(),
        plaintext_port: why.into(),
    }
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

/// A server of which nothing was seen.
fn blind(
    endpoint: &Endpoint,
    declared_as: DeclaredAs,
    state: Observed<State>,
    error: String,
    why: &Unknown,
) -> Node {
    let info = Info::unknown(why.clone());
    let replies = Replies(Vec::new());
    let mut node = from_info(&info, &replies, why, endpoint, declared_as);
    node.state = state;
    node.error = error;
    node
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
        if self.config.pool_size.is_some() {
            node.clients.pooled =
                memory::pooled_clients(self.replies.get("CLIENT LIST"), self.local);
        }
        node.cluster = cluster::view(self.replies, self.info);
        node.writes_refused = writes::refused(&node, self.info);
        node
    }
}

fn from_info(
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
