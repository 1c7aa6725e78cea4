//! Whether the last records of a topic are what the registry says of their schemas.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::avro::{Parsed, Problem};
use super::subject::is_absence;
use super::tail::{Tail, Tails};
use super::{Record, TopicRecords};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, path, short};

/// Schemas that a schema may refer to, directly or through others.
const MAX_REFERENCES: usize = 32;
/// Different schemas that are fetched for the last records of all topics.
const MAX_SCHEMAS: usize = 64;
/// What stands before the id of the schema.
const MAGIC_BYTE: u8 = 0;
/// The magic byte and an id of four bytes.
const PREFIX_BYTES: usize = 5;

/// A schema as the registry gives it.
#[derive(Deserialize)]
struct Told {
    schema: String,
    #[serde(rename = "schemaType")]
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

/// A schema that another one refers to.
#[derive(Deserialize)]
struct Reference {
    subject: String,
    version: u32,
}

/// What is known of a schema by its id.
enum Known {
    Avro(Parsed),
    Absent,
    Unusable(String),
    Unknown(Unknown),
}

/// The schemas that were asked for so far.
pub(super) struct Schemas<'a> {
    api: &'a Api,
    end: Instant,
    known: BTreeMap<u32, Known>,
}

impl<'a> Schemas<'a> {
    /// Schemas of this registry; no question is asked after `end`.
    pub(super) fn new(api: &'a Api, end: Instant) -> Self {
        Self {
            api,
            end,
            known: BTreeMap::new(),
        }
    }

    /// Judges nothing, but says of each last record what is wrong with it.
    pub(super) async fn topic(&mut self, topic: &str, tails: Tails) -> TopicRecords {
        let tails = match tails {
            Ok(tails) => tails,
            Err(unknown) => {
                return TopicRecords {
                    topic: topic.to_owned(),
                    newest: unknown.clone().into(),
                    partitions: unknown.into(),
                };
            }
        };
        let mut records = Vec::with_capacity(tails.len());
        for tail in tails {
            records.push(self.record(tail).await);
        }
        TopicRecords {
            topic: topic.to_owned(),
            newest: newest(topic, &records),
            partitions: if records.is_empty() {
                no_record(topic)
            } else {
                Observed::Value(records)
            },
        }
    }

    async fn record(&mut self, tail: Tail) -> Record {
        let id = schema_id(&tail.value);
        let (schema_id, problem) = match id {
            Ok(id) => {
                self.fetch(id).await;
                (Observed::Value(id), self.problem(id, &tail.value))
            }
            Err(problem) => {
                let none = Observed::unknown(UnknownWhy::NotApplicable, problem.clone());
                (none, Observed::Value(problem))
            }
        };
        Record {
            partition: tail.partition,
            offset: tail.offset,
            timestamp: timestamp(tail.timestamp_ms),
            schema_id,
            problem,
        }
    }

    fn problem(&self, id: u32, value: &[u8]) -> Observed<String> {
        match self.known.get(&id) {
            Some(Known::Avro(schema)) => match schema.check(&value[PREFIX_BYTES..]) {
                Ok(()) => Observed::Value(String::new()),
                Err(Problem::Mismatch(text)) => {
                    Observed::Value(format!("does not decode with schema {id}: {text}"))
                }
                Err(Problem::TooLarge(text)) => Observed::unknown(UnknownWhy::TooLarge, text),
            },
            Some(Known::Absent) => {
                Observed::Value(format!("its schema {id} is not in the registry"))
            }
            Some(Known::Unusable(text)) => {
                Observed::Value(format!("its schema {id} cannot be read: {text}"))
            }
            Some(Known::Unknown(unknown)) => unknown.clone().into(),
            None => {
                let text = format!("the records have more than {MAX_SCHEMAS} different schemas");
                Observed::unknown(UnknownWhy::TooLarge, text)
            }
        }
    }

    async fn fetch(&mut self, id: u32) {
        if self.known.len() < MAX_SCHEMAS && !self.known.contains_key(&id) {
            let known = self.ask(id).await.unwrap_or_else(|error| {
                if is_absence(&error) {
                    Known::Absent
                } else {
                    Known::Unknown(error.unknown())
                }
            });
            self.known.insert(id, known);
        }
    }

    async fn ask(&self, id: u32) -> Result<Known, ApiError> {
        let at = path(&["schemas", "ids", &id.to_string()]);
        let told = self.api.get::<Told>(&at, &[], self.end).await?.value;
        if let Some(other) = told.schema_type.as_deref().filter(|ty| *ty != "AVRO") {
            return Ok(Known::Unknown(Unknown {
                why: UnknownWhy::Unsupported,
                detail: format!("schema {id} is {}: only Avro is decoded", short(other, 40)),
            }));
        }
        let references = match self.references(told.references).await? {
            Ok(references) => references,
            Err(text) => return Ok(Known::Unusable(text)),
        };
        Ok(match Parsed::new(&told.schema, &references) {
            Ok(parsed) => Known::Avro(parsed),
            Err(text) => Known::Unusable(short(&text, 300)),
        })
    }

    /// The schemas that are referred to, those first that others refer to.
    async fn references(
        &self,
        wanted: Vec<Reference>,
    ) -> Result<Result<Vec<String>, String>, ApiError> {
        let mut open = wanted;
        let mut found: Vec<((String, u32), String)> = Vec::new();
        while let Some(next) = open.pop() {
            let key = (next.subject, next.version);
            // Seen again: what it refers to, and itself, must stand further in front.
            if let Some(at) = found.iter().position(|(known, _)| *known == key) {
                let again = found.remove(at);
                found.push(again);
                continue;
            }
            if found.len() == MAX_REFERENCES {
                return Ok(Err(format!(
                    "it refers to more than {MAX_REFERENCES} others"
                )));
            }
            let at = path(&["subjects", &key.0, "versions", &key.1.to_string()]);
            let told = match self.api.get::<Told>(&at, &[], self.end).await {
                Ok(answer) => answer.value,
                Err(error) if is_absence(&error) => {
                    let text = format!("it refers to {} {}, which is not there", key.0, key.1);
                    return Ok(Err(text));
                }
                Err(error) => return Err(error),
            };
            open.extend(told.references);
            found.push((key, told.schema));
        }
        Ok(Ok(found.into_iter().rev().map(|(_, text)| text).collect()))
    }
}

/// The id that stands in front of the value.
fn schema_id(value: &[u8]) -> Result<u32, String> {
    match value {
        [] => Err("it is empty: no magic byte".to_owned()),
        [MAGIC_BYTE, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [MAGIC_BYTE, ..] => Err("it ends within the id of its schema".to_owned()),
        [other, ..] => Err(format!(
            "it begins with byte {other}, not with the magic byte 0"
        )),
    }
}

fn newest(topic: &str, records: &[Record]) -> Observed<Record> {
    let timeless = records.iter().find_map(|record| match &record.timestamp {
        Observed::Unknown(why) => Some((record.partition, why)),
        Observed::Value(_) => None,
    });
    if let Some((partition, why)) = timeless {
        let text = format!("the last record of partition {partition}: {}", why.detail);
        return Observed::unknown(why.why, text);
    }
    let when = |record: &Record| record.timestamp.value().copied();
    // Of several in the same millisecond, the one with a problem counts.
    let key = |record: &&Record| {
        (
            when(record),
            record.problem.value().is_none_or(|p| !p.is_empty()),
        )
    };
    match records.iter().max_by_key(key) {
        Some(record) => Observed::Value(record.clone()),
        None => no_record(topic),
    }
}

fn no_record<T>(topic: &str) -> Observed<T> {
    Observed::unknown(
        UnknownWhy::NotObserved,
        format!("{topic} holds no record with a value among the last offsets of its partitions"),
    )
}

fn timestamp(ms: Option<i64>) -> Observed<Timestamp> {
    match ms.map(Timestamp::from_millisecond) {
        Some(Ok(timestamp)) => Observed::Value(timestamp),
        Some(Err(_)) => Observed::unknown(UnknownWhy::Unparseable, "the record's time is no time"),
        None => Observed::unknown(UnknownWhy::Unsupported, "the record has no time"),
    }
}
