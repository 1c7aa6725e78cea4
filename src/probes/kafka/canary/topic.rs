//! The canary's topic: found, or made once.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::super::client::{Heard, Settings, Watch};
use super::super::config::Config;
use super::super::pool::Work;
use super::{TOPIC, Trouble};
use crate::evidence::{Failure, Unknown, UnknownWhy};

/// A call that fails says why only to those who listen in between.
const SLICE: Duration = Duration::from_millis(200);
/// A cluster of more brokers gets no more partitions.
const MAX_PARTITIONS: usize = 64;

/// How long a canary is kept: its topic never grows.
const RETENTION: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "3600000"),
    ("segment.ms", "3600000"),
    ("segment.bytes", "1048576"),
    ("retention.bytes", "4194304"),
];

/// What the topic is to be like where it is made.
pub(super) struct Wanted {
    replication: Option<i32>,
    min_insync_replicas: Option<String>,
}

impl Wanted {
    /// As the declared topics are, where that is declared.
    pub(super) fn of(config: &Config) -> Self {
        let topics = &config.topics;
        let replication = topics.iter().filter_map(|topic| topic.replication_factor);
        let minimum = topics.iter().filter_map(|topic| topic.min_insync_replicas);
        Self {
            replication: replication.max().and_then(|it| i32::try_from(it).ok()),
            min_insync_replicas: minimum.max().map(|it| it.to_string()),
        }
    }
}

/// The partitions of the topic, which is made where there is none.
pub(super) fn ensure(
    settings: &Settings,
    wanted: &Wanted,
    runtime: &Handle,
    work: &Work,
) -> Result<Vec<Leader>, Trouble> {
    let (consumer, heard) = settings.connect::<BaseConsumer<Watch>>()?;
    let asking = Asking {
        consumer: &consumer,
        heard: &heard,
        work,
    };
    let mut made = false;
    loop {
        let metadata = asking.metadata(Some(TOPIC))?;
        let found = metadata.topics().iter().find(|topic| topic.name() == TOPIC);
        let error = found.and_then(|topic| topic.error()).map(Code::from);
        match (found, error) {
            (Some(topic), None) if !topic.partitions().is_empty() => {
                let leaders: Vec<Leader> = topic.partitions().iter().map(Leader::of).collect();
                // Of a new topic, not every partition has its leader at once.
                if !made || leaders.iter().all(|one| one.is_led) {
                    return Ok(leaders);
                }
            }
            (_, Some(Code::TopicAuthorizationFailed)) => return Err(denied("Describe")),
            (_, Some(Code::UnknownTopic | Code::UnknownTopicOrPartition)) if !made => {
                make(settings, wanted, &asking.metadata(None)?, runtime, work)?;
                made = true;
            }
            _ => {}
        }
        if work.is_over() {
            return Err(Trouble::Problem(format!("{TOPIC} gets no leaders")));
        }
        std::thread::sleep(work.left(SLICE));
    }
}

/// A partition of the topic.
pub(super) struct Leader {
    /// Its number.
    pub(super) partition: i32,
    /// Whether it has a leader.
    pub(super) is_led: bool,
}

impl Leader {
    fn of(partition: &rdkafka::metadata::MetadataPartition) -> Self {
        Self {
            partition: partition.id(),
            is_led: partition.leader() >= 0,
        }
    }
}

struct Asking<'a> {
    consumer: &'a BaseConsumer<Watch>,
    heard: &'a Heard,
    work: &'a Work,
}

impl Asking<'_> {
    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, Trouble> {
        loop {
            let told = self.consumer.fetch_metadata(topic, self.work.left(SLICE));
            let error = match told {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            drop(self.consumer.poll(Duration::ZERO));
            if let Some((_, cause)) = self.heard.refusal() {
                return Err(Failure::denied(cause.text).into());
            }
            if self.work.is_over() {
                let told = self.heard.all().pop().map(|cause| cause.text);
                let text = told.unwrap_or_else(|| error.to_string());
                return Err(Trouble::Problem(format!("no broker answers: {text}")));
            }
        }
    }
}

fn make(
    settings: &Settings,
    wanted: &Wanted,
    cluster: &Metadata,
    runtime: &Handle,
    work: &Work,
) -> Result<(), Trouble> {
    let (admin, _) = settings.connect::<AdminClient<Watch>>()?;
    let partitions = cluster.brokers().len().clamp(1, MAX_PARTITIONS);
    let partitions = i32::try_from(partitions).unwrap_or(1);
    let replication = wanted.replication.unwrap_or_else(|| usual(cluster));
    let mut topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(replication));
    for (key, value) in RETENTION {
        topic = topic.set(key, value);
    }
    if let Some(minimum) = &wanted.min_insync_replicas {
        topic = topic.set("min.insync.replicas", minimum);
    }
    let left = work.left(Duration::from_secs(3_600));
    let options = AdminOptions::new()
        .request_timeout(Some(left))
        .operation_timeout(Some(left));
    let made = runtime.block_on(admin.create_topics([&topic], &options));
    let made = made.map_err(|error| Trouble::Problem(format!("{TOPIC} is not made: {error}")))?;
    match made.into_iter().next() {
        Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed))) => {
            Err(denied("Create"))
        }
        Some(Err((_, Code::PolicyViolation))) => Err(Trouble::Unknown(Unknown {
            why: UnknownWhy::Denied,
            detail: format!("a policy of the cluster forbids to make the topic {TOPIC}"),
        })),
        Some(Err((_, code))) => Err(Trouble::Problem(format!(
            "{TOPIC} with {replication} replicas is not made: {code}"
        ))),
        None => Err(Trouble::Problem(format!("{TOPIC} is not made"))),
    }
}

/// The most replicas that any topic has: what the cluster is meant to survive. -1 leaves it to the
/// brokers' default.
fn usual(cluster: &Metadata) -> i32 {
    let partitions = (cluster.topics().iter()).flat_map(|topic| topic.partitions());
    let most = partitions.map(|one| one.replicas().len()).max();
    most.and_then(|most| i32::try_from(most).ok())
        .filter(|most| *most > 0)
        .unwrap_or(-1)
}

/// A missing grant on the topic.
pub(super) fn denied(operation: &str) -> Trouble {
    Trouble::Unknown(Unknown {
        why: UnknownWhy::Denied,
        detail: format!("the canary needs {operation} on the topic {TOPIC}"),
    })
}
