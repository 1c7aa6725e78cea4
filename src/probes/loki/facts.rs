//! What a `loki` probe observes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;
use crate::probes::newest_line::App;

/// What one `loki` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Whether Loki says that it is ready. That does not mean that lines arrive.
    pub ready: Observed<bool>,
    /// Its version.
    pub version: Observed<String>,
    /// The newest line of each application, by its name.
    pub apps: BTreeMap<String, App>,
    /// How old the newest line may be, in seconds, as declared.
    pub max_age_seconds: f64,
}
