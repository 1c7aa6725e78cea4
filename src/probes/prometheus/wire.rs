//! The documented answers of the HTTP API, as far as they are used. Every type has required fields, so
//! that another product's answer is none.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::net::api::{Answer, Api, ApiError, Labels, short};

/// A query longer than this is posted: proxies cut long URLs.
const LONGEST_URL_QUERY: usize = 1_500;

/// What every answer of the API is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
}

impl<T> Envelope<T> {
    fn open(self, path: &str) -> Result<T, ApiError> {
        let unparseable = |detail: String| ApiError::Unparseable(format!("{path}: {detail}"));
        if self.status != "success" {
            let said = self.error.unwrap_or_default();
            let (status, said) = (short(&self.status, 40), short(&said, 200));
            return Err(unparseable(format!("status `{status}` {said}")));
        }
        // Part of the data may be missing: the server says so where a remote store did not answer.
        if let Some(warning) = self.warnings.and_then(|all| all.into_iter().next()) {
            return Err(unparseable(format!(
                "the server warns: {}",
                short(&warning, 200)
            )));
        }
        self.data
            .ok_or_else(|| unparseable("success without data".to_owned()))
    }
}

/// GET of an endpoint of `api/v1/`.
pub(super) async fn get<T: DeserializeOwned + Send + 'static>(
    api: &Api,
    name: &str,
    query: &[(&str, &str)],
    deadline: Instant,
) -> Result<Answer<T>, ApiError> {
    let path = format!("api/v1/{name}");
    let answer = api.get::<Envelope<T>>(&path, query, deadline).await?;
    Ok(Answer {
        value: answer.value.open(&path)?,
        status: answer.status,
        date: answer.date,
    })
}

/// An instant query.
pub(super) async fn query(
    api: &Api,
    promql: &str,
    deadline: Instant,
) -> Result<QueryResult, ApiError> {
    const PATH: &str = "api/v1/query";
    let params = [("query", promql)];
    let answer = if promql.len() > LONGEST_URL_QUERY {
        api.post_form::<Envelope<QueryResult>>(PATH, &params, deadline)
            .await?
    } else {
        api.get::<Envelope<QueryResult>>(PATH, &params, deadline)
            .await?
    };
    answer.value.open(PATH)
}

/// The result of an instant query.
#[derive(Deserialize)]
#[serde(try_from = "Untyped")]
pub(super) enum QueryResult {
    Scalar(Sample),
    Vector(Vec<VectorSample>),
    String,
    Matrix,
}

/// The result before its type is known: an adjacently tagged enum would hold what comes before its tag in a form
/// that costs many times its text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Untyped {
    result_type: ResultType,
    result: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Scalar,
    Vector,
    String,
    Matrix,
}

impl TryFrom<Untyped> for QueryResult {
    type Error = serde_json::Error;

    fn try_from(untyped: Untyped) -> Result<Self, Self::Error> {
        let text = untyped.result.get();
        Ok(match untyped.result_type {
            ResultType::Scalar => Self::Scalar(serde_json::from_str(text)?),
            ResultType::Vector => Self::Vector(serde_json::from_str(text)?),
            ResultType::String => Self::String,
            ResultType::Matrix => Self::Matrix,
        })
    }
}

/// Time and value, a number as text.
#[derive(Deserialize)]
pub(super) struct Sample(IgnoredAny, pub String);

/// One series of a vector.
#[derive(Deserialize)]
pub(super) struct VectorSample {
    pub metric: Labels,
    /// Absent where the sample is a native histogram.
    pub value: Option<Sample>,
}

#[derive(Deserialize)]
pub(super) struct BuildInfo {
    pub version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuntimeInfo {
    pub start_time: Timestamp,
    pub reload_config_success: bool,
    pub last_config_time: Timestamp,
    pub corruption_count: u64,
    pub storage_retention: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleGroups {
    pub groups: Vec<Group>,
    /// Where the list goes on; nobody asked for pages.
    group_next_token: Option<String>,
}

impl RuleGroups {
    /// A list that goes on elsewhere is no list.
    pub fn whole(answer: Answer<Self>) -> Result<Answer<Self>, ApiError> {
        match &answer.value.group_next_token {
            Some(token) if !token.is_empty() => {
                let detail = "api/v1/rules: a part of the groups, though all were asked for";
                Err(ApiError::Unparseable(detail.to_owned()))
            }
            _ => Ok(answer),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub name: String,
    pub file: String,
    /// Seconds.
    pub interval: f64,
    /// Seconds.
    pub evaluation_time: f64,
    pub last_evaluation: Timestamp,
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub name: String,
    pub query: String,
    pub health: String,
    #[serde(default)]
    pub last_error: Box<str>,
    #[serde(rename = "type")]
    pub kind: RuleType,
}

/// What a rule makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RuleType {
    Alerting,
    Recording,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActiveTargets {
    pub active_targets: Vec<ActiveTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActiveTarget {
    pub labels: Labels,
    pub scrape_pool: Box<str>,
    pub scrape_url: Box<str>,
    pub health: Box<str>,
    #[serde(default)]
    pub last_error: Box<str>,
    /// The year 1: never.
    pub last_scrape: Option<Timestamp>,
    /// A duration as the server writes it; newer servers say it.
    pub scrape_interval: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DroppedTargets {
    pub dropped_targets: Vec<DroppedTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DroppedTarget {
    pub discovered_labels: Labels,
    /// Newer servers say it.
    pub scrape_pool: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alertmanagers {
    pub active_alertmanagers: Vec<Alertmanager>,
    pub dropped_alertmanagers: Vec<Alertmanager>,
}

#[derive(Deserialize)]
pub(super) struct Alertmanager {
    pub url: String,
}
