//! `kafka`: a cluster's brokers, topics, consumer groups and their lag, its schema registry and
//! who is let in.

mod assemble;
mod canary;
mod check;
mod client;
mod config;
mod controls;
mod facts;
mod groups;
mod native;
mod pool;
mod progress;
mod registry;
mod rules;
mod security;
mod survey;
mod topics;
mod trouble;
mod window;
mod wire;

#[cfg(test)]
mod tests;

pub use self::config::Config;
pub use self::facts::Facts;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use self::canary::CanaryFacts;
use self::client::Settings;
use self::controls::ControlFacts;
use self::registry::{Registry, RegistryFacts};
use self::survey::{Questions, Survey};
use self::window::History;
use self::wire::{Access, Wire};
use super::{Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};

/// Earlier runs with which the groups' offsets are compared.
const EARLIER_RUNS: usize = 19;
/// Descriptors of one client beside its connections, and connections to one broker.
const DESCRIPTORS_PER_CLIENT: usize = 8;
const DESCRIPTORS_PER_BROKER: usize = 6;

/// How long brokers that do not answer at once are waited for before the others are asked.
const FOR_GREETING: Duration = Duration::from_secs(1);
/// The time that is kept to find out why nobody answers.
const FOR_DIAGNOSIS: Duration = Duration::from_millis(500);

/// The kind.
pub struct Kafka {
    config: Config,
    /// What the probe's own clients are told.
    settings: Settings,
    registry: Option<Registry>,
    /// How connections of our own are opened, or why they cannot be.
    access: Result<Access, Unknown>,
}

impl ProbeKind for Kafka {
    const INFO: KindInfo = KindInfo {
        name: "kafka",
        summary: "brokers, topics, consumer groups and their lag, schema registry, and who is let in",
        privileges: "Describe and DescribeConfigs on all topics, Describe on the declared groups; Describe on the cluster lists all groups; Read on topics whose last record is decoded; Describe, Create, Read and Write on the canary's topic `probe-canary`",
        effect: Effect::Write,
        side_effects: "opens connections to every broker; has the controller check, and not make, a topic; joins no group and commits nothing; writes a canary to a topic of its own where `allow_writes` is set",
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
            access: checked.access,
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
        let (api, readers) = match &self.registry {
            Some(registry) => (crate::net::api::DESCRIPTORS, registry.clients()),
            None => (0, 0),
        };
        let canary = if self.config.allow_writes {
            canary::CLIENTS
        } else {
            0
        };
        let clients = 1 + readers + canary + controls::clients(&self.config);
        let brokers = self.config.brokers.len();
        api + brokers + clients * (DESCRIPTORS_PER_CLIENT + DESCRIPTORS_PER_BROKER * brokers)
    }

    fn extra_time(&self) -> Duration {
        self.config
            .observe_for
            .map_or(Duration::ZERO, |watch| watch.0)
    }

    fn earlier_runs(&self) -> usize {
        if self.config.groups.is_empty() {
            0
        } else {
            EARLIER_RUNS
        }
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let settings = self.greeted(ctx).await?;
        let (survey, controls, schema_registry, canary) = tokio::join!(
            self.survey(ctx, &settings),
            controls::read(ctx, self, &settings),
            registry::read(ctx, self, &settings),
            canary::read(ctx, self, &settings),
        );
        let survey = survey?;
        Ok(self.facts(ctx, &survey, controls, schema_registry, canary))
    }
}

impl Kafka {
    /// What clients are told, without those of the brokers that are none.
    async fn greeted(&self, ctx: &Context) -> Result<Settings, Failure> {
        let Ok(access) = &self.access else {
            return Ok(self.settings.clone());
        };
        let end = Instant::now() + (ctx.remaining() / 4).min(FOR_GREETING);
        let brokers = &self.config.brokers;
        let brokers = wire::no_impostors(ctx.net(), access, brokers, end).await?;
        Ok((self.settings.clone()).with("bootstrap.servers", brokers.join(",")))
    }

    /// Everything that one client asks, on a thread of its own.
    async fn survey(&self, ctx: &Context, settings: &Settings) -> Result<Survey, Failure> {
        for broker in &self.config.brokers {
            if let Ok(address) = broker.parse() {
                ctx.address(address);
            }
        }
        let begun = Instant::now();
        let settings = settings.clone();
        let questions = Questions::of(&self.config);
        let wire = Wire {
            net: ctx.shared_net(),
            access: self.access.clone(),
            runtime: Handle::current(),
        };
        let left = ctx.remaining();
        let end = begun + left.saturating_sub((left / 10).min(FOR_DIAGNOSIS));
        let survey = pool::run(end, move |work| {
            survey::survey(&settings, &wire, &questions, work)
        });
        let survey = match survey.await? {
            Ok(survey) => survey,
            Err(failure) => return Err(self.diagnosed(ctx, failure).await),
        };
        ctx.phase("survey", begun.elapsed());
        Ok(survey)
    }

    /// A client that is hung up on does not know why; whether it is for want of the right login can
    /// be asked.
    async fn diagnosed(&self, ctx: &Context, failure: Failure) -> Failure {
        if failure.outcome() == Outcome::ProbeError {
            return failure;
        }
        let Ok(access) = &self.access else {
            return failure;
        };
        let brokers = &self.config.brokers;
        let found = wire::diagnosis(ctx.net(), access, brokers, ctx.deadline());
        let end = ctx.deadline() - ctx.remaining() / 10;
        let found = timeout_at(end, found).await;
        found.ok().flatten().unwrap_or(failure)
    }

    fn facts(
        &self,
        ctx: &Context,
        survey: &Survey,
        controls: ControlFacts,
        schema_registry: Observed<RegistryFacts>,
        canary: Observed<CanaryFacts>,
    ) -> Facts {
        let history = History::read(ctx.earlier(), ctx.now());
        let partitions = assemble::partitions(survey);
        let brokers = assemble::brokers(survey);
        let cluster = match &survey.cluster {
            Ok(cluster) => Observed::Value(cluster),
            Err(trouble) => trouble::unknown(trouble, "Describe on the cluster").into(),
        };
        let cluster_id = match &cluster {
            Observed::Value(cluster) => Observed::Value(cluster.id.clone()),
            Observed::Unknown(why) => trouble::not_seen(why),
        };
        let config = &self.config;
        Facts {
            cluster_id,
            controller_id: assemble::fresh(
                survey,
                cluster.and_then(|cluster| match cluster.controller {
                    Some(id) => Observed::Value(id),
                    None => Observed::unknown(UnknownWhy::NotObserved, "the brokers know of none"),
                }),
            ),
            controller_answers: assemble::controller_answers(survey),
            quorum_leader_id: unsupported("DescribeQuorum"),
            reassigning_partitions: unsupported("ListPartitionReassignments"),
            log_dirs: unsupported("DescribeLogDirs"),
            served: true,
            broker_count: assemble::broker_count(&brokers),
            brokers,
            expected_brokers: config.expect_brokers.unwrap_or(0),
            topic_count: partitions.topic_count,
            partition_count: partitions.partition_count,
            offline_partitions: partitions.offline,
            under_replicated_partitions: partitions.under_replicated,
            under_min_isr_partitions: partitions.under_min_isr,
            at_min_isr_partitions: partitions.at_min_isr,
            unclean_topics: partitions.unclean_topics,
            leader_skew: partitions.leader_skew,
            topics: config
                .topics
                .iter()
                .map(|topic| topics::topic(survey, topic))
                .collect(),
            groups: config
                .groups
                .iter()
                .map(|group| groups::group(survey, group, &history))
                .collect(),
            listed_groups: assemble::listed_groups(survey),
            controls,
            schema_registry,
            canary,
        }
    }
}

/// A fact that needs a request which the client library does not have.
fn unsupported<T>(request: &str) -> Observed<T> {
    Observed::unknown(
        UnknownWhy::Unsupported,
        format!("librdkafka has no {request} request"),
    )
}
