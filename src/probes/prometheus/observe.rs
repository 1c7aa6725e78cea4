//! One attempt: everything is asked at once, as far as requests may run at once, and what depends on an answer
//! after it.

use futures_util::future::{FutureExt as _, join4, join5};
use jiff::Timestamp;
use tokio::time::Instant;

use super::config::Config;
use super::evaluation::{self, Evaluation, ServerClock};
use super::facts::{Facts, SelectorFacts};
use super::kept::Kept;
use super::notifications::{self, Listed, Windowed};
use super::own_metrics::{self, OwnMetrics};
use super::queries::{self, Results};
use super::retention::{metric, retention, whole};
use super::wire::{self, BuildInfo, RuleGroups, RuntimeInfo};
use super::{series, targets};
use crate::evidence::{Failure, Observed, Outcome, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError, Endpoint};
use crate::probes::Context;

/// Looks at everything.
pub(super) async fn observe(
    ctx: &Context,
    config: &Config,
    endpoint: &Endpoint,
) -> Result<Facts, Failure> {
    let api = ctx.api(endpoint).await?;
    let kept = Kept::new();
    // Whatever needs an answer is asked after it, beside all others: what is slow costs nobody else.
    let end = ctx.deadline();
    let clock = clock(&api, end).shared();
    let status = Box::pin(join5(
        wire::get::<BuildInfo>(&api, "status/buildinfo", &[], end),
        wire::get::<RuntimeInfo>(&api, "status/runtimeinfo", &[], end),
        targets::observe(&api, config, &kept, clock.clone(), end),
        notifications::alertmanagers(ctx, endpoint, &api, &kept, end),
        clock,
    ));
    let (status, rules, own, results) = join4(
        status,
        rules(&api, config, &kept, end),
        own(&api, end),
        queries::observe(&api, &config.queries, &kept, end),
    )
    .await;
    let (build, runtime, targets, alertmanagers, clock) = status;
    let seen = Seen {
        build: build.map(|answer| answer.value),
        runtime: runtime.map(|answer| answer.value),
        targets,
        alertmanagers,
        clock,
        rules,
        own,
        results,
    };
    if let Some(failure) = seen.nothing() {
        return Err(failure);
    }
    Ok(seen.facts(config, &kept))
}

async fn clock(api: &Api, deadline: Instant) -> Result<ServerClock, ApiError> {
    let time = queries::server_time(api, deadline).await?;
    let heard = Instant::now();
    Ok(ServerClock { time, heard })
}

/// The rules, and what they select.
struct Rules {
    groups: Result<RuleGroups, ApiError>,
    asked: Instant,
    /// The clock of the answer's head.
    date: Option<Timestamp>,
    selectors: Observed<Vec<SelectorFacts>>,
}

async fn rules(api: &Api, config: &Config, kept: &Kept, end: Instant) -> Rules {
    let asked = Instant::now();
    // Newer servers leave out the alerts, which may be many.
    let query = [("exclude_alerts", "true")];
    match wire::get::<RuleGroups>(api, "rules", &query, end)
        .await
        .and_then(RuleGroups::whole)
    {
        Err(error) => Rules {
            selectors: error.unknown().into(),
            groups: Err(error),
            asked,
            date: None,
        },
        Ok(Answer { value, date, .. }) => Rules {
            selectors: series::observe(api, &value, config, kept, end).await,
            groups: Ok(value),
            asked,
            date,
        },
    }
}

struct Own {
    metrics: Result<OwnMetrics, ApiError>,
    window: Windowed,
}

async fn own(api: &Api, end: Instant) -> Own {
    let metrics = own_metrics::observe(api, end).await;
    let window = notifications::window(api, &metrics, end).await;
    Own { metrics, window }
}

type Alertmanagers = Result<(Observed<Vec<Listed>>, u64), ApiError>;

/// All that came back.
struct Seen {
    build: Result<BuildInfo, ApiError>,
    runtime: Result<RuntimeInfo, ApiError>,
    targets: targets::Targets,
    alertmanagers: Alertmanagers,
    clock: Result<ServerClock, ApiError>,
    rules: Rules,
    own: Own,
    results: Results,
}

impl Seen {
    /// Why nothing was seen, if nothing was. A server that refuses us, or one that is broken, says more than
    /// what we could not do.
    fn nothing(&self) -> Option<Failure> {
        let errors = [
            self.build.as_ref().err(),
            self.runtime.as_ref().err(),
            self.rules.groups.as_ref().err(),
            self.targets.error.as_ref(),
            self.alertmanagers.as_ref().err(),
            self.clock.as_ref().err(),
            self.own.metrics.as_ref().err(),
        ];
        let any_query = self
            .results
            .queries
            .values()
            .any(|number| number.value().is_some());
        if any_query || errors.iter().any(Option::is_none) {
            return None;
        }
        let failures = || {
            errors
                .iter()
                .flatten()
                .map(|error| Failure::from((*error).clone()))
        };
        let of = |outcome| failures().find(|failure| failure.outcome() == outcome);
        of(Outcome::ProbeError)
            .or_else(|| of(Outcome::Denied))
            .or_else(|| of(Outcome::TargetError))
    }

    fn facts(self, config: &Config, kept: &Kept) -> Facts {
        let now = self.now();
        let runtime = Runtime::new(&self.runtime, kept);
        let version = match self.build {
            Ok(build) => kept.text("version", build.version),
            Err(error) => error.into(),
        };
        let Evaluation {
            rule_count,
            alert_count,
            groups,
            rules,
        } = evaluation::evaluation(&self.rules.groups, &now, kept);
        let Own { metrics, window } = self.own;
        let retention = retention(
            &runtime.retention,
            &metrics,
            &runtime.started_at,
            &now,
            config.retention.map(|declared| declared.0),
        );
        let (listed, alertmanagers_dropped) = match self.alertmanagers {
            Ok((listed, dropped)) => (listed, Observed::Value(dropped)),
            Err(error) => (error.unknown().into(), error.into()),
        };
        let notifications = notifications::notifications(&metrics, &window, &version, &listed);
        let alertmanagers = listed.map(|listed| notifications::facts(listed, &metrics, &window));
        Facts {
            version,
            server_time: match &self.clock {
                Ok(clock) => Observed::Value(clock.time),
                Err(error) => error.unknown().into(),
            },
            started_at: runtime.started_at,
            reload_ok: runtime.reload_ok,
            config_loaded_at: runtime.config_loaded_at,
            rule_count,
            alert_count,
            min_rules: declared("min_rules", config.min_rules),
            min_alerts: declared("min_alerts", config.min_alerts),
            min_alertmanagers: declared("min_alertmanagers", config.min_alertmanagers),
            groups,
            rules,
            selectors: self.rules.selectors,
            target_count: self.targets.count,
            targets_down: self.targets.down,
            targets_unscraped: self.targets.unscraped,
            jobs: self.targets.jobs,
            inventory: self.targets.inventory,
            retention_configured: runtime.retention,
            retention_seconds: retention.seconds,
            oldest_sample_at: retention.oldest_at,
            oldest_sample_age_seconds: retention.oldest_age_seconds,
            size_retentions: retention.size_retentions,
            retention_flag_reaches: retention.flag_reaches,
            retention_data_reaches: retention.data_reaches,
            alertmanagers,
            alertmanagers_dropped,
            scrapes_itself: notifications.scrapes_itself,
            notifications_over: notifications.over,
            notifications_tried: notifications.tried,
            notification_error_ratio: notifications.error_ratio,
            notifications_dropped: metric(&metrics, "prometheus_notifications_dropped_total"),
            notifications_dropped_recently: notifications.dropped_recently,
            head_series: metric(&metrics, "prometheus_tsdb_head_series").map(whole),
            corruption_count: runtime.corruption_count,
            tsdb_failures: tsdb_failures(&metrics),
            queries: self.results.queries,
            series: self.results.series,
        }
    }

    /// What the server's clock showed when it was asked for its rules, at the least, in seconds since 1970.
    fn now(&self) -> Observed<f64> {
        match (&self.clock, self.rules.date) {
            (Ok(clock), _) => Observed::Value(clock.at(self.rules.asked)),
            // Whole seconds, and perhaps those of a proxy: still not ours.
            (Err(_), Some(date)) => Observed::Value(evaluation::seconds(date)),
            (Err(error), None) => error.unknown().into(),
        }
    }
}

fn declared(name: &str, value: Option<u64>) -> Observed<u64> {
    value.map_or_else(
        || {
            Observed::unknown(
                UnknownWhy::NotApplicable,
                format!("`{name}` is not declared"),
            )
        },
        Observed::Value,
    )
}

fn tsdb_failures(own: &Result<OwnMetrics, ApiError>) -> Observed<u64> {
    let sum = [
        "prometheus_tsdb_compactions_failed_total",
        "prometheus_tsdb_reloads_failures_total",
        "prometheus_tsdb_head_truncations_failed_total",
        "prometheus_tsdb_wal_writes_failed_total",
    ]
    .into_iter()
    .try_fold(0, |sum, name| match metric(own, name).map(whole) {
        Observed::Value(count) => Ok(sum + count),
        Observed::Unknown(unknown) => Err(unknown),
    });
    sum.map_or_else(Observed::from, Observed::Value)
}

struct Runtime {
    started_at: Observed<Timestamp>,
    reload_ok: Observed<bool>,
    config_loaded_at: Observed<Timestamp>,
    corruption_count: Observed<u64>,
    retention: Observed<String>,
}

impl Runtime {
    fn new(info: &Result<RuntimeInfo, ApiError>, kept: &Kept) -> Self {
        match info {
            Ok(info) => Self {
                started_at: Observed::Value(info.start_time),
                reload_ok: Observed::Value(info.reload_config_success),
                config_loaded_at: Observed::Value(info.last_config_time),
                corruption_count: Observed::Value(info.corruption_count),
                retention: kept.text("retention", info.storage_retention.clone()),
            },
            Err(error) => Self {
                started_at: error.unknown().into(),
                reload_ok: error.unknown().into(),
                config_loaded_at: error.unknown().into(),
                corruption_count: error.unknown().into(),
                retention: error.unknown().into(),
            },
        }
    }
}
