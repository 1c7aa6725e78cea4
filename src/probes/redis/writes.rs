//! Whether a server refuses writes, from its own figures: `PING` mostly says nothing of it.

use super::facts::{AofStatus, ClusterState, Node, Ping, Refusal, Role, SaveStatus};
use super::info::Info;
use super::memory::both;
use crate::evidence::{Observed, UnknownWhy};

/// Why writes are refused; a reason that is certain counts even where another is not known.
pub fn refused(node: &Node, info: &Info) -> Observed<Vec<Refusal>> {
    if node.role == Observed::Value(Role::Replica) {
        return Observed::unknown(UnknownWhy::NotApplicable, "a replica takes no writes");
    }
    let mut reasons = Vec::new();
    let mut blind = None;
    let found = [
        (Refusal::Loading, node.persistence.loading.clone()),
        (Refusal::Oom, out_of_memory(node)),
        (Refusal::Misconf, cannot_persist(node)),
        (Refusal::Noreplicas, too_few_replicas(node, info)),
        (Refusal::Clusterdown, cluster_down(node, info)),
    ];
    for (reason, holds) in found {
        match holds {
            Observed::Value(true) => reasons.push(reason),
            Observed::Value(false) => {}
            Observed::Unknown(unknown) => blind = blind.or(Some(unknown)),
        }
    }
    match blind {
        Some(unknown) if reasons.is_empty() => unknown.into(),
        _ => Observed::Value(reasons),
    }
}

fn out_of_memory(node: &Node) -> Observed<bool> {
    let memory = &node.memory;
    let full = both(
        &memory.maxmemory_bytes,
        &memory.used_bytes,
        |limit, used| *limit > 0 && used >= limit,
    );
    both(&full, &memory.can_evict, |full, evicts| *full && !*evicts)
}

fn cannot_persist(node: &Node) -> Observed<bool> {
    if node.ping == Observed::Value(Ping::Misconf) {
        return Observed::Value(true);
    }
    let aof = node
        .persistence
        .aof
        .last_write_status
        .clone()
        .map(|status| status == AofStatus::Err);
    if aof == Observed::Value(true) {
        return aof;
    }
    let rdb = &node.persistence.rdb;
    let failed = rdb
        .last_status
        .clone()
        .map(|status| status == SaveStatus::Err);
    if failed == Observed::Value(false) {
        return aof;
    }
    let stops = both(&rdb.failure_stops_writes, &rdb.enabled, |stops, on| {
        *stops && *on
    });
    both(&failed, &stops, |failed, stops| *failed && *stops)
}

/// The server counts good replicas only where it needs some.
fn too_few_replicas(node: &Node, info: &Info) -> Observed<bool> {
    match info.get("min_slaves_good_slaves") {
        Err(unknown) => unknown.clone().into(),
        Ok(None) => Observed::Value(false),
        Ok(Some(_)) => {
            let good = info.int("min_slaves_good_slaves");
            if good == Observed::Value(0) {
                return Observed::Value(true);
            }
            both(
                &good,
                &node.replication.min_replicas_to_write,
                |good, needed| good < needed,
            )
        }
    }
}

fn cluster_down(node: &Node, info: &Info) -> Observed<bool> {
    info.flag("cluster_enabled").and_then(|enabled| {
        if enabled {
            node.cluster
                .state
                .clone()
                .map(|state| state == ClusterState::Fail)
        } else {
            Observed::Value(false)
        }
    })
}
