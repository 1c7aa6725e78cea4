//! Whether alerts leave the server, and whether anybody takes them: what it counts, and the Alertmanagers'
//! own word.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use super::facts::{AlertmanagerFacts, NotificationsOver};
use super::kept::Kept;
use super::own_metrics::{Counters, OwnMetrics};
use super::retention::metric;
use super::wire::{self, Alertmanagers, QueryResult};
use crate::evidence::{Observed, Outcome, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, Endpoint, without_secrets};
use crate::probes::Context;

/// So many Alertmanagers are asked.
const MAX_ASKED: usize = 8;
/// While one is asked it has a connection open, or our resolver is at work.
pub(super) const DESCRIPTORS: usize = 2 * MAX_ASKED;
/// The label that tells the parts of the window's query apart.
const TAG: &str = "__probe_counter";

/// What is counted over the last ten minutes.
#[derive(Default)]
pub(super) struct Window {
    /// By Alertmanager.
    alertmanagers: BTreeMap<String, Counters>,
    /// Alerts that reached nobody.
    dropped: Option<f64>,
}

/// None where the server does not scrape itself.
pub(super) type Windowed = Result<Option<Window>, Unknown>;

/// What was counted of the Alertmanagers that are still listed.
#[derive(Clone, Copy)]
struct Counted {
    over: NotificationsOver,
    total: Counters,
}

/// Notifications as a whole.
pub(super) struct Notifications {
    pub scrapes_itself: Observed<bool>,
    pub dropped_recently: Observed<f64>,
    pub over: Observed<NotificationsOver>,
    pub tried: Observed<f64>,
    pub error_ratio: Observed<f64>,
}

/// The last ten minutes, where the server scrapes itself: of several that it scrapes, the one with its start
/// time is itself.
pub(super) async fn window(
    api: &Api,
    own: &Result<OwnMetrics, ApiError>,
    deadline: Instant,
) -> Windowed {
    let own = own.as_ref().map_err(ApiError::unknown)?;
    let start = own
        .get("process_start_time_seconds")
        .ok_or_else(|| Unknown {
            why: UnknownWhy::Unsupported,
            detail: "the server has no process_start_time_seconds, by which it is told from others that it scrapes"
                .to_owned(),
        })?;
    let part = |metric: &str, tag: &str| {
        format!(
            "label_replace(sum by (alertmanager) (increase({metric}[10m]) and on (job, instance) \
             (process_start_time_seconds == {start})), \"{TAG}\", \"{tag}\", \"\", \"\")"
        )
    };
    let promql = [
        part("prometheus_notifications_sent_total", "sent"),
        part("prometheus_notifications_errors_total", "errors"),
        part("prometheus_notifications_latency_seconds_count", "batches"),
        part("prometheus_notifications_dropped_total", "dropped"),
    ]
    .join(" or ");
    let result = wire::query(api, &promql, deadline).await;
    let QueryResult::Vector(vector) = result.map_err(|error| error.unknown())? else {
        return Err(not_a_window());
    };
    if vector.is_empty() {
        return Ok(None);
    }
    let mut window = Window::default();
    for series in &vector {
        let value = series.value.as_ref().and_then(|s| s.1.parse::<f64>().ok());
        let value = value.filter(|value| value.is_finite());
        let url = series.metric.get("alertmanager");
        match (value, series.metric.get(TAG), url) {
            (Some(value), Some("dropped"), _) => window.dropped = Some(value),
            (Some(value), Some(tag), Some(url)) => {
                let counters = window.alertmanagers.entry(url.to_owned()).or_default();
                match tag {
                    "sent" => counters.sent = value,
                    "errors" => counters.errors = value,
                    "batches" => counters.batches = value,
                    _ => return Err(not_a_window()),
                }
            }
            _ => return Err(not_a_window()),
        }
    }
    Ok(Some(window))
}

fn not_a_window() -> Unknown {
    Unknown {
        why: UnknownWhy::Unparseable,
        detail: "api/v1/query: not the notifications of the last ten minutes".to_owned(),
    }
}

/// From the last ten minutes where something was sent then, otherwise from all the time since the start.
/// Only what is still listed counts: what is gone keeps its errors for ever.
pub(super) fn notifications(
    own: &Result<OwnMetrics, ApiError>,
    window: &Windowed,
    version: &Observed<String>,
    listed: &Observed<Vec<Listed>>,
) -> Notifications {
    let scrapes_itself = match window {
        Ok(window) => Observed::Value(window.is_some()),
        Err(unknown) => unknown.clone().into(),
    };
    let counted = match (listed, version) {
        (Observed::Value(listed), Observed::Value(version)) => {
            let is_2 = version.starts_with("2.");
            count(own, window, listed, is_2).map(|counted| (counted, is_2))
        }
        // What the counters count depends on the version.
        (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => unknown.clone().into(),
    };
    Notifications {
        scrapes_itself,
        dropped_recently: dropped_recently(own, window),
        over: counted.clone().map(|(counted, _)| counted.over),
        tried: counted
            .clone()
            .map(|(counted, is_2)| counted.total.tried(is_2)),
        error_ratio: counted.and_then(|(counted, is_2)| error_ratio(&counted.total, is_2)),
    }
}

fn count(
    own: &Result<OwnMetrics, ApiError>,
    window: &Windowed,
    listed: &[Listed],
    is_2: bool,
) -> Observed<Counted> {
    let total = |all: &BTreeMap<String, Counters>| {
        Counters::total(listed.iter().filter_map(|one| all.get(&one.url)))
    };
    match (own, window) {
        (Err(error), _) => error.unknown().into(),
        (_, Err(unknown)) => unknown.clone().into(),
        (Ok(own), Ok(window)) => {
            let since_start = match own.alertmanagers() {
                Ok(counters) => counters,
                Err(unknown) => return unknown.into(),
            };
            let recent = window.as_ref().map(|window| total(&window.alertmanagers));
            Observed::Value(match recent.filter(|recent| recent.tried(is_2) > 0.0) {
                Some(total) => Counted {
                    over: NotificationsOver::TenMinutes,
                    total,
                },
                None => Counted {
                    over: NotificationsOver::SinceStart,
                    total: total(since_start),
                },
            })
        }
    }
}

/// Errors are set against what they are counted in.
fn error_ratio(total: &Counters, is_2: bool) -> Observed<f64> {
    let attempts = if is_2 && total.batches > 0.0 {
        total.batches
    } else {
        total.tried(is_2)
    };
    if attempts > 0.0 {
        Observed::Value((total.errors / attempts).clamp(0.0, 1.0))
    } else {
        Observed::unknown(UnknownWhy::NotApplicable, "no notification was due")
    }
}

/// A counter that is still zero needs no window.
fn dropped_recently(own: &Result<OwnMetrics, ApiError>, window: &Windowed) -> Observed<f64> {
    let since_start = metric(own, "prometheus_notifications_dropped_total");
    let recent = match window {
        Ok(window) => window.as_ref().and_then(|window| window.dropped),
        Err(unknown) => match since_start {
            Observed::Value(count) if count <= 0.0 => return Observed::Value(0.0),
            _ => return unknown.clone().into(),
        },
    };
    match (recent, since_start) {
        (Some(recent), _) => Observed::Value(recent),
        (None, Observed::Value(count)) if count > 0.0 => Observed::unknown(
            UnknownWhy::Unsupported,
            format!(
                "{count} since the server started, some of which may be of its start: when, only a server tells that scrapes itself"
            ),
        ),
        (None, since_start) => since_start,
    }
}

/// The Alertmanagers that the server lists, each asked itself.
pub(super) async fn alertmanagers(
    ctx: &Context,
    endpoint: &Endpoint,
    api: &Api,
    kept: &Kept,
    deadline: Instant,
) -> Result<(Observed<Vec<Listed>>, u64), ApiError> {
    let listed = wire::get::<Alertmanagers>(api, "alertmanagers", &[], deadline).await?;
    let Alertmanagers {
        active_alertmanagers,
        dropped_alertmanagers,
    } = listed.value;
    let dropped = dropped_alertmanagers.len() as u64;
    let asked = active_alertmanagers.into_iter().map(|one| one.url);
    let urls = kept.list("Alertmanagers", MAX_ASKED, asked, String::len);
    let Observed::Value(urls) = urls else {
        return Ok((urls.map(|_| Vec::new()), dropped));
    };
    let asked = urls.into_iter().map(|url| async {
        let answers = ask(ctx, endpoint, api, &url, deadline).await;
        Listed { url, answers }
    });
    Ok((Observed::Value(join_all(asked).await), dropped))
}

/// An Alertmanager, and its own word.
pub(super) struct Listed {
    url: String,
    answers: Answers,
}

/// What came of asking an Alertmanager.
enum Answers {
    Told(Observed<bool>),
    /// It could not be asked from here: the server's word may count instead.
    NotAskable(Unknown),
}

/// What an Alertmanager says of itself.
#[derive(Deserialize)]
struct Status {
    #[serde(rename = "versionInfo")]
    _version_info: VersionInfo,
    #[serde(rename = "uptime")]
    _uptime: String,
}

#[derive(Deserialize)]
struct VersionInfo {
    #[serde(rename = "version")]
    _version: String,
}

async fn ask(
    ctx: &Context,
    endpoint: &Endpoint,
    api: &Api,
    url: &str,
    deadline: Instant,
) -> Answers {
    let not_askable = |detail: &str| {
        Answers::NotAskable(Unknown {
            why: UnknownWhy::NotObserved,
            detail: detail.to_owned(),
        })
    };
    let base = url
        .strip_suffix("/api/v2/alerts")
        .or_else(|| url.strip_suffix("/api/v1/alerts"));
    let Some(place) = base.and_then(|base| endpoint.elsewhere(base)) else {
        return Answers::Told(Observed::unknown(
            UnknownWhy::Unparseable,
            "its URL is not one that can be asked",
        ));
    };
    let alertmanager = match ctx.api(&place).await {
        Ok(alertmanager) => alertmanager,
        Err(failure) => return not_askable(failure.detail()),
    };
    let is_loopback = |addresses: &[SocketAddr]| addresses.iter().all(|a| a.ip().is_loopback());
    if is_loopback(alertmanager.addresses()) && !is_loopback(api.addresses()) {
        return not_askable("it is on the server's own loopback, which is not ours");
    }
    let answer = alertmanager.get::<Status>("api/v2/status", &[], deadline);
    match answer.await {
        Ok(_) => Answers::Told(Observed::Value(true)),
        // The server may have credentials and roots that we have not.
        Err(ApiError::Denied(detail) | ApiError::Untrusted(detail)) => not_askable(&detail),
        Err(ApiError::Connection(failure)) if failure.outcome() != Outcome::TargetError => {
            not_askable(failure.detail())
        }
        Err(error @ ApiError::TooLarge(_)) => Answers::Told(error.into()),
        // Silence, a broken answer, and whatever else is there instead.
        Err(_) => Answers::Told(Observed::Value(false)),
    }
}

/// The facts; where an Alertmanager could not be asked from here, the server's word counts.
pub(super) fn facts(
    listed: Vec<Listed>,
    own: &Result<OwnMetrics, ApiError>,
    window: &Windowed,
) -> Vec<AlertmanagerFacts> {
    let recent = window.as_ref().ok().and_then(Option::as_ref);
    let one = |listed: Listed| {
        let counters = counters(own, &listed.url);
        let takes_all = recent
            .and_then(|recent| recent.alertmanagers.get(&listed.url))
            .is_some_and(|recent| recent.sent > 0.0 && recent.errors <= 0.0);
        AlertmanagerFacts {
            answers: match listed.answers {
                Answers::Told(answers) => answers,
                Answers::NotAskable(_) if takes_all => Observed::Value(true),
                Answers::NotAskable(unknown) => unknown.into(),
            },
            sent: counters.clone().map(|counters| counters.sent),
            errors: counters.map(|counters| counters.errors),
            url: without_secrets(&listed.url),
        }
    };
    listed.into_iter().map(one).collect()
}

fn counters(own: &Result<OwnMetrics, ApiError>, url: &str) -> Observed<Counters> {
    match own {
        Ok(own) => own.alertmanagers().map_or_else(Into::into, |all| {
            all.get(url).copied().map_or_else(
                || {
                    Unknown {
                        why: UnknownWhy::NotObserved,
                        detail: "the server has no counters for it yet".to_owned(),
                    }
                    .into()
                },
                Observed::Value,
            )
        }),
        Err(error) => error.unknown().into(),
    }
}
