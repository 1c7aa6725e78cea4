//! Negative controls: clients that must be turned away, while the probe's own is served.

mod login;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::Settings;
use super::config::Config;
use super::{Kafka, pool, wire};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::params::Secret;
use crate::probes::{Condition, Context, ParamError, RuleSpec, Severity};

/// What is expected of a client that may not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It is turned away.
    Refused,
}

/// A login that works and has no right to anything that is declared.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Outsider {
    /// The user name.
    pub(super) username: String,
    /// The password.
    pub(super) password: Secret,
}

/// What clients without a right met.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlFacts {
    /// Whether a client without credentials was served by any of the probe's `brokers`.
    pub anonymous_served: Observed<bool>,
    /// Whether a client with the probe's user name and a wrong password was served.
    pub wrong_password_served: Observed<bool>,
    /// The declared topics that the login `unauthorised` may see.
    pub unauthorised_topics: Observed<Vec<String>>,
}

/// One of them is wrong.
const WRONG: [&str; 2] = [
    "a-wrong-password-of-probe",
    "another-wrong-password-of-probe",
];

/// A client without credentials is turned away.
pub(super) const ANONYMOUS: RuleSpec<Config> = RuleSpec {
    name: "anonymous-refused",
    expr: "!anonymous_served && served",
    applies: None,
    severity: Severity::Must,
    why: "whoever reaches the port must not get at the data; that the probe's own login is served shows that the refusal is one",
    source: "Apache Kafka documentation: Security, Authentication using SASL",
    when: Some(Condition {
        text: "`anonymous = \"refused\"` is declared",
        holds: |config| config.anonymous.is_some(),
    }),
};

/// A wrong password is turned away.
pub(super) const WRONG_PASSWORD: RuleSpec<Config> = RuleSpec {
    name: "wrong-password-refused",
    expr: "!wrong_password_served && served",
    applies: None,
    severity: Severity::Must,
    why: "a login that takes any password is none",
    source: "Apache Kafka documentation: Security, Authentication using SASL",
    when: Some(Condition {
        text: "`wrong_password = \"refused\"` is declared",
        holds: |config| config.wrong_password.is_some(),
    }),
};

/// A login without grants sees nothing.
pub(super) const UNAUTHORISED: RuleSpec<Config> = RuleSpec {
    name: "unauthorised-refused",
    expr: "unauthorised_topics == [] && served",
    applies: None,
    severity: Severity::Must,
    why: "a login without grants must not see the topics: without an authorizer every user may do everything",
    source: "Apache Kafka documentation: Security, Authorization and ACLs",
    when: Some(Condition {
        text: "`unauthorised` is declared",
        holds: |config| config.unauthorised.is_some(),
    }),
};

/// Checks what the controls need.
pub(super) fn check(config: &Config, errors: &mut Vec<ParamError>) {
    let security = config.security.as_ref();
    let password = security.is_some_and(|security| security.password.is_some());
    if config.wrong_password.is_some() && !password {
        let message = "needs a login with a password: write `username` and `password` in `security`, or leave it out";
        errors.push(ParamError::new("wrong_password", message));
    }
    if config.unauthorised.is_some() {
        if !password {
            let message = "needs a login with a password: write `mechanism`, `username` and `password` in `security`, or leave it out";
            errors.push(ParamError::new("unauthorised", message));
        }
        if config.topics.is_empty() {
            let message = "is tried on the declared topics, and there are none: add `topics`, or leave it out";
            errors.push(ParamError::new("unauthorised", message));
        }
    }
}

/// The clients that are tried; one without credentials is a connection to each broker.
pub(super) fn clients(config: &Config) -> usize {
    let tried = [
        config.anonymous.is_some(),
        config.wrong_password.is_some(),
        config.unauthorised.is_some(),
    ];
    tried.into_iter().filter(|it| *it).count()
}

/// Tries what was declared. It ends before the attempt does.
pub(super) async fn read(ctx: &Context, kafka: &Kafka, settings: &Settings) -> ControlFacts {
    let end = Instant::now() + ctx.remaining().mul_f64(0.9);
    let (anonymous_served, wrong_password_served, unauthorised_topics) = tokio::join!(
        anonymous(ctx, kafka, end),
        wrong_password(ctx, kafka, end),
        unauthorised(kafka, settings, end)
    );
    ControlFacts {
        anonymous_served,
        wrong_password_served,
        unauthorised_topics,
    }
}

async fn anonymous(ctx: &Context, kafka: &Kafka, end: Instant) -> Observed<bool> {
    let config = &kafka.config;
    if config.anonymous.is_none() {
        return undeclared("anonymous");
    }
    match &kafka.access {
        Ok(access) => wire::anonymous(ctx.net(), access, &config.brokers, end).await,
        Err(unknown) => unknown.clone().into(),
    }
}

async fn wrong_password(ctx: &Context, kafka: &Kafka, end: Instant) -> Observed<bool> {
    let security = kafka.config.security.as_ref();
    let (Some(_), Some(password)) = (
        kafka.config.wrong_password,
        security.and_then(|security| security.password.as_ref()),
    ) else {
        return undeclared("wrong_password");
    };
    let wrong = if password.expose() == WRONG[0] {
        WRONG[1]
    } else {
        WRONG[0]
    };
    match &kafka.access {
        Ok(access) => {
            let access = access.with_password(wrong);
            wire::served(ctx.net(), &access, &kafka.config.brokers, end).await
        }
        Err(unknown) => unknown.clone().into(),
    }
}

async fn unauthorised(kafka: &Kafka, settings: &Settings, end: Instant) -> Observed<Vec<String>> {
    let Some(outsider) = &kafka.config.unauthorised else {
        return undeclared("unauthorised");
    };
    let settings = (settings.clone())
        .with("sasl.username", &outsider.username)
        .with("sasl.password", outsider.password.expose());
    let topics = kafka.config.topics.iter();
    let topics: Vec<String> = topics.map(|topic| topic.name.clone()).collect();
    let tried = pool::run(end, move |work| login::visible(&settings, &topics, work)).await;
    tried.unwrap_or_else(|failure| blind(&failure))
}

fn undeclared<T>(param: &str) -> Observed<T> {
    let text = format!("`{param}` is not declared");
    Observed::unknown(UnknownWhy::NotApplicable, text)
}

fn blind<T>(failure: &Failure) -> Observed<T> {
    Observed::unknown(UnknownWhy::NotObserved, failure.detail())
}
