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
use super::wire::{self, Alertmanagers, QueryResult};
use crate::evidence::{Observed, Outcome, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, Endpoint};
use crate::probes::Context;

/// So many Alertmanagers are asked.
const MAX_ASKED: usize = 8;
/// While one is asked it has a connection open, or our resolver is at work.
pub(super) const DESCRIPTORS: usize = 2 * MAX_ASKED;
/// The label that tells the parts of the window's query apart.
const TAG: &str = "__probe_counter";

/// What is counted over the last ten minutes, by Alertmanager; empty: the server does not scrape itself.
pub(super) type Window = BTreeMap<String, Counters>;

/// Notifications as a whole.
pub(super) struct Notifications {
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
) -> Window {
    let Some(start) = own
        .as_ref()
        .ok()
        .and_then(|own| own.get("process_start_time_seconds"))
    else {
        return Window::new();
    };
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
    ]
    .join(" or ");
    let Ok(QueryResult::Vector(vector)) = wire::query(api, &promql, deadline).await else {
        return Window::new();
    };
    let mut window = Window::new();
    for series in &vector {
        let value = series.value.as_ref().and_then(|s| s.1.parse::<f64>().ok());
        let url = series.metric.get("alertmanager");
        let (Some(value), Some(url)) = (value, url) else {
            continue;
        };
        let counters = window.entry(url.to_owned()).or_default();
        match series.metric.get(TAG) {
            Some("sent") => counters.sent = value,
            Some("errors") => counters.errors = value,
            Some("batches") => counters.batches = value,
            _ => {}
        }
    }
    window
}

/// From the last ten minutes where something was sent then, otherwise from all the time since the start.
pub(super) fn notifications(
    own: &Result<OwnMetrics, ApiError>,
    window: &Window,
    version: &Observed<String>,
) -> Notifications {
    let own = match own {
        Ok(own) => own,
        Err(error) => {
            return Notifications {
                over: error.unknown().into(),
                tried: error.unknown().into(),
                error_ratio: error.unknown().into(),
            };
        }
    };
    let is_2 = matches!(version, Observed::Value(version) if version.starts_with("2."));
    let tried = |counters: &Counters| {
        let failed = if is_2 { 0.0 } else { counters.errors };
        counters.sent + failed
    };
    let recent = Counters::total(window.values());
    let (over, counters) = if tried(&recent) > 0.0 {
        (NotificationsOver::TenMinutes, recent)
    } else {
        let since_start = Counters::total(own.alertmanagers.values());
        (NotificationsOver::SinceStart, since_start)
    };
    // Errors are set against what they are counted in.
    let attempts = if is_2 && counters.batches > 0.0 {
        counters.batches
    } else {
        tried(&counters)
    };
    Notifications {
        over: Observed::Value(over),
        tried: Observed::Value(tried(&counters)),
        error_ratio: if attempts > 0.0 {
            Observed::Value((counters.errors / attempts).clamp(0.0, 1.0))
        } else {
            Observed::unknown(UnknownWhy::NotApplicable, "no notification was due")
        },
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
    answers: Observed<bool>,
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
) -> Observed<bool> {
    let unparseable = || {
        Observed::unknown(
            UnknownWhy::Unparseable,
            "its URL is not one that can be asked",
        )
    };
    let base = url
        .strip_suffix("/api/v2/alerts")
        .or_else(|| url.strip_suffix("/api/v1/alerts"));
    let Some(place) = base.and_then(|base| endpoint.elsewhere(base)) else {
        return unparseable();
    };
    let alertmanager = match ctx.api(&place).await {
        Ok(alertmanager) => alertmanager,
        Err(failure) => {
            return Observed::unknown(UnknownWhy::NotObserved, failure.detail());
        }
    };
    let is_loopback = |addresses: &[SocketAddr]| addresses.iter().all(|a| a.ip().is_loopback());
    if is_loopback(alertmanager.addresses()) && !is_loopback(api.addresses()) {
        let detail = "it is on the server's own loopback, which is not ours";
        return Observed::unknown(UnknownWhy::NotObserved, detail);
    }
    match alertmanager
        .get::<Status>("api/v2/status", &[], deadline)
        .await
    {
        // Whoever wants to know who asks is there.
        Ok(_) | Err(ApiError::Denied(_)) => Observed::Value(true),
        Err(ApiError::Connection(failure)) if failure.outcome() == Outcome::TargetError => {
            Observed::Value(false)
        }
        Err(ApiError::Status(refusal)) if refusal.status >= 500 => Observed::Value(false),
        Err(error) => error.into(),
    }
}

/// The facts; where an Alertmanager could not be asked, the server's word counts.
pub(super) fn facts(
    listed: Vec<Listed>,
    own: &Result<OwnMetrics, ApiError>,
    window: &Window,
) -> Vec<AlertmanagerFacts> {
    let one = |listed: Listed| {
        let counters = counters(own, &listed.url);
        let takes_all = window
            .get(&listed.url)
            .is_some_and(|recent| recent.sent > 0.0 && recent.errors <= 0.0);
        AlertmanagerFacts {
            answers: match listed.answers {
                Observed::Unknown(_) if takes_all => Observed::Value(true),
                answers => answers,
            },
            sent: counters.clone().map(|counters| counters.sent),
            errors: counters.map(|counters| counters.errors),
            url: listed.url,
        }
    };
    listed.into_iter().map(one).collect()
}

fn counters(own: &Result<OwnMetrics, ApiError>, url: &str) -> Observed<Counters> {
    match own {
        Ok(own) => own.alertmanagers.get(url).copied().map_or_else(
            || {
                Unknown {
                    why: UnknownWhy::NotObserved,
                    detail: "the server has no counters for it yet".to_owned(),
                }
                .into()
            },
            Observed::Value,
        ),
        Err(error) => error.unknown().into(),
    }
}
