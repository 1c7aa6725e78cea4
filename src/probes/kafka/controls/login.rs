//! Clients with other credentials than the probe's own.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::super::client::{Heard, Settings, Watch};
use super::super::pool::Work;
use super::blind;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A call that fails says why only to those who listen in between.
const SLICE: Duration = Duration::from_millis(200);

/// How far a client came.
enum Reached {
    /// It was served.
    Metadata(Metadata),
    /// Its login was refused.
    Refused,
    /// Nobody knows.
    Unknown(Unknown),
}

/// Whether a client with these settings is served.
pub(super) fn served(settings: &Settings, work: &Work) -> Observed<bool> {
    let (consumer, heard) = match settings.connect::<BaseConsumer<Watch>>() {
        Ok(client) => client,
        Err(failure) => return blind(&failure),
    };
    match reach(&consumer, &heard, None, work) {
        Reached::Metadata(_) => Observed::Value(true),
        Reached::Refused => Observed::Value(false),
        Reached::Unknown(why) => why.into(),
    }
}

/// Which of the topics a client with these settings may see.
pub(super) fn visible(
    settings: &Settings,
    topics: &[String],
    work: &Work,
) -> Observed<Vec<String>> {
    let (consumer, heard) = match settings.connect::<BaseConsumer<Watch>>() {
        Ok(client) => client,
        Err(failure) => return blind(&failure),
    };
    let mut seen = Vec::new();
    for topic in topics {
        let metadata = match reach(&consumer, &heard, Some(topic), work) {
            Reached::Metadata(metadata) => metadata,
            Reached::Refused => {
                let text =
                    "the login `unauthorised` itself was refused, which says nothing of its rights";
                return Observed::unknown(UnknownWhy::Denied, text);
            }
            Reached::Unknown(why) => return why.into(),
        };
        let found = metadata.topics().iter().find(|one| one.name() == topic);
        match found.map(|one| one.error().map(Code::from)) {
            Some(None) => seen.push(topic.clone()),
            Some(Some(Code::TopicAuthorizationFailed)) => {}
            Some(Some(code)) => {
                let text = format!("{topic}: {code}");
                return Observed::unknown(UnknownWhy::NotObserved, text);
            }
            None => {
                let text = format!("no broker said anything of {topic}");
                return Observed::unknown(UnknownWhy::NotObserved, text);
            }
        }
    }
    Observed::Value(seen)
}

fn reach(
    consumer: &BaseConsumer<Watch>,
    heard: &Heard,
    topic: Option<&str>,
    work: &Work,
) -> Reached {
    while !work.is_over() {
        match consumer.fetch_metadata(topic, work.left(SLICE)) {
            Ok(metadata) => return Reached::Metadata(metadata),
            Err(_) => drop(consumer.poll(Duration::ZERO)),
        }
        match heard.refusal() {
            Some((_, cause)) if cause.code == Code::Authentication => return Reached::Refused,
            Some((_, cause)) => {
                return Reached::Unknown(Unknown {
                    why: UnknownWhy::NotObserved,
                    detail: cause.text,
                });
            }
            None => {}
        }
    }
    let told = heard.all().pop().map(|cause| format!(": {}", cause.text));
    Reached::Unknown(Unknown {
        why: UnknownWhy::TimedOut,
        detail: format!("no broker answered{}", told.unwrap_or_default()),
    })
}
