//! `kafka`: a cluster's brokers, topics, consumer groups and their lag, its schema registry and
//! who is let in.

mod canary;
mod check;
mod client;
mod config;
mod controls;
mod facts;
mod native;
mod pool;
mod registry;
mod rules;
mod security;

#[cfg(test)]
mod tests;

pub use self::config::Config;
pub use self::facts::Facts;

use self::client::Settings;
use self::registry::Registry;
use super::{Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::Roots;

/// Descriptors of one client beside its connections, and connections to one broker.
const DESCRIPTORS_PER_CLIENT: usize = 8;
const DESCRIPTORS_PER_BROKER: usize = 6;

/// The kind.
pub struct Kafka {
    config: Config,
    /// What the probe's own clients are told.
    settings: Settings,
    registry: Option<Registry>,
    /// What the brokers' certificates are verified against.
    roots: Roots,
}

impl ProbeKind for Kafka {
    const INFO: KindInfo = KindInfo {
        name: "kafka",
        summary: "brokers, topics, consumer groups and their lag, schema registry, and who is let in",
        privileges: "Describe and DescribeConfigs on all topics, Describe on the declared groups; Describe on the cluster lists all groups; Read on topics whose last record is decoded; Create, DescribeConfigs, Read and Write on the canary's topic",
        effect: Effect::Write,
        side_effects: "opens connections to every broker; joins no group and commits nothing; writes a canary to a topic of its own where `allow_writes` is set",
        example: "brokers = [\"127.0.0.1:9092\"]\nexpect_brokers = 3\n",
        init: &[InitHint {
            variable: "KAFKA_BOOTSTRAP_SERVERS",
            toml: "brokers = [\"${env:{variable}}\"]\n",
        }],
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let checked = check::check(&config)?;
        Ok(Self {
            config,
            settings: checked.settings,
            registry: checked.registry,
            roots: checked.roots,
        })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        self.config.brokers.join(",")
    }

    fn secrets(&self) -> Vec<String> {
        let registry = self.registry.as_ref().map(Registry::secrets);
        registry.unwrap_or_default().to_vec()
    }

    fn descriptors(&self) -> usize {
        let registry = match self.registry {
            Some(_) => crate::net::api::DESCRIPTORS,
            None => 0,
        };
        registry + DESCRIPTORS_PER_CLIENT + DESCRIPTORS_PER_BROKER * self.config.brokers.len()
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let controls = controls::read(ctx, self).await;
        let schema_registry = registry::read(ctx, self).await;
        let canary = canary::read(ctx, self).await;
        drop((controls, schema_registry, canary, &self.settings));
        Err(Failure::probe("not reached"))
    }
}
