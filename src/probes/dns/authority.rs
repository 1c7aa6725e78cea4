//! What the authoritative servers say, beside what the resolvers say.

use tokio::time::Instant;

use super::config::Plan;
use super::facts::{AuthorityAnswer, Facts, Rcode, State};
use super::question::Question;
use super::server::{Endpoint, Transport};
use super::transport::{NoAnswer, Reply};
use super::zone::{Authority, ask_each};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::probes::Context;

/// What the resolvers say together.
pub(super) struct View<'a> {
    rcode: &'a Observed<Rcode>,
    answers: &'a Observed<Vec<String>>,
    chain: &'a Observed<Vec<String>>,
}

impl<'a> View<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        Self {
            rcode: &facts.rcode,
            answers: &facts.answers,
            chain: &facts.cname_chain,
        }
    }
}

/// Asks every authoritative server the question that the resolvers were asked.
pub(super) async fn compare(
    ctx: &Context,
    plan: &Plan,
    authorities: &[Authority],
    view: &View<'_>,
    deadline: Instant,
) -> Vec<AuthorityAnswer> {
    let question = Question::to_authority(&plan.name, plan.kind);
    let endpoints: Vec<_> = authorities
        .iter()
        .map(|authority| {
            let address = authority.place.clone()?;
            Ok(Endpoint::plain(Transport::Udp, address))
        })
        .collect();
    let replies = ask_each(ctx, &endpoints, &question, deadline).await;
    authorities
        .iter()
        .zip(replies)
        .map(|(authority, reply)| match reply {
            Ok(reply) => answered(authority, reply, view),
            Err(error) => silent(authority, &error),
        })
        .collect()
}

fn answered(authority: &Authority, reply: Reply, view: &View<'_>) -> AuthorityAnswer {
    let answer = reply.answer;
    let says = matches!(
        answer.state,
        State::NoError | State::NoData | State::NxDomain
    );
    let not_seen = Unknown {
        why: UnknownWhy::NotObserved,
        detail: format!("{} {}", authority.server, answer.state),
    };
    let agrees = if says {
        agrees(answer.rcode, &answer.records, &answer.chain, view)
    } else {
        not_seen.clone().into()
    };
    let seen = |list: Vec<String>| {
        if says {
            Observed::Value(list)
        } else {
            Observed::Unknown(not_seen.clone())
        }
    };
    AuthorityAnswer {
        server: authority.server.clone(),
        address: authority.address(),
        state: answer.state,
        rcode: Observed::Value(answer.rcode),
        answers: seen(answer.records),
        cname_chain: seen(answer.chain),
        aa: Observed::Value(answer.authoritative),
        ttl_min_seconds: match answer.ttl_min_seconds {
            Some(ttl) => Observed::Value(ttl),
            None => Observed::unknown(UnknownWhy::NotApplicable, "there is no record"),
        },
        agrees,
        error: String::new(),
    }
}

/// Where an alias leaves the server's zones, its answer ends with the alias: then it agrees when
/// the resolvers went the same way.
fn agrees(rcode: Rcode, records: &[String], chain: &[String], view: &View<'_>) -> Observed<bool> {
    if rcode == Rcode::NoError && records.is_empty() && !chain.is_empty() {
        return view.chain.clone().map(|theirs| theirs.starts_with(chain));
    }
    view.rcode.clone().and_then(|theirs| {
        if theirs != rcode {
            return Observed::Value(false);
        }
        view.answers.clone().map(|theirs| theirs == records)
    })
}

fn silent(authority: &Authority, error: &NoAnswer) -> AuthorityAnswer {
    let mut unknown = error.as_unknown();
    unknown.detail = format!("{}: {}", authority.server, unknown.detail);
    AuthorityAnswer {
        server: authority.server.clone(),
        address: authority.address(),
        state: error.state,
        rcode: unknown.clone().into(),
        answers: unknown.clone().into(),
        cname_chain: unknown.clone().into(),
        aa: unknown.clone().into(),
        ttl_min_seconds: unknown.clone().into(),
        agrees: unknown.into(),
        error: error.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_that_leaves_the_zone_agrees_as_far_as_it_goes() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rcode = Observed::Value(Rcode::NoError);
        let answers = Observed::Value(list(&["192.0.2.1"]));
        let chain = Observed::Value(list(&["cdn.example", "edge.example"]));
        let view = View {
            rcode: &rcode,
            answers: &answers,
            chain: &chain,
        };
        let check = |records: &[&str], chain: &[&str]| {
            agrees(Rcode::NoError, &list(records), &list(chain), &view)
        };
        assert_eq!(check(&[], &["cdn.example"]), Observed::Value(true));
        assert_eq!(check(&[], &["other.example"]), Observed::Value(false));
        assert_eq!(check(&["192.0.2.1"], &[]), Observed::Value(true));
        assert_eq!(check(&["192.0.2.2"], &[]), Observed::Value(false));
        assert_eq!(
            agrees(Rcode::NxDomain, &[], &[], &view),
            Observed::Value(false)
        );
    }
}
