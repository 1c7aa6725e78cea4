//! Who gets in without credentials, and what they may do.

use std::time::Duration;

use redis::cmd;
use tokio::time::{Instant, sleep};

use super::config::Endpoint;
use super::connect::{Dial, Down, Link};
use super::facts::{Anonymous, Login, Security};
use super::node::{Asked, Replies};
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

/// Once more without credentials, where the server had no room for two connections: ours ends first.
pub async fn ask_second(dial: &Dial<'_>, one: &mut Asked, deadline: Instant) {
    if !one.is_second_refused || one.failure.is_some() {
        return;
    }
    one.link = None;
    sleep(Duration::from_millis(50)).await;
    let met = self::anonymous(dial, &one.endpoint, deadline).await;
    let anonymous = conclude(met, &one.endpoint, &one.node.login, None);
    one.node.security.open_commands = match &anonymous {
        Observed::Value(Anonymous::Refused) => Observed::Value(Vec::new()),
        Observed::Value(Anonymous::Accepted) => {
            let why = "ACL DRYRUN: the server had no room for a second connection";
            Observed::unknown(UnknownWhy::NotObserved, why)
        }
        Observed::Unknown(unknown) => unknown.clone().into(),
    };
    one.node.security.anonymous = anonymous;
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
            "NOAUTH" | "DENIED" => Observed::Value(Anonymous::Refused),
            // Whoever is told that the server loads or is busy is in, and so is a user that may not
            // send this one command: it may be free to send all others.
            "NOPERM" | "LOADING" | "BUSY" | "MISCONF" | "MASTERDOWN" => {
                Observed::Value(Anonymous::Accepted)
            }
            _ => problem.unknown("PING").into(),
        },
        Err(problem) => problem.unknown("PING").into(),
    }
}

/// What the user `default` may do where nobody needs a password to be it.
pub async fn open_commands(
    anonymous: &Observed<Anonymous>,
    link: &Link,
    replies: &Replies,
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
    let answers = link.ask(&questions, deadline).await;
    let mut open = Vec::new();
    for (words, reply) in DANGEROUS.iter().zip(answers) {
        match reply {
            // What is forbidden is said in a string of another kind.
            Ok((value, _)) if reply::text(&value).as_deref() == Some("OK") => {
                open.push(name_of(words));
            }
            Ok(_) => {}
            Err(Problem::Refused { text, .. }) if text.contains("not found") => {}
            Err(problem) if problem.is_unknown_command() => {
                return without_dry_run(replies);
            }
            Err(problem) => return problem.unknown("ACL DRYRUN").into(),
        }
    }
    Observed::Value(open)
}

fn name_of(words: &[&str]) -> String {
    let named = words.len().min(if words.len() > 2 { 2 } else { 1 });
    words[..named].join(" ")
}

/// What the ACL user `default` may send by its own description, on servers that cannot try it out.
fn without_dry_run(replies: &Replies) -> Observed<Vec<String>> {
    let Some(reply) = replies.get("ACL GETUSER") else {
        return reply::unparseable("ACL GETUSER").into();
    };
    let is_there = |words: &[&str]| {
        // A command that the server itself does not know is open to nobody.
        let config = replies.get("CONFIG GET save");
        !(words.first() == Some(&"CONFIG")
            && matches!(config, Some(Err(problem)) if problem.is_unknown_command()))
    };
    let rules = match reply {
        // Where there are no users, or none can be told apart, all commands are everybody's.
        Err(problem) if problem.is_unknown_command() => "+@all".to_owned(),
        Err(problem) => return problem.unknown("ACL GETUSER").into(),
        Ok((value, _)) => match reply::field(value, "commands").and_then(reply::text) {
            Some(rules) => rules,
            None => return reply::unparseable("ACL GETUSER").into(),
        },
    };
    let open = DANGEROUS
        .iter()
        .filter(|words| is_there(words) && allows(&rules, words));
    Observed::Value(open.map(|words| name_of(words)).collect())
}

/// Whether rules such as `-@all +get` allow a command: the last one that is about it decides.
fn allows(rules: &str, words: &[&str]) -> bool {
    let name = words.first().map(|word| word.to_ascii_lowercase());
    let name = name.unwrap_or_default();
    let of_its_own: &[&str] = if name == "config" {
        &["all", "admin", "slow", "dangerous"]
    } else {
        &["all", "keyspace", "write", "slow", "dangerous"]
    };
    let sub = format!(
        "{name}|{}",
        words.get(1).unwrap_or(&"").to_ascii_lowercase()
    );
    rules
        .split_ascii_whitespace()
        .fold(false, |allowed, rule| match rule {
            "allcommands" => true,
            "nocommands" => false,
            _ => {
                let (sign, what) = rule.split_at_checked(1).unwrap_or(("", ""));
                let about = what
                    .strip_prefix('@')
                    .map_or(what == name || what == sub, |category| {
                        of_its_own.contains(&category)
                    });
                match sign {
                    "+" if about => true,
                    "-" if about => false,
                    _ => allowed,
                }
            }
        })
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

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn described(rules: &str) -> Observed<Vec<String>> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let user = Value::Array(vec![
            text("flags"),
            text("on"),
            text("commands"),
            text(rules),
        ]);
        without_dry_run(&Replies::of("ACL GETUSER", user))
    }

    #[test]
    fn without_a_dry_run_the_rules_of_the_user_are_read() {
        let open = |names: &[&str]| {
            Observed::Value(
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(described("+@all"), open(&["FLUSHALL", "CONFIG SET"]));
        assert_eq!(described("+@all -@dangerous"), open(&[]));
        assert_eq!(described("+@all -flushall"), open(&["CONFIG SET"]));
        assert_eq!(described("-@all +@write"), open(&["FLUSHALL"]));
        assert_eq!(described("-@all +config|set +get"), open(&["CONFIG SET"]));
        assert_eq!(described("-@all +config|get"), open(&[]));
        assert_eq!(described(""), open(&[]));
    }

    #[test]
    fn only_a_demand_for_credentials_refuses_the_anonymous() {
        let said = |code: &str| judge(&Err(Problem::refused(code, Some("no"))));
        assert_eq!(said("NOAUTH"), Observed::Value(Anonymous::Refused));
        assert_eq!(said("DENIED"), Observed::Value(Anonymous::Refused));
        assert_eq!(said("NOPERM"), Observed::Value(Anonymous::Accepted));
        assert!(said("ERR").value().is_none());
    }
}
