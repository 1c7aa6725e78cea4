//! A cluster: who is in it, by `CLUSTER NODES`, and whether it works, by each node's `CLUSTER INFO`.

use super::config::Endpoint;
use super::facts::{Cluster, ClusterState, Node, NodeCluster, Shard};
use super::info::Info;
use super::node::Replies;
use super::reply;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// More nodes than this are not asked.
pub const MAX_NODES: usize = 256;

/// A line of `CLUSTER NODES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    /// Name or address; empty where the node does not know its own.
    pub host: String,
    pub port: u16,
    pub flags: Vec<String>,
    /// The id of its primary; empty where it is one.
    pub primary: String,
    pub epoch: i64,
    pub is_linked: bool,
    /// Ranges of slots, both ends included.
    pub slots: Vec<(u16, u16)>,
}

impl Member {
    /// Whether a flag is set.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    fn is_well(&self) -> bool {
        (self.is_linked || self.has("myself")) && !self.has("fail") && !self.has("fail?")
    }

    fn slot_count(&self) -> i64 {
        self.slots
            .iter()
            .map(|(first, last)| i64::from(*last) - i64::from(*first) + 1)
            .sum()
    }
}

/// Reads `CLUSTER NODES`; a line that makes no sense makes the whole unknown.
pub fn members(text: &str) -> Result<Vec<Member>, Unknown> {
    let members = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(member)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| reply::unparseable("CLUSTER NODES"))?;
    if members.len() > MAX_NODES {
        return Err(Unknown {
            why: UnknownWhy::TooLarge,
            detail: format!("CLUSTER NODES: more than {MAX_NODES} nodes"),
        });
    }
    Ok(members)
}

/// `id ip:port@bus,hostname flags primary ping pong epoch link slot…`
fn member(line: &str) -> Option<Member> {
    let mut words = line.split_ascii_whitespace();
    let id = words.next()?.to_owned();
    let place = words.next()?;
    let flags: Vec<String> = words.next()?.split(',').map(str::to_owned).collect();
    let primary = words.next()?.trim_matches('-').to_owned();
    let (_ping, _pong) = (words.next()?, words.next()?);
    let epoch = words.next()?.parse().ok()?;
    let is_linked = words.next()? == "connected";
    let (address, names) = place.split_once('@').unwrap_or((place, ""));
    let (ip, port) = address.rsplit_once(':')?;
    let announced = names.split(',').nth(1).unwrap_or_default();
    let host = if announced.is_empty() { ip } else { announced };
    // Slots that are on their way stand in brackets beside the ranges they are still part of.
    let slots = words
        .filter(|word| !word.starts_with('['))
        .map(range)
        .collect::<Option<Vec<_>>>()?;
    Some(Member {
        id,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
        flags,
        primary,
        epoch,
        is_linked,
        slots,
    })
}

fn range(word: &str) -> Option<(u16, u16)> {
    const LAST_SLOT: u16 = 16_383;
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last <= LAST_SLOT).then_some((first, last))
}

/// Where the other members are, as seen from the node at `url`.
pub fn others(members: &[Member], url: &Endpoint) -> Vec<Endpoint> {
    members
        .iter()
        .filter(|member| !member.has("myself") && !member.has("noaddr") && member.port != 0)
        .map(|member| {
            // A node that does not know its own address is where we found it.
            let host = match member.host.as_str() {
                "" | "?" => url.host.clone(),
                host => host.to_owned(),
            };
            url.sibling(host, member.port)
        })
        .collect()
}

/// A node's own view, from `CLUSTER INFO`.
pub fn view(replies: &Replies, info: &Info) -> NodeCluster {
    let seen = if info.flag("cluster_enabled") == Observed::Value(false) {
        Info::unknown(Unknown {
            why: UnknownWhy::NotApplicable,
            detail: "it is no node of a cluster".to_owned(),
        })
    } else {
        match reply::value(replies.get("CLUSTER INFO"), "CLUSTER INFO") {
            Err(unknown) => Info::unknown(unknown),
            Ok(value) => Info::parse(&reply::text(value).unwrap_or_default()),
        }
    };
    let pfail = seen.int("cluster_slots_pfail");
    let fail = seen.int("cluster_slots_fail");
    NodeCluster {
        state: seen.read("cluster_state", |state| match state {
            "ok" => Some(ClusterState::Ok),
            "fail" => Some(ClusterState::Fail),
            _ => None,
        }),
        slots_ok: seen.int("cluster_slots_ok"),
        slots_assigned: seen.int("cluster_slots_assigned"),
        slots_failing: super::memory::both(&pfail, &fail, |pfail, fail| {
            pfail.saturating_add(*fail)
        }),
        current_epoch: seen.int("cluster_current_epoch"),
        known_nodes: seen.int("cluster_known_nodes"),
    }
}

/// The cluster as a whole.
pub fn summary(
    enabled: Observed<bool>,
    members: &Result<Vec<Member>, Unknown>,
    nodes: &[Node],
) -> Cluster {
    let shards = match members {
        Err(unknown) => Observed::Unknown(unknown.clone()),
        Ok(members) => Observed::Value(shards(members)),
    };
    let epoch_collision = shards.clone().map(|shards| {
        let mut epochs: Vec<i64> = shards.iter().map(|shard| shard.epoch).collect();
        epochs.sort_unstable();
        epochs.windows(2).any(|pair| pair.first() == pair.last())
    });
    Cluster {
        enabled,
        epoch_collision,
        shards,
        epochs_agree: same(nodes, |node| &node.cluster.current_epoch),
        members_agree: same(nodes, |node| &node.cluster.known_nodes),
    }
}

fn shards(members: &[Member]) -> Vec<Shard> {
    members
        .iter()
        .filter(|member| member.primary.is_empty() && !member.slots.is_empty())
        .map(|primary| {
            let replicas = members
                .iter()
                .filter(|member| member.primary == primary.id && member.is_well())
                .count();
            Shard {
                primary: reply::printable(&format!("{}:{}", primary.host, primary.port)),
                slots: primary.slot_count(),
                replicas: i64::try_from(replicas).unwrap_or(i64::MAX),
                epoch: primary.epoch,
            }
        })
        .collect()
}

/// Whether all nodes that told a value told the same; two at least, or there is nothing to compare.
fn same(nodes: &[Node], value: impl Fn(&Node) -> &Observed<i64>) -> Observed<bool> {
    let told: Vec<i64> = nodes
        .iter()
        .filter_map(|node| value(node).value().copied())
        .collect();
    match told.split_first() {
        Some((first, others)) if !others.is_empty() => {
            Observed::Value(others.iter().all(|other| other == first))
        }
        _ => Observed::unknown(UnknownWhy::NotObserved, "fewer than two nodes told"),
    }
}

/// The slot of a key without braces (CRC-16/XMODEM).
pub fn slot(key: &str) -> u16 {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
    }

    #[test]
    fn members_are_read_with_their_slots() {
        let text = "a 10.0.0.1:7000@17000,n1.example myself,master - 0 0 3 connected 0-99 200 [93-<-b]\n\
                    b :7001@17001 slave a 0 0 3 connected\n\
                    c 2001:db8::1:7002@17002 master,fail - 0 0 0 disconnected\n";
        let members = members(text).expect("three members");
        assert_eq!(members[0].host, "n1.example");
        assert_eq!(members[0].slot_count(), 101);
        assert_eq!(members[2].host, "2001:db8::1");
        let shards = shards(&members);
        assert_eq!((shards.len(), shards[0].replicas), (1, 1));
        assert!(super::members("a b c").is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let _ = members(&text);
        }

        #[test]
        fn no_line_breaks_it(line in "[a-z0-9:@,\\- \\[]{0,80}") {
            let _ = members(&format!("a 1.2.3.4:1@2 master - 0 0 1 connected {line}"));
        }
    }
}
