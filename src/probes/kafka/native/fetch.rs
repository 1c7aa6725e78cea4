//! Records by offset, without a group: the consumer of the Rust crate wants one, and with it asks
//! for the group's coordinator, which makes the topic of groups where there is none.

use std::ffi::{CString, c_int};
use std::marker::PhantomData;
use std::ptr::{addr_of, null_mut};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::read::meaning;
use super::{Queue, Refused, code, millis};
use crate::evidence::Failure;
use crate::probes::kafka::client::{Heard, Settings, Watch};

/// A client that reads records.
pub(in super::super) struct Fetcher {
    consumer: BaseConsumer<Watch>,
    heard: Heard,
}

/// Where to begin to read a partition.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Position {
    /// At this offset.
    Offset(i64),
    /// So many offsets before the end.
    Tail(i64),
}

/// What comes from a partition.
#[derive(Debug)]
pub(in super::super) struct Got {
    pub(in super::super) partition: i32,
    pub(in super::super) what: What,
}

/// What came.
#[derive(Debug)]
pub(in super::super) enum What {
    /// A record.
    Record(Message),
    /// Nothing more for now.
    End,
    /// An error instead of records.
    Refused(Refused),
}

/// A record.
#[derive(Debug)]
pub(in super::super) struct Message {
    pub(in super::super) offset: i64,
    /// Milliseconds since 1970, where it has a time.
    pub(in super::super) timestamp_ms: Option<i64>,
    /// Its value; none: the key is deleted.
    pub(in super::super) value: Option<Vec<u8>>,
}

impl Fetcher {
    /// Makes a client; it connects when it first reads.
    pub(in super::super) fn connect(settings: &Settings) -> Result<Self, Failure> {
        let (consumer, heard) = settings.connect::<BaseConsumer<Watch>>()?;
        Ok(Self { consumer, heard })
    }

    /// What the client has reported so far.
    pub(in super::super) fn heard(&self) -> &Heard {
        // Its reports are only taken in by those who look for them.
        drop(self.consumer.poll(Duration::ZERO));
        &self.heard
    }

    /// Begins to read partitions of a topic.
    pub(in super::super) fn read(
        &self,
        topic: &str,
        from: impl IntoIterator<Item = (i32, Position)>,
    ) -> Result<Reading<'_>, Refused> {
        let client = self.consumer.client().native_ptr();
        let name = CString::new(topic).map_err(|_| Refused {
            code: code::UNKNOWN_TOPIC,
            text: "a name with a zero byte".to_owned(),
        })?;
        // SAFETY: the client outlives the reading, which borrows it; the name is copied.
        let topic = unsafe { sys::rd_kafka_topic_new(client, name.as_ptr(), null_mut()) };
        if topic.is_null() {
            return Err(last_error());
        }
        let mut reading = Reading {
            topic,
            queue: Queue::new(client),
            partitions: Vec::new(),
            client: PhantomData,
        };
        for (partition, position) in from {
            let offset = match position {
                Position::Offset(offset) => offset,
                Position::Tail(count) => i64::from(sys::RD_KAFKA_OFFSET_TAIL_BASE) - count,
            };
            // SAFETY: topic and queue are alive, and stopped before they are destroyed.
            let started = unsafe {
                sys::rd_kafka_consume_start_queue(topic, partition, offset, reading.queue.0)
            };
            if started != 0 {
                return Err(last_error());
            }
            reading.partitions.push(partition);
        }
        Ok(reading)
    }
}

/// The error of the last call of this thread.
fn last_error() -> Refused {
    // SAFETY: reads a number of this thread.
    let code = unsafe { rd_kafka_last_error() };
    Refused {
        code,
        text: meaning(code),
    }
}

// SAFETY (of the declaration): as in rdkafka.h, but for the type of the code; see the module above.
unsafe extern "C" {
    fn rd_kafka_last_error() -> c_int;
}

/// Partitions that are being read.
pub(in super::super) struct Reading<'a> {
    topic: *mut sys::rd_kafka_topic_t,
    queue: Queue,
    partitions: Vec<i32>,
    client: PhantomData<&'a Fetcher>,
}

impl Reading<'_> {
    /// What comes next, if anything does before `wait` is over.
    pub(in super::super) fn next(&mut self, wait: Duration) -> Option<Got> {
        const END: c_int = rdkafka::types::RDKafkaErrorCode::PartitionEOF as c_int;
        // SAFETY: the queue is alive; the message is read and then destroyed once, here. Its code is
        // read as a number: a broker may have sent one that the enum does not name.
        unsafe {
            let message = sys::rd_kafka_consume_queue(self.queue.0, millis(wait).max(1));
            if message.is_null() {
                return None;
            }
            let code = addr_of!((*message).err).cast::<c_int>().read();
            let what = match code {
                0 => What::Record(record(message)),
                END => What::End,
                _ => What::Refused(Refused {
                    code,
                    text: meaning(code),
                }),
            };
            let partition = (*message).partition;
            sys::rd_kafka_message_destroy(message);
            Some(Got { partition, what })
        }
    }
}

/// # Safety
/// `message` is alive, and no error.
unsafe fn record(message: *const sys::rd_kafka_message_t) -> Message {
    // SAFETY: alive, as demanded of the caller; the payload is `len` bytes long, or null. The kind of
    // the time is not read: it is a number that librdkafka masks to two bits.
    unsafe {
        let timestamp_ms = sys::rd_kafka_message_timestamp(message, null_mut());
        let payload = (*message).payload.cast::<u8>();
        Message {
            offset: (*message).offset,
            timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
            value: (!payload.is_null())
                .then(|| std::slice::from_raw_parts(payload, (*message).len).to_vec()),
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // SAFETY: each partition was started and is stopped once; the topic is destroyed once, and
        // the queue after that.
        unsafe {
            for partition in &self.partitions {
                sys::rd_kafka_consume_stop(self.topic, *partition);
            }
            sys::rd_kafka_topic_destroy(self.topic);
        }
    }
}
