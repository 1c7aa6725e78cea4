//! The last records of topics.

use std::collections::BTreeMap;

use rdkafka::types::RDKafkaErrorCode as Code;

use super::super::client::Settings;
use super::super::native::{Admin, Fetcher, Message, Position, Refused, What};
use super::super::pool::{PULSE, Work};
use super::super::trouble;
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

/// What the clients that read records are told.
pub(in super::super) fn settings(settings: &Settings) -> Settings {
    (settings.clone())
        .with("isolation.level", "read_committed")
        .with("enable.partition.eof", "true")
        .with("auto.offset.reset", "earliest")
        .with("enable.auto.offset.store", "false")
        .with("check.crcs", "true")
        .with("fetch.wait.max.ms", "20")
        .with("fetch.message.max.bytes", "262144")
        .with("fetch.max.bytes", MAX_FETCH_BYTES.to_string())
        .with(
            "receive.message.max.bytes",
            (2 * MAX_FETCH_BYTES).to_string(),
        )
        .with("queued.max.messages.kbytes", "8192")
}

/// Reads the last records of each topic, in their order.
pub(super) fn read(settings: &Settings, topics: &[String], work: &Work) -> Vec<Tails> {
    let settings = self::settings(settings);
    let connected = Admin::connect(&settings)
        .and_then(|admin| Fetcher::connect(&settings).map(|fetcher| (admin, fetcher)));
    let (admin, fetcher) = match connected {
        Ok(clients) => clients,
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
            admin: &admin,
            fetcher: &fetcher,
            topic,
            work: work.share(left),
        };
        all.push(reader.read(&mut kept));
        left = left.saturating_sub(1).max(1);
    }
    all
}

/// Reads one topic.
struct Reader<'a> {
    admin: &'a Admin,
    fetcher: &'a Fetcher,
    topic: &'a str,
    work: Work,
}

impl Reader<'_> {
    fn read(&self, kept: &mut usize) -> Tails {
        let mut open = self.partitions()?;
        let mut tails = BTreeMap::new();
        for look in LOOKS {
            tails.extend(self.look(&open, look, kept)?);
            open.retain(|partition| !tails.contains_key(partition));
            if open.is_empty() {
                break;
            }
        }
        Ok(tails.into_values().collect())
    }

    fn partitions(&self) -> Result<Vec<i32>, Unknown> {
        let right = format!("Describe on topic {}", self.topic);
        let topics = self.admin.topics(&[self.topic], &self.work);
        let topics = topics.map_err(|trouble| trouble::unknown(&trouble, &right))?;
        let partitions = match topics.into_iter().find(|topic| topic.name == self.topic) {
            Some(topic) => topic.partitions,
            None => return Err(self.late()),
        };
        let partitions =
            partitions.map_err(|refused| trouble::unknown_refused(&refused, &right))?;
        if partitions.len() > MAX_PARTITIONS {
            let text = format!(
                "{} has {} partitions, and no more than {MAX_PARTITIONS} are looked into",
                self.topic,
                partitions.len()
            );
            return Err(unknown(UnknownWhy::TooLarge, text));
        }
        Ok(partitions.iter().map(|one| one.partition).collect())
    }

    /// Reads the last offsets of these partitions up to their ends.
    fn look(
        &self,
        partitions: &[i32],
        offsets: i64,
        kept: &mut usize,
    ) -> Result<BTreeMap<i32, Tail>, Unknown> {
        let from = (partitions.iter()).map(|partition| (*partition, Position::Tail(offsets)));
        let reading = self.fetcher.read(self.topic, from);
        let mut reading = reading.map_err(|refused| self.why(&refused))?;
        let mut open: BTreeMap<i32, Option<i64>> = (partitions.iter())
            .map(|partition| (*partition, None))
            .collect();
        let mut tails = BTreeMap::new();
        while !open.is_empty() {
            if self.work.is_over() {
                return Err(self.late());
            }
            let Some(got) = reading.next(PULSE) else {
                continue;
            };
            let Some(first) = open.get_mut(&got.partition) else {
                continue;
            };
            match got.what {
                What::End => {
                    open.remove(&got.partition);
                }
                What::Refused(refused) => return Err(self.why(&refused)),
                What::Record(message) => {
                    // What is written meanwhile would never let it end.
                    let first = *first.get_or_insert(message.offset);
                    if message.offset - first >= offsets - 1 {
                        open.remove(&got.partition);
                    }
                    self.keep(got.partition, message, &mut tails, kept)?;
                }
            }
        }
        Ok(tails)
    }

    fn keep(
        &self,
        partition: i32,
        message: Message,
        tails: &mut BTreeMap<i32, Tail>,
        kept: &mut usize,
    ) -> Result<(), Unknown> {
        let Some(value) = message.value else {
            return Ok(());
        };
        *kept += value.len();
        let tail = Tail {
            partition,
            offset: message.offset,
            timestamp_ms: message.timestamp_ms,
            value,
        };
        if let Some(older) = tails.insert(partition, tail) {
            *kept -= older.value.len();
        }
        if *kept > MAX_KEPT_BYTES {
            let text = format!(
                "{}: the last records take more than {MAX_KEPT_BYTES} bytes",
                self.topic
            );
            return Err(unknown(UnknownWhy::TooLarge, text));
        }
        Ok(())
    }

    fn late(&self) -> Unknown {
        let told = self.fetcher.heard().telling();
        let told = told.map(|cause| format!(": {}", cause.text));
        let text = format!(
            "{}: its last records were not read in time{}",
            self.topic,
            told.unwrap_or_default()
        );
        unknown(UnknownWhy::TimedOut, text)
    }

    fn why(&self, refused: &Refused) -> Unknown {
        const TOO_LARGE: i32 = Code::MessageSizeTooLarge as i32;
        match refused.code {
            TOO_LARGE => unknown(
                UnknownWhy::TooLarge,
                format!(
                    "{}: a record is larger than {MAX_FETCH_BYTES} bytes",
                    self.topic
                ),
            ),
            _ => trouble::unknown_refused(refused, &format!("Read on topic {}", self.topic)),
        }
    }
}
