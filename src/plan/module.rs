//! `[[module]]`: a probe without a target, for whoever names one.

use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Plan, PlannedProbe, ServerSettings, SourceRef, Targets};
use crate::evidence::RedactorBuilder;
use crate::judge::Rule;
use crate::probes::Template;

/// A kind with its parameters and rules; the target comes with each request.
pub struct Module {
    /// Its id.
    pub id: String,
    /// The kind and its parameters.
    pub template: Template,
    /// Bounds one attempt.
    pub timeout: Duration,
    /// Built-in rules first, then one's own.
    pub rules: Vec<Rule>,
    /// Where it was configured.
    pub source: SourceRef,
}

impl Plan {
    /// The plan of one run of a module against a target. It keeps the secrets of this plan.
    ///
    /// # Errors
    /// Why the target cannot be one.
    pub fn of_module(
        &self,
        module: &Module,
        target: &str,
        timeout: Duration,
    ) -> Result<Self, String> {
        let probe = module.template.probe(target)?;
        let mut redactor = RedactorBuilder::default();
        probe
            .secrets()
            .iter()
            .for_each(|secret| redactor.add(secret));
        let shown = redactor
            .build()
            .string(self.redactor.string(probe.target()));
        Ok(Self {
            agent: Agent::default(),
            probes: vec![PlannedProbe {
                id: module.id.clone(),
                kind: module.template.kind().info.name,
                probe,
                target: shown,
                params_digest: String::new(),
                question: [0; 32],
                interval: timeout,
                soft: None,
                timeout,
                retries: 0,
                retry_on_fail: false,
                tags: Vec::new(),
                depends_on: Vec::new(),
                rules: module.rules.clone(),
                source: module.source.clone(),
            }],
            items: Vec::new(),
            gates: Vec::new(),
            risks: Vec::new(),
            maintenance: Vec::new(),
            targets: Targets::default(),
            modules: Vec::new(),
            server: ServerSettings::default(),
            history: None,
            redactor: Arc::clone(&self.redactor),
            config_digest: self.config_digest.clone(),
        })
    }
}
