//! Reads the slots of a window, and counts.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout_at;

use super::facts::Facts;
use super::window::{Window, at, at_least, at_most, micros};
use super::{Context, History};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::history::HistoryError;

/// A run is recorded when it has ended: a slot that is over is awaited this long.
const LONGEST_AWAIT: Duration = Duration::from_secs(15);

/// `deployment`, as the agent keeps it.
#[derive(Deserialize)]
struct Deployment {
    digest: String,
    since: Timestamp,
}

/// An entry of `maintenance`, as the agent keeps it.
#[derive(Deserialize)]
struct Maintenance {
    probes: Vec<String>,
    start: Timestamp,
    end: Timestamp,
}

pub(super) async fn observe(kind: &History, ctx: &Context) -> Result<Facts, Failure> {
    let Some(history) = ctx.history() else {
        return Err(Failure::probe(
            "no history is kept: configure [history] url, and let a daemon run with it",
        ));
    };
    let asked = timeout_at(ctx.deadline(), read(kind, ctx, history)).await;
    match asked {
        Ok(Ok((window, deployment))) => Ok(count(kind, &window, deployment)),
        Ok(Err(error)) => Err(Failure::probe(error.to_string())),
        Err(_) => Err(Failure::probe("the history did not answer in time")),
    }
}

async fn read(
    kind: &History,
    ctx: &Context,
    history: &crate::history::History,
) -> Result<(Window, Option<Deployment>), HistoryError> {
    let length = kind.config.window.0;
    let slot_us = micros(kind.slot);
    let now_us = ctx.now().as_microsecond();
    let end_us = now_us.div_euclid(slot_us) * slot_us;
    let wait = LONGEST_AWAIT.min(length / 10);
    let count = usize::try_from(micros(length) / slot_us).unwrap_or(0);
    // As many more as may have to be awaited at the end.
    let begin_us = end_us - micros(length) - (micros(wait) / slot_us + 1) * slot_us;
    let of = &kind.config.of;
    let slots = history
        .slots(of, at(begin_us), at(end_us), kind.slot)
        .await?;
    let kept = history.kept().await?;
    let settled_us = now_us - micros(wait);
    let mut window = Window::settled(slots, end_us, slot_us, count, settled_us);
    for maintenance in kept
        .get("maintenance")
        .map(maintenances)
        .unwrap_or_default()
    {
        if maintenance.probes.iter().any(|probe| probe == of) {
            window.exclude(
                maintenance.start.as_microsecond(),
                maintenance.end.as_microsecond(),
            );
        }
    }
    let deployment = kept.get("deployment");
    let deployment = deployment.and_then(|value| Deployment::deserialize(value).ok());
    if let Some(deployment) = &deployment {
        window.forget_before(deployment.since.as_microsecond());
    }
    Ok((window, deployment))
}

fn maintenances(value: &Value) -> Vec<Maintenance> {
    let entries = value.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| Maintenance::deserialize(entry).ok())
        .collect()
}

fn count(kind: &History, window: &Window, deployment: Option<Deployment>) -> Facts {
    let config = &kind.config;
    let tally = window.tally();
    let measured = |value: Option<f64>| known(value, "nothing was measured in this window");
    let included = |value: Option<f64>| known(value, "all of this window is excluded");
    let samples = tally.good + tally.bad;
    let (digest, since) = match deployment {
        Some(deployment) => (
            Observed::Value(deployment.digest),
            Observed::Value(deployment.since),
        ),
        None => (unknown_deployment(), unknown_deployment()),
    };
    let burn_rate = |part: Duration| burn_rate(window, part, config.objective);
    Facts {
        good: tally.good,
        bad: tally.bad,
        unmeasured: tally.unmeasured,
        excluded: tally.excluded,
        point: measured(tally.point()),
        lower_bound: included(tally.lower_bound()),
        upper_bound: included(tally.upper_bound()),
        availability: availability(window, config.objective),
        decidable_at: declared(config.objective, "objective")
            .map(|objective| at(window.decidable_at(objective))),
        objective: declared(config.objective, "objective"),
        window_start: at(window.begin_us()),
        window_end: at(window.end_us),
        window_seconds: config.window.0.as_secs_f64(),
        slot_seconds: kind.slot.as_secs_f64(),
        deployed_digest: digest,
        deployed_since: since,
        burn_rate_1h: burn_rate(Duration::from_secs(3_600)),
        burn_rate_6h: burn_rate(Duration::from_secs(6 * 3_600)),
        burn_rate_3d: burn_rate(Duration::from_secs(3 * 86_400)),
        samples,
        error_rate: error_rate(window, config.max_error_rate),
        error_rate_at_most: at_most(tally.bad, samples),
        error_rate_at_least: at_least(tally.bad, samples),
        max_error_rate: declared(config.max_error_rate, "max_error_rate"),
        good_seconds: window.good_for().as_secs_f64(),
        seconds_since_bad: seconds_since_bad(window),
        stable_for_seconds: declared(
            config.stable_for.map(|text| text.0.as_secs_f64()),
            "stable_for",
        ),
    }
}

fn known(value: Option<f64>, otherwise: &str) -> Observed<f64> {
    match value {
        Some(value) => Observed::Value(value),
        None => Observed::unknown(UnknownWhy::NotObserved, otherwise),
    }
}

fn declared(value: Option<f64>, name: &str) -> Observed<f64> {
    match value {
        Some(value) => Observed::Value(value),
        None => Observed::unknown(
            UnknownWhy::NotApplicable,
            format!("`{name}` is not declared"),
        ),
    }
}

fn unknown_deployment<T>() -> Observed<T> {
    Observed::unknown(
        UnknownWhy::NotObserved,
        "the agent keeps no deployed digest: configure [agent] digests or digest_from",
    )
}

fn availability(window: &Window, objective: Option<f64>) -> Observed<f64> {
    let tally = window.tally();
    if tally.unmeasured == 0 {
        return known(tally.point(), "all of this window is excluded");
    }
    let mut detail = format!(
        "{} of {} slots were not measured",
        tally.unmeasured,
        window.slots.len()
    );
    if let Some(objective) = objective {
        let when = at(window.decidable_at(objective));
        detail = format!("{detail}; decidable at {when} at the earliest");
    }
    Observed::unknown(UnknownWhy::NotObserved, detail)
}

fn burn_rate(window: &Window, part: Duration, objective: Option<f64>) -> Observed<f64> {
    let budget = match objective {
        Some(objective) if objective < 1.0 => 1.0 - objective,
        Some(_) => {
            return Observed::unknown(
                UnknownWhy::NotApplicable,
                "an objective of 1 leaves no budget that could burn",
            );
        }
        None => return declared(None, "objective"),
    };
    let Some(tally) = window.tally_of_last(part) else {
        return Observed::unknown(UnknownWhy::NotApplicable, "the window is shorter");
    };
    let rate = known(tally.error_rate(), "nothing was measured in this time");
    rate.map(|rate| rate / budget)
}

fn error_rate(window: &Window, max: Option<f64>) -> Observed<f64> {
    let tally = window.tally();
    let samples = tally.good + tally.bad;
    let rate = known(tally.error_rate(), "nothing was measured in this window");
    let Some(max) = max else {
        return rate;
    };
    let (low, high) = (at_least(tally.bad, samples), at_most(tally.bad, samples));
    if high < max || low > max {
        return rate;
    }
    Observed::unknown(
        UnknownWhy::NotObserved,
        format!(
            "{} bad of {samples} samples say at 95 % only that it is from {low:.6} to {high:.6}",
            tally.bad
        ),
    )
}

fn seconds_since_bad(window: &Window) -> Observed<f64> {
    let unmeasured = window.tally().unmeasured;
    match window.since_bad() {
        Some(since) => Observed::Value(since.as_secs_f64()),
        None if unmeasured == 0 => Observed::Value(window.long(window.slots.len()).as_secs_f64()),
        None => Observed::unknown(
            UnknownWhy::NotObserved,
            format!("no slot is known to be bad, and {unmeasured} were not measured"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use crate::evidence::FactSchema;

    #[test]
    fn rules_can_be_written_over_all_facts() {
        FactSchema::of::<Facts>().expect("a schema");
    }
}
