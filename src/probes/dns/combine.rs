//! From what each resolver said to what can be said about the name.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::dnssec::{days_left, expires_at, security};
use super::facts::{Dnssec, Rcode, ResolverAnswer, State};
use super::server::{Endpoint, Server};
use super::transport::{NoAnswer, Reply};
use crate::evidence::{Observed, Unknown, UnknownWhy, millis};

/// A resolver that was asked.
pub(super) struct Asked {
    pub server: Server,
    /// None when its name has no address.
    pub endpoint: Option<Endpoint>,
    pub result: Result<Reply, NoAnswer>,
    pub withheld: Observed<bool>,
}

impl Asked {
    fn trusted_path(&self) -> bool {
        self.endpoint.as_ref().is_some_and(Endpoint::trusted_path)
    }
}

/// The entry of one resolver. `fallback`: the others may stand in for it.
pub(super) fn entry(asked: &Asked, fallback: bool) -> ResolverAnswer {
    let resolver = asked.server.text.clone();
    match &asked.result {
        Ok(reply) => answered(resolver, asked, reply),
        Err(error) => silent(resolver, asked, error, fallback),
    }
}

fn answered(resolver: String, asked: &Asked, reply: &Reply) -> ResolverAnswer {
    let answer = &reply.answer;
    let about_data = matches!(answer.rcode, Rcode::NoError | Rcode::NxDomain);
    let not_seen = || Unknown {
        why: UnknownWhy::NotObserved,
        detail: format!("the resolver {}", answer.state),
    };
    let seen = |list: &Vec<String>| {
        if about_data && answer.state != State::Referral {
            Observed::Value(list.clone())
        } else {
            Observed::Unknown(not_seen())
        }
    };
    ResolverAnswer {
        resolver,
        transport: reply.transport,
        state: answer.state,
        rcode: Observed::Value(answer.rcode),
        answers: seen(&answer.records),
        cname_chain: seen(&answer.chain),
        aa: Observed::Value(answer.authoritative),
        ad: Observed::Value(answer.authentic),
        dnssec: security(answer, &asked.withheld),
        bogus: asked.withheld.clone(),
        signatures: answer.signatures.len(),
        ttl_min_seconds: match answer.ttl_min_seconds {
            Some(ttl) => Observed::Value(ttl),
            None => Observed::unknown(UnknownWhy::NotApplicable, "there is no record"),
        },
        rtt_ms: Observed::Value(millis(reply.rtt)),
        trusted_path: asked.trusted_path(),
        silent_fallback: false,
        extended_errors: answer.explanations.clone(),
        error: if answer.alias_loop {
            "the aliases lead back to themselves".to_owned()
        } else {
            String::new()
        },
    }
}

fn silent(
    resolver: String,
    asked: &Asked,
    error: &NoAnswer,
    silent_fallback: bool,
) -> ResolverAnswer {
    let unknown = error.as_unknown();
    ResolverAnswer {
        resolver,
        transport: error.transport,
        state: error.state,
        rcode: unknown.clone().into(),
        answers: unknown.clone().into(),
        cname_chain: unknown.clone().into(),
        aa: unknown.clone().into(),
        ad: unknown.clone().into(),
        dnssec: unknown.clone().into(),
        bogus: unknown.clone().into(),
        signatures: 0,
        ttl_min_seconds: unknown.clone().into(),
        rtt_ms: unknown.into(),
        trusted_path: asked.trusted_path(),
        silent_fallback,
        extended_errors: Vec::new(),
        error: error.detail.clone(),
    }
}

/// The one value that every resolver that counts gave; none when two differ or one is missing.
pub(super) fn agreed<T: PartialEq>(
    resolvers: &[ResolverAnswer],
    pick: impl Fn(&ResolverAnswer) -> Observed<T>,
) -> Observed<T> {
    let mut value: Option<(&ResolverAnswer, T)> = None;
    let mut missing = None;
    for resolver in counted(resolvers) {
        match (pick(resolver), &value) {
            (Observed::Value(seen), None) => value = Some((resolver, seen)),
            (Observed::Value(seen), Some((other, first))) if seen != *first => {
                return Observed::unknown(
                    UnknownWhy::Inconsistent,
                    format!("{} and {} differ", other.resolver, resolver.resolver),
                );
            }
            (Observed::Value(_), Some(_)) => {}
            (Observed::Unknown(unknown), _) => {
                missing.get_or_insert_with(|| of_resolver(resolver, &unknown));
            }
        }
    }
    match (missing, value) {
        (Some(unknown), _) => Observed::Unknown(unknown),
        (None, Some((_, value))) => Observed::Value(value),
        (None, None) => Observed::unknown(UnknownWhy::NotObserved, "no resolver answered"),
    }
}

fn counted(resolvers: &[ResolverAnswer]) -> impl Iterator<Item = &ResolverAnswer> {
    resolvers
        .iter()
        .filter(|resolver| !resolver.silent_fallback)
}

fn of_resolver(resolver: &ResolverAnswer, unknown: &Unknown) -> Unknown {
    Unknown {
        why: unknown.why,
        detail: format!("{}: {}", resolver.resolver, unknown.detail),
    }
}

/// The lowest TTL, once every resolver that counts gave one.
pub(super) fn lowest_ttl(resolvers: &[ResolverAnswer]) -> Observed<u32> {
    let mut lowest: Option<u32> = None;
    for resolver in counted(resolvers) {
        match &resolver.ttl_min_seconds {
            Observed::Value(ttl) => lowest = Some(lowest.map_or(*ttl, |low| low.min(*ttl))),
            Observed::Unknown(unknown) => return of_resolver(resolver, unknown).into(),
        }
    }
    match lowest {
        Some(ttl) => Observed::Value(ttl),
        None => Observed::unknown(UnknownWhy::NotObserved, "no resolver answered"),
    }
}

/// The security over all resolvers: one that withholds the answer decides.
pub(super) fn combined_security(resolvers: &[ResolverAnswer]) -> Observed<Dnssec> {
    let bogus = |resolver: &ResolverAnswer| resolver.dnssec.value() == Some(&Dnssec::Bogus);
    if counted(resolvers).any(bogus) {
        return Observed::Value(Dnssec::Bogus);
    }
    agreed(resolvers, |resolver| resolver.dnssec.clone())
}

/// How many different answers were given; unknown while one that is missing could add to a single one.
pub(super) fn distinct_answers(resolvers: &[ResolverAnswer]) -> Observed<usize> {
    let mut seen = BTreeSet::new();
    let mut missing = None;
    for resolver in counted(resolvers) {
        match &resolver.rcode {
            Observed::Value(rcode) => {
                seen.insert((*rcode as u8, resolver.answers.value().cloned()));
            }
            Observed::Unknown(unknown) => {
                missing.get_or_insert_with(|| of_resolver(resolver, unknown));
            }
        }
    }
    match missing {
        Some(unknown) if seen.len() < 2 => Observed::Unknown(unknown),
        _ => Observed::Value(seen.len()),
    }
}

/// When the first signature that any resolver sent expires, and the whole days until then.
pub(super) fn first_expiry(
    asked: &[Asked],
    now: Timestamp,
) -> (Observed<Timestamp>, Observed<i64>) {
    let expiries = asked
        .iter()
        .filter_map(|asked| asked.result.as_ref().ok())
        .flat_map(|reply| &reply.answer.signatures)
        .map(|expiry| expires_at(*expiry, now));
    if let Some(first) = expiries.min() {
        let days = days_left(first, now);
        return (Observed::Value(first), Observed::Value(days));
    }
    let unknown = Unknown {
        why: UnknownWhy::NotApplicable,
        detail: "no signature came with the records".to_owned(),
    };
    (unknown.clone().into(), unknown.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probes::dns::answer::read_answer;
    use crate::probes::dns::name::parse_name;
    use crate::probes::dns::question::Question;
    use crate::probes::dns::server::Transport;
    use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record, RecordType};

    fn asked(result: Result<Reply, NoAnswer>) -> Asked {
        let endpoint = Endpoint::plain(Transport::Udp, ([127, 0, 0, 1], 53).into());
        let withheld = match &result {
            Ok(_) => Observed::Value(false),
            Err(error) => error.as_unknown().into(),
        };
        Asked {
            server: endpoint.server.clone(),
            endpoint: Some(endpoint),
            result,
            withheld,
        }
    }

    fn gives(code: ResponseCode, addresses: &[u8]) -> Asked {
        let name = parse_name("www.example.com").unwrap();
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = code;
        message.add_query(Query::query(name.clone(), RecordType::A));
        for last in addresses {
            let data = RData::A(A::new(192, 0, 2, *last));
            message.add_answer(Record::from_rdata(name.clone(), 60, data));
        }
        let question = Question::to_resolver(&name, RecordType::A);
        asked(Ok(Reply {
            answer: read_answer(&message.to_vec().unwrap(), 1, &question).unwrap(),
            transport: Transport::Udp,
            rtt: Duration::from_millis(1),
        }))
    }

    fn silent() -> Asked {
        asked(Err(NoAnswer::new(
            State::Timeout,
            Transport::Udp,
            "nothing came",
        )))
    }

    fn entries(asked: &[Asked], fallback: bool) -> Vec<ResolverAnswer> {
        asked.iter().map(|asked| entry(asked, fallback)).collect()
    }

    fn answers(entries: &[ResolverAnswer]) -> Observed<Vec<String>> {
        agreed(entries, |resolver| resolver.answers.clone())
    }

    fn why<T>(observed: &Observed<T>) -> Option<UnknownWhy> {
        match observed {
            Observed::Value(_) => None,
            Observed::Unknown(unknown) => Some(unknown.why),
        }
    }

    #[test]
    fn one_of_the_systems_resolvers_is_enough() {
        let both = [silent(), gives(ResponseCode::NoError, &[1])];
        let system = entries(&both, true);
        assert!(system[0].silent_fallback && !system[1].silent_fallback);
        let expected = vec!["192.0.2.1".to_owned()];
        assert_eq!(answers(&system), Observed::Value(expected));
        assert_eq!(distinct_answers(&system), Observed::Value(1));
        assert_eq!(lowest_ttl(&system), Observed::Value(60));

        let named = entries(&both, false);
        assert_eq!(why(&answers(&named)), Some(UnknownWhy::TimedOut));
        assert_eq!(why(&distinct_answers(&named)), Some(UnknownWhy::TimedOut));
        assert_eq!(why(&lowest_ttl(&named)), Some(UnknownWhy::TimedOut));
    }

    #[test]
    fn sets_are_compared_without_their_order() {
        let same = [
            gives(ResponseCode::NoError, &[1, 2]),
            gives(ResponseCode::NoError, &[2, 1]),
        ];
        assert_eq!(distinct_answers(&entries(&same, false)), Observed::Value(1));
        let other = [
            gives(ResponseCode::NoError, &[1, 2]),
            gives(ResponseCode::NoError, &[1]),
            silent(),
        ];
        let other = entries(&other, false);
        assert_eq!(distinct_answers(&other), Observed::Value(2));
        assert_eq!(why(&answers(&other)), Some(UnknownWhy::Inconsistent));
    }

    #[test]
    fn a_missing_name_and_a_missing_record_differ() {
        let both = [
            gives(ResponseCode::NXDomain, &[]),
            gives(ResponseCode::NoError, &[]),
        ];
        let both = entries(&both, false);
        assert_eq!(distinct_answers(&both), Observed::Value(2));
        assert_eq!(answers(&both), Observed::Value(Vec::new()));
        let rcode = agreed(&both, |resolver| resolver.rcode.clone());
        assert_eq!(why(&rcode), Some(UnknownWhy::Inconsistent));
    }

    #[test]
    fn a_refusal_has_no_answers_at_all() {
        let one = entries(&[gives(ResponseCode::Refused, &[1])], false);
        assert_eq!(why(&answers(&one)), Some(UnknownWhy::NotObserved));
    }
}
