//! From the answers to the facts about a declared group: who is in it and how far it is.

use std::collections::BTreeSet;

use super::assemble::{frozen, partition_name, topics};
use super::config::GroupParams;
use super::facts::{Group, GroupPartition, GroupProtocol, GroupState, GroupTopic, Member};
use super::native::{GroupView, Place, Trouble, code};
use super::progress::{group_partition, not_asked};
use super::survey::{GROUPS_TOPIC, Survey, has_no_groups};
use super::topics::find;
use super::trouble::{not_seen, unknown, unknown_refused};
use super::window::History;
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::api::short;

/// The brokers' words for the state of a group.
pub(super) fn state(text: &str) -> Observed<GroupState> {
    Observed::Value(match text {
        "PreparingRebalance" => GroupState::PreparingRebalance,
        "CompletingRebalance" => GroupState::CompletingRebalance,
        "Assigning" => GroupState::Assigning,
        "Reconciling" => GroupState::Reconciling,
        "Stable" => GroupState::Stable,
        "Dead" => GroupState::Dead,
        "Empty" => GroupState::Empty,
        "" => return Observed::unknown(UnknownWhy::Unsupported, "the broker does not tell it"),
        other => {
            return Observed::unknown(
                UnknownWhy::Unsupported,
                format!("the state `{}` has no name here", short(other, 40)),
            );
        }
    })
}

/// The brokers' words for the protocol of a group.
pub(super) fn protocol(text: &str) -> Observed<GroupProtocol> {
    Observed::Value(match text.to_lowercase().as_str() {
        "classic" => GroupProtocol::Classic,
        "consumer" => GroupProtocol::Consumer,
        "share" => GroupProtocol::Share,
        "streams" => GroupProtocol::Streams,
        "" => return Observed::unknown(UnknownWhy::Unsupported, "the broker does not tell it"),
        other => {
            return Observed::unknown(
                UnknownWhy::Unsupported,
                format!("the protocol `{}` has no name here", short(other, 40)),
            );
        }
    })
}

/// A group that was described, and whether there is one.
fn described<'s>(survey: &'s Survey, name: &str) -> (Observed<bool>, Observed<&'s GroupView>) {
    let right = format!("Describe on group {name}");
    let absent = || match unsettled(survey) {
        Some(why) => (not_seen(&why), not_seen(&why)),
        None => {
            let why = Unknown {
                why: UnknownWhy::NotObserved,
                detail: format!("there is no group {name}"),
            };
            (Observed::Value(false), not_seen(&why))
        }
    };
    let visit = match &survey.visit {
        Ok(visit) => visit,
        Err(trouble) => {
            let why = unknown(trouble, &right);
            return (not_seen(&why), not_seen(&why));
        }
    };
    let trouble = match visit.group(name) {
        Some(Ok(group)) => return (Observed::Value(true), Observed::Value(group)),
        Some(Err(trouble)) => trouble,
        None => return (not_asked(), not_asked()),
    };
    if let Trouble::Failed(refused) = trouble {
        // The broker that would keep it has said so, to a client that may see it.
        if refused.code == code::GROUP_NOT_FOUND {
            return absent();
        }
        // Nobody keeps any group, and the client may see this one.
        let nobody = matches!(
            refused.code,
            code::COORDINATOR_NOT_AVAILABLE | code::NOT_COORDINATOR
        );
        if nobody && has_no_groups(&survey.named) && frozen(survey).is_none() {
            return absent();
        }
    }
    let why = unknown(trouble, &right);
    let (listed, _) = visit.listing();
    let listed = (listed.iter()).any(|group| group.name == name && group.state != "Dead");
    let exists = if listed {
        Observed::Value(true)
    } else {
        not_seen(&why)
    };
    (exists, not_seen(&why))
}

/// Why a group that its broker does not know may be there all the same: a broker that has just taken
/// over the groups of another one tells what it has not confirmed yet as if it were not there.
fn unsettled(survey: &Survey) -> Option<Unknown> {
    let visit = survey.visit.as_ref().ok()?;
    let nodes = survey.cluster.iter().flat_map(|cluster| &cluster.nodes);
    let out_of_reach = nodes
        .into_iter()
        .find(|node| !matches!(visit.served(node.id), Some(Ok(()))))
        .map(|node| format!("broker {} is out of reach", node.id));
    let mut kept = topics(survey).filter(|topic| topic.name == GROUPS_TOPIC);
    let behind = kept.any(|topic| {
        let mut partitions = topic.partitions.iter().flatten();
        partitions.any(|it| it.isr.len() < it.replicas.len())
    });
    let why = out_of_reach
        .or_else(|| behind.then(|| format!("replicas of {GROUPS_TOPIC} are not in sync")))?;
    Some(Unknown {
        why: UnknownWhy::NotObserved,
        detail: format!(
            "its broker knows of no such group, which may be for want of others: {why}"
        ),
    })
}

/// A declared group.
pub(super) fn group(survey: &Survey, params: &GroupParams, history: &History) -> Group {
    let (exists, view) = described(survey, &params.name);
    let seen = match view {
        Observed::Value(view) => Ok(view),
        Observed::Unknown(why) => Err(why),
    };
    let members = members(&seen);
    let topics = params
        .topics
        .iter()
        .map(|topic| group_topic(survey, params, topic, &seen, history))
        .collect();
    Group {
        name: params.name.clone(),
        exists,
        state: observed(&seen).and_then(|view| state(&view.state)),
        protocol: observed(&seen).and_then(|view| protocol(&view.kind)),
        member_count: observed(&seen).map(|view| view.members.len()),
        expected_members: params.min_members.unwrap_or(1),
        members,
        lag_bounded: params.max_lag.is_some(),
        max_lag_records: match params.max_lag {
            Some(most) => Observed::Value(most),
            None => Observed::unknown(UnknownWhy::NotApplicable, "`max_lag` is not declared"),
        },
        topics,
    }
}

pub(super) type Seen<'s> = Result<&'s GroupView, Unknown>;

pub(super) fn observed<'s>(seen: &Seen<'s>) -> Observed<&'s GroupView> {
    match seen {
        Ok(view) => Observed::Value(view),
        Err(why) => not_seen(why),
    }
}

fn members(seen: &Seen<'_>) -> Observed<Vec<Member>> {
    observed(seen).map(|view| {
        let member = |member: &super::native::MemberView| {
            let mut partitions: Vec<&Place> = member.partitions.iter().collect();
            partitions.sort();
            Member {
                id: member.id.clone(),
                client_id: member.client_id.clone(),
                host: member.host.clone(),
                partitions: partitions
                    .into_iter()
                    .map(|place| partition_name(&place.topic, place.partition))
                    .collect(),
            }
        };
        view.members.iter().map(member).collect()
    })
}

/// A topic that a group must consume.
fn group_topic(
    survey: &Survey,
    params: &GroupParams,
    topic: &str,
    seen: &Seen<'_>,
    history: &History,
) -> GroupTopic {
    let topic_name = topic;
    let (_, view) = find(survey, topic);
    let places = view.and_then(|topic| match &topic.partitions {
        Ok(partitions) => Observed::Value(partitions.iter().map(|it| it.partition).collect()),
        Err(refused) => unknown_refused(refused, &format!("Describe on topic {topic_name}")).into(),
    });
    let partitions: Observed<Vec<GroupPartition>> = places.map(|mut places: Vec<i32>| {
        places.sort_unstable();
        let at = |partition| group_partition(survey, &params.name, topic, partition, seen, history);
        places.into_iter().map(at).collect()
    });
    let list = partitions.value().map(Vec::as_slice);
    let of_list = |of: &dyn Fn(&GroupPartition) -> Observed<u64>| match &partitions {
        Observed::Value(list) => sum(list, of),
        Observed::Unknown(why) => not_seen(why),
    };
    let idle = consumes_nothing(topic, list.unwrap_or_default(), seen);
    let idle = idle.as_ref();
    let lag_records = unless(idle, of_list(&|it| it.lag_records.clone()));
    GroupTopic {
        topic: topic.to_owned(),
        known_lag_records: known_lag(list.unwrap_or_default(), &lag_records),
        lag_records,
        uncommitted_partitions: select(&partitions, uncommitted),
        beyond_end_partitions: unless(idle, select(&partitions, beyond_end)),
        unassigned_partitions: unassigned(topic, &partitions, seen),
        removed_unread_records: unless(idle, of_list(&|it| it.removed_unread_records.clone())),
        partitions,
    }
}

/// A fact that has no meaning where there is such a reason.
fn unless<T>(reason: Option<&Unknown>, fact: Observed<T>) -> Observed<T> {
    match reason {
        Some(why) => not_seen(why),
        None => fact,
    }
}

/// The lag of the partitions of which it is known; where that is none, why the sum is not.
fn known_lag(list: &[GroupPartition], sum: &Observed<u64>) -> Observed<u64> {
    let known = list.iter().filter_map(|it| it.lag_records.value().copied());
    match (known.reduce(u64::saturating_add), sum) {
        (Some(known), _) => Observed::Value(known),
        (None, sum) => sum.clone(),
    }
}

/// Why there is no lag to speak of: the group has neither partitions of this topic nor offsets in it.
fn consumes_nothing(topic: &str, list: &[GroupPartition], seen: &Seen<'_>) -> Option<Unknown> {
    let has_offsets = list.iter().any(|it| it.committed_offset.value().is_some());
    if has_offsets || list.is_empty() {
        return None;
    }
    let view = match seen {
        Ok(view) => view,
        Err(why) => return Some(why.clone()),
    };
    let assigned = view.members.iter().flat_map(|member| &member.partitions);
    let none = !assigned.into_iter().any(|place| place.topic == topic);
    none.then(|| Unknown {
        why: UnknownWhy::NotObserved,
        detail: format!("the group consumes nothing of topic {topic}"),
    })
}

/// The sum, where every part is known; otherwise why the first one is not.
fn sum(list: &[GroupPartition], of: &dyn Fn(&GroupPartition) -> Observed<u64>) -> Observed<u64> {
    let mut sum: u64 = 0;
    for partition in list {
        match of(partition) {
            Observed::Value(value) => sum = sum.saturating_add(value),
            Observed::Unknown(why) => {
                return Observed::unknown(
                    why.why,
                    format!("partition {}: {}", partition.partition, why.detail),
                );
            }
        }
    }
    Observed::Value(sum)
}

/// The partitions for which a test holds: those that are known to, or, where there are none and
/// some are not known, why.
fn select(
    partitions: &Observed<Vec<GroupPartition>>,
    test: impl Fn(&GroupPartition) -> Observed<bool>,
) -> Observed<Vec<i32>> {
    let list = match partitions {
        Observed::Value(list) => list,
        Observed::Unknown(why) => return not_seen(why),
    };
    let (mut found, mut gap) = (Vec::new(), None);
    for partition in list {
        match test(partition) {
            Observed::Value(true) => found.push(partition.partition),
            Observed::Value(false) => {}
            Observed::Unknown(why) => {
                gap.get_or_insert(why);
            }
        }
    }
    match gap {
        Some(why) if found.is_empty() => Observed::Unknown(why),
        _ => Observed::Value(found),
    }
}

fn uncommitted(partition: &GroupPartition) -> Observed<bool> {
    match (
        &partition.committed_offset,
        &partition.log_start_offset,
        &partition.log_end_offset,
    ) {
        (Observed::Value(_), _, _) => Observed::Value(false),
        (Observed::Unknown(why), _, _) if why.why != UnknownWhy::NotApplicable => not_seen(why),
        (_, Observed::Value(start), Observed::Value(end)) => Observed::Value(end > start),
        (_, Observed::Unknown(why), _) | (_, _, Observed::Unknown(why)) => not_seen(why),
    }
}

fn beyond_end(partition: &GroupPartition) -> Observed<bool> {
    match (&partition.committed_offset, &partition.log_end_offset) {
        (Observed::Value(committed), Observed::Value(end)) => Observed::Value(committed > end),
        // Nothing is committed.
        (Observed::Unknown(why), _) if why.why == UnknownWhy::NotApplicable => {
            Observed::Value(false)
        }
        (Observed::Unknown(why), _) | (_, Observed::Unknown(why)) => not_seen(why),
    }
}

fn unassigned(
    topic: &str,
    partitions: &Observed<Vec<GroupPartition>>,
    seen: &Seen<'_>,
) -> Observed<Vec<i32>> {
    let view = match seen {
        Ok(view) => view,
        Err(why) => return not_seen(why),
    };
    let assigned: BTreeSet<i32> = view
        .members
        .iter()
        .flat_map(|member| &member.partitions)
        .filter(|place| place.topic == topic)
        .map(|place| place.partition)
        .collect();
    select(partitions, |it| {
        Observed::Value(!assigned.contains(&it.partition))
    })
}
