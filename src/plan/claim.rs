//! What a document claims of its rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimStatus {
    /// It is as it should be: ✅.
    Pass,
    /// It is not quite: ⚠️.
    Warn,
    /// It is not, not yet, or nobody can tell: 🔄, ❌, an empty cell.
    Pending,
}

impl ClaimStatus {
    /// The word used in JSON and in print.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Pending => "pending",
        }
    }
}

/// What a row of the checklist claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// What is claimed.
    pub status: ClaimStatus,
    /// The words in which it is.
    pub text: String,
    /// The document.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}
