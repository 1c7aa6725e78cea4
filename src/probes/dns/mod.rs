//! `dns`: what resolvers and authoritative servers say about a name.
//!
//! The wire format is read by `hickory-proto`; the transports are our own, so that what a server
//! did (stayed silent, answered something else, cut its answer short) is seen and not retried away.

mod answer;
mod authority;
mod caa;
mod combine;
mod config;
mod dnssec;
mod facts;
mod https;
mod name;
mod observe;
mod present;
mod question;
mod rules;
mod samples;
mod server;
mod transport;
mod zone;

pub use config::Config;
pub use facts::Facts;

use serde_json::{Map, Value};

use config::Plan;

use super::{
    Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec, Sample, TargetParams,
};
use crate::evidence::Failure;

/// The kind.
pub struct Dns {
    config: Config,
    plan: Plan,
}

impl ProbeKind for Dns {
    const INFO: KindInfo = KindInfo {
        name: "dns",
        summary: "what resolvers and authoritative servers say about a name",
        privileges: "none",
        effect: Effect::Read,
        side_effects: "queries, which resolvers may cache and log",
        example: "name = \"www.example.com\"\ntype = \"A\"\n",
        init: &[] as &[InitHint],
    };
    const TARGET: TargetParams = TargetParams::Entry { param: "resolvers" };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let plan = Plan::new(&config)?;
        Ok(Self { config, plan })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        let resolvers = if self.config.resolvers.is_empty() {
            "the system's resolvers".to_owned()
        } else {
            self.config.resolvers.join(", ")
        };
        format!("{} {} at {resolvers}", self.plan.kind, self.config.name)
    }

    fn descriptors(&self) -> usize {
        // resolv.conf names three servers at most.
        let resolvers = match self.plan.resolvers.len() {
            0 => 3,
            count => count,
        };
        if self.config.asks_authorities() || self.config.soa {
            resolvers.max(zone::MAX_AT_ONCE)
        } else {
            resolvers
        }
    }

    fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
        samples::samples(facts)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        observe::observe(ctx, &self.config, &self.plan).await
    }
}
