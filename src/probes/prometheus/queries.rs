//! Declared queries: a number where there is exactly one, and all series.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::facts::SeriesFacts;
use super::kept::Kept;
use super::wire::{self, QueryResult, Sample, VectorSample};
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::{Api, ApiError};

const MAX_SERIES: usize = 1_000;
const MAX_AT_ONCE: usize = 4;

/// The facts `queries` and `series`.
pub(super) struct Results {
    pub queries: BTreeMap<String, Observed<f64>>,
    pub series: BTreeMap<String, Observed<Vec<SeriesFacts>>>,
}

/// Evaluates all of them, some at a time.
pub(super) async fn observe(
    api: &Api,
    queries: &BTreeMap<String, String>,
    kept: &Kept,
    deadline: Instant,
) -> Results {
    // Queries that hang must leave room for other requests.
    let slots = Semaphore::new(MAX_AT_ONCE);
    let asked = queries.iter().map(|(name, promql)| {
        let slots = &slots;
        async move {
            let _slot = slots.acquire().await;
            let result = wire::query(api, promql, deadline).await;
            (name.clone(), facts(result, kept))
        }
    });
    let mut results = Results {
        queries: BTreeMap::new(),
        series: BTreeMap::new(),
    };
    for (name, (number, series)) in join_all(asked).await {
        results.queries.insert(name.clone(), number);
        results.series.insert(name, series);
    }
    results
}

type OneQuery = (Observed<f64>, Observed<Vec<SeriesFacts>>);

fn facts(result: Result<QueryResult, ApiError>, kept: &Kept) -> OneQuery {
    let not_applicable = |what: &str| Observed::unknown(UnknownWhy::NotApplicable, what);
    let unsupported = |what: &str| {
        let detail = format!("the result is {what}: neither a scalar nor an instant vector");
        Observed::unknown(UnknownWhy::Unsupported, detail)
    };
    match result {
        Err(error) => (error.unknown().into(), error.unknown().into()),
        Ok(QueryResult::Scalar(sample)) => (
            number(&sample),
            not_applicable("the result is a scalar: it has no series"),
        ),
        Ok(QueryResult::String) => (
            unsupported("a string").map(|(): ()| 0.0),
            not_applicable("the result is a string: it has no series"),
        ),
        Ok(QueryResult::Matrix) => {
            let unknown = unsupported("a range vector");
            (
                unknown.clone().map(|(): ()| 0.0),
                unknown.map(|()| Vec::new()),
            )
        }
        Ok(QueryResult::Vector(vector)) => {
            let single = single(&vector);
            let series = kept.list(
                "series",
                MAX_SERIES,
                vector.iter().map(series_facts),
                |series| {
                    let pairs = series.labels.iter();
                    pairs
                        .map(|(name, value)| 64 + name.len() + value.len())
                        .sum()
                },
            );
            (single, series)
        }
    }
}

fn single(vector: &[VectorSample]) -> Observed<f64> {
    match vector {
        [] => Observed::unknown(UnknownWhy::NotObserved, "the result is empty: no series"),
        [one] => value(one),
        several => Observed::unknown(
            UnknownWhy::Inconsistent,
            format!(
                "the result has {} series, not one: aggregate it",
                several.len()
            ),
        ),
    }
}

fn series_facts(series: &VectorSample) -> SeriesFacts {
    let labels = series.metric.iter();
    SeriesFacts {
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        value: value(series),
    }
}

fn value(series: &VectorSample) -> Observed<f64> {
    match &series.value {
        Some(sample) => number(sample),
        None => Observed::unknown(UnknownWhy::Unsupported, "a native histogram is no number"),
    }
}

fn number(sample: &Sample) -> Observed<f64> {
    match sample.1.parse::<f64>() {
        Ok(number) if number.is_finite() => Observed::Value(number),
        Ok(number) => Observed::unknown(
            UnknownWhy::Unparseable,
            format!("the result is {number}: nothing can be compared with that"),
        ),
        Err(_) => Observed::unknown(UnknownWhy::Unparseable, "the value is no number"),
    }
}

/// The server's own clock.
pub(super) async fn server_time(api: &Api, deadline: Instant) -> Result<Timestamp, ApiError> {
    let bad = |detail: &str| ApiError::Unparseable(format!("api/v1/query: time(): {detail}"));
    let QueryResult::Scalar(sample) = wire::query(api, "time()", deadline).await? else {
        return Err(bad("the result is no scalar"));
    };
    let Observed::Value(seconds) = number(&sample) else {
        return Err(bad("the result is no number"));
    };
    timestamp(seconds).ok_or_else(|| bad("the result is no time"))
}

/// Seconds since 1970.
pub(super) fn timestamp(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast saturates, and what is out of range is refused"
    )]
    Timestamp::from_millisecond((seconds * 1_000.0).round() as i64).ok()
}
