//! Checks of the parameters, before anything is connected to.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::canary::trip;
use super::client::{Claims, Settings};
use super::config::{Config, GroupParams, Setting, TopicParams};
use super::controls;
use super::registry::{Registry, tail};
use super::wire::Access;
use crate::evidence::Unknown;
use crate::probes::ParamError;

/// How long a canary may take where it is only tried whether the settings fit.
const TRIED: Duration = Duration::from_secs(5);

/// Settings that a probe decides by itself, and the parameter to write instead, if there is one.
const OWN: &[(&str, &str)] = &[
    ("bootstrap.servers", "write them as `brokers`"),
    ("metadata.broker.list", "write them as `brokers`"),
    (
        "allow.auto.create.topics",
        "a probe never makes a topic by asking for it",
    ),
    ("group.id", "a probe joins no group of others"),
    ("group.instance.id", "a probe joins no group of others"),
    ("enable.auto.commit", "a probe commits nothing"),
    ("log.queue", "the probe decides where logs go"),
    ("log_level", "use `--verbose`"),
    ("plugin.library.paths", "a probe loads no code"),
    ("ssl.engine.location", "a probe loads no code"),
    ("ssl.engine.id", "a probe loads no code"),
    ("ssl.providers", "a probe loads no code"),
    ("sasl.kerberos.kinit.cmd", "a probe runs no program"),
    (
        "test.mock.num.brokers",
        "brokers that the client makes up prove nothing",
    ),
    (
        "test.mock.broker.rtt",
        "brokers that the client makes up prove nothing",
    ),
    ("transactional.id", "a probe begins no transaction"),
    (
        "enable.idempotence",
        "a probe writes no more than its canary",
    ),
    ("opaque", "it has no text form"),
    ("default_topic_conf", "it has no text form"),
];

/// Settings that the parameter `security` decides.
const SECURITY: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
];

/// The features that the linked librdkafka has.
pub(super) fn features() -> String {
    let config = ClientConfig::new();
    config
        .create_native_config()
        .and_then(|native| native.get("builtin.features"))
        .unwrap_or_default()
}

/// What is made of parameters that make sense.
pub(super) struct Checked {
    /// What clients are told.
    pub(super) settings: Settings,
    /// The schema registry, where there is one.
    pub(super) registry: Option<Registry>,
    /// How connections of our own are opened, or why they cannot be.
    pub(super) access: Result<Access, Unknown>,
}

/// Checks all of it.
pub(super) fn check(config: &Config) -> Result<Checked, Vec<ParamError>> {
    let mut errors = Vec::new();
    check_brokers(&config.brokers, &mut errors);
    check_topics(&config.topics, &mut errors);
    check_groups(&config.groups, &mut errors);
    let mut settings = user_settings(config, &mut errors);
    if let Some(security) = &config.security {
        let declared = security.settings(&features(), &mut errors);
        for (key, value) in declared {
            settings.push((key.to_owned(), value));
        }
    }
    let token = config
        .security
        .as_ref()
        .and_then(|security| security.token.clone());
    if let Some(token) = &token
        && let Err(message) = Claims::of(token.expose())
    {
        errors.push(ParamError::new("security.token", message));
    }
    let registry = config.schema_registry.as_ref().and_then(|params| {
        let topics = config.topics.iter().map(|topic| topic.name.as_str());
        Registry::new(params, topics, &mut errors)
    });
    controls::check(config, &mut errors);
    if config.observe_for.is_some() && config.groups.is_empty() {
        let message = "watches groups, and none is declared: add `groups`, or leave it out";
        errors.push(ParamError::new("observe_for", message));
    }
    let settings = Settings::new(&config.brokers, &settings, token);
    if errors.is_empty() && !config.librdkafka.is_empty() {
        check_together(config, &settings, registry.as_ref(), &mut errors);
    }
    if errors.is_empty() {
        Ok(Checked {
            settings,
            registry,
            access: Access::of(config),
        })
    } else {
        Err(errors)
    }
}

fn check_brokers(brokers: &[String], errors: &mut Vec<ParamError>) {
    if brokers.is_empty() {
        let message = "is empty: write one broker at least, such as [\"127.0.0.1:9092\"]";
        errors.push(ParamError::new("brokers", message));
    }
    for (index, broker) in brokers.iter().enumerate() {
        let problem = if broker.contains("://") {
            Some("has a scheme: write `host:port`, and the protocol in `security`")
        } else if broker.contains([',', ' ', '/']) {
            Some("is not one broker: write each `host:port` as an entry of its own")
        } else {
            match broker.rsplit_once(':') {
                Some((host, port))
                    if !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0) =>
                {
                    None
                }
                _ => Some("is not `host:port`"),
            }
        };
        if let Some(problem) = problem {
            let message = format!("`{broker}` {problem}");
            errors.push(ParamError::new(format!("brokers.{index}"), message));
        }
    }
}

/// What Kafka takes as the name of a topic.
fn is_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 249
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

const TOPIC_NAME: &str =
    "is not the name of a topic: it has 1 to 249 letters, digits, `.`, `_` and `-`";

fn check_topics(topics: &[TopicParams], errors: &mut Vec<ParamError>) {
    let mut known = BTreeSet::new();
    for (index, topic) in topics.iter().enumerate() {
        let param = format!("topics.{index}.name");
        if !is_topic_name(&topic.name) {
            let message = format!("`{}` {TOPIC_NAME}", topic.name);
            errors.push(ParamError::new(param, message));
        } else if !known.insert(&topic.name) {
            let message = format!("`{}` is declared twice", topic.name);
            errors.push(ParamError::new(param, message));
        }
        if let (Some(factor), Some(minimum)) = (topic.replication_factor, topic.min_insync_replicas)
            && minimum > factor
        {
            let message = format!(
                "is {minimum}, with a replication factor of {factor}: no write would ever be \
                 taken; write {factor} at most"
            );
            let param = format!("topics.{index}.min_insync_replicas");
            errors.push(ParamError::new(param, message));
        }
    }
}

fn check_groups(groups: &[GroupParams], errors: &mut Vec<ParamError>) {
    let mut known = BTreeSet::new();
    for (index, group) in groups.iter().enumerate() {
        let param = format!("groups.{index}.name");
        if group.name.is_empty() || group.name.contains('\0') {
            let message = "is empty: write the `group.id` of the consumers";
            errors.push(ParamError::new(param, message));
        } else if i16::try_from(group.name.len()).is_err() {
            let message = format!(
                "is longer than {} bytes, which no group's name is",
                i16::MAX
            );
            errors.push(ParamError::new(param, message));
        } else if !known.insert(&group.name) {
            let message = format!("`{}` is declared twice", group.name);
            errors.push(ParamError::new(param, message));
        }
        let mut topics = BTreeSet::new();
        for (place, topic) in group.topics.iter().enumerate() {
            let param = format!("groups.{index}.topics.{place}");
            if !is_topic_name(topic) {
                let message = format!("`{topic}` {TOPIC_NAME}");
                errors.push(ParamError::new(param, message));
            } else if !topics.insert(topic) {
                errors.push(ParamError::new(
                    param,
                    format!("`{topic}` is declared twice"),
                ));
            }
        }
        if group.topics.is_empty() {
            errors.push(ParamError::new(
                format!("groups.{index}.topics"),
                "is empty: write the topics that the group must consume",
            ));
        }
    }
}

fn user_settings(config: &Config, errors: &mut Vec<ParamError>) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (key, value) in &config.librdkafka {
        match check_setting(key, value, config.security.is_some()) {
            Ok(value) => settings.push((key.clone(), value)),
            Err(message) => errors.push(ParamError::new(format!("librdkafka.{key}"), message)),
        }
    }
    settings
}

/// Settings that are sound one by one may contradict each other, or what a client of a probe is told
/// beside them: each client is made once, without brokers to connect to.
fn check_together(
    config: &Config,
    settings: &Settings,
    registry: Option<&Registry>,
    errors: &mut Vec<ParamError>,
) {
    let mut made = vec![settings.try_producer()];
    if registry.is_some_and(|registry| registry.clients() > 0) {
        made.push(tail::settings(settings).try_consumer());
    }
    if config.allow_writes {
        made.push(trip::producing(settings, TRIED).try_producer());
        made.push(trip::fetching(settings).try_consumer());
    }
    if let Some(message) = made.into_iter().find_map(Result::err) {
        let message = format!("librdkafka does not take them together: {message}");
        errors.push(ParamError::new("librdkafka", message));
    }
}

fn check_setting(key: &str, value: &Setting, security: bool) -> Result<String, String> {
    if let Some((_, why)) = OWN.iter().find(|(own, _)| *own == key) {
        return Err(format!("cannot be set: {why}"));
    }
    if key == "_cb" || key.ends_with("_cb") {
        return Err("cannot be set: it has no text form".to_owned());
    }
    if security && SECURITY.contains(&key) {
        return Err("is set by `security`: write it there".to_owned());
    }
    let text = value.text();
    let mut one = ClientConfig::new();
    one.set(key, text.clone());
    match one.create_native_config() {
        Ok(_) => Ok(text),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err("is not a setting of librdkafka: its CONFIGURATION.md lists them".to_owned())
        }
        Err(KafkaError::ClientConfig(_, description, ..)) => {
            // The description may repeat the value, which may be a secret.
            Err(format!(
                "librdkafka does not take it: {}",
                description.replace(&text, "…")
            ))
        }
        Err(error) => Err(format!("librdkafka does not take it: {error}")),
    }
}
