//! One look at the cluster: every question that a probe asks, in order, on one thread. What one
//! question has no answer to does not keep the others from being asked.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::Settings;
use super::config::Config;
use super::native::{
    Admin, ClusterView, ConfigView, GroupListing, GroupView, LogEnd, OffsetView, Place, Refused,
    TopicView, Trouble,
};
use super::pool::{PULSE, Work};
use super::trouble::nothing_seen;
use crate::evidence::Failure;

/// A name that no topic has. A client that may describe all topics is told so; another one that it
/// may not ask: then what it is shown is not all there is.
pub(super) const CONTROL_TOPIC: &str = "probe-visibility-control";

/// Where a cluster keeps its groups.
pub(super) const GROUPS_TOPIC: &str = "__consumer_offsets";

/// The settings of topics that are read.
pub(super) const TOPIC_SETTINGS: &[&str] = &[
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
];

/// Connecting and logging in may take most of the time; what they leave is for the rest.
const CONNECTING: f64 = 0.6;
/// The part of what is left for the list of topics where connecting took longer than that.
const LAST: f64 = 0.9;
/// The part of what is left that one step may take: one that hangs leaves the others their time.
const STEP: f64 = 0.3;
/// Topics in one question for settings.
const TOPICS_PER_CALL: usize = 500;
/// Looks of one watch, evenly spaced.
const LOOKS: u32 = 20;
const SHORTEST_BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Clone)]
pub(super) struct Questions {
    topics: Vec<String>,
    groups: Vec<(String, Vec<String>)>,
    watch: Option<Duration>,
}

impl Questions {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            topics: config
                .topics
                .iter()
                .map(|topic| topic.name.clone())
                .collect(),
            groups: config
                .groups
                .iter()
                .map(|group| (group.name.clone(), group.topics.clone()))
                .collect(),
            watch: config.observe_for.map(|duration| duration.0),
        }
    }

    /// Every topic that is named, once.
    fn named_topics(&self) -> BTreeSet<&str> {
        let of_groups = self.groups.iter().flat_map(|(_, topics)| topics);
        self.topics
            .iter()
            .chain(of_groups)
            .map(String::as_str)
            .collect()
    }
}

/// Answers by group, then by partition.
pub(super) type Committed = BTreeMap<String, Result<Vec<OffsetView>, Trouble>>;
/// Answers by partition.
pub(super) type Ends = Result<BTreeMap<Place, Result<i64, Refused>>, Trouble>;

/// Where groups and logs were at one time.
pub(super) struct Look {
    pub(super) committed: Committed,
    pub(super) ends: Ends,
}

/// All answers.
pub(super) struct Survey {
    pub(super) cluster: Result<ClusterView, Trouble>,
    /// What the controller said to a topic that it was to check.
    pub(super) controller: Result<Result<(), Refused>, Trouble>,
    /// All topics that the client may see, and then those that were asked for by name.
    pub(super) listed: Result<Vec<TopicView>, Trouble>,
    /// Topics that are named and not listed, and the control.
    pub(super) named: Result<Vec<TopicView>, Trouble>,
    pub(super) configs: BTreeMap<String, Result<Vec<ConfigView>, Trouble>>,
    pub(super) group_list: Result<(Vec<GroupListing>, Vec<Refused>), Trouble>,
    pub(super) groups: BTreeMap<String, Result<GroupView, Trouble>>,
    pub(super) starts: Ends,
    /// At least one; the others while the groups were watched.
    pub(super) looks: Vec<Look>,
}

/// Asks.
///
/// # Errors
/// When no broker answered.
pub(super) fn survey(
    settings: &Settings,
    questions: &Questions,
    work: &Work,
) -> Result<Survey, Failure> {
    let admin = Admin::connect(settings)?;
    let first = work.earlier(questions.watch.unwrap_or_default());
    let cluster = again(&admin, &first.part(CONNECTING), |work| admin.cluster(work));
    if let Err(trouble @ (Trouble::Refused(_) | Trouble::AllDown(_))) = &cluster {
        return Err(nothing_seen(trouble, admin.heard()));
    }
    let listed = match &cluster {
        Ok(_) => again(&admin, &first.part(STEP), |work| admin.all_topics(work)),
        // It may only be slow.
        Err(_) => admin.all_topics(&first.part(LAST)),
    };
    if let (Err(trouble), Err(_)) = (&cluster, &listed) {
        return Err(nothing_seen(trouble, admin.heard()));
    }
    admin.settle();
    let named = ask_by_name(&admin, questions, &listed, &first.part(STEP));
    let configs = ask_configs(&admin, &listed, &named, &first.part(STEP));
    let group_list = admin.group_list(&first.part(STEP));
    let names = askable_groups(questions, &listed, &group_list);
    let groups = admin.groups(&names, &first.part(STEP));
    let places = places(questions, &names, &listed, &named);
    let mut looks = vec![look(&admin, &places, &first.share(2))];
    let starts = ask_end(&admin, &places, LogEnd::Start, &first.part(0.5));
    if let Some(watch) = questions.watch {
        keep_looking(&admin, &places, watch, work, &mut looks);
    }
    // Last: a broker that waits for a controller answers nothing else on that connection.
    let controller = admin.controller(CONTROL_TOPIC, work);
    Ok(Survey {
        cluster,
        controller,
        listed,
        named,
        configs,
        group_list,
        groups,
        starts,
        looks,
    })
}

/// Asks, and once more where there is no answer: any broker answers such a question for the whole
/// cluster, and after fresh metadata librdkafka asks another one, which may not be frozen.
fn again<T>(
    admin: &Admin,
    work: &Work,
    ask: impl Fn(&Work) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    match ask(&work.part(0.5)) {
        Err(Trouble::TimedOut) => {
            // Whether this is answered or not, the next question is asked.
            admin.all_topics(&work.part(0.3)).ok();
            ask(work)
        }
        answer => answer,
    }
}

/// Topics that are named and were not listed, and the control.
fn ask_by_name(
    admin: &Admin,
    questions: &Questions,
    listed: &Result<Vec<TopicView>, Trouble>,
    work: &Work,
) -> Result<Vec<TopicView>, Trouble> {
    let mut names = questions.named_topics();
    for topic in listed.iter().flatten() {
        names.remove(topic.name.as_str());
    }
    names.insert(CONTROL_TOPIC);
    let names: Vec<&str> = names.into_iter().collect();
    again(admin, work, |work| admin.topics(&names, work))
}

fn seen<'s>(
    listed: &'s Result<Vec<TopicView>, Trouble>,
    named: &'s Result<Vec<TopicView>, Trouble>,
) -> impl Iterator<Item = &'s TopicView> {
    listed.iter().flatten().chain(named.iter().flatten())
}

fn ask_configs(
    admin: &Admin,
    listed: &Result<Vec<TopicView>, Trouble>,
    named: &Result<Vec<TopicView>, Trouble>,
    work: &Work,
) -> BTreeMap<String, Result<Vec<ConfigView>, Trouble>> {
    let names: Vec<&str> = seen(listed, named)
        .filter(|topic| topic.partitions.is_ok())
        .map(|topic| topic.name.as_str())
        .collect();
    let mut configs = BTreeMap::new();
    for names in names.chunks(TOPICS_PER_CALL) {
        match again(admin, work, |work| {
            admin.configs(names, TOPIC_SETTINGS, work)
        }) {
            Ok(answers) => configs.extend(
                answers
                    .into_iter()
                    .map(|(name, answer)| (name, answer.map_err(Trouble::Failed))),
            ),
            Err(trouble) => {
                let failed = |name: &&str| ((*name).to_owned(), Err(trouble.clone()));
                configs.extend(names.iter().map(failed));
            }
        }
    }
    configs
}

/// Groups that can be asked for by name. Looking for the coordinator of the first group of a cluster
/// makes the topic in which groups are kept; where there is none yet, there is no group either.
fn askable_groups<'q>(
    questions: &'q Questions,
    listed: &Result<Vec<TopicView>, Trouble>,
    group_list: &Result<(Vec<GroupListing>, Vec<Refused>), Trouble>,
) -> Vec<&'q str> {
    let kept = listed
        .iter()
        .flatten()
        .any(|topic| topic.name == GROUPS_TOPIC);
    let listed = |name: &str| {
        let groups = group_list.iter().flat_map(|(groups, _)| groups);
        groups.into_iter().any(|group| group.name == name)
    };
    let names = questions.groups.iter().map(|(name, _)| name.as_str());
    names.filter(|name| kept || listed(name)).collect()
}

/// The partitions that each group must consume, and of all of them those that have a leader.
struct Places {
    by_group: Vec<(String, Vec<Place>)>,
    led: Vec<Place>,
}

fn places(
    questions: &Questions,
    askable: &[&str],
    listed: &Result<Vec<TopicView>, Trouble>,
    named: &Result<Vec<TopicView>, Trouble>,
) -> Places {
    let mut all: BTreeMap<&str, Vec<(Place, bool)>> = BTreeMap::new();
    for topic in seen(listed, named) {
        let partitions = topic.partitions.iter().flatten().map(|partition| {
            let place = Place {
                topic: topic.name.clone(),
                partition: partition.partition,
            };
            (place, partition.leader >= 0)
        });
        all.insert(&topic.name, partitions.collect());
    }
    let mut led = BTreeSet::new();
    let mut by_group = Vec::new();
    for (group, topics) in &questions.groups {
        let of_group: Vec<&(Place, bool)> = topics
            .iter()
            .filter_map(|topic| all.get(topic.as_str()))
            .flatten()
            .collect();
        led.extend(
            of_group
                .iter()
                .filter(|(_, led)| *led)
                .map(|(place, _)| place.clone()),
        );
        let of_group = of_group.into_iter().map(|(place, _)| place.clone());
        if askable.contains(&group.as_str()) {
            by_group.push((group.clone(), of_group.collect()));
        }
    }
    Places {
        by_group,
        led: led.into_iter().collect(),
    }
}

fn ask_end(admin: &Admin, places: &Places, end: LogEnd, work: &Work) -> Ends {
    if places.led.is_empty() {
        return Ok(BTreeMap::new());
    }
    admin.log_end(&places.led, end, work)
}

/// The groups first: what they commit meanwhile must not look as if it lay beyond the end.
fn look(admin: &Admin, places: &Places, work: &Work) -> Look {
    let asked: Vec<(&str, Vec<Place>)> = places
        .by_group
        .iter()
        .filter(|(_, places)| !places.is_empty())
        .map(|(group, places)| (group.as_str(), places.clone()))
        .collect();
    let committed = admin.committed(&asked, &work.share(2));
    let ends = ask_end(admin, places, LogEnd::End, work);
    Look { committed, ends }
}

/// Looks again and again, at even intervals, until the watch is over.
fn keep_looking(
    admin: &Admin,
    places: &Places,
    watch: Duration,
    work: &Work,
    looks: &mut Vec<Look>,
) {
    let begun = Instant::now();
    let between = (watch / LOOKS).max(SHORTEST_BETWEEN_LOOKS);
    let mut next = begun + between;
    while next <= begun + watch && !work.is_over() {
        if Instant::now() < next {
            sleep(PULSE.min(next.saturating_duration_since(Instant::now())));
            continue;
        }
        looks.push(look(admin, places, &work.share(2)));
        while next <= Instant::now() {
            next += between;
        }
    }
}
