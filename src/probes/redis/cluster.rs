//! A cluster: who is in it, by `CLUSTER NODES`, and whether it works, by each node's `CLUSTER INFO`.

use std::collections::BTreeSet;

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
    /// Slots on their way to another node, and from one; a node tells only its own.
    pub migrating: Vec<u16>,
    pub importing: Vec<u16>,
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
    let (mut slots, mut migrating, mut importing) = (Vec::new(), Vec::new(), Vec::new());
    for word in words {
        match word.strip_prefix('[') {
            None => slots.push(range(word)?),
            Some(open) => {
                let (slot, arrow) = open.split_once('-')?;
                let way = if arrow.starts_with('>') {
                    &mut migrating
                } else {
                    &mut importing
                };
                way.push(slot.parse().ok()?);
            }
        }
    }
    Some(Member {
        id,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
        flags,
        primary,
        epoch,
        is_linked,
        slots,
        migrating,
        importing,
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

/// A node of which nothing was seen.
pub fn unseen(why: &Unknown) -> NodeCluster {
    NodeCluster {
        state: why.clone().into(),
        slots_ok: why.clone().into(),
        slots_assigned: why.clone().into(),
        slots_failing: why.clone().into(),
        current_epoch: why.clone().into(),
        known_nodes: why.clone().into(),
        migrating_slots: why.clone().into(),
        importing_slots: why.clone().into(),
    }
}

fn not_asked<T>() -> Observed<T> {
    Observed::unknown(UnknownWhy::NotObserved, "CLUSTER NODES: it was not asked")
}

/// The first of many slots tell enough.
fn listed(slots: impl Iterator<Item = u16>) -> Vec<i64> {
    const MOST: usize = 100;
    slots.take(MOST).map(i64::from).collect()
}

/// The slots that a node gives away, and those that it takes.
pub fn open_slots(
    members: &Result<Vec<Member>, Unknown>,
) -> (Observed<Vec<i64>>, Observed<Vec<i64>>) {
    let members = match members {
        Ok(members) => members,
        Err(unknown) => return (unknown.clone().into(), unknown.clone().into()),
    };
    let Some(own) = members.iter().find(|member| member.has("myself")) else {
        let unknown = reply::unparseable("CLUSTER NODES");
        return (unknown.clone().into(), unknown.into());
    };
    let numbers = |slots: &[u16]| Observed::Value(listed(slots.iter().copied()));
    (numbers(&own.migrating), numbers(&own.importing))
}

/// Slots about whose owner the nodes disagree: each primary's own are held against the table of the node at
/// `url`. A node that tells nothing leaves unknown whether there are others.
pub fn disputed_slots(views: &[&Result<Vec<Member>, Unknown>]) -> Observed<Vec<i64>> {
    let Some((Ok(table), others)) = views.split_first() else {
        return views.first().map_or_else(not_asked, |first| match first {
            Err(unknown) => unknown.clone().into(),
            Ok(_) => not_asked(),
        });
    };
    let slots_of = |member: &Member| -> BTreeSet<u16> {
        let ranges = member.slots.iter();
        ranges.flat_map(|(first, last)| *first..=*last).collect()
    };
    let mut disputed = BTreeSet::new();
    let mut blind = None;
    for view in others {
        let members = match view {
            Ok(members) => members,
            Err(unknown) => {
                blind = blind.or(Some(unknown.clone()));
                continue;
            }
        };
        let Some(own) = members.iter().find(|member| member.has("myself")) else {
            blind = blind.or_else(|| Some(reply::unparseable("CLUSTER NODES")));
            continue;
        };
        let named = table.iter().find(|member| member.id == own.id);
        let named = named.map(slots_of).unwrap_or_default();
        disputed.extend(named.symmetric_difference(&slots_of(own)));
    }
    match blind {
        Some(unknown) if disputed.is_empty() => unknown.into(),
        _ => Observed::Value(listed(disputed.into_iter())),
    }
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
        migrating_slots: not_asked(),
        importing_slots: not_asked(),
        known_nodes: seen.int("cluster_known_nodes"),
    }
}

/// The cluster as a whole.
pub fn summary(
    enabled: Observed<bool>,
    members: &Result<Vec<Member>, Unknown>,
    disputed_slots: Observed<Vec<i64>>,
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
        disputed_slots,
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

/// Whether all nodes told the same; two at least, or there is nothing to compare. A difference is one, whatever
/// others do not tell.
fn same(nodes: &[Node], value: impl Fn(&Node) -> &Observed<i64>) -> Observed<bool> {
    same_of(nodes.iter().map(value))
}

fn same_of<'v>(values: impl Iterator<Item = &'v Observed<i64>>) -> Observed<bool> {
    let (mut told, mut untold) = (Vec::new(), None);
    for value in values {
        match value {
            Observed::Value(value) => told.push(*value),
            Observed::Unknown(unknown) => untold = untold.or(Some(unknown)),
        }
    }
    let differ = told.windows(2).any(|pair| pair.first() != pair.last());
    match untold {
        _ if differ => Observed::Value(false),
        Some(unknown) => unknown.clone().into(),
        None if told.len() < 2 => {
            Observed::unknown(UnknownWhy::NotObserved, "fewer than two nodes told")
        }
        None => Observed::Value(true),
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

    #[test]
    fn a_slot_that_each_gives_to_the_other_is_disputed() {
        let table = |own: &str, a: &str, b: &str| {
            let flags = |id: &str| if id == own { "myself,master" } else { "master" };
            let text = format!(
                "a 127.0.0.1:1@2 {} - 0 0 1 connected {a}\nb 127.0.0.1:3@4 {} - 0 0 2 connected {b}\n",
                flags("a"),
                flags("b")
            );
            super::members(&text)
        };
        let slots = |views: &[&Result<Vec<Member>, Unknown>]| disputed_slots(views);
        let first = table("a", "0-4 6-99", "5 100-199");
        let second = table("b", "0-99", "100-199");
        assert_eq!(slots(&[&first, &second]), Observed::Value(vec![5]));
        let second = table("b", "0-4 6-99", "5 100-199");
        assert_eq!(slots(&[&first, &second]), Observed::Value(vec![]));
        let silent = Err(reply::unparseable("CLUSTER NODES"));
        assert!(slots(&[&first, &silent]).value().is_none());
        assert!(slots(&[&silent, &first]).value().is_none());
        let open = table("a", "0-99 [5->-b] [7-<-b]", "100-199");
        assert_eq!(
            open_slots(&open),
            (Observed::Value(vec![5]), Observed::Value(vec![7]))
        );
    }

    #[test]
    fn nodes_that_do_not_tell_are_not_the_same() {
        let told = |value: i64| Observed::Value(value);
        let untold = || Observed::unknown(UnknownWhy::Denied, "CLUSTER INFO");
        let same = |values: &[Observed<i64>]| same_of(values.iter());
        assert_eq!(same(&[told(1), told(1)]), Observed::Value(true));
        assert_eq!(same(&[told(1), untold(), told(2)]), Observed::Value(false));
        assert!(same(&[told(1), untold(), told(1)]).value().is_none());
        assert!(same(&[told(1)]).value().is_none());
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
