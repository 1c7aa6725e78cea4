//! The canary: a key of its own is written on a primary, read on its replicas, and deleted. It
//! expires by itself where it could not be.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::future::join_all;
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::cluster::{Member, slot};
use super::connect::Link;
use super::facts::{Canary, CanaryRead, CanaryWrite, WriteResult};
use super::node::Asked;
use super::reply::{self, Problem, Reply};
use crate::evidence::{Observed, Unknown, UnknownWhy, millis};
use crate::probes::{CleanUp, Context};

/// Everything that is written begins with this.
const PREFIX: &str = "probe:canary:";
/// When it expires by itself.
const LIFETIME_MS: u32 = 10_000;
/// Pauses before each look at a replica.
const LOOKS_MS: [u64; 3] = [0, 10, 890];

/// No canary was asked for.
pub fn none() -> Canary {
    Canary {
        writes: Vec::new(),
        reads: Vec::new(),
        deleted: Observed::unknown(UnknownWhy::NotApplicable, "no `allow_writes` is declared"),
    }
}

/// Writes on the primary, or on each one of a cluster.
pub async fn run(
    ctx: &Context,
    asked: &[Asked],
    members: Option<&Result<Vec<Member>, Unknown>>,
    deadline: Instant,
) -> Canary {
    let members = match members {
        None => None,
        Some(Ok(members)) => Some(members.as_slice()),
        // Without the owners of the slots a key would be sent to the wrong node.
        Some(Err(unknown)) => return unwritten(asked.first(), unknown),
    };
    let token = RandomState::new().hash_one(Instant::now());
    let (targets, unwritten) = match members {
        None => (alone(asked, token), Vec::new()),
        Some(members) => shards(asked, members, token),
    };
    let is_cluster = members.is_some();
    let all = targets
        .iter()
        .map(|target| one(ctx, target, is_cluster, deadline));
    let mut canary = Canary {
        writes: unwritten,
        reads: Vec::new(),
        deleted: Observed::Value(true),
    };
    let mut is_written = false;
    for (write, reads, deleted) in join_all(all).await {
        canary.writes.push(write);
        canary.reads.extend(reads);
        if let Some(deleted) = deleted {
            is_written = true;
            canary.deleted = worse(canary.deleted, deleted);
        }
    }
    if !is_written {
        canary.deleted = Observed::unknown(UnknownWhy::NotApplicable, "nothing was written");
    }
    canary
}

/// Where it is written, and who must show it.
struct Target<'a> {
    primary: &'a Asked,
    key: String,
    replicas: Vec<&'a Asked>,
    /// Replicas that were not asked.
    unseen: Vec<CanaryRead>,
}

/// The server at `url`. Declared replicas are looked at whatever they say: one that follows another primary
/// shows nothing.
fn alone(asked: &[Asked], token: u64) -> Vec<Target<'_>> {
    let target = asked.split_first().map(|(primary, replicas)| Target {
        primary,
        key: format!("{PREFIX}{token:016x}"),
        replicas: replicas.iter().collect(),
        unseen: Vec::new(),
    });
    target.into_iter().collect()
}

/// Every primary with slots and its replicas, as the cluster names them: one that was not seen is unknown, and
/// not left out.
fn shards<'a>(
    asked: &'a [Asked],
    members: &[Member],
    token: u64,
) -> (Vec<Target<'a>>, Vec<CanaryWrite>) {
    let seen_as = |member: &Member| {
        let is_it = |one: &&Asked| member_of(members, one).is_some_and(|own| own.id == member.id);
        asked.iter().find(is_it)
    };
    let not_seen = |member: &Member| Unknown {
        why: UnknownWhy::NotObserved,
        detail: format!("{}:{} was not asked", member.host, member.port),
    };
    let (mut targets, mut unwritten) = (Vec::new(), Vec::new());
    let primaries = members.iter().filter(|member| member.primary.is_empty());
    for member in primaries.filter(|member| !member.slots.is_empty()) {
        let (Some(primary), Some(key)) = (seen_as(member), key_for(member, token)) else {
            let why = not_seen(member);
            unwritten.push(CanaryWrite {
                address: reply::printable(&format!("{}:{}", member.host, member.port)),
                result: why.clone().into(),
                error: why.detail.clone(),
                write_ms: why.into(),
            });
            continue;
        };
        let (mut replicas, mut unseen) = (Vec::new(), Vec::new());
        for replica in members.iter().filter(|one| one.primary == member.id) {
            match seen_as(replica) {
                Some(one) => replicas.push(one),
                None => unseen.push(CanaryRead {
                    address: reply::printable(&format!("{}:{}", replica.host, replica.port)),
                    seen: not_seen(replica).into(),
                    replicated_ms: not_seen(replica).into(),
                }),
            }
        }
        targets.push(Target {
            primary,
            key,
            replicas,
            unseen,
        });
    }
    (targets, unwritten)
}

fn worse(known: Observed<bool>, new: Observed<bool>) -> Observed<bool> {
    match (&known, &new) {
        (Observed::Value(true), _) | (Observed::Unknown(_), Observed::Value(false)) => new,
        _ => known,
    }
}

/// What the cluster says about a node that was asked.
fn member_of<'m>(members: &'m [Member], asked: &Asked) -> Option<&'m Member> {
    let is_url = asked.node.declared_as == super::facts::DeclaredAs::Url;
    members.iter().find(|member| {
        if member.has("myself") || is_url {
            return member.has("myself") && is_url;
        }
        let host_fits = member.host.is_empty() || member.host == asked.endpoint.host;
        host_fits && member.port == asked.endpoint.port
    })
}

/// A key in one of the slots of a node.
fn key_for(member: &Member, token: u64) -> Option<String> {
    // One slot in 16,384 takes as many tries on average; ten times as many nearly always do.
    const TRIES: u32 = 200_000;
    if member.slots.is_empty() {
        return None;
    }
    (0..TRIES)
        .map(|n| format!("{PREFIX}{token:016x}:{n}"))
        .find(|key| {
            let slot = slot(key);
            member
                .slots
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&slot))
        })
}

type Outcome = (CanaryWrite, Vec<CanaryRead>, Option<Observed<bool>>);

async fn one(ctx: &Context, target: &Target<'_>, is_cluster: bool, deadline: Instant) -> Outcome {
    let (primary, key) = (target.primary, target.key.as_str());
    let link = match ready(primary) {
        Ok(link) => link,
        Err(write) => return (write, Vec::new(), None),
    };
    let standing_by = delete_when_cut(ctx, link, key);
    let mut set = cmd("SET");
    set.arg(key).arg(key).arg("PX").arg(LIFETIME_MS);
    let begun = Instant::now();
    let left = deadline.saturating_duration_since(begun);
    let reply = link.ask_one(set, begun + left / 3).await;
    let acknowledged = Instant::now();
    let write = written(primary, &reply);
    if reply.is_err() {
        // Silence does not say that nothing was written.
        let silent = matches!(reply, Err(Problem::Silent));
        if matches!(reply, Err(Problem::Refused { .. })) {
            standing_by.disarm();
        }
        let unsure = Observed::unknown(
            UnknownWhy::TimedOut,
            "SET: no answer, so it may have been written; it expires by itself",
        );
        return (write, Vec::new(), silent.then_some(unsure));
    }
    let replicas = target.replicas.iter();
    let looks_until = acknowledged + left / 2;
    let reads = join_all(replicas.map(|one| look(one, key, is_cluster, acknowledged, looks_until)));
    let mut reads = reads.await;
    reads.extend(target.unseen.iter().cloned());
    let mut delete = cmd("DEL");
    delete.arg(key);
    let deleted = match link.ask_one(delete, deadline).await {
        Ok(_) => {
            standing_by.disarm();
            Observed::Value(true)
        }
        Err(problem) => problem.unknown("DEL").into(),
    };
    (write, reads, Some(deleted))
}

/// It expires by itself; this is for those who count keys before.
fn delete_when_cut(ctx: &Context, link: &Link, key: &str) -> CleanUp {
    let (link, key) = (link.clone(), key.to_owned());
    ctx.clean_up(move |ctx| async move {
        let mut delete = cmd("DEL");
        delete.arg(key);
        // Behind whatever is under way on that connection, so that it comes after the write.
        let _ = link.ask_one(delete, ctx.deadline()).await;
    })
}

/// The connection over which a server may be written to, or why nothing is written there.
fn ready(primary: &Asked) -> Result<&Link, CanaryWrite> {
    let node = &primary.node;
    let refused = |result: Observed<WriteResult>, error: String| CanaryWrite {
        address: node.address.clone(),
        result,
        write_ms: Observed::unknown(UnknownWhy::NotObserved, error.clone()),
        error,
    };
    let Some(link) = &primary.link else {
        // What refused our credentials may well take those of others.
        let result = match &node.state {
            Observed::Value(_) => Observed::Value(WriteResult::Unreachable),
            Observed::Unknown(unknown) => unknown.clone().into(),
        };
        return Err(refused(result, node.error.clone()));
    };
    match &node.database_exists {
        Observed::Value(true) => Ok(link),
        Observed::Value(false) => {
            let error = "SELECT: the server has no such database".to_owned();
            Err(refused(Observed::Value(WriteResult::Error), error))
        }
        Observed::Unknown(unknown) => Err(refused(unknown.clone().into(), unknown.detail.clone())),
    }
}

/// Nothing was written, and nobody knows what would have become of it.
fn unwritten(url: Option<&Asked>, why: &Unknown) -> Canary {
    let writes = url.map(|url| CanaryWrite {
        address: url.node.address.clone(),
        result: why.clone().into(),
        error: why.detail.clone(),
        write_ms: why.clone().into(),
    });
    Canary {
        writes: writes.into_iter().collect(),
        reads: Vec::new(),
        deleted: Observed::unknown(UnknownWhy::NotApplicable, "nothing was written"),
    }
}

fn written(primary: &Asked, reply: &Reply) -> CanaryWrite {
    let (result, error) = match reply {
        Ok((value, _)) if reply::text(value).as_deref() == Some("OK") => {
            (Observed::Value(WriteResult::Written), String::new())
        }
        Ok(_) => (
            Observed::Value(WriteResult::Error),
            reply::unparseable("SET").detail,
        ),
        Err(problem) => {
            let unknown = problem.unknown("SET");
            let result = match problem.code() {
                "OOM" => Some(WriteResult::Oom),
                "MISCONF" => Some(WriteResult::Misconf),
                "NOREPLICAS" => Some(WriteResult::Noreplicas),
                "READONLY" => Some(WriteResult::Readonly),
                "CLUSTERDOWN" => Some(WriteResult::Clusterdown),
                "LOADING" | "BUSY" | "MASTERDOWN" => Some(WriteResult::Unavailable),
                "NOPERM" | "NOAUTH" => None,
                _ if problem.is_unknown_command() => None,
                _ if *problem == Problem::Silent => Some(WriteResult::Silent),
                _ => Some(WriteResult::Error),
            };
            let error = unknown.detail.clone();
            (
                result.map_or_else(|| unknown.into(), Observed::Value),
                error,
            )
        }
    };
    let write_ms = match reply {
        Ok((_, took)) => Observed::Value(millis(*took)),
        Err(problem) => problem.unknown("SET").into(),
    };
    CanaryWrite {
        address: primary.node.address.clone(),
        result,
        error,
        write_ms,
    }
}

/// Looks for the canary on a replica, a few times.
async fn look(
    replica: &Asked,
    key: &str,
    is_cluster: bool,
    since: Instant,
    deadline: Instant,
) -> CanaryRead {
    let address = replica.node.address.clone();
    let unseen = |seen: Observed<bool>, why: Unknown| CanaryRead {
        address: address.clone(),
        seen,
        replicated_ms: why.into(),
    };
    let Some(link) = &replica.link else {
        let why = Unknown {
            why: UnknownWhy::NotObserved,
            detail: replica.node.error.clone(),
        };
        return unseen(why.clone().into(), why);
    };
    // Another database than that of the write shows nothing.
    match &replica.node.database_exists {
        Observed::Value(true) => {}
        Observed::Value(false) => {
            let why = Unknown {
                why: UnknownWhy::NotObserved,
                detail: "SELECT: the server has no such database".to_owned(),
            };
            return unseen(Observed::Value(false), why);
        }
        Observed::Unknown(unknown) => return unseen(unknown.clone().into(), unknown.clone()),
    }
    if is_cluster {
        // Without it a replica sends us on to its primary.
        let _ = link.ask_one(cmd("READONLY"), deadline).await;
    }
    let mut last = None;
    for pause in LOOKS_MS.map(Duration::from_millis) {
        if Instant::now() + pause >= deadline {
            break;
        }
        sleep(pause).await;
        let mut get = cmd("GET");
        get.arg(key);
        let reply = link.ask_one(get, deadline).await;
        match reply {
            Ok((value, _)) if reply::text(&value).as_deref() == Some(key) => {
                return CanaryRead {
                    address,
                    seen: Observed::Value(true),
                    replicated_ms: Observed::Value(millis(since.elapsed())),
                };
            }
            Ok(_) => last = None,
            Err(problem) => {
                last = Some(problem);
                break;
            }
        }
    }
    let not_seen = Unknown {
        why: UnknownWhy::TimedOut,
        detail: format!(
            "GET: the canary was not there {:?} after the write",
            since.elapsed()
        ),
    };
    let (seen, replicated_ms) = match last {
        None => (Observed::Value(false), not_seen.into()),
        // A replica that serves nothing, because it has no primary, does not show it either.
        Some(problem) if matches!(problem.code(), "MASTERDOWN" | "LOADING" | "BUSY") => {
            (Observed::Value(false), problem.unknown("GET").into())
        }
        Some(problem) => (problem.unknown("GET").into(), problem.unknown("GET").into()),
    };
    CanaryRead {
        address,
        seen,
        replicated_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_for_any_share_of_the_slots() {
        let line = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 100-140";
        let members = super::super::cluster::members(line).expect("a member");
        let key = key_for(&members[0], 7).expect("a key");
        assert!(key.starts_with(PREFIX) && (100..=140).contains(&slot(&key)));
    }
}
