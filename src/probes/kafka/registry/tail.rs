//! The last records of topics, read without joining a group.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::super::client::{Heard, Settings, Watch};
use super::super::pool::{PULSE, Work};
use crate::evidence::{Failure, Outcome, Unknown, UnknownWhy};

/// How many of a partition's last offsets are looked at; more, where fewer hold no value: markers of
/// transactions, deleted keys, and what compaction has removed are offsets too.
const LOOKS: [i64; 3] = [16, 512, 16_384];
/// A topic with more partitions is not looked into.
const MAX_PARTITIONS: usize = 1_000;
/// A record that is larger is not looked into.
const MAX_FETCH_BYTES: usize = 8 << 20;
/// The most bytes of records that are kept.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// The last record with a value in a partition.
pub(super) struct Tail {
    /// The partition.
    pub(super) partition: i32,
    /// Its offset.
    pub(super) offset: i64,
    /// Its time.
    pub(super) timestamp_ms: Option<i64>,
    /// Its value.
    pub(super) value: Vec<u8>,
}

/// The last records of a topic, or why nobody knows.
pub(super) type Tails = Result<Vec<Tail>, Unknown>;

/// Why nothing was seen.
pub(super) fn not_observed(failure: &Failure) -> Unknown {
    let why = match failure.outcome() {
        Outcome::Denied => UnknownWhy::Denied,
        _ => UnknownWhy::NotObserved,
    };
    unknown(why, failure.detail())
}

fn unknown(why: UnknownWhy, detail: impl Into<String>) -> Unknown {
    Unknown {
        why,
        detail: detail.into(),
    }
}

/// Reads the last records of each topic, in their order.
pub(super) fn read(settings: &Settings, topics: &[String], work: &Work) -> Vec<Tails> {
    let settings = settings
        .clone()
        .with("isolation.level", "read_committed")
        .with("enable.partition.eof", "true")
        .with("auto.offset.reset", "earliest")
        .with("check.crcs", "true")
        .with("fetch.wait.max.ms", "20")
        .with("fetch.message.max.bytes", "262144")
        .with("fetch.max.bytes", MAX_FETCH_BYTES.to_string())
        .with(
            "receive.message.max.bytes",
            (2 * MAX_FETCH_BYTES).to_string(),
        )
        .with("queued.max.messages.kbytes", "8192");
    let (consumer, heard) = match settings.connect::<BaseConsumer<Watch>>() {
        Ok(client) => client,
        Err(failure) => {
            let why = not_observed(&failure);
            return topics.iter().map(|_| Err(why.clone())).collect();
        }
    };
    let mut left = u32::try_from(topics.len()).unwrap_or(u32::MAX);
    let mut kept = 0;
    let mut all = Vec::with_capacity(topics.len());
    for topic in topics {
        let reader = Reader {
            consumer: &consumer,
            heard: &heard,
            topic,
            work: work.share(left),
        };
        let tails = reader.read(&mut kept);
        all.push(tails);
        left = left.saturating_sub(1).max(1);
    }
    all
}

/// Reads one topic.
struct Reader<'a> {
    consumer: &'a BaseConsumer<Watch>,
    heard: &'a Heard,
    topic: &'a str,
    work: Work,
}

impl Reader<'_> {
    fn read(&self, kept: &mut usize) -> Tails {
        let mut open = self.partitions()?;
        let mut tails = BTreeMap::new();
        for look in LOOKS {
            for (partition, tail) in self.look(&open, look, kept)? {
                tails.insert(partition, tail);
            }
            open.retain(|partition| !tails.contains_key(partition));
            if open.is_empty() {
                break;
            }
        }
        Ok(tails.into_values().collect())
    }

    fn partitions(&self) -> Result<Vec<i32>, Unknown> {
        let most = Duration::from_secs(3_600);
        let metadata = self
            .consumer
            .fetch_metadata(Some(self.topic), self.work.left(most))
            .map_err(|error| self.why(&error))?;
        let topic = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == self.topic)
            .ok_or_else(|| self.late())?;
        if let Some(code) = topic.error() {
            return Err(self.refused(code.into()));
        }
        let partitions: Vec<i32> = topic.partitions().iter().map(|one| one.id()).collect();
        if partitions.len() > MAX_PARTITIONS {
            let text = format!(
                "{} has {} partitions, and no more than {MAX_PARTITIONS} are looked into",
                self.topic,
                partitions.len()
            );
            return Err(unknown(UnknownWhy::TooLarge, text));
        }
        Ok(partitions)
    }

    /// Reads the last offsets of these partitions up to their ends.
    fn look(
        &self,
        partitions: &[i32],
        offsets: i64,
        kept: &mut usize,
    ) -> Result<BTreeMap<i32, Tail>, Unknown> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(self.topic, *partition, Offset::OffsetTail(offsets))
                .map_err(|error| self.why(&error))?;
        }
        self.consumer
            .assign(&list)
            .map_err(|error| self.why(&error))?;
        let mut open: BTreeMap<i32, Option<i64>> = partitions
            .iter()
            .map(|partition| (*partition, None))
            .collect();
        let mut tails = BTreeMap::new();
        while !open.is_empty() {
            if self.work.is_over() {
                return Err(self.late());
            }
            match self.consumer.poll(PULSE) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) => return Err(self.why(&error)),
                Some(Ok(message)) => {
                    let Some(first) = open.get_mut(&message.partition()) else {
                        continue;
                    };
                    // What is written meanwhile would never let it end.
                    let first = *first.get_or_insert(message.offset());
                    if message.offset() - first >= offsets - 1 {
                        open.remove(&message.partition());
                    }
                    self.keep(&message, &mut tails, kept)?;
                }
            }
        }
        Ok(tails)
    }

    fn keep(
        &self,
        message: &BorrowedMessage<'_>,
        tails: &mut BTreeMap<i32, Tail>,
        kept: &mut usize,
    ) -> Result<(), Unknown> {
        let Some(value) = message.payload() else {
            return Ok(());
        };
        let tail = Tail {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            value: value.to_vec(),
        };
        *kept += value.len();
        if let Some(older) = tails.insert(message.partition(), tail) {
            *kept -= older.value.len();
        }
        if *kept > MAX_KEPT_BYTES {
            let text = format!("the last records take more than {MAX_KEPT_BYTES} bytes");
            return Err(unknown(UnknownWhy::TooLarge, text));
        }
        Ok(())
    }

    fn late(&self) -> Unknown {
        let text = format!("{}: its last records were not read in time", self.topic);
        unknown(UnknownWhy::TimedOut, text)
    }

    /// Why a call failed; the client itself knows better than the call.
    fn why(&self, error: &KafkaError) -> Unknown {
        if let Some(cause) = self.heard.refusal() {
            return unknown(UnknownWhy::Denied, cause.text);
        }
        match error.rdkafka_error_code() {
            Some(Code::OperationTimedOut) => self.late(),
            Some(code) => self.refused(code),
            None => unknown(UnknownWhy::NotObserved, error.to_string()),
        }
    }

    fn refused(&self, code: Code) -> Unknown {
        let topic = self.topic;
        match code {
            Code::TopicAuthorizationFailed => unknown(
                UnknownWhy::Denied,
                format!("reading the last records of {topic} needs Read on it"),
            ),
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => unknown(
                UnknownWhy::NotObserved,
                format!("there is no topic {topic}"),
            ),
            Code::MessageSizeTooLarge => unknown(
                UnknownWhy::TooLarge,
                format!("{topic}: a record is larger than {MAX_FETCH_BYTES} bytes"),
            ),
            other => unknown(UnknownWhy::NotObserved, format!("{topic}: {other}")),
        }
    }
}
