//! Signed statements of a verdict: an in-toto statement in a DSSE envelope, made and verified.
//!
//! What is verified is believed in this order: the signature over the bytes, then the bytes. Nothing of a payload is
//! decoded before one of its signatures holds.

mod dsse;
mod json;
mod key;
mod statement;
mod subject;
mod verify;

pub use dsse::{BadEnvelope, Envelope, PAYLOAD_TYPE};
pub use key::{BadKey, SigningKey, VerifyingKey};
pub use statement::{PREDICATE_TYPE, STATEMENT_TYPE, Statement, TestResult, VerdictNote};
pub use subject::{BadSubject, Subject};
pub use verify::{Check, MAX_AHEAD, Wanted, verify};

use crate::verdict::Verdict;

/// The statement of a verdict about these subjects, signed.
///
/// # Errors
/// Where the TLS library cannot sign.
pub fn sign(verdict: &Verdict, subjects: &[Subject], key: &SigningKey) -> std::io::Result<String> {
    let statement = Statement::of(verdict, subjects)?;
    let payload = serde_json::to_vec(&statement)?;
    let envelope = Envelope::sign(&payload, key)?;
    let mut text = serde_json::to_string(&envelope)?;
    text.push('\n');
    Ok(text)
}
