//! `prometheus`: is the monitoring itself alive, and PromQL as evidence for anything else.

mod config;
mod evaluation;
mod facts;
mod kept;
mod notifications;
mod observe;
mod own_metrics;
mod queries;
mod retention;
mod rules;
mod selectors;
mod series;
mod targets;
mod wire;

pub use self::config::Config;
pub use self::facts::Facts;
use super::{Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec, TargetParams};
use crate::evidence::Failure;
use crate::net::api::{self, Endpoint};

/// The kind.
pub struct Prometheus {
    config: Config,
    endpoint: Endpoint,
}

impl ProbeKind for Prometheus {
    const INFO: KindInfo = KindInfo {
        name: "prometheus",
        summary: "rules, what they select, targets, reload, retention, notifications and queries of a Prometheus server",
        privileges: "read access to the HTTP API and to `/metrics`; never an admin or lifecycle endpoint",
        effect: Effect::Read,
        side_effects: "about ten GET requests, one query for every fifty selectors of its rules and one for each \
                       declared query, eight at a time; one request to each Alertmanager that it lists",
        example: "url = \"http://127.0.0.1:9090\"\njobs = [\"node\"]\nmin_rules = 1\n",
        init: &[InitHint {
            variable: "PROMETHEUS_URL",
            toml: "url = \"${env:{variable}}\"\n",
        }],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "http",
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
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
        // The Alertmanagers are asked beside it.
        api::DESCRIPTORS + notifications::DESCRIPTORS
    }

    fn secrets(&self) -> Vec<String> {
        self.endpoint.secrets().to_vec()
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        // Boxed: most of it is room for requests that run at the same time.
        Box::pin(observe::observe(ctx, &self.config, &self.endpoint)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FactSchema;

    #[test]
    fn facts_have_types_that_rules_can_be_checked_against() {
        FactSchema::of::<Facts>().unwrap();
    }
}
