//! What happened since the last run: counters of servers held against those of then.

use serde_json::Value;

use super::facts::{Node, Sentinel, SinceLastRun};
use crate::evidence::{Observed, UnknownWhy};

/// Compares with the facts of the last run, where there was one.
pub fn since_last_run(
    last: Option<&serde_json::Map<String, Value>>,
    nodes: &[Node],
    sentinels: &[Sentinel],
) -> SinceLastRun {
    let Some(last) = last else {
        return SinceLastRun {
            evicted_keys: first_run(),
            rejected_connections: first_run(),
            delayed_fsyncs: first_run(),
            restarted: first_run(),
            failovers: first_run(),
        };
    };
    let growth = |read: &dyn Fn(&Node) -> &Observed<i64>, path: &[&str]| {
        nodes.iter().fold(Observed::Value(0), |sum, node| {
            let grown = read(node)
                .clone()
                .and_then(|now| grown(now, node, last, path));
            super::memory::both(&sum, &grown, |sum, grown| sum + grown)
        })
    };
    SinceLastRun {
        evicted_keys: growth(
            &|node| &node.memory.evicted_keys,
            &["memory", "evicted_keys"],
        ),
        rejected_connections: growth(
            &|node| &node.clients.rejected_connections,
            &["clients", "rejected_connections"],
        ),
        delayed_fsyncs: growth(
            &|node| &node.persistence.aof.delayed_fsyncs,
            &["persistence", "aof", "delayed_fsyncs"],
        ),
        restarted: nodes.first().map_or_else(first_run, |node| {
            let before = entry(last, "nodes", &node.address)
                .and_then(|then| then.get("run_id"))
                .and_then(Value::as_str);
            match before {
                None => first_run(),
                Some(before) => node.run_id.clone().map(|now| now != before),
            }
        }),
        failovers: failovers(last, sentinels),
    }
}

fn first_run<T>() -> Observed<T> {
    let why = "no earlier run of this probe saw it";
    Observed::unknown(UnknownWhy::NotObserved, why)
}

fn entry<'v>(
    last: &'v serde_json::Map<String, Value>,
    list: &str,
    address: &str,
) -> Option<&'v Value> {
    let entries = last.get(list)?.as_array()?;
    entries
        .iter()
        .find(|entry| entry.get("address").and_then(Value::as_str) == Some(address))
}

/// By how much a counter of one server grew; one that started anew counts from zero.
fn grown(
    now: i64,
    node: &Node,
    last: &serde_json::Map<String, Value>,
    path: &[&str],
) -> Observed<i64> {
    let Some(then) = entry(last, "nodes", &node.address) else {
        return first_run();
    };
    let Observed::Value(run_id) = &node.run_id else {
        return first_run();
    };
    let Some(old_id) = then.get("run_id").and_then(Value::as_str) else {
        return first_run();
    };
    if old_id != run_id {
        return Observed::Value(now);
    }
    let before = path
        .iter()
        .try_fold(then, |value, key| value.get(key))
        .and_then(Value::as_i64);
    // CONFIG RESETSTAT sets counters back.
    before.map_or_else(first_run, |before| {
        Observed::Value(if now >= before { now - before } else { now })
    })
}

/// The most that the configuration's epoch grew at any sentinel.
fn failovers(last: &serde_json::Map<String, Value>, sentinels: &[Sentinel]) -> Observed<i64> {
    let grown = sentinels.iter().filter_map(|sentinel| {
        let now = *sentinel.config_epoch.value()?;
        let then = entry(last, "sentinels", &sentinel.address)?
            .get("config_epoch")?
            .as_i64()?;
        Some((now - then).max(0))
    });
    grown.max().map_or_else(first_run, Observed::Value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::probes::redis::config::Endpoint;
    use crate::probes::redis::node::of_info;

    fn node(run_id: &str, evicted: i64, rejected: i64) -> Node {
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            port: 6379,
            tls: false,
            user: None,
            password: None,
            db: 0,
            names_db: false,
            shows_certificate: true,
        };
        let info = format!(
            "run_id:{run_id}\nevicted_keys:{evicted}\nrejected_connections:{rejected}\naof_enabled:0\n"
        );
        of_info(&endpoint, &info)
    }

    fn facts(nodes: &[Node]) -> Map<String, Value> {
        let facts = json!({ "nodes": nodes, "sentinels": [] });
        facts.as_object().cloned().expect("an object")
    }

    #[test]
    fn counters_are_held_against_those_of_the_last_run() {
        let last = facts(&[node("a", 10, 1)]);
        let seen = since_last_run(Some(&last), &[node("a", 17, 1)], &[]);
        assert_eq!(seen.evicted_keys, Observed::Value(7));
        assert_eq!(seen.rejected_connections, Observed::Value(0));
        assert_eq!(seen.delayed_fsyncs, Observed::Value(0));
        assert_eq!(seen.restarted, Observed::Value(false));
        assert!(seen.failovers.value().is_none());
        // One that started anew counts from zero, and so does one whose counters were set back.
        let seen = since_last_run(Some(&last), &[node("b", 3, 0)], &[]);
        assert_eq!(seen.evicted_keys, Observed::Value(3));
        assert_eq!(seen.restarted, Observed::Value(true));
        let seen = since_last_run(Some(&last), &[node("a", 4, 1)], &[]);
        assert_eq!(seen.evicted_keys, Observed::Value(4));
    }

    #[test]
    fn a_first_run_and_a_server_not_seen_before_know_nothing() {
        let now = [node("a", 17, 1)];
        assert!(
            since_last_run(None, &now, &[])
                .evicted_keys
                .value()
                .is_none()
        );
        let seen = since_last_run(Some(&Map::new()), &now, &[]);
        assert!(seen.evicted_keys.value().is_none() && seen.restarted.value().is_none());
    }
}
