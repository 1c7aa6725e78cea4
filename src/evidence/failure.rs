//! Why an attempt observed nothing: the target is broken, it refused us, or we could not look.

use super::Outcome;

/// An attempt that observed nothing. The constructor names the side that is to blame; the two
/// are never mixed, because a broken target fails its must rules and a blind probe is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    outcome: Outcome,
    detail: String,
}

impl Failure {
    /// The target is broken: it refused, reset, spoke nonsense, or accepted and stayed silent.
    pub fn target(detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::TargetError,
            detail: detail.into(),
        }
    }

    /// The target works and refused us: a login or a grant is missing.
    pub fn denied(detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Denied,
            detail: detail.into(),
        }
    }

    /// We could not look: our own DNS, file descriptors, routes, CPU or a defect of ours.
    pub fn probe(detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::ProbeError,
            detail: detail.into(),
        }
    }

    /// Which side is to blame; never [`Outcome::Observed`].
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What happened, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Puts the step that failed in front: `connect 127.0.0.1:1: connection refused`.
    #[must_use]
    pub fn during(mut self, step: &str) -> Self {
        self.detail = format!("{step}: {}", self.detail);
        self
    }
}
