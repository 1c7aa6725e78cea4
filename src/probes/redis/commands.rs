//! What a data server is asked.

use redis::{Cmd, cmd};

use super::config::{Config, Endpoint};
use super::facts::DeclaredAs;

/// Entries of the slow log that are read.
const SLOW_ENTRIES: usize = 16;

/// `CLUSTER …`
pub fn cluster_command(what: &str) -> Cmd {
    let mut command = cmd("CLUSTER");
    command.arg(what);
    command
}

/// What is sent, by label, in this order: no server is asked more than 20 commands in all.
pub fn commands(
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
    if config.cluster {
        list.push(("CLUSTER INFO", cluster_command("INFO")));
        list.push(("CLUSTER NODES", cluster_command("NODES")));
    }
    // Last: its reply alone may be larger than what is taken, which ends the connection.
    if config.pool_size.is_some() && declared_as == DeclaredAs::Url {
        list.push(("CLIENT LIST", with("CLIENT", &["LIST", "TYPE", "normal"])));
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
