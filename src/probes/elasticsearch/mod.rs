//! `elasticsearch`: does a line of every application arrive. `OpenSearch` speaks the same.
//!
//! Its client follows the documented API; it is tested on recorded answers, not on a real server.

mod config;
mod facts;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use self::config::{Config, Lines};
use self::facts::{ClusterStatus, Facts};
use super::newest_line::{App, Clock};
use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity, TargetParams};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError, DESCRIPTORS, Endpoint, First, path, short};

/// The kind.
pub struct Elasticsearch {
    config: Config,
    endpoint: Endpoint,
}

const fn rule(
    name: &'static str,
    severity: Severity,
    expr: &'static str,
    why: &'static str,
    source: &'static str,
) -> RuleSpec<Config> {
    RuleSpec {
        name,
        expr,
        applies: None,
        severity,
        why,
        source,
        when: None,
    }
}

impl ProbeKind for Elasticsearch {
    const INFO: KindInfo = KindInfo {
        name: "elasticsearch",
        summary: "the newest line of each declared application, and the state of the cluster; OpenSearch too (tested on recorded answers of the documented API)",
        privileges: "`read` on the indices; `monitor` on the cluster for its state and its clock",
        effect: Effect::Read,
        side_effects: "one search for a single line per application",
        example: "url = \"http://127.0.0.1:9200\"\napps = { api = \"logs-api-*\" }\nmax_age = \"5m\"\n",
        init: &[],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "http",
    };
    const RULES: &'static [RuleSpec<Config>] = &[
        rule(
            "cluster-not-red",
            Severity::Must,
            "cluster_status != 'red'",
            "a primary shard is missing, and with it lines",
            "Elasticsearch: cluster health",
        ),
        rule(
            "cluster-green",
            Severity::Should,
            "cluster_status == 'green'",
            "a shard without its replica is lost with its node",
            "Elasticsearch: cluster health",
        ),
        rule(
            "fresh",
            Severity::Must,
            "apps.all(app, apps[app].seen && apps[app].age_seconds <= max_age_seconds)",
            "a healthy cluster need not take anything in: only a new line proves that lines arrive",
            "the declaration",
        ),
    ];
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let endpoint = config.endpoint()?;
        Ok(Self { config, endpoint })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        self.endpoint.target()
    }

    fn descriptors(&self) -> usize {
        DESCRIPTORS
    }

    fn secrets(&self) -> Vec<String> {
        self.endpoint.secrets().to_vec()
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let api = ctx.api(&self.endpoint).await?;
        let first = ctx.share(2);
        let (about, cluster) = tokio::join!(
            api.get::<About>("", &[], first),
            api.get::<Vec<Cluster>>("_cat/health", &[("format", "json")], first),
        );
        let cluster = cluster.and_then(only);
        let told = cluster.as_ref().ok().and_then(Cluster::clock);
        let dated = about
            .as_ref()
            .ok()
            .and_then(|answer| answer.date.map(Clock::told));
        let clock = told.or(dated);
        let asked = self.config.apps.iter().map(|(name, lines)| async {
            (
                name.clone(),
                newest(&api, lines, clock, ctx.deadline()).await,
            )
        });
        let answers = join_all(asked).await;
        if about.is_err()
            && cluster.is_err()
            && answers.iter().all(|(_, answer)| answer.is_err())
            && let Some((_, Err(error))) = answers.first()
        {
            return Err(error.clone().into());
        }
        let apps: BTreeMap<String, App> = answers
            .into_iter()
            .map(|(name, app)| {
                (
                    name,
                    app.unwrap_or_else(|error| App::unknown(error.unknown())),
                )
            })
            .collect();
        Ok(Facts {
            product: of(&about, |about| about.value.version.product()),
            version: of(&about, |about| short(&about.value.version.number, 100)),
            cluster_status: status(&cluster),
            nodes: count(&cluster, |cluster| &cluster.nodes),
            unassigned_shards: count(&cluster, |cluster| &cluster.unassigned),
            apps,
            max_age_seconds: self.config.max_age.0.as_secs_f64(),
        })
    }
}

#[derive(Deserialize)]
struct About {
    version: Version,
    #[serde(rename = "cluster_name")]
    _cluster_name: String,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    distribution: Option<String>,
}

impl Version {
    fn product(&self) -> String {
        let named = self.distribution.as_deref().unwrap_or("elasticsearch");
        short(named, 50)
    }
}

/// The row of the cluster. It tells the time, which no header does.
#[derive(Deserialize)]
struct Cluster {
    epoch: String,
    status: String,
    #[serde(rename = "node.total")]
    nodes: String,
    #[serde(rename = "unassign")]
    unassigned: String,
}

impl Cluster {
    fn clock(&self) -> Option<Clock> {
        let seconds = self.epoch.parse().ok()?;
        Timestamp::from_second(seconds).ok().map(Clock::told)
    }
}

fn only(answer: Answer<Vec<Cluster>>) -> Result<Cluster, ApiError> {
    let mut rows = answer.value.into_iter();
    match (rows.next(), rows.next()) {
        (Some(cluster), None) => Ok(cluster),
        _ => {
            let detail = "_cat/health: not one cluster";
            Err(ApiError::Unparseable(detail.to_owned()))
        }
    }
}

fn of<S, T>(seen: &Result<S, ApiError>, take: impl FnOnce(&S) -> T) -> Observed<T> {
    match seen {
        Ok(seen) => Observed::Value(take(seen)),
        Err(ApiError::Denied(detail)) => Observed::unknown(
            UnknownWhy::Denied,
            format!("{detail} (needs the cluster privilege `monitor`)"),
        ),
        Err(error) => error.clone().into(),
    }
}

fn count(cluster: &Result<Cluster, ApiError>, field: fn(&Cluster) -> &String) -> Observed<u64> {
    of(cluster, field_text(field)).and_then(|text| {
        text.parse().map_or_else(
            |_| Observed::unknown(UnknownWhy::Unparseable, "_cat/health: not a number"),
            Observed::Value,
        )
    })
}

fn status(cluster: &Result<Cluster, ApiError>) -> Observed<ClusterStatus> {
    of(cluster, |cluster| cluster.status.clone()).and_then(|text| match text.as_str() {
        "green" => Observed::Value(ClusterStatus::Green),
        "yellow" => Observed::Value(ClusterStatus::Yellow),
        "red" => Observed::Value(ClusterStatus::Red),
        other => Observed::unknown(
            UnknownWhy::Unparseable,
            format!("_cat/health: status `{}`", short(other, 50)),
        ),
    })
}

fn field_text(field: fn(&Cluster) -> &String) -> impl FnOnce(&Cluster) -> String {
    move |cluster| field(cluster).clone()
}

#[derive(Deserialize)]
struct Searched {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    hits: First<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_index")]
    _index: String,
    #[serde(default)]
    fields: Fields,
}

/// The first value of each field, where that is text.
#[derive(Default)]
struct Fields(Vec<(Box<str>, First<Box<str>>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of lists")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Fields, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The newest line up to this moment of the server's clock.
async fn newest(
    api: &Api,
    lines: &Lines,
    clock: Option<Clock>,
    deadline: Instant,
) -> Result<App, ApiError> {
    let field = lines.time_field();
    let mut filter = vec![json!({ "range": { field: { "lte": "now" } } })];
    if let Some(query) = lines.query() {
        filter.push(json!({ "query_string": { "query": query } }));
    }
    let search = json!({
        "size": 1,
        "query": { "bool": { "filter": filter } },
        "sort": [{ field: { "order": "desc", "unmapped_type": "date" } }],
        "_source": false,
        "track_total_hits": false,
        "docvalue_fields": [{ "field": field, "format": "strict_date_time" }],
    });
    // An index that does not exist is to be told from one that is empty.
    let params = [
        ("allow_no_indices", "false"),
        ("ignore_unavailable", "false"),
    ];
    let path = path(&[lines.index(), "_search"]);
    let searched = api
        .query_json::<Searched>(&path, &params, &search, false, deadline)
        .await;
    match searched {
        Ok(answer) => newest_of(&path, &answer.value, field, clock.map(Clock::now)),
        Err(ApiError::Status(refusal)) if refusal.status == 404 && is_missing_index(&refusal) => {
            Ok(App::none("because there is no such index"))
        }
        Err(ApiError::Denied(detail)) => Err(ApiError::Denied(format!(
            "{detail} (needs the privilege `read` on the indices)"
        ))),
        Err(error) => Err(error),
    }
}

fn is_missing_index(refusal: &crate::net::api::Refusal) -> bool {
    #[derive(Deserialize)]
    struct Said {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        r#type: String,
    }
    let said: Option<Said> = refusal.json();
    said.is_some_and(|said| said.error.r#type == "index_not_found_exception")
}

fn newest_of(
    path: &str,
    searched: &Searched,
    field: &str,
    now: Option<Timestamp>,
) -> Result<App, ApiError> {
    let broken = |what: &str| ApiError::Unparseable(format!("{path}: {what}"));
    // The newest line may be on the shard that did not answer.
    if searched.timed_out || searched.shards.failed > 0 {
        return Err(broken("not all shards answered"));
    }
    let First(Some(hit)) = &searched.hits.hits else {
        return Ok(App::none("in these indices"));
    };
    let mut fields = hit.fields.0.iter();
    let at = fields.find_map(|(name, First(value))| (**name == *field).then_some(value.as_ref()));
    let at = at.flatten().and_then(|text| text.parse().ok());
    let at: Timestamp = at.ok_or_else(|| broken("a line without a time"))?;
    Ok(App::newest(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FactSchema;

    #[test]
    fn every_fact_has_a_type_that_rules_know() {
        let schema = FactSchema::of::<Facts>().unwrap();
        assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        let problems = |apps: &str| {
            let toml = format!("url = 'http://127.0.0.1:9200'\nmax_age = '5m'\napps = {apps}");
            match Elasticsearch::new(toml::from_str(&toml).unwrap()) {
                Ok(_) => Vec::new(),
                Err(problems) => problems.into_iter().map(|problem| problem.param).collect(),
            }
        };
        assert_eq!(problems("{ a = 'logs-*' }"), [""; 0]);
        assert_eq!(
            problems("{ a = { index = 'logs-*,-logs-x', query = 'app:api' } }"),
            [""; 0]
        );
        assert_eq!(problems("{}"), ["apps"]);
        for bad in ["''", "'_cat'", "'a/b'", "'{app=\"api\"}'"] {
            assert_eq!(problems(&format!("{{ a = {bad} }}")), ["apps.a"], "{bad}");
        }
        assert_eq!(
            problems("{ a = { index = 'x', query = '' } }"),
            ["apps.a.query"]
        );
    }
}
