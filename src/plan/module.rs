//! `[[module]]`: a probe without a target, for whoever names one.

use std::time::Duration;

use super::SourceRef;
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
