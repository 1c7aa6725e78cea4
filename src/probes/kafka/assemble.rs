//! From the answers to the facts about the cluster as a whole.

use std::collections::BTreeMap;

use super::facts::{Broker, ListedGroup};
use super::groups::{protocol, state};
use super::native::{ConfigView, PartitionView, TopicView, Trouble, code};
use super::survey::Survey;
use super::trouble::{not_seen, unknown, unknown_refused};
use super::wire::{Kind, MAX_BROKERS, Problem};
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// What the brokers' metadata shows of the partitions of all topics.
pub(super) struct Partitions {
    pub(super) offline: Observed<Vec<String>>,
    pub(super) under_replicated: Observed<Vec<String>>,
    pub(super) under_min_isr: Observed<Vec<String>>,
    pub(super) at_min_isr: Observed<Vec<String>>,
    pub(super) unclean_topics: Observed<Vec<String>>,
    pub(super) topic_count: Observed<usize>,
    pub(super) partition_count: Observed<usize>,
    pub(super) leader_skew: Observed<f64>,
}

/// A topic of which the partitions are known.
struct Known<'s> {
    name: &'s str,
    partitions: &'s [PartitionView],
    min_insync_replicas: Observed<usize>,
    unclean: Observed<bool>,
}

/// How a partition is called.
pub(super) fn partition_name(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// All topics that were seen, those of the list first.
pub(super) fn topics(survey: &Survey) -> impl Iterator<Item = &TopicView> {
    let listed = survey.listed.iter().flatten();
    let named = survey.named.iter().flatten();
    listed.chain(named.filter(|topic| topic.name != survey.control_topic))
}

/// Whether the controller answered: true, or why that is unknown. Without it brokers go on telling
/// what they last knew.
pub(super) fn controller_answers(survey: &Survey) -> Observed<bool> {
    let silent = |why: Unknown| {
        let detail = format!("the controller did not answer: {}", why.detail);
        Observed::unknown(why.why, detail)
    };
    match &survey.controller {
        Ok(Err(refused))
            if matches!(refused.code, code::BROKER_TIMED_OUT | code::NOT_CONTROLLER) =>
        {
            silent(Unknown {
                why: UnknownWhy::TimedOut,
                detail: refused.text.clone(),
            })
        }
        Ok(Err(refused)) if refused.code < 0 => silent(unknown_refused(refused, "")),
        Ok(_) => Observed::Value(true),
        Err(trouble) => silent(unknown(trouble, "")),
    }
}

/// Why the brokers' metadata may be old; `None`: it is not.
pub(super) fn frozen(survey: &Survey) -> Option<Unknown> {
    match controller_answers(survey) {
        Observed::Value(_) => None,
        Observed::Unknown(why) => Some(Unknown {
            why: why.why,
            detail: format!("the brokers' metadata may be old: {}", why.detail),
        }),
    }
}

/// A fact from the brokers' metadata; unknown where that may be old.
pub(super) fn fresh<T>(survey: &Survey, fact: Observed<T>) -> Observed<T> {
    match frozen(survey) {
        Some(why) => not_seen(&why),
        None => fact,
    }
}

/// Why what was seen may not be all there is; `None`: it is.
fn gap(survey: &Survey) -> Option<Unknown> {
    if let Err(trouble) = &survey.listed {
        return Some(unknown(trouble, "Describe on all topics"));
    }
    if let Some(why) = frozen(survey) {
        return Some(why);
    }
    let named = match &survey.named {
        Ok(named) => named,
        Err(trouble) => return Some(unknown(trouble, "Describe on all topics")),
    };
    let control = named
        .iter()
        .find(|topic| topic.name == survey.control_topic);
    match control.map(|topic| &topic.partitions) {
        Some(Err(refused)) if refused.code == code::UNKNOWN_TOPIC => {}
        Some(Ok(_)) => {}
        Some(Err(refused)) => {
            let why = unknown_refused(refused, "Describe on all topics (an ACL on topic `*`)");
            return Some(Unknown {
                why: why.why,
                detail: format!("topics may be hidden: {}", why.detail),
            });
        }
        None => {
            return Some(Unknown {
                why: UnknownWhy::NotObserved,
                detail: "whether topics are hidden could not be asked".to_owned(),
            });
        }
    }
    let broken = topics(survey).find_map(|topic| match &topic.partitions {
        Err(refused) if refused.code != code::UNKNOWN_TOPIC => Some((topic, refused)),
        _ => None,
    });
    if let Some((topic, refused)) = broken {
        let right = format!("Describe on topic {}", topic.name);
        return Some(unknown_refused(refused, &right));
    }
    None
}

/// The same, and why nothing can be said of no topic.
fn gap_or_nothing(survey: &Survey) -> Option<Unknown> {
    gap(survey).or_else(|| {
        let nothing = topics(survey).all(|topic| topic.partitions.is_err());
        nothing.then(|| Unknown {
            why: UnknownWhy::NotObserved,
            detail: "there is no topic yet".to_owned(),
        })
    })
}

/// What was found, or, where nothing was and not all could be seen, why.
fn list(found: Vec<String>, gap: Option<&Unknown>) -> Observed<Vec<String>> {
    match gap {
        Some(gap) if found.is_empty() => not_seen(gap),
        _ => Observed::Value(found),
    }
}

fn with_gap<T>(value: T, gap: Option<&Unknown>) -> Observed<T> {
    match gap {
        Some(gap) => not_seen(gap),
        None => Observed::Value(value),
    }
}

/// A setting of a topic, read.
pub(super) fn setting<T>(
    configs: &BTreeMap<String, Result<Vec<ConfigView>, Trouble>>,
    topic: &str,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Observed<(T, i32)> {
    let entries = match configs.get(topic) {
        Some(Ok(entries)) => entries,
        Some(Err(trouble)) => {
            return unknown(trouble, &format!("DescribeConfigs on topic {topic}")).into();
        }
        None => {
            return Observed::unknown(
                UnknownWhy::NotObserved,
                format!("topic {topic} was not seen"),
            );
        }
    };
    let entry = entries.iter().find(|entry| entry.name == name);
    let Some(text) = entry.and_then(|entry| entry.value.as_deref()) else {
        return Observed::unknown(
            UnknownWhy::Unsupported,
            format!("the broker did not tell `{name}`"),
        );
    };
    match read(text) {
        Some(value) => Observed::Value((value, entry.map_or(0, |entry| entry.source))),
        None => Observed::unknown(UnknownWhy::Unparseable, format!("`{name}` is `{text}`")),
    }
}

fn known(survey: &Survey) -> Vec<Known<'_>> {
    topics(survey)
        .filter_map(|topic| {
            let partitions = topic.partitions.as_deref().ok()?;
            let minimum = setting(
                &survey.configs,
                &topic.name,
                "min.insync.replicas",
                |text| text.parse().ok(),
            );
            let unclean = setting(
                &survey.configs,
                &topic.name,
                "unclean.leader.election.enable",
                |text| text.parse().ok(),
            );
            Some(Known {
                name: &topic.name,
                partitions,
                min_insync_replicas: minimum.map(|(value, _)| value),
                unclean: unclean.map(|(value, _)| value),
            })
        })
        .collect()
}

fn named(known: &[Known<'_>], test: impl Fn(&Known<'_>, &PartitionView) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for topic in known {
        for partition in topic.partitions.iter().filter(|it| test(topic, it)) {
            names.push(partition_name(topic.name, partition.partition));
        }
    }
    names
}

fn first_gap<'k, T: 'k>(facts: impl Iterator<Item = &'k Observed<T>>) -> Option<Unknown> {
    let mut unknown = facts.filter_map(|fact| match fact {
        Observed::Unknown(unknown) => Some(unknown.clone()),
        Observed::Value(_) => None,
    });
    unknown.next()
}

/// The health of all partitions.
pub(super) fn partitions(survey: &Survey) -> Partitions {
    let known = known(survey);
    let gap = gap_or_nothing(survey);
    let gap = gap.as_ref();
    let no_minimum = first_gap(known.iter().map(|topic| &topic.min_insync_replicas));
    let minimum_gap = gap.or(no_minimum.as_ref());
    let no_unclean = first_gap(known.iter().map(|topic| &topic.unclean));
    let minimum = |topic: &Known<'_>| topic.min_insync_replicas.value().copied();
    let under_min = named(&known, |topic, partition| {
        minimum(topic).is_some_and(|minimum| partition.isr.len() < minimum)
    });
    let at_min = named(&known, |topic, partition| {
        let in_sync = partition.isr.len();
        minimum(topic) == Some(in_sync) && in_sync < partition.replicas.len()
    });
    let offline = named(&known, |_, partition| partition.leader < 0);
    let under_replicated = named(&known, |_, partition| {
        partition.isr.len() < partition.replicas.len()
    });
    let unclean = known
        .iter()
        .filter(|topic| topic.unclean.value() == Some(&true))
        .map(|topic| topic.name.to_owned())
        .collect();
    let partition_count = known.iter().map(|topic| topic.partitions.len()).sum();
    Partitions {
        offline: list(offline, gap),
        under_replicated: list(under_replicated, gap),
        under_min_isr: list(under_min, minimum_gap),
        at_min_isr: list(at_min, minimum_gap),
        unclean_topics: list(unclean, gap.or(no_unclean.as_ref())),
        topic_count: with_gap(known.len(), gap),
        partition_count: with_gap(partition_count, gap),
        leader_skew: match gap {
            Some(gap) => not_seen(gap),
            None => leader_skew(survey, &known),
        },
    }
}

fn leads(known: &[Known<'_>]) -> BTreeMap<i32, usize> {
    let mut leads = BTreeMap::new();
    for partition in known.iter().flat_map(|topic| topic.partitions) {
        *leads.entry(partition.leader).or_default() += 1;
    }
    leads
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no cluster has so many partitions"
)]
fn leader_skew(survey: &Survey, known: &[Known<'_>]) -> Observed<f64> {
    let leads = leads(known);
    let led: usize = leads
        .iter()
        .filter(|(id, _)| **id >= 0)
        .map(|(_, count)| count)
        .sum();
    let brokers = survey
        .cluster
        .as_ref()
        .map_or(0, |cluster| cluster.nodes.len());
    if led == 0 || brokers == 0 {
        return Observed::unknown(UnknownWhy::NotApplicable, "no partition has a leader");
    }
    let most = leads
        .iter()
        .filter(|(id, _)| **id >= 0)
        .map(|(_, count)| *count)
        .max();
    let even = led as f64 / brokers as f64;
    Observed::Value((most.unwrap_or(0) as f64 / even * 100.0).round() / 100.0)
}

/// The brokers that are alive.
pub(super) fn brokers(survey: &Survey) -> Observed<Vec<Broker>> {
    let cluster = match &survey.cluster {
        Ok(cluster) => cluster,
        Err(trouble) => return unknown(trouble, "Describe on the cluster").into(),
    };
    let gap = gap(survey);
    let leads = leads(&known(survey));
    let mut brokers: Vec<Broker> = cluster
        .nodes
        .iter()
        .map(|node| Broker {
            id: node.id,
            host: node.host.clone(),
            port: i32::from(node.port),
            rack: match &node.rack {
                Some(rack) => Observed::Value(rack.clone()),
                None => Observed::unknown(UnknownWhy::NotApplicable, "it has no `broker.rack`"),
            },
            leads: with_gap(leads.get(&node.id).copied().unwrap_or(0), gap.as_ref()),
            reachable: reachable(survey, node.id),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    fresh(survey, Observed::Value(brokers))
}

/// Whether a broker serves the probe at the address that it advertises.
fn reachable(survey: &Survey, id: i32) -> Observed<bool> {
    let visit = match &survey.visit {
        Ok(visit) => visit,
        Err(trouble) => return unknown(trouble, "a login").into(),
    };
    match visit.served(id) {
        Some(Ok(())) => Observed::Value(true),
        Some(Err(Problem { kind, text })) => match kind {
            Kind::Ours | Kind::Tls | Kind::Unsupported => {
                Observed::unknown(UnknownWhy::NotObserved, text)
            }
            _ => Observed::Value(false),
        },
        None => Observed::unknown(
            UnknownWhy::TooLarge,
            format!("no more than {MAX_BROKERS} brokers are visited"),
        ),
    }
}

/// How many brokers are alive: those that are registered and were not found out of reach.
pub(super) fn broker_count(brokers: &Observed<Vec<Broker>>) -> Observed<usize> {
    match brokers {
        Observed::Value(brokers) => Observed::Value(
            (brokers.iter())
                .filter(|broker| broker.reachable.value() != Some(&false))
                .count(),
        ),
        Observed::Unknown(why) => not_seen(why),
    }
}

/// All groups that the client may see.
pub(super) fn listed_groups(survey: &Survey) -> Observed<Vec<ListedGroup>> {
    const RIGHT: &str = "Describe on the cluster";
    let (groups, troubles) = match &survey.visit {
        Ok(visit) => visit.listing(),
        Err(trouble) => return unknown(trouble, RIGHT).into(),
    };
    if let Some(trouble) = troubles.first() {
        return unknown(trouble, RIGHT).into();
    }
    if groups.is_empty() {
        return Observed::unknown(
            UnknownWhy::NotObserved,
            "no group was listed: there is none, or the probe's user lacks Describe on the cluster",
        );
    }
    let mut groups: Vec<ListedGroup> = groups
        .iter()
        .map(|group| ListedGroup {
            name: group.name.clone(),
            state: state(&group.state),
            protocol: protocol(&group.kind),
        })
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Observed::Value(groups)
}
