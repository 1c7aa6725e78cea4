//! One look at the cluster: every question that a probe asks, in order, on one thread. What one
//! question has no answer to does not keep the others from being asked.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::Settings;
use super::config::Config;
use super::native::{
    Admin, ClusterView, ConfigView, LogEnd, OffsetView, Place, Refused, TopicView, Trouble, code,
};
use super::pool::{PULSE, Work};
use super::trouble::nothing_seen;
use super::wire::{Visit, Wire};
use crate::evidence::Failure;

/// A name that no topic has, and that no grant to a prefix is for: another one each time. A client
/// that may describe all topics is told that there is none; another one that it may not ask: then
/// what it is shown is not all there is.
fn control_topic() -> String {
    let mut bytes = [0; 16];
    // Without random numbers it is at least no name that anybody has chosen.
    aws_lc_rs::rand::fill(&mut bytes).ok();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

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
    pub(super) at: Instant,
    pub(super) committed: Committed,
    pub(super) ends: Ends,
}

/// All answers.
pub(super) struct Survey {
    /// The name of the topic that is not there.
    pub(super) control_topic: String,
    pub(super) cluster: Result<ClusterView, Trouble>,
    /// What the controller said to a topic that it was to check.
    pub(super) controller: Result<Result<(), Refused>, Trouble>,
    /// All topics that the client may see, and then those that were asked for by name.
    pub(super) listed: Result<Vec<TopicView>, Trouble>,
    /// Topics that are named and not listed, and the control.
    pub(super) named: Result<Vec<TopicView>, Trouble>,
    pub(super) configs: BTreeMap<String, Result<Vec<ConfigView>, Trouble>>,
    /// What each broker told over a connection of its own.
    pub(super) visit: Result<Visit, Trouble>,
    /// Before the last look: what is removed after a group has read it is no loss.
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
    wire: &Wire,
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
    let control_topic = control_topic();
    let named = ask_by_name(
        &admin,
        questions,
        &control_topic,
        &listed,
        &first.part(STEP),
    );
    let configs = ask_configs(&admin, &listed, &named, &first.part(STEP));
    let visit = match &cluster {
        Ok(cluster) => {
            let names: Vec<&str> = questions
                .groups
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let kept = !has_no_groups(&named);
            wire.visit(&cluster.nodes, &names, kept, &first.part(STEP))
        }
        Err(trouble) => Err(trouble.clone()),
    };
    let places = places(questions, &visit, &listed, &named);
    let mut watcher = Watcher {
        admin: &admin,
        wire,
        visit,
        places,
        looks: Vec::new(),
    };
    let mut starts = watcher.starts(&first.part(STEP));
    watcher.look(&first.part(0.6));
    if let Some(watch) = questions.watch {
        watcher.keep_looking(watch, work);
        if !work.is_over() {
            starts = watcher.starts(&work.part(STEP));
            watcher.look(&work.part(0.6));
        }
    }
    // Last: a broker that waits for a controller answers nothing else on that connection.
    let controller = admin.controller(&control_topic, work);
    Ok(Survey {
        control_topic,
        cluster,
        controller,
        listed,
        named,
        configs,
        visit: watcher.visit,
        starts,
        looks: watcher.looks,
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

/// Topics that are named and were not listed, that of the groups, and the control.
fn ask_by_name(
    admin: &Admin,
    questions: &Questions,
    control_topic: &str,
    listed: &Result<Vec<TopicView>, Trouble>,
    work: &Work,
) -> Result<Vec<TopicView>, Trouble> {
    let mut names = questions.named_topics();
    names.insert(GROUPS_TOPIC);
    for topic in listed.iter().flatten() {
        names.remove(topic.name.as_str());
    }
    names.insert(control_topic);
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

/// Whether the cluster has told that it keeps no groups at all: the topic for them is not there, and
/// it is not only hidden.
pub(super) fn has_no_groups(named: &Result<Vec<TopicView>, Trouble>) -> bool {
    let topic = (named.iter().flatten()).find(|topic| topic.name == GROUPS_TOPIC);
    topic.is_some_and(
        |topic| matches!(&topic.partitions, Err(refused) if refused.code == code::UNKNOWN_TOPIC),
    )
}

/// The partitions that each group must consume, and of all of them those that have a leader.
struct Places {
    by_group: Vec<(String, Vec<Place>)>,
    led: Vec<Place>,
}

fn places(
    questions: &Questions,
    visit: &Result<Visit, Trouble>,
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
        let described = visit.as_ref().ok().and_then(|visit| visit.group(group));
        if matches!(described, Some(Ok(_))) {
            by_group.push((group.clone(), of_group.collect()));
        }
    }
    Places {
        by_group,
        led: led.into_iter().collect(),
    }
}

/// Looks at groups and logs.
struct Watcher<'a> {
    admin: &'a Admin,
    wire: &'a Wire,
    visit: Result<Visit, Trouble>,
    places: Places,
    looks: Vec<Look>,
}

impl Watcher<'_> {
    /// Where the logs begin.
    fn starts(&self, work: &Work) -> Ends {
        self.end_of_logs(LogEnd::Start, work)
    }

    fn end_of_logs(&self, end: LogEnd, work: &Work) -> Ends {
        if self.places.led.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.admin.log_end(&self.places.led, end, work)
    }

    /// The groups first: what they commit meanwhile must not look as if it lay beyond the end.
    fn look(&mut self, work: &Work) {
        let at = Instant::now();
        let asked: Vec<(String, Vec<Place>)> = (self.places.by_group.iter())
            .filter(|(_, places)| !places.is_empty())
            .cloned()
            .collect();
        let committed = match &mut self.visit {
            Ok(visit) => self.wire.committed(visit, &asked, &work.share(2)),
            Err(_) => Committed::new(),
        };
        let ends = self.end_of_logs(LogEnd::End, work);
        self.looks.push(Look {
            at,
            committed,
            ends,
        });
    }

    /// Looks again and again, at even intervals, until the watch is over.
    fn keep_looking(&mut self, watch: Duration, work: &Work) {
        let begun = Instant::now();
        let between = (watch / LOOKS).max(SHORTEST_BETWEEN_LOOKS);
        let mut next = begun + between;
        while next <= begun + watch && !work.is_over() {
            if Instant::now() < next {
                sleep(PULSE.min(next.saturating_duration_since(Instant::now())));
                continue;
            }
            self.look(&work.share(2));
            while next <= Instant::now() {
                next += between;
            }
        }
    }
}
