//! `/metrics`: what the verdict says as `readiness_…`, and how the agent is as `probe_agent_…`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::App;
use super::error::ApiError;
use super::query::Query;
use crate::agent::{AgentHealth, LAG_BOUNDS_SECONDS, Snapshot};
use crate::history::HistoryStatus;
use crate::report::{ItemLabels, Readiness};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Requests that were answered.
#[derive(Default)]
pub struct HttpCounts(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl HttpCounts {
    /// Counts one; methods that nobody has heard of are one.
    pub fn count(&self, method: &Method, status: StatusCode) {
        let method = match *method {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::POST => "post",
            _ => "other",
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((method, status.as_u16())).or_default() += 1;
    }

    fn all(&self) -> Vec<((&'static str, u16), u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (*key, *count)).collect()
    }
}

/// The families of the latest verdict that was scraped: most scrapes meet the same one.
#[derive(Default)]
pub struct Cache(Mutex<Option<(u64, Arc<str>)>>);

/// `GET /metrics`.
pub async fn metrics(
    State(app): State<Arc<App>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    query.only(&[])?;
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let open_metrics =
        accepted.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let rendered = tokio::task::spawn_blocking(move || render(&app, open_metrics)).await;
    match rendered {
        Ok(Ok(text)) => {
            let content_type = if open_metrics { OPEN_METRICS } else { TEXT };
            Ok(([(CONTENT_TYPE, content_type)], text).into_response())
        }
        _ => Err(ApiError::internal("cannot write the metrics")),
    }
}

fn render(app: &App, open_metrics: bool) -> Result<String, fmt::Error> {
    // All of these are gauges, which both formats write alike.
    let readiness = readiness(app)?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(AgentMetrics::of(app)));
    let mut agent = String::new();
    text::encode_registry(&mut agent, &registry)?;
    let mut all = String::with_capacity(readiness.len() + agent.len() + 8);
    all.push_str(&readiness);
    if open_metrics {
        all.push_str(&agent);
        text::encode_eof(&mut all)?;
    } else {
        classic(&agent, &mut all);
    }
    Ok(all)
}

fn readiness(app: &App) -> Result<Arc<str>, fmt::Error> {
    let snapshot = app.handle.snapshot();
    let mut cached = app.metrics.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((version, text)) = cached.as_ref()
        && *version == snapshot.version
    {
        return Ok(Arc::clone(text));
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(readiness_of(&snapshot)));
    let mut text = String::new();
    text::encode_registry(&mut text, &registry)?;
    let text: Arc<str> = text.into();
    *cached = Some((snapshot.version, Arc::clone(&text)));
    Ok(text)
}

fn readiness_of(snapshot: &Snapshot) -> Readiness {
    let items = snapshot.plan.items.iter().zip(&snapshot.items);
    let items = items.map(|(item, state)| ItemLabels {
        id: &item.id,
        title: &item.title,
        section: item.section.as_deref(),
        category: item.category.as_deref(),
        owner: item.owner.as_deref(),
        result: state.result,
        basis: state.basis,
        freshness: state.freshness,
        observed_at: state.observed_at,
    });
    Readiness::of_parts(
        items,
        &snapshot.gates,
        &snapshot.risks,
        &snapshot.score,
        snapshot.finished_at,
    )
}

/// `OpenMetrics` names a counter without the `_total` of its samples; the older text format names the samples.
fn classic(open_metrics: &str, out: &mut String) {
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.filter(|(of, _)| *of == name) {
                writeln!(out, "# HELP {name}{total} {help}").ok();
            }
            writeln!(out, "# TYPE {name}{total} {kind}").ok();
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
}

/// How the agent is, at one moment.
#[derive(Debug)]
struct AgentMetrics {
    health: AgentHealth,
    probes: usize,
    http: Vec<((&'static str, u16), u64)>,
    listeners: usize,
    certificate: Option<(u64, u64)>,
}

impl AgentMetrics {
    fn of(app: &App) -> Self {
        let certificate = &app.certificate;
        Self {
            health: app.handle.health(),
            probes: app.handle.plan().probes.len(),
            http: app.http.all(),
            listeners: app.events.clients(),
            certificate: certificate.config().map(|_| {
                (
                    certificate.reloads.load(Ordering::Relaxed),
                    certificate.failures.load(Ordering::Relaxed),
                )
            }),
        }
    }
}

type Labels = Vec<(&'static str, String)>;

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn counters(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        if labels.is_empty() {
            return ConstCounter::new(value).encode(metric);
        }
        ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes of one process"
)]
fn float(number: u64) -> f64 {
    number as f64
}

impl Collector for AgentMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_agent(&mut encoder)?;
        self.encode_schedule(&mut encoder)?;
        self.encode_server(&mut encoder)?;
        encode_history(&self.health.history, &mut encoder)
    }
}

impl AgentMetrics {
    fn encode_agent(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let health = &self.health;
        let mut info = out.encode_descriptor(
            "probe_agent_build_info",
            "The version of the agent.",
            None,
            MetricType::Gauge,
        )?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(info.encode_family(&labels)?)?;
        gauge(
            out,
            "probe_agent_start_time_seconds",
            "When the agent was started, in seconds since 1970.",
            health.started_at.as_duration().as_secs_f64(),
        )?;
        gauge(
            out,
            "probe_agent_config_last_reload_successful",
            "Whether the last reload of the configuration was taken over; the one before is kept otherwise.",
            f64::from(u8::from(health.config_error.is_none())),
        )?;
        counters(
            out,
            "probe_agent_config_reloads",
            "Reloads of the configuration by what became of them.",
            [
                ("taken", health.counts.reloads),
                ("refused", health.counts.failed_reloads),
            ]
            .map(|(what, count)| (vec![("result", what.to_owned())], count)),
        )?;
        counters(
            out,
            "probe_agent_task_restarts",
            "How often a task of the agent was started again after a defect.",
            health
                .tasks
                .iter()
                .map(|task| (vec![("task", task.name.to_owned())], task.restarts)),
        )
    }

    fn encode_schedule(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (counts, lag) = (&self.health.counts, &self.health.lag);
        gauge(
            out,
            "probe_agent_probes",
            "Probes in the configuration.",
            float(self.probes as u64),
        )?;
        gauge(
            out,
            "probe_agent_probes_running",
            "Probes that run now.",
            float(counts.running),
        )?;
        for (name, help, count) in [
            (
                "probe_agent_missed_slots",
                "Slots in which a probe did not run because its last run had not ended.",
                counts.missed_slots,
            ),
            (
                "probe_agent_run_panics",
                "Runs that ended by a defect of a kind.",
                counts.panics,
            ),
        ] {
            counters(out, name, help, [(Vec::new(), count)])?;
        }
        let outcomes = &counts.outcomes;
        counters(
            out,
            "probe_agent_runs",
            "Runs of probes that have ended, by whether they could look.",
            [
                ("observed", outcomes.observed),
                ("target_error", outcomes.target_error),
                ("denied", outcomes.denied),
                ("probe_error", outcomes.probe_error),
            ]
            .map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count)),
        )?;
        let bounds = LAG_BOUNDS_SECONDS.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(lag.buckets.iter().copied()).collect();
        out.encode_descriptor(
            "probe_agent_schedule_lag_seconds",
            "How long after its moment in the schedule a run began.",
            None,
            MetricType::Histogram,
        )?
        .encode_histogram::<NoLabelSet>(lag.sum_seconds, lag.count, &buckets, None)
    }

    fn encode_server(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counters(
            out,
            "probe_agent_http_requests",
            "Requests that were answered, by method and status.",
            self.http.iter().map(|((method, code), count)| {
                let labels = vec![("method", (*method).to_owned()), ("code", code.to_string())];
                (labels, *count)
            }),
        )?;
        gauge(
            out,
            "probe_agent_event_listeners",
            "Clients that listen for events.",
            float(self.listeners as u64),
        )?;
        let reloads = self.certificate.into_iter().flat_map(|(taken, refused)| {
            [("taken", taken), ("refused", refused)]
                .map(|(what, count)| (vec![("result", what.to_owned())], count))
        });
        counters(
            out,
            "probe_agent_certificate_reloads",
            "Reloads of the certificate by what became of them.",
            reloads,
        )
    }
}

fn encode_history(history: &HistoryStatus, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    gauge(
        out,
        "probe_agent_history_queued_runs",
        "Runs that wait to be written to the history.",
        float(history.queued as u64),
    )?;
    gauge(
        out,
        "probe_agent_history_writable",
        "Whether the history can be written.",
        f64::from(u8::from(history.error.is_none())),
    )?;
    if let Some(bytes) = history.bytes {
        gauge(
            out,
            "probe_agent_history_size_bytes",
            "The size of the history.",
            float(bytes),
        )?;
    }
    if let Some(oldest) = history.oldest {
        gauge(
            out,
            "probe_agent_history_oldest_timestamp_seconds",
            "When the oldest run in the history began, in seconds since 1970.",
            oldest.as_duration().as_secs_f64(),
        )?;
    }
    for (name, help, count) in [
        (
            "probe_agent_history_written_runs",
            "Runs written to the history.",
            history.written,
        ),
        (
            "probe_agent_history_dropped_runs",
            "Runs that were lost because the history could not be written for too long.",
            history.dropped,
        ),
    ] {
        counters(out, name, help, [(Vec::new(), count)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_a_counter_as_its_samples() {
        let mut out = String::new();
        classic(
            "# HELP a_b What.\n# TYPE a_b counter\na_b_total 3\n# HELP g G.\n# TYPE g gauge\n# UNIT g s\ng 1\n# EOF\n",
            &mut out,
        );
        assert_eq!(
            out,
            "# HELP a_b_total What.\n# TYPE a_b_total counter\na_b_total 3\n# HELP g G.\n# TYPE g gauge\ng 1\n"
        );
    }
}
