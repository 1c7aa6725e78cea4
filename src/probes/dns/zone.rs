//! The zone of a name, its servers, and what each of them says.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::answer::Answer;
use super::facts::{SoaSerial, State};
use super::name::{parent, present_name};
use super::question::Question;
use super::server::{Endpoint, Host, Server, Transport};
use super::transport::{NoAnswer, Reply, ask};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::Roots;
use crate::probes::Context;

/// More name servers than any zone has; a longer set is an attempt to make us busy.
const MAX_SERVERS: usize = 32;
/// How many servers are asked at the same time.
pub(super) const MAX_AT_ONCE: usize = 8;

/// A resolver that has just answered, to find things with.
#[derive(Clone, Copy)]
pub(super) struct Guide<'a> {
    pub ctx: &'a Context,
    pub endpoint: &'a Endpoint,
    pub roots: &'a Roots,
}

impl Guide<'_> {
    /// The answer, where it says that there is something or that there is nothing.
    pub(super) async fn look_up(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Answer, Unknown> {
        let question = Question::to_resolver(name, kind);
        let of_question = |detail: String| format!("{kind} of {}: {detail}", present_name(name));
        let answer = ask(self.ctx, self.endpoint, self.roots, &question, deadline)
            .await
            .map_err(|error| {
                let unknown = error.as_unknown();
                Unknown {
                    why: unknown.why,
                    detail: of_question(unknown.detail),
                }
            })?
            .answer;
        match answer.state {
            State::NoError | State::NoData | State::NxDomain => Ok(answer),
            state => Err(Unknown {
                why: UnknownWhy::NotObserved,
                detail: of_question(format!("the resolver {state}")),
            }),
        }
    }
}

/// The zone that holds `name`: the nearest name above it that has an SOA of its own.
pub(super) async fn apex(
    guide: Guide<'_>,
    name: &Name,
    deadline: Instant,
) -> Result<Name, Unknown> {
    let mut candidate = Some(name.clone());
    while let Some(name) = candidate {
        let answer = guide.look_up(&name, RecordType::SOA, deadline).await?;
        // Behind an alias stands the SOA of another zone.
        if answer.chain.is_empty() {
            if answer.state == State::NoError {
                return Ok(name);
            }
            if let Some(zone) = answer.denied_by.filter(|zone| zone.zone_of(&name)) {
                return Ok(zone);
            }
        }
        candidate = parent(&name);
    }
    Err(Unknown {
        why: UnknownWhy::NotObserved,
        detail: "no zone holds the name".to_owned(),
    })
}

/// An authoritative server: its name, and its address or why it has none.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub server: String,
    pub place: Result<SocketAddr, Unknown>,
}

impl Authority {
    pub(super) fn address(&self) -> String {
        self.place
            .as_ref()
            .map_or_else(|_| String::new(), ToString::to_string)
    }
}

/// The servers of the NS set of `zone`, every address of each.
pub(super) async fn name_servers(
    guide: Guide<'_>,
    zone: &Name,
    port: u16,
    deadline: Instant,
) -> Result<Vec<Authority>, Unknown> {
    let answer = guide.look_up(zone, RecordType::NS, deadline).await?;
    let names: Vec<&Name> = answer
        .data
        .iter()
        .filter_map(|data| match data {
            RData::NS(name) => Some(&name.0),
            _ => None,
        })
        .collect();
    if names.len() > MAX_SERVERS {
        return Err(too_many(names.len()));
    }
    if names.is_empty() {
        return Err(Unknown {
            why: UnknownWhy::NotObserved,
            detail: format!("{} has no NS record", present_name(zone)),
        });
    }
    let found = join_all(names.into_iter().map(|name| async move {
        let server = present_name(name);
        match addresses(guide, name, deadline).await {
            Ok(addresses) => addresses
                .into_iter()
                .map(|address| Authority {
                    server: server.clone(),
                    place: Ok(SocketAddr::new(address, port)),
                })
                .collect(),
            Err(unknown) => vec![Authority {
                server,
                place: Err(unknown),
            }],
        }
    }))
    .await;
    cap(found.into_iter().flatten().collect())
}

async fn addresses(
    guide: Guide<'_>,
    name: &Name,
    deadline: Instant,
) -> Result<Vec<IpAddr>, Unknown> {
    let mut found = Vec::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        let answer = guide.look_up(name, kind, deadline).await?;
        found.extend(answer.data.iter().filter_map(|data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        }));
    }
    if found.is_empty() {
        return Err(Unknown {
            why: UnknownWhy::NotObserved,
            detail: format!("{} has no address", present_name(name)),
        });
    }
    Ok(found)
}

/// The declared servers, every address of each.
pub(super) async fn declared(
    ctx: &Context,
    servers: &[Server],
    deadline: Instant,
) -> Result<Vec<Authority>, Unknown> {
    let found = join_all(servers.iter().map(|server| async move {
        let at = |address| Authority {
            server: server.text.clone(),
            place: Ok(SocketAddr::new(address, server.port)),
        };
        match &server.host {
            Host::Address(address) => vec![at(*address)],
            Host::Name(name) => match ctx.net().resolve(name, deadline).await {
                Ok(addresses) => addresses.into_iter().map(at).collect(),
                Err(error) => vec![Authority {
                    server: server.text.clone(),
                    place: Err(NoAnswer::net(server.transport, &error).as_unknown()),
                }],
            },
        }
    }))
    .await;
    cap(found.into_iter().flatten().collect())
}

fn cap(found: Vec<Authority>) -> Result<Vec<Authority>, Unknown> {
    if found.len() > MAX_SERVERS {
        return Err(too_many(found.len()));
    }
    Ok(found)
}

fn too_many(count: usize) -> Unknown {
    Unknown {
        why: UnknownWhy::TooLarge,
        detail: format!("{count} authoritative servers are more than {MAX_SERVERS}"),
    }
}

/// Asks every server with an address, a few at a time; each batch has its share of the time.
pub(super) async fn ask_each(
    ctx: &Context,
    endpoints: &[Result<Endpoint, Unknown>],
    question: &Question,
    deadline: Instant,
) -> Vec<Result<Reply, NoAnswer>> {
    let roots = Roots::default();
    let mut replies = Vec::with_capacity(endpoints.len());
    let mut batches_left = u32::try_from(endpoints.len().div_ceil(MAX_AT_ONCE)).unwrap_or(1);
    for batch in endpoints.chunks(MAX_AT_ONCE) {
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / batches_left.max(1);
        batches_left = batches_left.saturating_sub(1);
        let roots = &roots;
        replies.extend(
            join_all(batch.iter().map(|endpoint| async move {
                match endpoint {
                    Ok(endpoint) => ask(ctx, endpoint, roots, question, until).await,
                    Err(unknown) => Err(NoAnswer::new(
                        State::Unreachable,
                        Transport::Udp,
                        unknown.detail.clone(),
                    )),
                }
            }))
            .await,
        );
    }
    replies
}

/// The serial of `zone` at every server, over UDP and TCP.
pub(super) async fn serials(
    ctx: &Context,
    authorities: &[Authority],
    zone: &Name,
    deadline: Instant,
) -> Vec<SoaSerial> {
    let both = [Transport::Udp, Transport::Tcp];
    let pairs: Vec<(&Authority, Transport)> = authorities
        .iter()
        .flat_map(|authority| both.map(|transport| (authority, transport)))
        .collect();
    let endpoints: Vec<Result<Endpoint, Unknown>> = pairs
        .iter()
        .map(|(authority, transport)| {
            let address = authority.place.clone()?;
            Ok(Endpoint::plain(*transport, address))
        })
        .collect();
    let question = Question::to_authority(zone, RecordType::SOA);
    let replies = ask_each(ctx, &endpoints, &question, deadline).await;
    pairs
        .into_iter()
        .zip(replies)
        .map(|((authority, transport), reply)| serial(authority, transport, reply))
        .collect()
}

fn serial(
    authority: &Authority,
    transport: Transport,
    reply: Result<Reply, NoAnswer>,
) -> SoaSerial {
    let (serial, aa) = match reply {
        Ok(reply) => {
            let found = reply.answer.data.iter().find_map(|data| match data {
                RData::SOA(soa) => Some(soa.serial),
                _ => None,
            });
            let serial = match found {
                Some(serial) => Observed::Value(serial),
                None => Observed::unknown(
                    UnknownWhy::NotObserved,
                    format!("{} {}", authority.server, reply.answer.state),
                ),
            };
            (serial, Observed::Value(reply.answer.authoritative))
        }
        Err(error) => {
            let mut unknown = error.as_unknown();
            unknown.detail = format!("{}: {}", authority.server, unknown.detail);
            (unknown.clone().into(), unknown.into())
        }
    };
    SoaSerial {
        server: authority.server.clone(),
        address: authority.address(),
        transport,
        serial,
        aa,
    }
}
