//! `document`: which document stands at a URL.

mod config;
mod facts;

use sha2::{Digest, Sha256};

use self::config::Config;
use self::facts::Facts;
use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity};
use crate::evidence::Failure;
use crate::net::api::{DESCRIPTORS, Endpoint};

/// The kind.
pub struct Document {
    config: Config,
    endpoint: Endpoint,
}

impl ProbeKind for Document {
    const INFO: KindInfo = KindInfo {
        name: "document",
        summary: "the SHA-256 of a document: whether it is still the one that somebody read",
        privileges: "GET on the URL",
        effect: Effect::Read,
        side_effects: "the document is fetched whole at every run; of its content only the hash and the size are kept",
        example: "url = \"https://docs.example.com/report.pdf\"\n\
                  rules.unchanged = \"sha256 == '315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3'\"\n",
        init: &[],
    };
    const RULES: &'static [RuleSpec<Config>] = &[RuleSpec {
        name: "not-empty",
        expr: "size_bytes > 0",
        applies: None,
        severity: Severity::Must,
        why: "an empty document says nothing",
        source: "definition",
        when: None,
    }];
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
        let answer = api.get_document(ctx.deadline()).await?;
        let document = answer.value;
        let size_bytes = document.len() as u64;
        // Hashing what is large takes its time, in which other probes get to run.
        let hash = tokio::task::spawn_blocking(move || Sha256::digest(document)).await;
        let hash = hash.map_err(|error| Failure::probe(error.to_string()))?;
        Ok(Facts {
            sha256: format!("{hash:x}"),
            size_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use crate::evidence::FactSchema;

    #[test]
    fn facts_have_types() {
        FactSchema::of::<Facts>().expect("facts that rules can name");
    }
}
