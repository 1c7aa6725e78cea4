//! `tcp`: is a port open, refused or filtered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity};
use crate::evidence::Failure;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The host: a name or an address.
    host: String,
    /// The port.
    port: u16,
}

/// Facts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// What a connection attempt met.
    state: String,
}

/// The kind.
pub struct Tcp {
    config: Config,
}

impl ProbeKind for Tcp {
    const INFO: KindInfo = KindInfo {
        name: "tcp",
        summary: "whether a port is open, refused or filtered",
        privileges: "none",
        effect: Effect::Read,
        side_effects: "opens and closes a connection",
        example: "host = \"127.0.0.1\"\nport = 22\n",
        init: &[],
    };
    const RULES: &'static [RuleSpec<Config>] = &[RuleSpec {
        name: "state",
        expr: "state == \"open\"",
        applies: None,
        severity: Severity::Must,
        why: "something must listen here",
        source: "definition",
        when: None,
    }];
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        Ok(Self { config })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let addresses = ctx.net().resolve(&self.config.host, ctx.deadline()).await?;
        let address = std::net::SocketAddr::new(addresses[0], self.config.port);
        ctx.address(address);
        ctx.net().connect(address, ctx.share(1)).await?;
        Ok(Facts {
            state: "open".to_owned(),
        })
    }
}
