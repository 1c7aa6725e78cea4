//! The numbers that `blackbox_exporter` knows, under its names.

use serde_json::{Map, Value};

use crate::probes::Sample;

const PHASES: [(&str, &str); 4] = [
    ("resolve", "dns_ms"),
    ("connect", "connect_ms"),
    ("tls", "tls_ms"),
    ("processing", "first_byte_ms"),
];

pub(super) fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
    // Existing alerts hold this one against a range: 0 where nothing was answered, as they know it.
    let status = facts.get("status").and_then(Value::as_f64).unwrap_or(0.0);
    let is_tls = facts.get("tls_version").is_some_and(Value::is_string);
    let mut samples = vec![
        Sample::new(
            "probe_http_status_code",
            "Response HTTP status code",
            status,
        ),
        Sample::new(
            "probe_http_ssl",
            "Whether the final response came over TLS",
            f64::from(u8::from(is_tls)),
        ),
    ];
    if let Some(redirects) = facts.get("redirects").and_then(Value::as_array) {
        #[expect(clippy::cast_precision_loss, reason = "ten at most")]
        let count = redirects.len() as f64;
        samples.push(Sample::new(
            "probe_http_redirects",
            "The number of redirects that were followed",
            count,
        ));
    }
    if let Some(version) = facts.get("http_version").and_then(Value::as_str) {
        samples.extend(version.parse().ok().map(|version| {
            Sample::new(
                "probe_http_version",
                "Version of HTTP of the response",
                version,
            )
        }));
    }
    samples.extend(content_length(facts));
    samples.extend(Sample::of(
        "probe_http_uncompressed_body_length",
        "Length of the uncompressed body in bytes",
        facts,
        "body_bytes",
        1.0,
    ));
    samples.extend(PHASES.iter().filter_map(|(phase, fact)| {
        let help = "Duration of the request by phase, of the final response, in seconds";
        Sample::of("probe_http_duration_seconds", help, facts, fact, 0.001)
            .map(|sample| sample.labelled("phase", *phase))
    }));
    samples.extend(Sample::of_time(
        "probe_ssl_earliest_cert_expiry",
        "When the server's certificate expires, in seconds since 1970",
        facts,
        "certificate_not_after",
    ));
    if let Some(version) = facts.get("tls_version").and_then(Value::as_str) {
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

fn content_length(facts: &Map<String, Value>) -> Option<Sample> {
    let length = facts.get("headers")?.get("content-length")?.as_str()?;
    Some(Sample::new(
        "probe_http_content_length",
        "Length of the response's content as its header says, in bytes",
        length.trim().parse().ok()?,
    ))
}
