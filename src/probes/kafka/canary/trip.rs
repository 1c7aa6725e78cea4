//! The canary's way: to every partition, and back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::super::client::{Settings, Watch};
use super::super::native::{Fetcher, PartitionView, Position, What, code};
use super::super::pool::{PULSE, Work};
use super::{CanaryPartition, TOPIC, Trouble};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy, millis};

/// How long to wait before a record that was not taken is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// Sends a record to every partition and reads it back.
pub(super) fn fly(
    settings: &Settings,
    leaders: &[PartitionView],
    work: &Work,
) -> Result<Vec<CanaryPartition>, Trouble> {
    let id = unique()?;
    let stored = produce(settings, leaders, &id, &work.share(2))?;
    let offsets: BTreeMap<i32, i64> = (stored.iter())
        .filter_map(|(partition, stored)| Some((*partition, stored.as_ref().ok()?.offset)))
        .collect();
    let fetched = fetch(settings, &offsets, &id, work)?;
    Ok((leaders.iter())
        .map(|leader| {
            let stored = stored.get(&leader.partition);
            let fetched = fetched.get(&leader.partition);
            outcome(leader, stored, fetched)
        })
        .collect())
}

/// What the client that writes is told. A record is sent again here, not by the library: that would
/// hide why it is not taken.
pub(in super::super) fn producing(settings: &Settings, left: Duration) -> Settings {
    (settings.clone())
        .with("acks", "all")
        .with("enable.idempotence", "false")
        .with("message.send.max.retries", "0")
        .with("linger.ms", "0")
        .with("message.timeout.ms", left.as_millis().max(1).to_string())
}

/// What the client that reads it back is told.
pub(in super::super) fn fetching(settings: &Settings) -> Settings {
    (settings.clone())
        .with("isolation.level", "read_uncommitted")
        .with("auto.offset.reset", "error")
        .with("fetch.wait.max.ms", "20")
        .with("fetch.message.max.bytes", "65536")
        .with("queued.max.messages.kbytes", "1024")
}

/// Where a record is stored.
struct Stored {
    offset: i64,
    took: Duration,
}

/// Why a record is not stored.
enum NotStored {
    /// It was refused, or nobody acknowledged it.
    Code(Code),
    /// Writing is not granted.
    Denied,
}

/// What came back from a partition.
type Fetched = Result<Duration, String>;

fn produce(
    settings: &Settings,
    leaders: &[PartitionView],
    id: &str,
    work: &Work,
) -> Result<BTreeMap<i32, Result<Stored, NotStored>>, Trouble> {
    let settings = producing(settings, work.left(Duration::from_secs(3_600)));
    let (producer, heard) = settings.connect::<BaseProducer<Watch>>()?;
    let begun = Instant::now();
    let mut due: Vec<(i32, Instant)> = (leaders.iter())
        .map(|leader| (leader.partition, begun))
        .collect();
    let mut stored = BTreeMap::new();
    let mut flying = 0_usize;
    while (flying > 0 || !due.is_empty()) && !work.is_over() {
        let now = Instant::now();
        for (partition, _) in due.extract_if(.., |(_, at)| *at <= now) {
            let record = BaseRecord::<str, str>::to(TOPIC)
                .partition(partition)
                .payload(id);
            match producer.send(record) {
                Ok(()) => flying += 1,
                Err((error, _)) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                    stored.insert(partition, Err(NotStored::Code(code)));
                }
            }
        }
        producer.poll(PULSE);
        for delivery in heard.delivered() {
            flying = flying.saturating_sub(1);
            let result = match delivery.result {
                Ok(offset) => Ok(Stored {
                    offset,
                    took: delivery.at - begun,
                }),
                Err(Code::TopicAuthorizationFailed) => Err(NotStored::Denied),
                Err(code) => {
                    if !matches!(code, Code::MessageTimedOut) {
                        due.push((delivery.partition, Instant::now() + PAUSE));
                    }
                    Err(NotStored::Code(code))
                }
            };
            // What the brokers said tells more than that the time is up.
            let told = matches!(stored.get(&delivery.partition), Some(Err(_)));
            let late = matches!(result, Err(NotStored::Code(Code::MessageTimedOut)));
            if !(told && late) {
                stored.insert(delivery.partition, result);
            }
        }
        if let Some(cause) = heard.refusal() {
            return Err(Failure::denied(cause.text).into());
        }
    }
    producer.purge(PurgeConfig::default().queue().inflight());
    Ok(stored)
}

fn fetch(
    settings: &Settings,
    offsets: &BTreeMap<i32, i64>,
    id: &str,
    work: &Work,
) -> Result<BTreeMap<i32, Fetched>, Trouble> {
    let mut fetched = BTreeMap::new();
    if offsets.is_empty() {
        return Ok(fetched);
    }
    let settings = fetching(settings);
    let fetcher = Fetcher::connect(&settings)?;
    let from = (offsets.iter()).map(|(partition, offset)| (*partition, Position::Offset(*offset)));
    let begun = Instant::now();
    let mut reading = (fetcher.read(TOPIC, from))
        .map_err(|refused| Trouble::Problem(format!("reading {TOPIC}: {}", refused.text)))?;
    while fetched.len() < offsets.len() && !work.is_over() {
        let Some(got) = reading.next(PULSE) else {
            if let Some(cause) = fetcher.heard().refusal() {
                return Err(Failure::denied(cause.text).into());
            }
            continue;
        };
        match got.what {
            What::Record(message) if offsets.get(&got.partition) == Some(&message.offset) => {
                let back = if message.value.as_deref() == Some(id.as_bytes()) {
                    Ok(begun.elapsed())
                } else {
                    Err("another record came back from its offset".to_owned())
                };
                fetched.insert(got.partition, back);
            }
            What::Refused(refused) if refused.code == code::TOPIC_DENIED => {
                return Err(super::topic::denied("Read"));
            }
            // Later records of others; a leader that has moved, which the library finds.
            What::Record(_) | What::End | What::Refused(_) => {}
        }
    }
    Ok(fetched)
}

fn outcome(
    leader: &PartitionView,
    stored: Option<&Result<Stored, NotStored>>,
    fetched: Option<&Fetched>,
) -> CanaryPartition {
    let (problem, offset, produce_ms) = match stored {
        Some(Ok(stored)) => (
            None,
            Observed::Value(stored.offset),
            Observed::Value(millis(stored.took)),
        ),
        Some(Err(NotStored::Denied)) => {
            let why = Unknown {
                why: UnknownWhy::Denied,
                detail: format!("the canary needs Write on the topic {TOPIC}"),
            };
            let unknown = Observed::from(why.clone());
            (Some(unknown), why.clone().into(), why.into())
        }
        Some(Err(NotStored::Code(code))) => not_stored(leader, &reason(*code)),
        None => not_stored(leader, "no acknowledgement came in time"),
    };
    let (problem, fetch_ms) = match (problem, fetched) {
        (Some(problem), _) => (problem, not_observed("nothing was stored")),
        (None, Some(Ok(took))) => (
            Observed::Value(String::new()),
            Observed::Value(millis(*took)),
        ),
        (None, Some(Err(text))) => (Observed::Value(text.clone()), not_observed(text)),
        (None, None) => {
            let text = "it was acknowledged and did not come back in time";
            (Observed::Value(text.to_owned()), not_observed(text))
        }
    };
    CanaryPartition {
        partition: leader.partition,
        problem,
        offset,
        produce_ms,
        fetch_ms,
    }
}

type NothingStored = (Option<Observed<String>>, Observed<i64>, Observed<f64>);

fn not_stored(leader: &PartitionView, text: &str) -> NothingStored {
    let text = if leader.leader >= 0 {
        format!("not stored by all in-sync replicas: {text}")
    } else {
        format!("not stored, it has no leader: {text}")
    };
    (
        Some(Observed::Value(text.clone())),
        not_observed(&text),
        not_observed(&text),
    )
}

fn reason(code: Code) -> String {
    match code {
        Code::MessageTimedOut => "no acknowledgement came in time".to_owned(),
        code => code.to_string(),
    }
}

fn not_observed<T>(text: &str) -> Observed<T> {
    Observed::unknown(UnknownWhy::NotObserved, text)
}

/// A record that no other one is equal to: a random UUID.
fn unique() -> Result<String, Trouble> {
    let mut bytes = [0; 16];
    let provider = rustls::crypto::CryptoProvider::get_default();
    provider
        .and_then(|provider| provider.secure_random.fill(&mut bytes).ok())
        .ok_or_else(|| {
            Trouble::Unknown(Unknown {
                why: UnknownWhy::NotObserved,
                detail: "this agent has no random numbers".to_owned(),
            })
        })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = u128::from_be_bytes(bytes);
    let hex = format!("{hex:032x}");
    Ok([0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &hex[part])
        .join("-"))
}
