//! The canary's topic: found, or made once.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::super::client::{Settings, Watch};
use super::super::config::Config;
use super::super::native::{self, Admin, PartitionView, TopicView, code};
use super::super::pool::{PULSE, Work};
use super::super::trouble;
use super::{TOPIC, Trouble};
use crate::evidence::{Unknown, UnknownWhy};

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
) -> Result<Vec<PartitionView>, Trouble> {
    let admin = Admin::connect(settings)?;
    let mut made = false;
    loop {
        let found = admin.topics(&[TOPIC], work).map_err(no_answer)?;
        let found = found.into_iter().find(|topic| topic.name == TOPIC);
        match found.map(|topic| topic.partitions) {
            // Of a new topic, not every partition has its leader at once.
            Some(Ok(partitions))
                if !partitions.is_empty()
                    && (!made || partitions.iter().all(|one| one.leader >= 0)) =>
            {
                return Ok(partitions);
            }
            Some(Err(refused)) if refused.code == code::TOPIC_DENIED => {
                return Err(denied("Describe"));
            }
            Some(Err(refused)) if refused.code == code::UNKNOWN_TOPIC && !made => {
                make(settings, wanted, &admin, runtime, work)?;
                made = true;
            }
            _ => {}
        }
        if work.is_over() {
            return Err(Trouble::Problem(format!("{TOPIC} gets no leaders")));
        }
        std::thread::sleep(work.left(PULSE));
    }
}

/// Nothing was told at all.
fn no_answer(trouble: native::Trouble) -> Trouble {
    match trouble {
        native::Trouble::Refused(_) => Trouble::Unknown(trouble::unknown(&trouble, "a login")),
        native::Trouble::AllDown(cause) => {
            Trouble::Problem(format!("no broker can be reached: {}", cause.text))
        }
        native::Trouble::TimedOut => Trouble::Problem("no broker answers in time".to_owned()),
        native::Trouble::Failed(refused) => Trouble::Problem(refused.text),
    }
}

fn make(
    settings: &Settings,
    wanted: &Wanted,
    admin: &Admin,
    runtime: &Handle,
    work: &Work,
) -> Result<(), Trouble> {
    let brokers = admin.cluster(work).map_err(no_answer)?.nodes.len();
    let partitions = i32::try_from(brokers.clamp(1, MAX_PARTITIONS)).unwrap_or(1);
    let replication = match wanted.replication {
        Some(replication) => replication,
        None => usual(&admin.all_topics(work).map_err(no_answer)?),
    };
    let mut topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(replication));
    for (key, value) in RETENTION {
        topic = topic.set(key, value);
    }
    if let Some(minimum) = &wanted.min_insync_replicas {
        topic = topic.set("min.insync.replicas", minimum);
    }
    let (admin, _) = settings.connect::<AdminClient<Watch>>()?;
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
fn usual(topics: &[TopicView]) -> i32 {
    let partitions = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().flatten());
    let most = partitions.map(|one| one.replicas.len()).max();
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
