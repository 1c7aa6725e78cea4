//! The schema registry: subjects, their effective compatibility, and whether records decode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kafka;
use crate::params::UrlText;
use crate::probes::{Context, ParamError};

/// A schema registry with Confluent's REST interface.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RegistryParams {
    /// Its base URL.
    pub(super) url: UrlText,
    /// Subjects that must exist.
    #[serde(default)]
    pub(super) subjects: Vec<String>,
}

/// What the schema registry told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegistryFacts {}

/// Checks the parameters.
pub(super) fn check(_params: &RegistryParams, _errors: &mut Vec<ParamError>) {}

/// Asks the registry.
pub(super) async fn read(_ctx: &Context, _kafka: &Kafka) -> RegistryFacts {
    RegistryFacts {}
}
