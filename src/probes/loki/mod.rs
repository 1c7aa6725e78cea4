//! `loki`: does a line of every application arrive.

mod config;
mod facts;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use self::config::Config;
use self::facts::Facts;
use super::newest_line::{App, Clock};
use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity, TargetParams};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError, DESCRIPTORS, Endpoint, First, short};

/// The kind.
pub struct Loki {
    config: Config,
    endpoint: Endpoint,
}

impl ProbeKind for Loki {
    const INFO: KindInfo = KindInfo {
        name: "loki",
        summary: "the newest line of each declared application, and readiness",
        privileges: "GET on /ready and /loki/api/v1 for the tenant",
        effect: Effect::Read,
        side_effects: "one query for a single line per application",
        example: "url = \"http://127.0.0.1:3100\"\napps = { api = '{app=\"api\"}' }\nmax_age = \"5m\"\n",
        init: &[],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "http",
    };
    const RULES: &'static [RuleSpec<Config>] = &[
        RuleSpec {
            name: "ready",
            expr: "ready",
            applies: None,
            severity: Severity::Must,
            why: "a Loki that is not ready takes nothing in",
            source: "Loki: GET /ready",
            when: None,
        },
        RuleSpec {
            name: "fresh",
            expr: "apps.all(app, apps[app].seen && apps[app].age_seconds <= max_age_seconds)",
            applies: None,
            severity: Severity::Must,
            why: "ready is not ingesting: only a new line proves that lines arrive",
            source: "the declaration",
            when: None,
        },
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
        let (ready, build) = tokio::join!(
            api.get_text("ready", &[], first),
            api.get::<Build>("loki/api/v1/status/buildinfo", &[], first),
        );
        let date = |date: Option<Timestamp>| date.map(Clock::told);
        let told = build.as_ref().ok().and_then(|answer| date(answer.date));
        let told = told.or_else(|| ready.as_ref().ok().and_then(|answer| date(answer.date)));
        // Where lines are looked for may go by our clock, how old they are may not.
        let ours = Clock::told(ctx.now());
        let asked = self.config.apps.iter().map(|(name, query)| async {
            let newest = self.newest(&api, query, (told, ours), ctx.deadline()).await;
            (name.clone(), newest)
        });
        let answers = join_all(asked).await;
        let ready = is_ready(ready);
        if ready.value().is_none()
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
            ready,
            version: version(build),
            apps,
            max_age_seconds: self.config.max_age.0.as_secs_f64(),
        })
    }
}

#[derive(Deserialize)]
struct Build {
    version: String,
}

#[derive(Deserialize)]
struct Queried {
    status: String,
    data: Data,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    /// The time of a line in nanoseconds, the line, and perhaps its metadata.
    values: Vec<First<Box<str>>>,
}

impl Loki {
    /// The newest line up to this moment of Loki's clock.
    async fn newest(
        &self,
        api: &Api,
        query: &str,
        (told, ours): (Option<Clock>, Clock),
        deadline: Instant,
    ) -> Result<App, ApiError> {
        // The header that tells the time cuts the second off.
        let end = later(told.unwrap_or(ours).now(), SignedDuration::from_secs(1));
        let lookback = SignedDuration::try_from(self.config.lookback()).unwrap_or_default();
        let start = end.checked_sub(lookback).unwrap_or(Timestamp::UNIX_EPOCH);
        let (start, end) = (
            start.as_nanosecond().to_string(),
            end.as_nanosecond().to_string(),
        );
        let params = [
            ("query", query),
            ("limit", "1"),
            ("direction", "backward"),
            ("start", &*start),
            ("end", &*end),
        ];
        let answer = api
            .get::<Queried>("loki/api/v1/query_range", &params, deadline)
            .await?;
        let now = answer.date.or_else(|| told.map(Clock::now));
        newest_of(&answer.value, now, self.config.lookback().as_secs())
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

fn newest_of(
    queried: &Queried,
    now: Option<Timestamp>,
    lookback_seconds: u64,
) -> Result<App, ApiError> {
    let broken = |what: &str| ApiError::Unparseable(format!("loki/api/v1/query_range: {what}"));
    if queried.status != "success" {
        return Err(broken("its status is not `success`"));
    }
    if queried.data.result_type != "streams" {
        return Err(broken(
            "no lines but numbers: declare a log query, such as '{app=\"api\"}'",
        ));
    }
    // Part of the lines may be missing, and with it the newest.
    if let Some(warning) = queried.warnings.as_ref().and_then(|all| all.first()) {
        return Err(broken(&format!("Loki warns: {}", short(warning, 200))));
    }
    let mut newest: Option<Timestamp> = None;
    for stream in &queried.data.result {
        for First(line) in &stream.values {
            let at = line
                .as_ref()
                .and_then(|text| text.parse::<i128>().ok())
                .and_then(|ns| Timestamp::from_nanosecond(ns).ok())
                .ok_or_else(|| broken("a line without a time"))?;
            newest = newest.max(Some(at));
        }
    }
    Ok(match newest {
        Some(at) => App::newest(at, now),
        None => App::none(&format!("in the last {lookback_seconds} s")),
    })
}

fn version(build: Result<Answer<Build>, ApiError>) -> Observed<String> {
    match build {
        // One that was built by hand does not know its own.
        Ok(answer) if answer.value.version.is_empty() => {
            Observed::unknown(UnknownWhy::Unsupported, "it does not know its version")
        }
        Ok(answer) => Observed::Value(short(&answer.value.version, 100)),
        Err(error) => error.into(),
    }
}

/// A page with 200 is no readiness.
fn is_ready(answer: Result<Answer<String>, ApiError>) -> Observed<bool> {
    match answer {
        Ok(answer) if answer.value.trim() == "ready" => Observed::Value(true),
        Ok(_) => Observed::unknown(
            UnknownWhy::Unparseable,
            "ready: not what a Loki says when it is ready",
        ),
        Err(ApiError::Status(refusal)) if refusal.status == 503 => Observed::Value(false),
        Err(error) => error.into(),
    }
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
        let problems = |toml: &str| match Loki::new(toml::from_str(toml).unwrap()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.param).collect(),
        };
        let with = |more: &str| problems(&format!("url = 'http://127.0.0.1:3100'\n{more}"));
        assert_eq!(with("max_age = '5m'\napps = { a = '{a=\"b\"}' }"), [""; 0]);
        assert_eq!(with("max_age = '5m'\napps = {}"), ["apps"]);
        assert_eq!(with("max_age = '5m'\napps = { a = ' ' }"), ["apps.a"]);
        assert_eq!(
            with("max_age = '5m'\napps = { a = 'x' }\nlookback = '1m'"),
            ["lookback"]
        );
        assert_eq!(
            with("max_age = '5m'\napps = { a = 'x' }\ntenant = \"a\\nb\""),
            ["tenant"]
        );
    }
}
