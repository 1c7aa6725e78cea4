//! The canary: a record to every partition of a topic of the probe's own, and back.

use schemars::JsonSchema;
use serde::Serialize;

use super::Kafka;
use crate::probes::Context;

/// What became of the canary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CanaryFacts {}

/// Writes and reads it, where that is allowed.
pub(super) async fn read(_ctx: &Context, _kafka: &Kafka) -> CanaryFacts {
    CanaryFacts {}
}
