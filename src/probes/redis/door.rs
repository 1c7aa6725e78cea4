//! Whether a server let us in: what it made of the connection and of our credentials.

use super::config::Endpoint;
use super::facts::{Login, State};
use super::node::Replies;
use super::reply::{Problem, Reply};
use crate::evidence::{Failure, Observed, UnknownWhy};

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
pub fn outcome(
    replies: &Replies,
    login: &Observed<Login>,
) -> (Observed<State>, String, Option<Failure>) {
    let heard = replies
        .all()
        .any(|reply| matches!(reply, Ok(_) | Err(Problem::Refused { .. })));
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
    let first = replies.all().find_map(|reply| reply.as_ref().err());
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
pub fn closed_door(reply: &Reply) -> Option<Problem> {
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

/// Whether a server refused our credentials.
pub fn is_denied(login: &Observed<Login>) -> bool {
    matches!(login, Observed::Unknown(unknown) if unknown.why == UnknownWhy::Denied)
}

/// What `SELECT` said; without it a later command would meet the first database.
pub fn database_exists(replies: &Replies, endpoint: &Endpoint) -> Observed<bool> {
    if endpoint.db == 0 {
        return Observed::Value(true);
    }
    match replies.get("SELECT") {
        Some(Ok(_)) => Observed::Value(true),
        Some(Err(Problem::Refused { code, text }))
            if code == "ERR"
                && (text.contains("out of range") || text.contains("not allowed in cluster")) =>
        {
            Observed::Value(false)
        }
        Some(Err(problem)) => problem.unknown("SELECT").into(),
        None => Observed::unknown(UnknownWhy::NotObserved, "SELECT: it was not asked"),
    }
}
