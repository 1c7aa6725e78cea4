//! An envelope as a store keeps it: JSON, compressed.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::Latest;
use crate::evidence::{Envelope, Outcome, Phase, Trail, Try};

/// No envelope is larger: a kind caps what it reads.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Stored {
    probe: String,
    observed_at: Timestamp,
    duration_ns: u64,
    outcome: Outcome,
    cause: Option<String>,
    tries: Vec<Try>,
    addresses: Vec<SocketAddr>,
    phases: Vec<Phase>,
    facts: Map<String, Value>,
}

/// Writes an envelope.
pub(super) fn write(envelope: &Envelope) -> std::io::Result<Vec<u8>> {
    let stored = Stored {
        probe: envelope.probe.clone(),
        observed_at: envelope.observed_at,
        duration_ns: u64::try_from(envelope.duration.as_nanos()).unwrap_or(u64::MAX),
        outcome: envelope.outcome,
        cause: envelope.cause.clone(),
        tries: envelope.tries.clone(),
        addresses: envelope.trail.addresses.clone(),
        phases: envelope.trail.phases.clone(),
        facts: envelope.facts.clone(),
    };
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(serde_json::to_string(&stored)?.as_bytes())?;
    out.finish()
}

/// Reads one; `None` where it is damaged.
pub(super) fn read(bytes: &[u8]) -> Option<Envelope> {
    let mut text = String::new();
    ZlibDecoder::new(bytes)
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    let stored: Stored = serde_json::from_str(&text).ok()?;
    Some(Envelope {
        probe: stored.probe,
        observed_at: stored.observed_at,
        duration: Duration::from_nanos(stored.duration_ns),
        outcome: stored.outcome,
        cause: stored.cause,
        tries: stored.tries,
        trail: Trail {
            addresses: stored.addresses,
            phases: stored.phases,
        },
        facts: stored.facts,
    })
}

/// What was last seen of a probe, from the columns of a store; `None` where they are damaged.
pub(super) fn latest(
    probe: Arc<str>,
    params_digest: String,
    state: &str,
    envelope: &[u8],
    version: i64,
) -> Option<Latest> {
    Some(Latest {
        probe,
        params_digest,
        envelope: Arc::new(read(envelope)?),
        state: serde_json::from_str(state).ok()?,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_back_with_its_hash() {
        let mut seen = Envelope::not_observed("api", Timestamp::UNIX_EPOCH, "why".to_owned());
        seen.duration = Duration::from_nanos(1_234_567);
        seen.facts.insert("total_ms".to_owned(), 0.1.into());
        seen.trail.phase("dns", Duration::from_millis(3));
        let read = read(&write(&seen).expect("writes")).expect("reads");
        assert_eq!(read, seen);
        assert_eq!(read.hash(), seen.hash());
        assert_eq!(super::read(b"damage"), None);
    }
}
