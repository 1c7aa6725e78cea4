//! Memory, keys and clients.

use std::net::SocketAddr;

use super::facts::{Clients, Memory};
use super::info::{Info, part};
use super::reply::{self, Reply};
use crate::evidence::Observed;

/// Two facts that are both needed.
pub fn both<A, B, C>(a: &Observed<A>, b: &Observed<B>, f: impl FnOnce(&A, &B) -> C) -> Observed<C> {
    match (a, b) {
        (Observed::Value(a), Observed::Value(b)) => Observed::Value(f(a, b)),
        (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => unknown.clone().into(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and counts, as a share of one another"
)]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

/// The memory of a server.
pub fn memory(info: &Info) -> Memory {
    // Output buffers of replicas and the buffer of the append-only file do not count.
    let uncounted = match info.get("mem_not_counted_for_evict") {
        Ok(None) => Observed::Value(0),
        _ => info.int("mem_not_counted_for_evict"),
    };
    let used_bytes = both(&info.int("used_memory"), &uncounted, |used, uncounted| {
        used.saturating_sub(*uncounted)
    });
    let rss_bytes = info.int("used_memory_rss");
    let maxmemory_bytes = info.int("maxmemory");
    let system_bytes = info.int("total_system_memory");
    let policy = info.text("maxmemory_policy");
    Memory {
        used_ratio: used_ratio(&used_bytes, &rss_bytes, &maxmemory_bytes, &system_bytes),
        can_evict: can_evict(info, &policy, &maxmemory_bytes),
        used_bytes,
        rss_bytes,
        maxmemory_bytes,
        system_bytes,
        policy,
        fragmentation_ratio: info.float("mem_fragmentation_ratio"),
        fragmentation_bytes: info.int("mem_fragmentation_bytes"),
        evicted_keys: info.int("evicted_keys"),
    }
}

fn used_ratio(
    used: &Observed<i64>,
    rss: &Observed<i64>,
    maxmemory: &Observed<i64>,
    system: &Observed<i64>,
) -> Observed<f64> {
    maxmemory.clone().and_then(|limit| {
        if limit > 0 {
            return used.clone().map(|used| ratio(used, limit));
        }
        both(rss, system, |rss, system| (*rss, *system)).and_then(|(rss, system)| {
            if system > 0 {
                Observed::Value(ratio(rss, system))
            } else {
                reply::unparseable("INFO memory").into()
            }
        })
    })
}

fn can_evict(info: &Info, policy: &Observed<String>, maxmemory: &Observed<i64>) -> Observed<bool> {
    both(policy, maxmemory, |policy, limit| (policy.clone(), *limit)).and_then(|(policy, limit)| {
        if limit == 0 || policy == "noeviction" {
            return Observed::Value(false);
        }
        if policy.starts_with("volatile-") {
            return sum_over_databases(info, "expires").map(|expires| expires > 0);
        }
        Observed::Value(true)
    })
}

/// Keys in all databases.
pub fn keys(info: &Info) -> Observed<i64> {
    sum_over_databases(info, "keys")
}

/// A database without keys is not listed.
fn sum_over_databases(info: &Info, name: &str) -> Observed<i64> {
    let databases = match info.numbered("db") {
        Ok(databases) => databases,
        Err(unknown) => return unknown.clone().into(),
    };
    databases
        .iter()
        .map(|database| part(database, name)?.parse::<i64>().ok())
        .try_fold(0_i64, |sum, count| Some(sum.saturating_add(count?)))
        .map_or_else(
            || reply::unparseable("INFO keyspace").into(),
            Observed::Value,
        )
}

/// The clients of a server.
pub fn clients(info: &Info) -> Clients {
    let connected = info.int("connected_clients");
    let max = info.int("maxclients");
    let used_ratio =
        both(&connected, &max, |connected, max| (*connected, *max)).and_then(|(connected, max)| {
            if max > 0 {
                Observed::Value(ratio(connected, max))
            } else {
                reply::unparseable("INFO clients").into()
            }
        });
    Clients {
        connected,
        max,
        used_ratio,
        blocked: info.int("blocked_clients"),
        pooled: Observed::unknown(
            crate::evidence::UnknownWhy::NotApplicable,
            "no `pool_size` is declared",
        ),
        rejected_connections: info.int("rejected_connections"),
    }
}

/// Ordinary clients in the reply of `CLIENT LIST`, without the connection over which it came.
pub fn pooled_clients(reply: Option<&Reply>, own: Option<SocketAddr>) -> Observed<i64> {
    let text = match reply::value(reply, "CLIENT LIST") {
        Err(unknown) => return unknown.into(),
        Ok(value) => match reply::text(value) {
            Some(text) => text,
            None => return reply::unparseable("CLIENT LIST").into(),
        },
    };
    let own = own.map(|own| format!("addr={own}"));
    let others = text
        .lines()
        .filter(|line| line.starts_with("id="))
        .filter(|line| {
            own.as_ref()
                .is_none_or(|own| !line.split(' ').any(|part| part == own))
        })
        .count();
    Observed::Value(i64::try_from(others).unwrap_or(i64::MAX))
}
