//! From the answers to the facts about a declared topic.

use super::assemble::{fresh, setting, topics};
use super::config::TopicParams;
use super::facts::{ConfigSource, Partition, Topic};
use super::native::{TopicView, code};
use super::survey::Survey;
use super::trouble::{not_seen, unknown, unknown_refused};
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A topic by name: what it is like, whether it is there, or why that is unknown.
pub(super) fn find<'s>(
    survey: &'s Survey,
    name: &str,
) -> (Observed<bool>, Observed<&'s TopicView>) {
    let right = format!("Describe on topic {name}");
    let Some(topic) = topics(survey).find(|topic| topic.name == name) else {
        let why = match (&survey.named, &survey.listed) {
            (Err(trouble), _) | (_, Err(trouble)) => unknown(trouble, &right),
            _ => Unknown {
                why: UnknownWhy::NotObserved,
                detail: "the brokers did not tell whether it is there".to_owned(),
            },
        };
        return (not_seen(&why), not_seen(&why));
    };
    match &topic.partitions {
        Ok(_) => (Observed::Value(true), Observed::Value(topic)),
        Err(refused) if refused.code == code::UNKNOWN_TOPIC => {
            let why = Unknown {
                why: UnknownWhy::NotObserved,
                detail: format!("there is no topic {name}"),
            };
            (Observed::Value(false), not_seen(&why))
        }
        Err(refused) => {
            let why = unknown_refused(refused, &right);
            (not_seen(&why), not_seen(&why))
        }
    }
}

/// A declared topic.
pub(super) fn topic(survey: &Survey, params: &TopicParams) -> Topic {
    let name = params.name.as_str();
    let (exists, view) = find(survey, name);
    let partitions = view.and_then(|topic| match &topic.partitions {
        Ok(partitions) => Observed::Value(partitions),
        Err(refused) => unknown_refused(refused, &format!("Describe on topic {name}")).into(),
    });
    let partitions = partitions.map(|partitions| {
        let mut list: Vec<Partition> = partitions
            .iter()
            .map(|it| Partition {
                partition: it.partition,
                leader: if it.leader >= 0 {
                    Observed::Value(it.leader)
                } else {
                    Observed::unknown(UnknownWhy::NotApplicable, "it has no leader")
                },
                replicas: it.replicas.clone(),
                isr: it.isr.clone(),
            })
            .collect();
        list.sort_by_key(|it| it.partition);
        list
    });
    let exists = fresh(survey, exists);
    let partitions = fresh(survey, partitions);
    let (min_insync_replicas, min_insync_replicas_source) =
        split(set(survey, name, "min.insync.replicas", number));
    let (unclean_leader_election, unclean_leader_election_source) = split(set(
        survey,
        name,
        "unclean.leader.election.enable",
        |text| text.parse().ok(),
    ));
    let (cleanup_policy, cleanup_policy_source) =
        split(set(survey, name, "cleanup.policy", |text| {
            Some(text.to_owned())
        }));
    let (retention_ms, retention_ms_source) = split(set(survey, name, "retention.ms", number));
    let (retention_bytes, retention_bytes_source) =
        split(set(survey, name, "retention.bytes", number));
    Topic {
        name: params.name.clone(),
        exists,
        partition_count: match &partitions {
            Observed::Value(list) => Observed::Value(list.len()),
            Observed::Unknown(why) => not_seen(why),
        },
        expected_partitions: params.partitions.unwrap_or(0),
        expected_replication_factor: params.replication_factor.unwrap_or(0),
        expected_min_insync_replicas: params.min_insync_replicas.unwrap_or(0),
        partitions,
        min_insync_replicas,
        min_insync_replicas_source,
        unclean_leader_election,
        unclean_leader_election_source,
        cleanup_policy,
        cleanup_policy_source,
        retention_ms,
        retention_ms_source,
        retention_bytes,
        retention_bytes_source,
    }
}

fn set<T>(
    survey: &Survey,
    topic: &str,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Observed<(T, i32)> {
    fresh(survey, setting(&survey.configs, topic, name, read))
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn split<T>(fact: Observed<(T, i32)>) -> (Observed<T>, Observed<ConfigSource>) {
    match fact {
        Observed::Value((value, source)) => (Observed::Value(value), config_source(source)),
        Observed::Unknown(why) => (not_seen(&why), not_seen(&why)),
    }
}

/// The protocol's numbers for where a setting comes from.
fn config_source(source: i32) -> Observed<ConfigSource> {
    Observed::Value(match source {
        1 => ConfigSource::Topic,
        2 => ConfigSource::DynamicBroker,
        3 => ConfigSource::DynamicDefaultBroker,
        4 => ConfigSource::StaticBroker,
        5 => ConfigSource::Default,
        _ => {
            return Observed::unknown(
                UnknownWhy::Unsupported,
                format!("the broker named source {source}, which is not known here"),
            );
        }
    })
}
