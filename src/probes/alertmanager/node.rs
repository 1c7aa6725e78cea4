//! What one member of a cluster answers.

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::facts::Node;
use crate::evidence::{Failure, Observed, Outcome, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError};

/// What a member says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    cluster: Cluster,
    config: Config,
    uptime: Timestamp,
    #[serde(rename = "versionInfo")]
    version: Version,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    status: String,
    #[serde(default)]
    peers: Option<Vec<Peer>>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    #[serde(rename = "name")]
    _name: String,
}

#[derive(Debug, Deserialize)]
struct Config {
    original: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
}

/// A member as facts, with the configuration it runs with and its clock.
pub(super) struct Read {
    pub(super) node: Node,
    pub(super) config: Observed<String>,
    pub(super) date: Option<(Timestamp, Instant)>,
}

/// Asks a member for everything about itself: whether it is one by `answer_by`, the rest by `deadline`.
///
/// # Errors
/// When nothing was seen: nothing answers, we are refused, or it is no Alertmanager.
pub(super) async fn read(
    api: &Api,
    url: String,
    answer_by: Instant,
    deadline: Instant,
) -> Result<Read, Failure> {
    let (ready, status, metrics) = tokio::join!(
        api.get_text("-/ready", &[], answer_by),
        api.get::<Status>("api/v2/status", &[], answer_by),
        api.get_text("metrics", &[], deadline),
    );
    let ready = is_ready(ready);
    let status = match status {
        Ok(status) => Ok(status),
        // What hangs or is too large must not hide that it said it was ready.
        Err(error @ (ApiError::TimedOut(_) | ApiError::TooLarge(_))) if ready.value().is_some() => {
            Err(error.unknown())
        }
        Err(error) => return Err(error.into()),
    };
    let date = status.as_ref().ok().and_then(|answer| answer.date);
    let date = date.map(|date| (date, Instant::now()));
    let status: Observed<Status> = match status {
        Ok(Answer { value, .. }) => Observed::Value(value),
        Err(unknown) => unknown.into(),
    };
    let metrics = match metrics {
        Ok(answer) => Observed::Value(answer.value),
        Err(error) => error.into(),
    };
    let config = of(&status, |status| status.config.original.clone());
    let node = Node {
        url,
        ready,
        version: of(&status, |status| status.version.version.clone()),
        started_at: of(&status, |status| status.uptime),
        reload_successful: sum(&metrics, "alertmanager_config_last_reload_successful")
            .map(|value| value > 0),
        config_hash: of(&status, |status| hash(&status.config.original)),
        cluster_status: of(&status, |status| status.cluster.status.clone()),
        cluster_members: of(&status, members),
        cluster_failed_peers: failed_peers(&status, &metrics),
        notification_requests: sum(&metrics, "alertmanager_notification_requests_total"),
        notification_requests_failed: sum(
            &metrics,
            "alertmanager_notification_requests_failed_total",
        ),
    };
    Ok(Read { node, config, date })
}

/// A declared member that could not be seen.
pub(super) fn unseen(url: String, failure: &Failure) -> Read {
    fn nothing<T>(why: UnknownWhy, failure: &Failure) -> Observed<T> {
        Observed::unknown(why, failure.detail())
    }
    let why = match failure.outcome() {
        Outcome::Denied => UnknownWhy::Denied,
        _ => UnknownWhy::NotObserved,
    };
    let ready = if failure.outcome() == Outcome::TargetError {
        Observed::Value(false)
    } else {
        nothing(why, failure)
    };
    let node = Node {
        url,
        ready,
        version: nothing(why, failure),
        started_at: nothing(why, failure),
        reload_successful: nothing(why, failure),
        config_hash: nothing(why, failure),
        cluster_status: nothing(why, failure),
        cluster_members: nothing(why, failure),
        cluster_failed_peers: nothing(why, failure),
        notification_requests: nothing(why, failure),
        notification_requests_failed: nothing(why, failure),
    };
    Read {
        node,
        config: nothing(why, failure),
        date: None,
    }
}

/// The distinct configurations, where every member told its own.
pub(super) fn distinct_hashes(nodes: &[Node]) -> Observed<Vec<String>> {
    let mut hashes = Vec::new();
    for node in nodes {
        match &node.config_hash {
            Observed::Value(hash) => hashes.push(hash.clone()),
            Observed::Unknown(unknown) => return unknown.clone().into(),
        }
    }
    hashes.sort();
    hashes.dedup();
    Observed::Value(hashes)
}

fn of<S, T>(seen: &Observed<S>, take: impl FnOnce(&S) -> T) -> Observed<T> {
    match seen {
        Observed::Value(value) => Observed::Value(take(value)),
        Observed::Unknown(unknown) => unknown.clone().into(),
    }
}

/// A page with 200 is no readiness: Alertmanager says `OK`.
fn is_ready(answer: Result<Answer<String>, ApiError>) -> Observed<bool> {
    match answer {
        Ok(answer) if answer.value.trim() == "OK" => Observed::Value(true),
        Ok(_) => Observed::unknown(
            UnknownWhy::Unparseable,
            "-/ready: not what an Alertmanager says when it is ready",
        ),
        Err(ApiError::Status(refusal)) if refusal.status == 503 => Observed::Value(false),
        Err(error) => error.into(),
    }
}

/// Without a cluster it is alone.
fn members(status: &Status) -> u64 {
    let peers = status.cluster.peers.as_ref().map_or(0, Vec::len);
    u64::try_from(peers).unwrap_or(u64::MAX).max(1)
}

/// There is no such metric without a cluster.
fn failed_peers(status: &Observed<Status>, metrics: &Observed<String>) -> Observed<u64> {
    match status {
        Observed::Value(status) if status.cluster.status == "disabled" => Observed::Value(0),
        _ => sum(metrics, "alertmanager_cluster_failed_peers"),
    }
}

fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

/// The sum of all series of a metric in the text format; whole numbers alone.
fn sum(metrics: &Observed<String>, name: &str) -> Observed<u64> {
    let text = match metrics {
        Observed::Value(text) => text,
        Observed::Unknown(unknown) => return unknown.clone().into(),
    };
    let mut total: Option<u64> = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        let value = match rest.as_bytes().first() {
            Some(b' ') => rest.split_ascii_whitespace().next(),
            // The values of labels may hold braces, the sample does not.
            Some(b'{') => rest
                .rsplit_once('}')
                .and_then(|(_, value)| value.split_ascii_whitespace().next()),
            _ => continue,
        };
        match value.and_then(whole) {
            Some(value) => total = Some(total.unwrap_or(0).saturating_add(value)),
            None => {
                let detail = format!("metrics: {name} has a value that is no whole number");
                return Observed::unknown(UnknownWhy::Unparseable, detail);
            }
        }
    }
    match total {
        Some(total) => Observed::Value(total),
        None => Observed::unknown(
            UnknownWhy::Unsupported,
            format!("metrics: there is no {name}"),
        ),
    }
}

/// `12` and `1.2e+01`.
fn whole(text: &str) -> Option<u64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let value: f64 = text.parse().ok()?;
    let fits = value.fract() == 0.0 && (0.0..=LARGEST).contains(&value);
    fits.then(|| format!("{value:.0}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_are_added_up() {
        let text =
            "# HELP a x\na{b=\"}\"} 2\na{b=\"c\"} 1.2e+01\nab 7\nzero 0\nbad NaN\n".to_owned();
        let metrics = Observed::Value(text);
        assert_eq!(sum(&metrics, "a"), Observed::Value(14));
        assert_eq!(sum(&metrics, "ab"), Observed::Value(7));
        assert_eq!(sum(&metrics, "zero"), Observed::Value(0));
        assert!(sum(&metrics, "bad").value().is_none());
        assert!(sum(&metrics, "none").value().is_none());
    }

    #[test]
    fn a_hash_is_of_the_whole_text() {
        assert_eq!(hash("").len(), 64);
        assert_ne!(hash("a"), hash("b"));
    }
}
