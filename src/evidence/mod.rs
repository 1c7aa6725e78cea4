//! What one run of a probe saw: facts that may be unknown, the envelope around them, and the
//! redaction that keeps secrets out of both.

mod envelope;
mod fact_type;
mod failure;
mod observed;
mod redact;

pub use envelope::{Envelope, Outcome, Phase, Trail, Try, millis};
pub use fact_type::{Fact, FactSchema, FactType, SchemaError};
pub use failure::Failure;
pub use observed::{Observed, Unknown, UnknownWhy};
pub use redact::{REDACTED, Redactor, RedactorBuilder};
