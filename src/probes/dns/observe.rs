//! One attempt: every resolver at once, then what else was asked for.

use std::net::SocketAddr;

use futures_util::future::join_all;
use hickory_proto::rr::Name;
use tokio::time::Instant;

use super::authority::{View, compare};
use super::caa;
use super::combine::{
    Asked, agreed, combined_security, distinct_answers, entry, first_expiry, lowest_ttl,
};
use super::config::{Authorities, Config, Plan};
use super::dnssec::withholds;
use super::facts::{Facts, State};
use super::name::present_name;
use super::question::Question;
use super::server::{Endpoint, Host, Server, Transport};
use super::transport::{NoAnswer, ask};
use super::zone::{Authority, Guide, apex, declared, name_servers, serials};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::system_nameservers;
use crate::probes::Context;

pub(super) async fn observe(ctx: &Context, config: &Config, plan: &Plan) -> Result<Facts, Failure> {
    let servers = resolvers(plan)?;
    let mut steps = Steps::new(config);
    let question = Question::to_resolver(&plan.name, plan.kind);
    let begun = Instant::now();
    let deadline = steps.next(ctx);
    let asked = join_all(
        servers
            .into_iter()
            .map(|server| ask_resolver(ctx, plan, server, &question, deadline)),
    )
    .await;
    ctx.phase("query", begun.elapsed());
    if asked.iter().all(|asked| asked.result.is_err()) {
        return Err(nobody_answered(&asked));
    }
    let guide = guide(ctx, plan, &asked);
    let mut facts = from_resolvers(ctx, plan, &asked);
    authorities(ctx, config, plan, &guide, &mut steps, &mut facts).await;
    if config.caa {
        let begun = Instant::now();
        let deadline = steps.next(ctx);
        facts.caa = match guide {
            Ok(guide) => caa::climb(guide, &plan.name, deadline).await,
            Err(unknown) => unknown.into(),
        };
        ctx.phase("caa", begun.elapsed());
    }
    Ok(facts)
}

/// Shares out the time: each step has an equal part of what the ones before it left.
struct Steps {
    left: usize,
}

impl Steps {
    fn new(config: &Config) -> Self {
        let asks_authorities = usize::from(config.asks_authorities());
        let finds_zone = usize::from(config.asks_authorities() || config.soa);
        Self {
            left: 1
                + finds_zone
                + asks_authorities
                + usize::from(config.soa)
                + usize::from(config.caa),
        }
    }

    fn next(&mut self, ctx: &Context) -> Instant {
        let deadline = ctx.share(self.left);
        self.left = self.left.saturating_sub(1);
        deadline
    }
}

fn resolvers(plan: &Plan) -> Result<Vec<Server>, Failure> {
    if !plan.resolvers.is_empty() {
        return Ok(plan.resolvers.clone());
    }
    let servers = system_nameservers().map_err(Failure::probe)?;
    Ok(servers
        .into_iter()
        .map(|address| Endpoint::plain(Transport::Udp, address).server)
        .collect())
}

/// The question, and the further ones that a failure calls for.
async fn ask_resolver(
    ctx: &Context,
    plan: &Plan,
    server: Server,
    question: &Question,
    deadline: Instant,
) -> Asked {
    let address = match locate(ctx, &server, deadline).await {
        Ok(address) => address,
        Err(error) => {
            return Asked {
                server,
                endpoint: None,
                withheld: error.as_unknown().into(),
                result: Err(error),
            };
        }
    };
    let endpoint = Endpoint {
        address,
        server: server.clone(),
    };
    let result = ask(ctx, &endpoint, &plan.roots, question, deadline).await;
    let withheld = match &result {
        Ok(reply) => withholds(ctx, &endpoint, &plan.roots, question, reply, deadline).await,
        Err(error) => error.as_unknown().into(),
    };
    Asked {
        server,
        endpoint: Some(endpoint),
        result,
        withheld,
    }
}

async fn locate(ctx: &Context, server: &Server, deadline: Instant) -> Result<SocketAddr, NoAnswer> {
    let address = match &server.host {
        Host::Address(address) => Some(*address),
        Host::Name(name) => ctx
            .net()
            .resolve(name, deadline)
            .await
            .map_err(|error| NoAnswer::net(server.transport, &error))?
            .first()
            .copied(),
    };
    address
        .map(|address| SocketAddr::new(address, server.port))
        .ok_or_else(|| NoAnswer::new(State::Unreachable, server.transport, "it has no address"))
}

/// The first resolver that answered, to find further things with.
fn guide<'a>(ctx: &'a Context, plan: &'a Plan, asked: &'a [Asked]) -> Result<Guide<'a>, Unknown> {
    let useful = |asked: &Asked| {
        asked.result.as_ref().is_ok_and(|reply| {
            matches!(
                reply.answer.state,
                State::NoError | State::NoData | State::NxDomain
            )
        })
    };
    asked
        .iter()
        .filter(|asked| useful(asked))
        .find_map(|asked| asked.endpoint.as_ref())
        .map(|endpoint| Guide {
            ctx,
            endpoint,
            roots: &plan.roots,
        })
        .ok_or_else(|| Unknown {
            why: UnknownWhy::NotObserved,
            detail: "no resolver gave an answer to go on from".to_owned(),
        })
}

/// A resolver that gives no answer says nothing about the name: we could not look.
fn nobody_answered(asked: &[Asked]) -> Failure {
    let reasons: Vec<String> = asked
        .iter()
        .filter_map(|asked| {
            let error = asked.result.as_ref().err()?;
            Some(format!(
                "resolver {} did not answer: it {} ({})",
                asked.server.text, error.state, error.detail
            ))
        })
        .collect();
    Failure::probe(reasons.join("; "))
}

fn from_resolvers(ctx: &Context, plan: &Plan, asked: &[Asked]) -> Facts {
    let fallback = plan.resolvers.is_empty();
    let by_resolver: Vec<_> = asked.iter().map(|asked| entry(asked, fallback)).collect();
    let (rrsig_expires_at, rrsig_days_left) = first_expiry(asked, ctx.now());
    let not_asked = |param: &str| Unknown {
        why: UnknownWhy::NotApplicable,
        detail: format!("`{param}` is not set"),
    };
    let state = agreed(&by_resolver, |resolver| {
        resolver.rcode.clone().map(|_| resolver.state)
    });
    Facts {
        asked_name: present_name(&plan.name),
        rcode: agreed(&by_resolver, |resolver| resolver.rcode.clone()),
        nodata: state.clone().map(|state| state == State::NoData),
        state,
        answers: agreed(&by_resolver, |resolver| resolver.answers.clone()),
        expected: match &plan.expected {
            Some(records) => Observed::Value(records.clone()),
            None => not_asked("expect").into(),
        },
        distinct_answers: distinct_answers(&by_resolver),
        cname_chain: agreed(&by_resolver, |resolver| resolver.cname_chain.clone()),
        aa: agreed(&by_resolver, |resolver| resolver.aa.clone()),
        ad: agreed(&by_resolver, |resolver| resolver.ad.clone()),
        ttl_min_seconds: lowest_ttl(&by_resolver),
        dnssec: combined_security(&by_resolver),
        signatures: by_resolver
            .iter()
            .map(|resolver| resolver.signatures)
            .max()
            .unwrap_or(0),
        rrsig_expires_at,
        rrsig_days_left,
        by_resolver,
        zone: not_asked("authoritative").into(),
        by_authority: not_asked("authoritative").into(),
        soa_serials: not_asked("soa").into(),
        caa: not_asked("caa").into(),
    }
}

async fn authorities(
    ctx: &Context,
    config: &Config,
    plan: &Plan,
    guide: &Result<Guide<'_>, Unknown>,
    steps: &mut Steps,
    facts: &mut Facts,
) {
    if !config.asks_authorities() && !config.soa {
        return;
    }
    let begun = Instant::now();
    let deadline = steps.next(ctx);
    let needs_zone = config.soa || matches!(plan.authorities, Authorities::NsSet { .. });
    let zone = match (needs_zone, guide) {
        (false, _) => None,
        (true, Ok(guide)) => Some(apex(*guide, &plan.name, deadline).await),
        (true, Err(unknown)) => Some(Err(unknown.clone())),
    };
    if let Some(zone) = &zone {
        facts.zone = match zone {
            Ok(zone) => Observed::Value(present_name(zone)),
            Err(unknown) => unknown.clone().into(),
        };
    }
    let servers = find_servers(ctx, plan, guide, zone.as_ref(), deadline).await;
    ctx.phase("zone", begun.elapsed());
    if config.asks_authorities() {
        let begun = Instant::now();
        let deadline = steps.next(ctx);
        facts.by_authority = match &servers {
            Ok(servers) => {
                let view = View::of(facts);
                Observed::Value(compare(ctx, plan, servers, &view, deadline).await)
            }
            Err(unknown) => unknown.clone().into(),
        };
        ctx.phase("authorities", begun.elapsed());
    }
    if config.soa {
        let begun = Instant::now();
        let deadline = steps.next(ctx);
        facts.soa_serials = match (&servers, zone) {
            (Ok(servers), Some(Ok(zone))) => {
                Observed::Value(serials(ctx, servers, &zone, deadline).await)
            }
            (Err(unknown), _) => unknown.clone().into(),
            (Ok(_), Some(Err(unknown))) => unknown.into(),
            (Ok(_), None) => Observed::unknown(UnknownWhy::NotObserved, "no zone was looked for"),
        };
        ctx.phase("serials", begun.elapsed());
    }
}

async fn find_servers(
    ctx: &Context,
    plan: &Plan,
    guide: &Result<Guide<'_>, Unknown>,
    zone: Option<&Result<Name, Unknown>>,
    deadline: Instant,
) -> Result<Vec<Authority>, Unknown> {
    match (&plan.authorities, guide, zone) {
        (Authorities::Servers(servers), ..) => declared(ctx, servers, deadline).await,
        (Authorities::NsSet { port }, Ok(guide), Some(Ok(zone))) => {
            name_servers(*guide, zone, *port, deadline).await
        }
        (_, Err(unknown), _) | (_, _, Some(Err(unknown))) => Err(unknown.clone()),
        (_, _, None) => Err(Unknown {
            why: UnknownWhy::NotObserved,
            detail: "no zone was looked for".to_owned(),
        }),
    }
}
