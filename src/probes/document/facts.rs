//! What is known of a document.

use schemars::JsonSchema;
use serde::Serialize;

/// Facts of a `document` probe.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// SHA-256 over the bytes of the document, hexadecimal in lower case, as `sha256sum` prints it.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}
