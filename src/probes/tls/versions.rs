//! Which protocol versions an address accepts: a hand-written hello asks for TLS 1.0 to 1.2, the
//! TLS library for 1.3.
//!
//! What counts as a refusal: the alert `protocol_version` and the choice of an older version are
//! explicit. Stacks that have dropped the old versions also answer with other alerts or end the
//! connection. Our hello offers every cipher suite and group that such a server could want, so where
//! the same address completed a modern handshake in the same attempt (the positive control), these too
//! are taken as a refusal. Silence is no answer, and what is not TLS tells nothing: unknown.

use std::net::SocketAddr;

use rustls::crypto::CryptoProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::facts::{Protocol, Support};
use super::handshake::Client;
use super::hello::{self, Answer, MAX_ANSWER_BYTES};
use super::problem::{Problem, Refusal};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::within;

/// What was found out about one version.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Whether it is accepted.
    pub support: Observed<Support>,
    /// What the server did, in words.
    pub answer: String,
}

impl Finding {
    /// A version that the main handshake negotiated.
    pub fn negotiated() -> Self {
        Self {
            support: Observed::Value(Support::Accepted),
            answer: "accepted".to_owned(),
        }
    }

    /// A version that was not asked about.
    pub fn not_asked(why: &str) -> Self {
        Self {
            support: Observed::unknown(UnknownWhy::NotObserved, why),
            answer: "not asked".to_owned(),
        }
    }
}

/// What was heard in reply to a hello.
#[derive(Debug, Clone)]
enum Heard {
    Accepted,
    Refused(Refusal),
    Unclear(UnknownWhy, String),
}

/// Asks for one version. `control`: a modern handshake has succeeded at this address.
///
/// # Errors
/// A probe error when we cannot offer TLS at all.
pub async fn ask(
    client: &Client<'_>,
    address: SocketAddr,
    version: Protocol,
    control: bool,
    deadline: Instant,
) -> Result<Finding, Failure> {
    let heard = match version {
        Protocol::Tls13 => ask_library(client, address, deadline).await?,
        _ => ask_by_hand(client, address, version, deadline).await?,
    };
    Ok(judge(heard, version, control))
}

async fn ask_library(
    client: &Client<'_>,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Heard, Failure> {
    const ONLY_13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let attempt = client.handshake(address, ONLY_13, deadline).await?;
    if attempt.chain.is_some() {
        return Ok(Heard::Accepted);
    }
    Ok(attempt.problem.as_ref().map_or(Heard::Accepted, unaccepted))
}

fn unaccepted(problem: &Problem) -> Heard {
    match problem.refusal {
        Some(refusal) => Heard::Refused(refusal),
        None => unclear(problem),
    }
}

fn unclear(problem: &Problem) -> Heard {
    let why = match problem.state.value() {
        Some(super::facts::State::Silent | super::facts::State::Filtered) => UnknownWhy::TimedOut,
        Some(super::facts::State::NotTls) => UnknownWhy::Unparseable,
        _ => UnknownWhy::NotObserved,
    };
    Heard::Unclear(why, problem.detail.clone())
}

async fn ask_by_hand(
    client: &Client<'_>,
    address: SocketAddr,
    version: Protocol,
    deadline: Instant,
) -> Result<Heard, Failure> {
    let hello = hello::client_hello(version, sni(client).as_deref(), random()?);
    let mut opened = match client.open(address, deadline).await {
        Ok(opened) => opened,
        Err(problem) => return Ok(unclear(&problem)),
    };
    let answer = match exchange(&mut opened.stream, &hello, deadline).await {
        Ok(answer) => answer,
        Err(problem) => return Ok(unaccepted(&problem)),
    };
    Ok(match answer {
        Answer::Hello(Some(chosen)) if chosen == version => Heard::Accepted,
        Answer::Hello(chosen) if chosen < Some(version) => Heard::Refused(Refusal::OtherVersion),
        Answer::Alert(code) => Heard::Refused(Refusal::Alert(code)),
        Answer::Goodbye => Heard::Refused(Refusal::Ended),
        Answer::Hello(_) | Answer::NotTls | Answer::Incomplete => Heard::Unclear(
            UnknownWhy::Unparseable,
            "what answers is not TLS of this version or an older one".to_owned(),
        ),
    })
}

fn sni(client: &Client<'_>) -> Option<String> {
    match client.name {
        rustls::pki_types::ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
        _ => None,
    }
}

fn random() -> Result<[u8; 32], Failure> {
    let mut random = [0; 32];
    CryptoProvider::get_default()
        .ok_or_else(|| Failure::probe("no TLS provider is installed"))?
        .secure_random
        .fill(&mut random)
        .map_err(|_| Failure::probe("this system gives no random numbers"))?;
    Ok(random)
}

/// Sends the hello and reads until the answer is clear; `Incomplete` is never returned for a
/// connection that has ended.
async fn exchange(
    stream: &mut TcpStream,
    hello: &[u8],
    deadline: Instant,
) -> Result<Answer, Problem> {
    const STEP: &str = "hello";
    let silent = |_| Problem::silent();
    within(deadline, STEP, stream.write_all(hello))
        .await
        .map_err(silent)?
        .map_err(|error| Problem::from_handshake(&error))?;
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let count = within(deadline, STEP, stream.read(&mut piece))
            .await
            .map_err(silent)?
            .map_err(|error| Problem::from_handshake(&error))?;
        if count == 0 {
            let ended = std::io::ErrorKind::UnexpectedEof.into();
            return Err(Problem::from_handshake(&ended));
        }
        seen.extend(&piece[..count]);
        match hello::read_answer(&seen) {
            Answer::Incomplete if seen.len() < MAX_ANSWER_BYTES => {}
            answer => return Ok(answer),
        }
    }
}

fn judge(heard: Heard, version: Protocol, control: bool) -> Finding {
    const PROTOCOL_VERSION: u8 = 70;
    let name = version.name();
    let refused = |answer: String| Finding {
        support: Observed::Value(Support::Refused),
        answer,
    };
    let (explicit, answer) = match heard {
        Heard::Accepted => {
            return Finding {
                support: Observed::Value(Support::Accepted),
                answer: "accepted".to_owned(),
            };
        }
        Heard::Unclear(why, detail) => {
            return Finding {
                support: Observed::unknown(why, format!("asked for {name}: {detail}")),
                answer: detail,
            };
        }
        Heard::Refused(Refusal::Alert(code)) => (code == PROTOCOL_VERSION, hello::alert_name(code)),
        Heard::Refused(Refusal::OtherVersion) => (true, "insisted on another version".to_owned()),
        Heard::Refused(Refusal::Ended) => (false, "ended the connection".to_owned()),
    };
    if explicit || control {
        return refused(answer);
    }
    let detail =
        format!("asked for {name}: {answer}, which says little where no handshake succeeds at all");
    Finding {
        support: Observed::unknown(UnknownWhy::NotObserved, detail),
        answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn support(heard: Heard, control: bool) -> Option<Support> {
        judge(heard, Protocol::Tls10, control)
            .support
            .value()
            .copied()
    }

    #[test]
    fn the_version_alert_is_a_refusal_by_itself_other_endings_need_a_control() {
        let alert = |code| Heard::Refused(Refusal::Alert(code));
        assert_eq!(support(alert(70), false), Some(Support::Refused));
        assert_eq!(
            support(Heard::Refused(Refusal::OtherVersion), false),
            Some(Support::Refused)
        );
        for ending in [alert(40), Heard::Refused(Refusal::Ended)] {
            assert_eq!(support(ending.clone(), true), Some(Support::Refused));
            assert_eq!(support(ending, false), None);
        }
    }

    #[test]
    fn silence_is_unknown_whatever_the_control() {
        for control in [true, false] {
            let heard = unaccepted(&Problem::silent());
            assert_eq!(support(heard, control), None);
        }
    }
}
