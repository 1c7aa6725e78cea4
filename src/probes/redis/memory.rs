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
        _ => info.count("mem_not_counted_for_evict"),
    };
    let used_bytes = both(&info.count("used_memory"), &uncounted, |used, uncounted| {
        used.saturating_sub(*uncounted)
    });
    let rss_bytes = info.count("used_memory_rss");
    let maxmemory_bytes = info.count("maxmemory");
    let system_bytes = info.count("total_system_memory");
    let policy = info.text("maxmemory_policy");
    let evictable_ratio = evictable_ratio(info, &policy, &maxmemory_bytes);
    Memory {
        used_ratio: used_ratio(&used_bytes, &rss_bytes, &maxmemory_bytes, &system_bytes),
        can_evict: evictable_ratio.clone().map(|share| share > 0.0),
        evictable_ratio,
        used_bytes,
        rss_bytes,
        maxmemory_bytes,
        system_bytes,
        policy,
        fragmentation_ratio: info.float("mem_fragmentation_ratio"),
        fragmentation_bytes: info.int("mem_fragmentation_bytes"),
        evicted_keys: info.count("evicted_keys"),
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

/// Whether a server that may evict has yet to do so.
pub fn is_evicting(info: &Info) -> bool {
    let seen = memory(info);
    let over = both(&seen.used_bytes, &seen.maxmemory_bytes, |used, limit| {
        used > limit
    });
    seen.can_evict == Observed::Value(true) && over == Observed::Value(true)
}

/// The share of the keys that the policy may evict: where there is no key, there is nothing.
fn evictable_ratio(
    info: &Info,
    policy: &Observed<String>,
    maxmemory: &Observed<i64>,
) -> Observed<f64> {
    both(policy, maxmemory, |policy, limit| (policy.clone(), *limit)).and_then(|(policy, limit)| {
        if limit == 0 || policy == "noeviction" {
            return Observed::Value(0.0);
        }
        let keys = keys(info);
        let evictable = if policy.starts_with("volatile-") {
            sum_over_databases(info, "expires")
        } else {
            keys.clone()
        };
        both(&evictable, &keys, |evictable, keys| {
            if *keys > 0 {
                ratio(*evictable, *keys).min(1.0)
            } else {
                0.0
            }
        })
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
        .map(|database| {
            part(database, name)?
                .parse::<i64>()
                .ok()
                .filter(|n| *n >= 0)
        })
        .try_fold(0_i64, |sum, count| Some(sum.saturating_add(count?)))
        .map_or_else(
            || reply::unparseable("INFO keyspace").into(),
            Observed::Value,
        )
}

/// The clients of a server.
pub fn clients(info: &Info) -> Clients {
    let connected = info.count("connected_clients");
    let max = info.count("maxclients");
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
        blocked: info.count("blocked_clients"),
        pooled: Observed::unknown(
            crate::evidence::UnknownWhy::NotApplicable,
            "no `pool_size` is declared",
        ),
        rejected_connections: info.count("rejected_connections"),
    }
}

fn is_name_of_sentinel(part: &str) -> bool {
    part.strip_prefix("name=sentinel-")
        .is_some_and(|rest| rest.ends_with("-cmd"))
}

/// Ordinary clients in the reply of `CLIENT LIST`, without the connection over which it came and without
/// those of sentinels, which name theirs.
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
        .filter(|line| !line.split(' ').any(is_name_of_sentinel))
        .count();
    Observed::Value(i64::try_from(others).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_evicted_takes_keys() {
        let share = |policy: &str, keyspace: &str| {
            let info = format!("maxmemory:1\nmaxmemory_policy:{policy}\nused_memory:9\n{keyspace}");
            memory(&Info::parse(&info)).evictable_ratio
        };
        assert_eq!(share("allkeys-lru", ""), Observed::Value(0.0));
        assert_eq!(
            share("allkeys-lru", "db3:keys=1,expires=0"),
            Observed::Value(1.0)
        );
        let keys = "db0:keys=16,expires=4,avg_ttl=0\ndb1:keys=4,expires=1,avg_ttl=0\n";
        assert_eq!(share("volatile-ttl", keys), Observed::Value(0.25));
        assert_eq!(share("noeviction", keys), Observed::Value(0.0));
        assert!(
            share("volatile-ttl", "db0:keys=x,expires=1")
                .value()
                .is_none()
        );
    }

    #[test]
    fn negative_counts_are_none() {
        let seen = memory(&Info::parse(
            "maxmemory:-1\nused_memory:5\nused_memory_rss:-5\ntotal_system_memory:9\n",
        ));
        assert!(seen.maxmemory_bytes.value().is_none() && seen.used_ratio.value().is_none());
        let seen = memory(&Info::parse(
            "maxmemory:0\nused_memory:5\nused_memory_rss:-5\ntotal_system_memory:9\n",
        ));
        assert!(seen.used_ratio.value().is_none());
    }

    #[test]
    fn the_connections_of_sentinels_are_not_of_a_pool() {
        let list = "id=1 addr=127.0.0.1:1 name= cmd=get\nid=2 addr=127.0.0.1:2 name=sentinel-1a2b3c4d-cmd cmd=ping\nid=3 addr=127.0.0.1:3 name=sentinel-app cmd=get\n";
        let reply: Reply = Ok((
            redis::Value::BulkString(list.as_bytes().to_vec()),
            std::time::Duration::ZERO,
        ));
        assert_eq!(pooled_clients(Some(&reply), None), Observed::Value(2));
    }
}
