//! Why there is no answer, in words: whom it blames, and which right is missing.

use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{Cause, Heard};
use super::native::{Refused, Trouble, code};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};

/// What to say when no broker answered.
pub(super) fn nothing_seen(trouble: &Trouble, heard: &Heard) -> Failure {
    // The cause, and not that the time is up.
    if let Some(cause) = heard.refusal() {
        return blame(&cause);
    }
    match trouble {
        Trouble::Refused(cause) => blame(cause),
        Trouble::AllDown(cause) => unreachable_brokers(cause, heard),
        Trouble::TimedOut => match heard.telling() {
            Some(cause) => unreachable_brokers(&cause, heard),
            None => Failure::target("no broker answered before the timeout"),
        },
        Trouble::Failed(refused) => match heard.telling() {
            Some(cause) => unreachable_brokers(&cause, heard),
            None => Failure::target(refused.text.clone()),
        },
    }
}

/// A login or a handshake that failed.
fn blame(cause: &Cause) -> Failure {
    match cause.code {
        Code::Authentication => Failure::denied(format!("the login was refused: {}", cause.text)),
        // The alert by which a server says that it wants another client certificate, or one at all.
        _ if is_certificate_alert(&cause.text) => Failure::denied(format!(
            "the client certificate was refused: {}",
            cause.text
        )),
        _ => Failure::target(format!("TLS failed: {}", cause.text)),
    }
}

fn is_certificate_alert(text: &str) -> bool {
    [
        "alert certificate required",
        "alert bad certificate",
        "alert unknown ca",
    ]
    .iter()
    .any(|alert| text.contains(alert))
}

/// Texts of the system that say that this host could not look.
const OWN_FAULTS: &[&str] = &[
    "Network is unreachable",
    "No route to host",
    "Too many open files",
    "Cannot assign requested address",
];

fn unreachable_brokers(cause: &Cause, heard: &Heard) -> Failure {
    let causes = heard.all();
    let mut telling = causes
        .iter()
        .filter(|cause| cause.code != Code::AllBrokersDown)
        .peekable();
    let ours = telling.peek().is_some()
        && telling.all(|cause| {
            cause.code == Code::Resolve || OWN_FAULTS.iter().any(|fault| cause.text.contains(fault))
        });
    if ours {
        Failure::probe(cause.text.clone())
    } else {
        Failure::target(format!("no broker can be reached: {}", cause.text))
    }
}

/// A right that an answer needs, such as `Describe on topic matches`.
pub(super) fn unknown(trouble: &Trouble, right: &str) -> Unknown {
    let (why, detail) = match trouble {
        Trouble::Refused(cause) => (UnknownWhy::Denied, cause.text.clone()),
        Trouble::AllDown(cause) => (UnknownWhy::NotObserved, cause.text.clone()),
        Trouble::TimedOut => (
            UnknownWhy::TimedOut,
            "no answer came in its share of the timeout".to_owned(),
        ),
        Trouble::Failed(refused) => return unknown_refused(refused, right),
    };
    Unknown { why, detail }
}

/// The same for an error of a single topic, group or partition.
pub(super) fn unknown_refused(refused: &Refused, right: &str) -> Unknown {
    const UNSUPPORTED: i32 = Code::UnsupportedFeature as i32;
    const VERSION: i32 = Code::UnsupportedVersion as i32;
    match refused.code {
        code::TOPIC_DENIED | code::GROUP_DENIED | code::CLUSTER_DENIED => Unknown {
            why: UnknownWhy::Denied,
            detail: format!("the probe's user lacks {right}"),
        },
        code::TIMED_OUT => unknown(&Trouble::TimedOut, right),
        UNSUPPORTED | VERSION => Unknown {
            why: UnknownWhy::Unsupported,
            detail: refused.text.clone(),
        },
        _ => Unknown {
            why: UnknownWhy::NotObserved,
            detail: refused.text.clone(),
        },
    }
}

/// An unknown fact.
pub(super) fn not_seen<T>(unknown: &Unknown) -> Observed<T> {
    Observed::Unknown(unknown.clone())
}
