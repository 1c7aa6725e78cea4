//! What librdkafka can ask and its Rust crate cannot: racks, offsets of many partitions at once, and
//! errors per topic. Nothing is asked of coordinators here: a broker that dies meanwhile takes the
//! whole process with it (see [`wire`](super::wire)).
//!
//! This is the one module with `unsafe` code. It calls librdkafka's admin functions, each with a
//! queue of its own, and copies what they return into owned Rust values before the event that
//! holds it is destroyed; no pointer leaves this module. Codes that brokers choose are read as
//! numbers: an unknown one must not become a Rust enum.

#![expect(unsafe_code, reason = "librdkafka has these functions in C alone")]

mod calls;
mod fetch;
mod read;
mod values;

pub(super) use calls::LogEnd;
pub(super) use fetch::{Fetcher, Message, Position, What};
pub(super) use read::meaning;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::producer::{BaseProducer, Producer as _};

use super::client::{Cause, Heard, Settings, Watch};
use super::pool::{PULSE, Work};
use crate::evidence::Failure;

pub(super) use values::{
    ClusterView, ConfigView, GroupListing, GroupView, MemberView, NodeView, OffsetView,
    PartitionView, Place, Refused, TopicView, code,
};

/// How long after all brokers were found dead one of them may still come: a name may have another
/// address, and the next one is tried at once.
const ALL_DOWN_GRACE: Duration = Duration::from_millis(1500);
/// The same for a broker that refused: another one may not.
const REFUSED_GRACE: Duration = Duration::from_millis(700);
/// What is kept of a step's time to take in what the other brokers have answered.
const MARGIN: f64 = 0.1;

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The login or the certificate was not taken.
    Refused(Cause),
    /// No broker can be reached.
    AllDown(Cause),
    /// It did not end in its share of the timeout.
    TimedOut,
    /// The brokers, or librdkafka, returned an error.
    Failed(Refused),
}

/// A client that asks.
pub(super) struct Admin {
    producer: BaseProducer<Watch>,
    heard: Heard,
    answered: AtomicBool,
}

/// A function of librdkafka that puts its answer into a queue.
type Submit<'a> = &'a dyn Fn(
    *mut sys::rd_kafka_t,
    *const sys::rd_kafka_AdminOptions_t,
    *mut sys::rd_kafka_queue_t,
    usize,
);

impl Admin {
    /// Makes a client; it connects when it is first asked.
    pub(super) fn connect(settings: &Settings) -> Result<Self, Failure> {
        let (producer, heard) = settings.connect::<BaseProducer<Watch>>()?;
        Ok(Self {
            producer,
            heard,
            answered: AtomicBool::new(false),
        })
    }

    /// What the client has reported so far.
    pub(super) fn heard(&self) -> &Heard {
        &self.heard
    }

    fn ptr(&self) -> *mut sys::rd_kafka_t {
        self.producer.client().native_ptr()
    }

    /// Submits `count` calls, gives each answer with its index to `take`, and returns when all are
    /// there or the time is up: then with what is missing.
    fn call(
        &self,
        count: usize,
        work: &Work,
        submit: Submit<'_>,
        take: &mut dyn FnMut(usize, Result<&Event, Refused>),
    ) -> Result<(), Trouble> {
        let queue = Queue::new(self.ptr());
        let left = work.left(MAX_CALL);
        let request = left.mul_f64(1.0 - MARGIN).max(Duration::from_millis(1));
        for index in 0..count {
            let options = Options::new(self.ptr(), request, index);
            submit(self.ptr(), options.0, queue.0, index);
        }
        let mut missing = count;
        while missing > 0 {
            let wait = work.left(PULSE);
            if wait.is_zero() {
                self.listen();
                return Err(self.why().unwrap_or(Trouble::TimedOut));
            }
            let Some(event) = queue.poll(wait) else {
                self.listen();
                match self.why() {
                    Some(trouble) => return Err(trouble),
                    None => continue,
                }
            };
            missing -= 1;
            match event.refused() {
                None => take(event.index(), Ok(&event)),
                Some(refused) => take(event.index(), Err(refused)),
            }
        }
        Ok(())
    }

    /// One call.
    fn call_one<T>(
        &self,
        work: &Work,
        submit: Submit<'_>,
        read: impl Fn(&Event) -> T,
    ) -> Result<T, Trouble> {
        let mut answer = None;
        self.call(1, work, submit, &mut |_, event| {
            answer = Some(event.map(&read));
        })?;
        match answer {
            Some(Ok(value)) => Ok(value),
            Some(Err(refused)) if refused.code == code::TIMED_OUT => {
                self.listen();
                Err(self.why().unwrap_or(Trouble::TimedOut))
            }
            Some(Err(refused)) => Err(Trouble::Failed(refused)),
            None => Err(Trouble::TimedOut),
        }
    }

    /// Takes in what the client reports.
    fn listen(&self) {
        self.producer.poll(Duration::from_millis(1));
    }

    /// What makes waiting useless, as long as no broker has answered.
    fn why(&self) -> Option<Trouble> {
        if self.answered.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        if let Some(cause) = self.heard.refusal() {
            return (now >= cause.at + REFUSED_GRACE).then_some(Trouble::Refused(cause));
        }
        let (since, cause) = self.heard.all_down()?;
        (now >= since + ALL_DOWN_GRACE).then_some(Trouble::AllDown(cause))
    }

    /// A broker has answered: from now on one that cannot be reached is one of several, and its
    /// questions time out.
    pub(super) fn settle(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
}

/// No call waits longer, whatever the timeout: librdkafka counts milliseconds in an `int`.
pub(super) const MAX_CALL: Duration = Duration::from_secs(3600);

fn millis(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

struct Queue(*mut sys::rd_kafka_queue_t);

impl Queue {
    fn new(client: *mut sys::rd_kafka_t) -> Self {
        // SAFETY: the client lives as long as `Admin`, which outlives every queue.
        Self(unsafe { sys::rd_kafka_queue_new(client) })
    }

    fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue is alive; the event is owned by `Event` from here on.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0, millis(wait).max(1)) };
        (!event.is_null()).then_some(Event(event))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once. Calls that are not answered yet keep
        // references of their own.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    fn new(client: *mut sys::rd_kafka_t, timeout: Duration, index: usize) -> Self {
        let mut error = [0; 128];
        // SAFETY: the client is alive; the options are used and destroyed by `Options` alone; the
        // opaque value is a number and is never read as an address.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(
                client,
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ANY,
            );
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                millis(timeout),
                error.as_mut_ptr(),
                error.len(),
            );
            sys::rd_kafka_AdminOptions_set_opaque(options, index as *mut c_void);
            Self(options)
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`, destroyed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

struct Event(*mut sys::rd_kafka_event_t);

// SAFETY (of the declarations): as in rdkafka.h, but for the type of codes. Brokers choose them, and
// a Rust enum must not hold a value that it does not name.
unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    fn rd_kafka_error_code(error: *const sys::rd_kafka_error_t) -> c_int;
    fn rd_kafka_ConfigResource_error(resource: *const sys::rd_kafka_ConfigResource_t) -> c_int;
    fn rd_kafka_topic_result_error(topic: *const sys::rd_kafka_topic_result_t) -> c_int;
    fn rd_kafka_ConfigEntry_source(entry: *const sys::rd_kafka_ConfigEntry_t) -> c_int;
}

impl Event {
    fn index(&self) -> usize {
        // SAFETY: the event is alive; the opaque value is the number that `Options` set.
        unsafe { sys::rd_kafka_event_opaque(self.0) as usize }
    }

    fn refused(&self) -> Option<Refused> {
        // SAFETY: the event is alive, and its text lives as long.
        unsafe {
            let code = rd_kafka_event_error(self.0);
            let said = sys::rd_kafka_event_error_string(self.0);
            (code != 0).then(|| read::explained(code, &text(said)))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: from `rd_kafka_queue_poll`, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// Text of librdkafka; empty for none.
///
/// # Safety
/// `text` is null, or ends with a zero byte and lives during this call.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as demanded of the caller.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
