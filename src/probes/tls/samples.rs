//! The numbers that `blackbox_exporter` knows, under its names.

use serde_json::{Map, Value};

use crate::probes::Sample;

pub(super) fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
    let mut samples = Vec::new();
    samples.extend(Sample::of_time(
        "probe_ssl_earliest_cert_expiry",
        "When the first certificate of the chain expires, in seconds since 1970",
        facts,
        "not_after",
    ));
    if let Some(version) = facts.get("protocol").and_then(Value::as_str) {
        samples.push(
            Sample::new(
                "probe_tls_version_info",
                "The version of TLS that was used",
                1.0,
            )
            .labelled("version", version.replace("TLSv", "TLS ")),
        );
    }
    samples
}
