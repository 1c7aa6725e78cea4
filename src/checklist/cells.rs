//! What is written into cells.

use crate::judge::Status;
use crate::report::Language;
use crate::verdict::{Basis, ItemReport};

/// Stands where there is nothing to say: an empty cell at the end of a row could be taken for none.
pub(super) const NOTHING: &str = "—";

/// Whether a cell holds what this program writes as a derived status.
pub(super) fn is_derived_status(cell: &str) -> bool {
    [Language::Zh, Language::En].into_iter().any(|language| {
        Status::ALL.into_iter().any(|status| {
            cell.strip_prefix(language.status(status))
                .is_some_and(|rest| rest.starts_with(" · "))
        })
    })
}

/// The status as a cell has it.
pub(super) fn status_text(language: Language, item: &ItemReport) -> String {
    let word = language.status(item.result);
    if item.basis == Basis::Waived {
        return match language {
            Language::En => format!("⚠️ waived ({word})"),
            Language::Zh => format!("⚠️ 豁免（{word}）"),
        };
    }
    let sign = match item.result {
        Status::Pass => "✅",
        Status::Warn => "⚠️",
        Status::Fail => "❌",
        Status::Unknown => "❓",
        Status::Na => "➖",
    };
    format!("{sign} {word}")
}

/// What the result rests on, and why it is not better.
pub(super) fn evidence(item: &ItemReport) -> String {
    const MOST: usize = 6;
    const DIGITS: usize = 12;
    let mut parts: Vec<String> = item
        .evidence
        .iter()
        .take(MOST)
        .map(|reference| match reference.split_once("@sha256:") {
            Some((probe, hash)) => format!("{probe}@{}", &hash[..hash.len().min(DIGITS)]),
            None => reference.clone(),
        })
        .collect();
    if item.evidence.len() > MOST {
        parts.push(format!("+{}", item.evidence.len() - MOST));
    }
    let references = parts.join(", ");
    match (references.is_empty(), item.reason.is_empty()) {
        (true, true) => NOTHING.to_owned(),
        (false, true) => references,
        (true, false) => item.reason.clone(),
        (false, false) => format!("{references}: {}", item.reason),
    }
}

/// Text from a target, as a cell that says just that: no markup, no further cells or lines.
pub(super) fn escape(text: &str) -> String {
    const MOST: usize = 240;
    let mut out = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == MOST {
            out.push('…');
            break;
        }
        match c {
            '|' | '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '~' | '!' | '&' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => out.push(' '),
            c => out.push(c),
        }
    }
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    if out.is_empty() {
        NOTHING.to_owned()
    } else {
        out
    }
}
