//! The server's own metrics, `/metrics`, as far as they are used.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::evidence::{Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError};

/// Metrics that are summed over their series.
const SUMMED: &[&str] = &[
    "process_start_time_seconds",
    "prometheus_notifications_dropped_total",
    "prometheus_tsdb_head_series",
    "prometheus_tsdb_lowest_timestamp_seconds",
    "prometheus_tsdb_size_retentions_total",
    "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_reloads_failures_total",
    "prometheus_tsdb_head_truncations_failed_total",
    "prometheus_tsdb_wal_writes_failed_total",
];
/// What only this server has.
const MARK: &str = "prometheus_build_info";
/// More Alertmanagers than this are not told apart.
const MAX_ALERTMANAGERS: usize = 100;

/// Counters of one Alertmanager. Version 2 counts an alert as sent whether or not that failed, a batch as one
/// error, and every batch; later ones count what arrived as sent, and an alert as one error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counters {
    pub sent: f64,
    pub errors: f64,
    pub batches: f64,
}

/// What was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct OwnMetrics {
    summed: BTreeMap<&'static str, f64>,
    alertmanagers: BTreeMap<String, Counters>,
    /// There are more of them than are told apart.
    is_cut: bool,
}

impl OwnMetrics {
    /// The counters of each Alertmanager, where those of all of them were read.
    ///
    /// # Errors
    /// There are too many.
    pub fn alertmanagers(&self) -> Result<&BTreeMap<String, Counters>, Unknown> {
        if self.is_cut {
            return Err(Unknown {
                why: UnknownWhy::TooLarge,
                detail: format!("metrics: more than {MAX_ALERTMANAGERS} Alertmanagers"),
            });
        }
        Ok(&self.alertmanagers)
    }

    /// The sum over all series of a metric.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.summed.get(metric).copied()
    }
}

impl Counters {
    /// Alerts that were sent, or tried to.
    pub fn tried(&self, is_2: bool) -> f64 {
        self.sent + if is_2 { 0.0 } else { self.errors }
    }

    /// Over several Alertmanagers.
    pub fn total<'c>(all: impl IntoIterator<Item = &'c Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            sent: sum.sent + one.sent,
            errors: sum.errors + one.errors,
            batches: sum.batches + one.batches,
        })
    }
}

/// Asks for them.
pub(super) async fn observe(api: &Api, deadline: Instant) -> Result<OwnMetrics, ApiError> {
    let text = api.get_text("metrics", &[], deadline).await?.value;
    parse(&text).ok_or_else(|| {
        ApiError::Unparseable("metrics: not the metrics of a Prometheus server".to_owned())
    })
}

fn parse(text: &str) -> Option<OwnMetrics> {
    let mut own = OwnMetrics::default();
    let mut is_marked = false;
    for line in text.lines() {
        let Some((name, labels, value)) = sample(line) else {
            continue;
        };
        is_marked |= name == MARK;
        if let Some(known) = SUMMED.iter().find(|known| **known == name) {
            *own.summed.entry(known).or_default() += value;
        }
        let field: fn(&mut Counters) -> &mut f64 = match name {
            "prometheus_notifications_sent_total" => |counters| &mut counters.sent,
            "prometheus_notifications_errors_total" => |counters| &mut counters.errors,
            "prometheus_notifications_latency_seconds_count" => |counters| &mut counters.batches,
            _ => continue,
        };
        let Some(url) = label(labels, "alertmanager") else {
            continue;
        };
        if own.alertmanagers.len() < MAX_ALERTMANAGERS || own.alertmanagers.contains_key(&url) {
            *field(own.alertmanagers.entry(url).or_default()) += value;
        } else {
            own.is_cut = true;
        }
    }
    is_marked.then_some(own)
}

/// Name, labels and value of a line of the text format.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    if line.starts_with('#') || !(line.starts_with("prometheus_") || line.starts_with("process_")) {
        return None;
    }
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = rest.rsplit_once('}')?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        }
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// The value of a label; URLs hold nothing that is escaped.
fn label(labels: &str, name: &str) -> Option<String> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_and_anything_else_is_refused() {
        let text = "# HELP x y\nprometheus_build_info{version=\"2.42.0\"} 1\n\
            process_start_time_seconds 1.79547618012e+09\n\
            prometheus_notifications_sent_total{alertmanager=\"http://a:9093/api/v2/alerts\"} 7\n\
            prometheus_notifications_errors_total{alertmanager=\"http://a:9093/api/v2/alerts\"} 2\n\
            prometheus_tsdb_head_series 12 1395066363000\nbroken{ 1\n";
        let own = parse(text).unwrap();
        assert_eq!(
            own.get("process_start_time_seconds"),
            Some(1_795_476_180.12)
        );
        assert_eq!(own.get("prometheus_tsdb_head_series"), Some(12.0));
        assert_eq!(own.get("prometheus_tsdb_size_retentions_total"), None);
        let total = Counters::total(own.alertmanagers().unwrap().values());
        assert_eq!((total.sent, total.errors), (7.0, 2.0));
        let line =
            |n| format!("prometheus_notifications_sent_total{{alertmanager=\"http://a{n}/\"}} 1");
        let many: Vec<String> = (0..=MAX_ALERTMANAGERS).map(line).collect();
        let many = many.join("\n");
        let own = parse(&format!("{text}{many}")).unwrap();
        assert!(own.alertmanagers().is_err());
        for other in [
            "",
            "<html>",
            "node_load1 3",
            "prometheus_tsdb_head_series 12",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
