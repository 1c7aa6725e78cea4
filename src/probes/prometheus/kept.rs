//! How much of what a server sends is kept as facts.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::evidence::{Observed, UnknownWhy};

/// Facts are copied on their way to a report, so what is kept of answers is far less than what is read.
const MAX_KEPT_BYTES: usize = 8 << 20;
/// What an element costs beside its text.
const ELEMENT_BYTES: usize = 256;

/// Shared by all facts of an attempt.
pub(super) struct Kept(AtomicUsize);

impl Kept {
    pub fn new() -> Self {
        Self(AtomicUsize::new(MAX_KEPT_BYTES))
    }

    /// Whether there is room for one more element with so much text.
    fn takes(&self, text_bytes: usize) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(ELEMENT_BYTES + text_bytes)
            })
            .is_ok()
    }

    /// All of `items`, or unknown where they are more than `most` or there is no room; never a prefix.
    pub fn list<I, T>(
        &self,
        what: &str,
        most: usize,
        items: I,
        text_bytes: impl Fn(&T) -> usize,
    ) -> Observed<Vec<T>>
    where
        I: IntoIterator<Item = T>,
    {
        let mut list = Vec::new();
        for item in items {
            if list.len() == most {
                let detail = format!("more than {most} {what}");
                return Observed::unknown(UnknownWhy::TooLarge, detail);
            }
            if !self.takes(text_bytes(&item)) {
                let detail =
                    format!("the {what} and other facts are larger than {MAX_KEPT_BYTES} bytes");
                return Observed::unknown(UnknownWhy::TooLarge, detail);
            }
            list.push(item);
        }
        Observed::Value(list)
    }

    /// A text, or unknown where there is no room.
    pub fn text(&self, what: &str, text: String) -> Observed<String> {
        self.list(what, 1, [text], String::len)
            .map(|mut list| list.pop().unwrap_or_default())
    }
}
