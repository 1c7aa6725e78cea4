//! Negative controls: clients that must be turned away, while the probe's own is served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kafka;
use crate::evidence::{Observed, UnknownWhy};
use crate::probes::Context;

/// What is expected of a client that may not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It is turned away.
    Refused,
}

/// What clients without a right met.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlFacts {
    /// Whether a client without credentials was served.
    pub anonymous_served: Observed<bool>,
    /// Whether a client with a wrong password was served.
    pub wrong_password_served: Observed<bool>,
}

/// Tries what was declared.
pub(super) async fn read(_ctx: &Context, _kafka: &Kafka) -> ControlFacts {
    ControlFacts {
        anonymous_served: Observed::unknown(UnknownWhy::NotApplicable, "not declared"),
        wrong_password_served: Observed::unknown(UnknownWhy::NotApplicable, "not declared"),
    }
}
