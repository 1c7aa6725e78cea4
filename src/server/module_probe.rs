//! `/probe?target=&module=`: one run against a target that the request names, answered as
//! `blackbox_exporter` does, so that an existing scrape configuration keeps working.

use std::fmt::Write as _;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::runtime;
use tokio::sync::Semaphore;

use super::App;
use super::error::ApiError;
use super::query::{Query, shown};
use crate::evidence::{Envelope, Phase};
use crate::judge::is_met;
use crate::net::Dialler;
use crate::observe::{self, Budget, Engine, Seen};
use crate::plan::{Module, Plan};
use crate::probes::Sample;
use crate::verdict::judge_probe;

/// The module of a request that names none, as in `blackbox_exporter`.
const DEFAULT_MODULE: &str = "http_2xx";
/// The answer has to reach the scraper before its timeout.
const OFFSET_SECONDS: f64 = 0.5;
/// File descriptors that one run may have open.
const DESCRIPTORS: usize = 64;

/// Runs modules, so many at a time.
pub struct Runner {
    dialler: Arc<Dialler>,
    probing: runtime::Handle,
    at_once: Semaphore,
}

impl Runner {
    /// `probing` is where the probes run.
    pub fn new(dialler: Arc<Dialler>, probing: runtime::Handle, at_once: usize) -> Self {
        Self {
            dialler,
            probing,
            at_once: Semaphore::new(at_once),
        }
    }

    async fn run(&self, plan: Plan) -> Option<Seen> {
        let _permit = self.at_once.acquire().await.ok()?;
        let engine = Engine {
            dialler: Arc::clone(&self.dialler),
            clean_ups: Arc::default(),
            budget: Budget::new(DESCRIPTORS, None),
            history: None,
        };
        let running = self.probing.spawn(async move {
            let judge = |plan: &Plan, index: usize, envelope: &mut Envelope| {
                judge_probe(plan, index, envelope)
            };
            let plan = Arc::new(plan);
            observe::run(&plan, &[true], engine, judge, |_| {}, pending()).await
        });
        // Whoever asked may be gone: then nobody needs the answer.
        let (seen, _) = Aborted(running).await?;
        seen.into_iter().next()
    }
}

/// A task that ends with whoever waits for it.
struct Aborted<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for Aborted<T> {
    type Output = Option<T>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

/// `GET /probe`.
pub async fn probe(
    State(app): State<Arc<App>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if query.one("hostname")?.is_some() {
        let help =
            "`hostname` is not known here: give the module a `server_name` and a `host` header";
        return Err(ApiError::bad_parameter(help));
    }
    let Some(target) = query.one("target")?.filter(|target| !target.is_empty()) else {
        return Err(ApiError::bad_parameter("`target` is missing"));
    };
    let name = query.one("module")?.unwrap_or(DEFAULT_MODULE);
    let debug = query.flag("debug")?;
    let plan = app.handle.plan();
    let Some(module) = plan.modules.iter().find(|module| module.id == name) else {
        let message = format!("there is no module `{}`", shown(name));
        return Err(ApiError::new(
            http::StatusCode::BAD_REQUEST,
            "unknown_module",
            message,
        ));
    };
    let timeout = timeout(module, &headers)?;
    let one = plan.of_module(module, target, timeout);
    let one = one.map_err(|message| {
        ApiError::bad_parameter(plan.redactor.string(format!("`target`: {message}")))
    })?;
    let shown_target = one
        .probes
        .first()
        .map(|probe| probe.target.clone())
        .unwrap_or_default();
    let Some(seen) = app.modules.run(one).await else {
        return Err(ApiError::internal("the run was lost"));
    };
    let metrics = render(&samples(module, &seen));
    let text = if debug {
        explain(module, &shown_target, &seen, &metrics)
    } else {
        metrics
    };
    let mut response = text.into_response();
    let content_type = if debug {
        "text/plain; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// The shorter of the module's timeout and what is left of the scrape's.
fn timeout(module: &Module, headers: &HeaderMap) -> Result<Duration, ApiError> {
    let Some(scrape) = headers.get("x-prometheus-scrape-timeout-seconds") else {
        return Ok(module.timeout);
    };
    let seconds = scrape
        .to_str()
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds < 1e6);
    let seconds = seconds.ok_or_else(|| {
        ApiError::bad_parameter(
            "X-Prometheus-Scrape-Timeout-Seconds is a number of seconds above 0",
        )
    })?;
    let left = (seconds - OFFSET_SECONDS).max(seconds / 2.0);
    Ok(module.timeout.min(Duration::from_secs_f64(left)))
}

fn samples(module: &Module, seen: &Seen) -> Vec<Sample> {
    let envelope = &seen.envelope;
    let success = is_met(&seen.verdicts);
    let mut samples = vec![
        Sample::new(
            "probe_success",
            "Whether every must rule of the module holds; what could not be seen does not",
            f64::from(u8::from(success)),
        ),
        Sample::new(
            "probe_duration_seconds",
            "How long the probe took, in seconds",
            envelope.duration.as_secs_f64(),
        ),
    ];
    let lookups = envelope
        .trail
        .phases
        .iter()
        .filter(|phase| phase.name == "dns");
    samples.push(Sample::new(
        "probe_dns_lookup_time_seconds",
        "How long resolving the name of the target took, in seconds",
        // The sum of nothing is -0.
        lookups.map(Phase::seconds).fold(0.0, |all, one| all + one),
    ));
    if let Some(address) = envelope.trail.addresses.last() {
        samples.push(Sample::new(
            "probe_ip_protocol",
            "The version of IP that was used: 4 or 6",
            if address.is_ipv4() { 4.0 } else { 6.0 },
        ));
    }
    samples.extend((module.template.kind().samples)(&envelope.facts));
    samples
}

/// The text format of Prometheus; samples of one family follow one another.
fn render(samples: &[Sample]) -> String {
    let mut text = String::new();
    let mut family = "";
    for sample in samples {
        if sample.name != family {
            family = sample.name;
            writeln!(
                text,
                "# HELP {} {}\n# TYPE {} gauge",
                sample.name, sample.help, sample.name
            )
            .ok();
        }
        text.push_str(sample.name);
        if let Some((name, value)) = &sample.label {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            write!(text, "{{{name}=\"{value}\"}}").ok();
        }
        writeln!(text, " {}", sample.value).ok();
    }
    text
}

/// What `debug=true` shows: the rules and the facts behind the numbers, all redacted.
fn explain(module: &Module, target: &str, seen: &Seen, metrics: &str) -> String {
    let mut text = format!(
        "Module {} ({}), target {target}\nOutcome: {}{}\n\nRules:\n",
        module.id,
        module.template.kind().info.name,
        serde_json::to_value(seen.envelope.outcome).unwrap_or_default(),
        seen.envelope
            .cause
            .as_ref()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default(),
    );
    for rule in seen.verdicts.iter().filter(|rule| rule.enabled) {
        writeln!(
            text,
            "  {:<8} {}: {} {}",
            rule.result, rule.name, rule.expr, rule.reason
        )
        .ok();
    }
    let facts = serde_json::to_string_pretty(&seen.envelope.facts).unwrap_or_default();
    write!(text, "\nFacts:\n{facts}\n\nMetrics:\n{metrics}").ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_described_once_and_labels_are_escaped() {
        let samples = [
            Sample::new("a", "A", 1.0).labelled("l", "x\"y\\z\n"),
            Sample::new("a", "A", 2.5).labelled("l", "two"),
            Sample::new("b", "B", 0.0),
        ];
        assert_eq!(
            render(&samples),
            "# HELP a A\n# TYPE a gauge\na{l=\"x\\\"y\\\\z\\n\"} 1\na{l=\"two\"} 2.5\n# HELP b B\n# TYPE b gauge\nb 0\n"
        );
    }
}
