//! Targets, against declared jobs and declared targets.

use std::future::Future;

use tokio::time::Instant;

use super::config::Config;
use super::evaluation::{ServerClock, seconds};
use super::facts::{InventoryFacts, InventoryState, JobFacts, JobState, TargetFacts};
use super::kept::Kept;
use super::retention::duration;
use super::wire::{self, ActiveTarget, ActiveTargets, DroppedTarget, DroppedTargets};
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::{Api, ApiError, short, without_secrets};

const MAX_LISTED: usize = 1_000;
const MAX_ERROR_CHARS: usize = 1_000;

/// What the targets endpoint told.
pub(super) struct Targets {
    pub count: Observed<u64>,
    pub down: Observed<Vec<TargetFacts>>,
    pub unscraped: Observed<u64>,
    pub jobs: Observed<Vec<JobFacts>>,
    pub inventory: Observed<Vec<InventoryFacts>>,
    /// Whether the endpoint answered.
    pub error: Option<ApiError>,
}

/// Asks for the active targets, and for the dropped ones where a declared job has no other.
pub(super) async fn observe(
    api: &Api,
    config: &Config,
    kept: &Kept,
    clock: impl Future<Output = Result<ServerClock, ApiError>>,
    deadline: Instant,
) -> Targets {
    let asked = Instant::now();
    let active = wire::get::<ActiveTargets>(api, "targets", &[("state", "active")], deadline).await;
    let (active, date) = match active {
        Ok(answer) => (answer.value.active_targets, answer.date),
        Err(error) => return unknown(error),
    };
    let is_missing = |job: &String| !active.iter().any(|target| is_of_job(target, job));
    let dropped = if config.jobs.iter().any(is_missing) {
        let query = [("state", "dropped")];
        let answer = wire::get::<DroppedTargets>(api, "targets", &query, deadline).await;
        answer.map(|answer| answer.value.dropped_targets)
    } else {
        Ok(Vec::new())
    };
    let now = match (clock.await, date) {
        (Ok(clock), _) => Observed::Value(clock.at(asked)),
        (Err(_), Some(date)) => Observed::Value(seconds(date)),
        (Err(error), None) => error.into(),
    };
    let down = active.iter().filter(|target| &*target.health == "down");
    Targets {
        count: Observed::Value(active.len() as u64),
        down: kept.list(
            "targets that are down",
            MAX_LISTED,
            down.map(target_facts),
            |target| {
                target.name.len() + target.job.len() + target.url.len() + target.last_error.len()
            },
        ),
        unscraped: Observed::Value(
            active.iter().filter(|target| is_unscraped(target)).count() as u64
        ),
        jobs: Observed::Value(
            config
                .jobs
                .iter()
                .map(|job| job_facts(job, &active, &dropped, &now))
                .collect(),
        ),
        inventory: Observed::Value(
            config
                .targets
                .iter()
                .map(|name| inventory_facts(name, &active, &now))
                .collect(),
        ),
        error: None,
    }
}

fn unknown(error: ApiError) -> Targets {
    Targets {
        count: error.unknown().into(),
        down: error.unknown().into(),
        unscraped: error.unknown().into(),
        jobs: error.unknown().into(),
        inventory: error.unknown().into(),
        error: Some(error),
    }
}

fn is_unscraped(target: &ActiveTarget) -> bool {
    !matches!(&*target.health, "up" | "down")
}

/// Whether the last scrape lies further back than three intervals: what it said then says nothing of now. Older
/// servers do not tell the interval.
fn is_stale(target: &ActiveTarget, now: &Observed<f64>) -> Observed<bool> {
    const INTERVALS: u32 = 3;
    const TOLERANCE_SECONDS: f64 = 5.0;
    let interval = target.scrape_interval.as_deref().and_then(duration);
    let (Some(last), Some(interval)) = (target.last_scrape, interval) else {
        return Observed::Value(false);
    };
    let longest = (interval * INTERVALS).as_secs_f64() + TOLERANCE_SECONDS;
    now.clone().map(|now| now - seconds(last) > longest)
}

fn is_of_job(target: &ActiveTarget, job: &str) -> bool {
    &*target.scrape_pool == job || target.labels.get("job") == Some(job)
}

fn target_facts(target: &ActiveTarget) -> TargetFacts {
    TargetFacts {
        name: target.labels.get("instance").unwrap_or_default().to_owned(),
        job: target.labels.get("job").unwrap_or_default().to_owned(),
        url: without_secrets(&target.scrape_url),
        last_error: last_error(target),
    }
}

fn last_error(target: &ActiveTarget) -> String {
    short(&without_secrets(&target.last_error), MAX_ERROR_CHARS)
}

fn job_facts(
    job: &str,
    active: &[ActiveTarget],
    dropped: &Result<Vec<DroppedTarget>, ApiError>,
    now: &Observed<f64>,
) -> JobFacts {
    let of_job = || active.iter().filter(|target| is_of_job(target, job));
    let is = |target: &ActiveTarget, health: &str| &*target.health == health;
    let (targets, down) = (
        of_job().count() as u64,
        of_job().filter(|target| is(target, "down")).count() as u64,
    );
    let (mut up, mut stale) = (0, Observed::Value(0));
    for target in of_job() {
        match is_stale(target, now) {
            Observed::Value(false) => up += u64::from(is(target, "up")),
            Observed::Value(true) => stale = stale.map(|count: u64| count + 1),
            Observed::Unknown(unknown) => stale = unknown.into(),
        }
    }
    let first_down = of_job().find(|target| &*target.health == "down");
    let dropped = match dropped {
        _ if targets > 0 => Observed::unknown(
            UnknownWhy::NotApplicable,
            "it has targets that are not dropped",
        ),
        Ok(dropped) => {
            let of_job = dropped.iter().filter(|target| is_dropped_of(target, job));
            Observed::Value(of_job.count() as u64)
        }
        Err(error) => error.unknown().into(),
    };
    let state = match (targets, &dropped) {
        (0, Observed::Value(1..)) => Observed::Value(JobState::Dropped),
        // Dropped or not found: either way there is none.
        (0, _) => Observed::Value(JobState::Absent),
        _ if down > 0 => Observed::Value(JobState::Down),
        _ if up == targets => Observed::Value(JobState::Up),
        _ => Observed::unknown(
            UnknownWhy::NotObserved,
            format!(
                "{} of {targets} targets not yet scraped, or not for more than three of their intervals",
                targets - up
            ),
        ),
    };
    JobFacts {
        name: job.to_owned(),
        state,
        targets,
        up,
        down,
        stale,
        dropped,
        last_error: first_down.map_or_else(String::new, |target| {
            let (url, error) = (without_secrets(&target.scrape_url), last_error(target));
            format!("{url}: {error}")
        }),
    }
}

fn is_dropped_of(target: &DroppedTarget, job: &str) -> bool {
    target.scrape_pool.as_deref() == Some(job) || target.discovered_labels.get("job") == Some(job)
}

fn inventory_facts(name: &str, active: &[ActiveTarget], now: &Observed<f64>) -> InventoryFacts {
    let is_it = |target: &&ActiveTarget| {
        let host = url::Url::parse(&target.scrape_url).ok();
        let address = host.as_ref().and_then(|url| {
            let port = url.port_or_known_default()?;
            Some(format!("{}:{port}", url.host_str()?))
        });
        target.labels.get("instance") == Some(name) || address.as_deref() == Some(name)
    };
    let found: Vec<&ActiveTarget> = active.iter().filter(is_it).collect();
    let down = found.iter().find(|target| &*target.health == "down");
    let state = if found.is_empty() {
        Observed::Value(InventoryState::Absent)
    } else if down.is_some() {
        Observed::Value(InventoryState::Down)
    } else if found.iter().any(|target| is_unscraped(target)) {
        Observed::unknown(UnknownWhy::NotObserved, "not yet scraped")
    } else {
        let seen = found.iter().map(|target| is_stale(target, now));
        seen.fold(Observed::Value(InventoryState::Up), |state, stale| {
            state.and_then(|state| {
                stale.and_then(|is_stale| {
                    if is_stale {
                        let detail = "not scraped for more than three of its intervals";
                        return Observed::unknown(UnknownWhy::NotObserved, detail);
                    }
                    Observed::Value(state)
                })
            })
        })
    };
    InventoryFacts {
        name: name.to_owned(),
        state,
        last_error: down.map_or_else(String::new, |target| last_error(target)),
    }
}
