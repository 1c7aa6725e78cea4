//! The budget of an attempt: bytes and values of all answers that are in flight together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::error::ApiError;

/// The cap on decompressed bytes in flight unless `max_body_bytes` says otherwise: 32 MiB.
pub const DEFAULT_MAX_BODY_BYTES: u64 = 32 << 20;
/// The largest `max_body_bytes`: 64 MiB.
pub const MAX_MAX_BODY_BYTES: u64 = 64 << 20;
/// One value of JSON is allowed for so many bytes of the cap, or of the default where that is less. Answers of real servers have one for every twenty
/// or more; an answer of nothing but `[]` would cost two hundred times its size.
pub const BYTES_PER_VALUE: u64 = 16;

/// Shared by all requests of an attempt.
pub(super) struct Budget {
    cap: u64,
    most_values: u64,
    bytes: AtomicU64,
    values: AtomicU64,
    /// Set by the first answer that goes past the cap: it ends the others, and those still to come.
    breached: CancellationToken,
}

impl Budget {
    pub fn new(cap: u64) -> Arc<Self> {
        let most_values = (cap.min(DEFAULT_MAX_BODY_BYTES) / BYTES_PER_VALUE).max(1);
        Arc::new(Self {
            cap,
            most_values,
            bytes: AtomicU64::new(cap),
            values: AtomicU64::new(most_values),
            breached: CancellationToken::new(),
        })
    }

    /// Ends when some answer has gone past the cap.
    pub async fn breached(&self) -> ApiError {
        self.breached.cancelled().await;
        ApiError::TooLarge(format!(
            "answers in flight were larger than max_body_bytes ({}) together, and what is read after that is not trusted",
            self.cap
        ))
    }

    /// Nothing taken yet.
    pub fn lease(self: &Arc<Self>) -> Lease {
        Lease {
            budget: Arc::clone(self),
            bytes: 0,
            values: 0,
        }
    }
}

/// What one answer holds of the budget; given back when dropped.
pub(super) struct Lease {
    budget: Arc<Budget>,
    bytes: u64,
    values: u64,
}

impl Lease {
    /// Takes as many bytes, or breaches the budget.
    pub fn take_bytes(&mut self, path: &str, count: usize) -> Result<(), ApiError> {
        let count = count as u64;
        if !take(&self.budget.bytes, count) {
            let cap = self.budget.cap;
            return Err(self.breach(format!(
                "{path}: larger than max_body_bytes ({cap}, decompressed, shared by the requests in flight): raise it to read more"
            )));
        }
        self.bytes += count;
        Ok(())
    }

    /// Takes room for the values in `json`, or breaches the budget.
    pub fn take_values(&mut self, path: &str, json: &[u8]) -> Result<(), ApiError> {
        let count = values_in(json);
        if !take(&self.budget.values, count) {
            let most = self.budget.most_values;
            return Err(self.breach(format!(
                "{path}: more than {most} JSON values (one for every {BYTES_PER_VALUE} bytes of max_body_bytes, shared by the requests in flight)"
            )));
        }
        self.values += count;
        Ok(())
    }

    fn breach(&self, detail: String) -> ApiError {
        self.budget.breached.cancel();
        ApiError::TooLarge(detail)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.bytes.fetch_add(self.bytes, Ordering::AcqRel);
        self.budget.values.fetch_add(self.values, Ordering::AcqRel);
    }
}

fn take(left: &AtomicU64, count: u64) -> bool {
    left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
        left.checked_sub(count)
    })
    .is_ok()
}

/// How many values JSON has at most: what opens and separates them, outside strings.
pub(super) fn values_in(json: &[u8]) -> u64 {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b',' | b':' | b'[' | b'{' => count += 1,
                _ => {}
            }
        }
    }
    count
}
