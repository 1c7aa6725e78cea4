//! Who gets in without credentials, and what they may do.

use redis::cmd;
use tokio::time::Instant;

use super::config::Endpoint;
use super::connect::{Dial, Down, Link};
use super::facts::{Anonymous, Login, Security};
use super::reply::{self, Problem, Reply};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::NetError;

/// What an intruder would send first. They are asked about, never sent.
const DANGEROUS: [&[&str]; 2] = [&["FLUSHALL"], &["CONFIG", "SET", "dir", "/tmp"]];

/// What the connection without credentials met; `None`: ours has none itself.
pub type Anonymously = Option<Result<Reply, Down>>;

/// Sends one `PING` over a connection without credentials.
pub async fn anonymous(dial: &Dial<'_>, endpoint: &Endpoint, deadline: Instant) -> Anonymously {
    if endpoint.password.is_none() && !(endpoint.tls && dial.has_identity) {
        return None;
    }
    let opened = dial.open(&endpoint.anonymous(), deadline).await;
    Some(match opened {
        Ok(link) => Ok(link.ask_one(cmd("PING"), deadline).await),
        Err(down) => Err(down),
    })
}

/// What that says. A refusal counts only in words: silence is none.
pub fn conclude(
    met: Anonymously,
    endpoint: &Endpoint,
    login: &Observed<Login>,
    ping: Option<&Reply>,
) -> Observed<Anonymous> {
    if *login == Observed::Value(Login::NoPasswordSet) {
        return Observed::Value(Anonymous::Accepted);
    }
    match met {
        Some(Ok(Err(Problem::Broken(said)))) if demands_certificate(&said) => {
            Observed::Value(Anonymous::Refused)
        }
        Some(Err(Down::Net(NetError::Broken { detail, .. }))) if demands_certificate(&detail) => {
            Observed::Value(Anonymous::Refused)
        }
        Some(Ok(reply)) => judge(&reply),
        Some(Err(_)) => Observed::unknown(
            UnknownWhy::NotObserved,
            format!("a second connection to {} failed", endpoint.address()),
        ),
        None => match ping {
            Some(reply) => judge(reply),
            None => Observed::unknown(UnknownWhy::NotObserved, "PING: it was not asked"),
        },
    }
}

/// Whether a server broke TLS off for want of a client certificate: TLS 1.3 has an alert for that, before
/// it was a failed handshake.
fn demands_certificate(said: &str) -> bool {
    ["CertificateRequired", "HandshakeFailure"]
        .iter()
        .any(|alert| said.contains(alert))
}

fn judge(reply: &Reply) -> Observed<Anonymous> {
    match reply {
        Ok(_) => Observed::Value(Anonymous::Accepted),
        Err(problem @ Problem::Refused { .. }) => match problem.code() {
            "NOAUTH" | "DENIED" | "NOPERM" | "WRONGPASS" => Observed::Value(Anonymous::Refused),
            // Whoever is told that the server loads or is busy is in.
            "LOADING" | "BUSY" | "MISCONF" | "MASTERDOWN" => Observed::Value(Anonymous::Accepted),
            _ => problem.unknown("PING").into(),
        },
        Err(problem) => problem.unknown("PING").into(),
    }
}

/// What the user `default` may do where nobody needs a password to be it.
pub async fn open_commands(
    anonymous: &Observed<Anonymous>,
    link: &Link,
    deadline: Instant,
) -> Observed<Vec<String>> {
    match anonymous {
        Observed::Unknown(unknown) => return unknown.clone().into(),
        Observed::Value(Anonymous::Refused) => return Observed::Value(Vec::new()),
        Observed::Value(Anonymous::Accepted) => {}
    }
    let questions: Vec<_> = DANGEROUS
        .iter()
        .map(|words| {
            let mut command = cmd("ACL");
            command.arg("DRYRUN").arg("default");
            for word in *words {
                command.arg(*word);
            }
            command
        })
        .collect();
    let replies = link.ask(&questions, deadline).await;
    let mut open = Vec::new();
    for (words, reply) in DANGEROUS.iter().zip(replies) {
        match reply {
            // What is forbidden is said in a string of another kind.
            Ok((value, _)) if reply::text(&value).as_deref() == Some("OK") => {
                let name = words.iter().take(if words.len() > 2 { 2 } else { 1 });
                open.push(name.copied().collect::<Vec<_>>().join(" "));
            }
            Ok(_) => {}
            Err(Problem::Refused { text, .. }) if text.contains("not found") => {}
            Err(problem) => return problem.unknown("ACL DRYRUN").into(),
        }
    }
    Observed::Value(open)
}

/// The ACL user `default`. Of its reply only the flags are kept: it also holds hashes of passwords.
pub fn security(reply: Option<&Reply>, why: &Unknown) -> Security {
    let flags = match reply::value(reply, "ACL GETUSER") {
        Err(unknown) => Observed::Unknown(unknown),
        Ok(value) => reply::field(value, "flags")
            .and_then(reply::items)
            .map(|flags| flags.iter().filter_map(reply::text).collect::<Vec<_>>())
            .map_or_else(|| reply::unparseable("ACL GETUSER").into(), Observed::Value),
    };
    let has = |flag: &str| {
        flags
            .clone()
            .map(|flags| flags.iter().any(|known| known == flag))
    };
    Security {
        anonymous: why.clone().into(),
        default_user_enabled: has("on"),
        default_user_nopass: has("nopass"),
        open_commands: why.clone().into(),
    }
}
