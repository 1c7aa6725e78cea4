//! Who copies whom, and how far behind: from each end apart, then held against each other.

use std::collections::BTreeSet;

use super::facts::{DeclaredAs, Link, Node, Replica, Replication, Role};
use super::info::{Info, part};
use super::memory::both;
use super::node::Replies;
use super::reply;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A server's own view.
pub fn replication(info: &Info, replies: &Replies, role: &Observed<Role>) -> Replication {
    let of_replica = Unknown {
        why: UnknownWhy::NotApplicable,
        detail: "it is no replica".to_owned(),
    };
    let is_replica = matches!(role, Observed::Value(Role::Replica));
    let offset = info.int(if is_replica {
        "slave_repl_offset"
    } else {
        "master_repl_offset"
    });
    let minimum = reply::config_value(
        replies.get("CONFIG GET min-replicas-to-write"),
        "min-replicas-to-write",
    );
    let mut seen = Replication {
        replid: info.text("master_replid"),
        replicas: replicas(info, &offset),
        promoted_at_offset: info.int("second_repl_offset"),
        offset,
        link: of_replica.clone().into(),
        primary: of_replica.clone().into(),
        link_down_seconds: of_replica.clone().into(),
        last_io_seconds: of_replica.clone().into(),
        sync_in_progress: of_replica.clone().into(),
        follows_primary: of_replica.clone().into(),
        gap_bytes: of_replica.into(),
        min_replicas_to_write: minimum.and_then(|text| {
            text.parse().map_or_else(
                |_| reply::unparseable("CONFIG GET min-replicas-to-write").into(),
                Observed::Value,
            )
        }),
    };
    match role {
        Observed::Value(Role::Primary) => {}
        Observed::Value(Role::Replica) => replica_side(info, &mut seen),
        Observed::Unknown(unknown) => {
            seen.link = unknown.clone().into();
            seen.primary = unknown.clone().into();
            seen.link_down_seconds = unknown.clone().into();
            seen.last_io_seconds = unknown.clone().into();
            seen.sync_in_progress = unknown.clone().into();
            seen.follows_primary = unknown.clone().into();
            seen.gap_bytes = unknown.clone().into();
        }
    }
    seen
}

fn replica_side(info: &Info, seen: &mut Replication) {
    seen.link = info.read("master_link_status", |status| {
        Some(if status == "up" { Link::Up } else { Link::Down })
    });
    seen.primary = both(
        &info.text("master_host"),
        &info.text("master_port"),
        |host, port| format!("{host}:{port}"),
    );
    seen.link_down_seconds = match seen.link {
        Observed::Value(Link::Up) => Observed::unknown(UnknownWhy::NotApplicable, "the link is up"),
        _ => info.int("master_link_down_since_seconds"),
    };
    seen.last_io_seconds = info.int("master_last_io_seconds_ago");
    seen.sync_in_progress = info.flag("master_sync_in_progress");
    let not_found = "its primary is not among the servers asked";
    seen.follows_primary = Observed::unknown(UnknownWhy::NotObserved, not_found);
    seen.gap_bytes = Observed::unknown(UnknownWhy::NotObserved, not_found);
}

/// How many of the declared replicas that say to follow the server at `url` no server lists: their link is one
/// that only they believe in.
pub fn missing(nodes: &[Node]) -> Observed<i64> {
    let claiming = nodes.iter().filter(|node| {
        node.declared_as == DeclaredAs::Replica
            && node.role == Observed::Value(Role::Replica)
            && node.replication.link == Observed::Value(Link::Up)
            && node.replication.follows_primary == Observed::Value(true)
    });
    // One server at two addresses is listed once.
    let mut run_ids = BTreeSet::new();
    let claiming = claiming.filter(|node| match &node.run_id {
        Observed::Value(run_id) => run_ids.insert(run_id.as_str()),
        Observed::Unknown(_) => true,
    });
    let claiming = claiming.count();
    let (mut listed, mut untold) = (0, None);
    for node in nodes {
        match &node.replication.replicas {
            Observed::Value(list) => listed += list.iter().filter(|one| !one.is_consumer).count(),
            Observed::Unknown(unknown) => untold = untold.or(Some(unknown)),
        }
    }
    match untold {
        Some(unknown) if listed < claiming => unknown.clone().into(),
        _ => Observed::Value(i64::try_from(claiming.saturating_sub(listed)).unwrap_or(i64::MAX)),
    }
}

/// The replicas in `slave0`, `slave1`, …: as many as the server says that are connected.
pub fn replicas(info: &Info, offset: &Observed<i64>) -> Observed<Vec<Replica>> {
    match info.numbered("slave") {
        Err(unknown) => unknown.clone().into(),
        Ok(lines) => match info.int("connected_slaves") {
            Observed::Value(count) if usize::try_from(count) != Ok(lines.len()) => {
                let lines = lines.len();
                let detail = format!(
                    "INFO replication: connected_slaves is {count}, and {lines} are listed"
                );
                Observed::unknown(UnknownWhy::Inconsistent, detail)
            }
            Observed::Unknown(unknown) if lines.is_empty() => unknown.into(),
            _ => {
                let lines = lines.into_iter();
                Observed::Value(lines.map(|line| replica(line, offset)).collect())
            }
        },
    }
}

/// `ip=127.0.0.1,port=6380,state=online,offset=14,lag=1`
fn replica(line: &str, primary: &Observed<i64>) -> Replica {
    let number = |name: &str| {
        part(line, name)
            .and_then(|value| value.parse().ok().filter(|n| *n >= 0))
            .map_or_else(
                || reply::unparseable("INFO replication").into(),
                Observed::Value,
            )
    };
    let state = part(line, "state");
    let offset: Observed<i64> = number("offset");
    let host = part(line, "ip").unwrap_or("?");
    let port = part(line, "port").unwrap_or("?");
    let not_yet = || Observed::unknown(UnknownWhy::NotObserved, "its first copy is not complete");
    Replica {
        address: reply::printable(&format!("{host}:{port}")),
        is_consumer: port == "0",
        gap_bytes: if state.is_none_or(|state| state == "online") {
            gap(primary, &offset)
        } else {
            not_yet()
        },
        lag_seconds: if state.is_none_or(|state| state == "online") {
            number("lag")
        } else {
            not_yet()
        },
        state: state.map_or_else(
            || reply::unparseable("INFO replication").into(),
            |state| Observed::Value(reply::printable(state)),
        ),
        offset,
    }
}

/// The ends are read one after another: a replica that was read later is not ahead.
fn gap(primary: &Observed<i64>, replica: &Observed<i64>) -> Observed<i64> {
    both(primary, replica, |primary, replica| {
        primary.saturating_sub(*replica).max(0)
    })
}

/// Fills in what takes both ends: whether each replica's data is of a primary that was asked, and how far
/// behind it is. With declared replicas that primary is the first node.
pub fn compare(nodes: &mut [&mut Node], is_cluster: bool) {
    let sources: Vec<(Observed<String>, Observed<i64>, bool)> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let counts = if is_cluster {
                node.role == Observed::Value(Role::Primary)
            } else {
                index == 0
            };
            (
                node.replication.replid.clone(),
                node.replication.offset.clone(),
                counts,
            )
        })
        .collect();
    let all_known = sources
        .iter()
        .all(|(replid, _, _)| replid.value().is_some());
    let alone = nodes.len() == 1;
    for (index, node) in nodes.iter_mut().enumerate() {
        let node = &mut **node;
        if node.role != Observed::Value(Role::Replica) || (index == 0 && (alone || !is_cluster)) {
            continue;
        }
        let Observed::Value(replid) = &node.replication.replid else {
            continue;
        };
        let source = sources
            .iter()
            .find(|(known, _, counts)| *counts && known.value() == Some(replid));
        match source {
            Some((_, offset, _)) => {
                node.replication.follows_primary = Observed::Value(true);
                node.replication.gap_bytes = gap(offset, &node.replication.offset);
            }
            None if !is_cluster => {
                if let Some((Observed::Unknown(unknown), _, _)) = sources.first() {
                    node.replication.follows_primary = unknown.clone().into();
                    node.replication.gap_bytes = unknown.clone().into();
                } else {
                    other_data(node);
                }
            }
            // A primary that did not answer may be the one.
            None if all_known => other_data(node),
            None => {}
        }
    }
}

fn other_data(node: &mut Node) {
    node.replication.follows_primary = Observed::Value(false);
    node.replication.gap_bytes = Observed::unknown(
        UnknownWhy::Inconsistent,
        "its data is not of the primary that was asked: offsets do not compare",
    );
}
