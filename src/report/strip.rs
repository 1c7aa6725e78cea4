//! Small pictures: what an item was like lately, and a badge of a gate.

use std::fmt::Write as _;

use crate::checklist::Language;
use crate::judge::Status;

/// More than this nobody can tell apart.
const MAX_RESULTS: usize = 60;

/// A strip of earlier results, the oldest first; the newest of them are shown.
pub(crate) fn svg(results: &[Status], language: Language) -> String {
    let shown = &results[results.len().saturating_sub(MAX_RESULTS)..];
    let name = language.pick("lately, oldest first:", "近期（由旧到新）：");
    let words: Vec<&str> = shown
        .iter()
        .map(|status| language.status(*status))
        .collect();
    let width = shown.len() * 4;
    let mut out = format!(
        "<svg class=strip role=img viewBox=\"0 0 {width} 12\" width={width} height=12 aria-label=\"{name} {}\">",
        words.join(" ")
    );
    for (at, status) in shown.iter().enumerate() {
        let _ = write!(
            out,
            "<rect class={status} x={} width=3 height=12 />",
            at * 4
        );
    }
    out.push_str("</svg>");
    out
}
