//! What renderers share: text made harmless, titles, reasons, places, order and counts.

use std::fmt::Write as _;
use std::path::Path;

use super::Language;
use crate::judge::Status;
use crate::verdict::{Basis, GateReport, ItemReport, Verdict, is_deceptive};

/// Text from a target may hold anything; a terminal must not obey it.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_deceptive(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Characters of one text; readers of XML give up on longer ones than they expect.
const MOST: usize = 16_384;

/// The same in one line, of bounded length: what breaks a line, and tabs, become spaces.
pub(super) fn one_line(text: &str) -> String {
    let text = &clip(text, MOST);
    let breaks = |c| matches!(c, '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let text = text.replace("\r\n", " ");
    printable(&text.replace(breaks, " "))
}

/// At most so many characters, the last of them an ellipsis where something is missing.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(most.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// What people call an item, in one line.
pub(super) fn title(item: &ItemReport, language: Language) -> String {
    one_line(language.title(&item.title, &item.titles))
}

/// An item's id and, where it has another, its title.
pub(super) fn label(item: &ItemReport, language: Language) -> String {
    let (id, title) = (one_line(&item.id), title(item, language));
    if title.is_empty() || title == id {
        id
    } else {
        format!("{id} {title}")
    }
}

/// Why an item has its result, who waived it, and whether it is flaky: one line, maybe empty.
pub(super) fn reason(item: &ItemReport) -> String {
    let mut parts = Vec::new();
    if !item.reason.is_empty() {
        parts.push(one_line(&item.reason));
    }
    parts.extend(waived(item));
    parts.extend(attested(item));
    if item.flaky {
        parts.push("[flaky: passed only after a failed try]".to_owned());
    }
    parts.join("; ")
}

/// The same, or the bare result where there is nothing to say.
pub(super) fn reason_or_result(item: &ItemReport) -> String {
    let reason = reason(item);
    if reason.is_empty() {
        item.result.as_str().to_owned()
    } else {
        reason
    }
}

/// By whom and until when an item is waived, if it is.
pub(super) fn waived(item: &ItemReport) -> Option<String> {
    let waiver = item
        .waiver
        .as_ref()
        .filter(|_| item.basis == Basis::Waived)?;
    Some(one_line(&format!(
        "waived until {} by {}: {}",
        waiver.expires, waiver.owner, waiver.reason
    )))
}

/// Who attested an item and until when, if that is what decides it.
pub(super) fn attested(item: &ItemReport) -> Option<String> {
    let attestation = item
        .attestation
        .as_ref()
        .filter(|_| item.basis == Basis::Attested)?;
    Some(one_line(&format!(
        "attested until {} by {}: {}",
        attestation.expires, attestation.owner, attestation.url
    )))
}

/// What to do about an item that does not pass.
pub(super) fn next_step(item: &ItemReport) -> Option<String> {
    let moot = matches!(item.result, Status::Pass | Status::Na);
    let step = item.remediation.as_deref().filter(|_| !moot)?;
    Some(one_line(step))
}

/// Each rule of an item with its result and its reason, a line each.
pub(super) fn rule_lines(item: &ItemReport) -> impl Iterator<Item = String> {
    item.rules.iter().map(|rule| {
        let line = format!("{} {}: {}", rule.result.as_str(), rule.id, rule.reason);
        one_line(line.trim_end_matches(": "))
    })
}

/// Where an item stands: its row of the checklist, else its place in the configuration.
pub(super) fn place(item: &ItemReport) -> (&str, usize) {
    match &item.claim {
        Some(claim) => (&claim.file, claim.line.max(1)),
        None => (&item.source.file, item.source.line.max(1)),
    }
}

/// A path below `root` as it is seen from there.
pub(super) fn relative<'f>(file: &'f str, root: Option<&Path>) -> &'f str {
    let below = root.and_then(|root| Path::new(file).strip_prefix(root).ok());
    let below = below.and_then(Path::to_str).unwrap_or(file);
    let below = below.trim_start_matches("./");
    if below.is_empty() { file } else { below }
}

/// The place in people's notation.
pub(super) fn place_text(item: &ItemReport) -> String {
    let (file, line) = place(item);
    format!("{}:{line}", one_line(file))
}

/// Where a result stands in print: what needs work first.
pub(super) const fn rank(status: Status) -> usize {
    match status {
        Status::Fail => 0,
        Status::Unknown => 1,
        Status::Warn => 2,
        Status::Pass => 3,
        Status::Na => 4,
    }
}

/// The statuses in that order.
pub(super) const RANKED: [Status; 5] = [
    Status::Fail,
    Status::Unknown,
    Status::Warn,
    Status::Pass,
    Status::Na,
];

/// Items, what needs work first; within a result the order of the configuration.
pub(super) fn worst_first(verdict: &Verdict) -> Vec<&ItemReport> {
    let mut items: Vec<&ItemReport> = verdict.items.iter().collect();
    items.sort_by_key(|item| rank(item.result));
    items
}

/// How many items have each result, by [`rank`].
pub(super) fn counts<'i>(items: impl IntoIterator<Item = &'i ItemReport>) -> [usize; 5] {
    let mut counts = [0; 5];
    for item in items {
        counts[rank(item.result)] += 1;
    }
    counts
}

/// `3 pass, 1 warn, 2 fail, 1 unknown, 0 na`, in that order.
pub(super) fn counts_text(counts: [usize; 5], language: Language) -> String {
    let [fail, unknown, warn, pass, na] = counts;
    let name = |status| language.status(status);
    format!(
        "{pass} {}, {warn} {}, {fail} {}, {unknown} {}, {na} {}",
        name(Status::Pass),
        name(Status::Warn),
        name(Status::Fail),
        name(Status::Unknown),
        name(Status::Na)
    )
}

/// `gate pre-deploy fail, blocked by A, B and 3 more`, in one line.
pub(super) fn gate_text(gate: &GateReport, language: Language) -> String {
    let word = language.pick("gate", "关卡");
    let mut text = format!("{word} {} {}", gate.id, language.status(gate.result));
    let blocked = language.pick(", blocked by", "，阻塞于");
    some_of(&gate.blocking, blocked, language, &mut text);
    one_line(&text)
}

/// The first of a list of items, and how many more there are.
pub(super) fn some_of(ids: &[String], what: &str, language: Language, out: &mut String) {
    const MOST: usize = 12;
    if ids.is_empty() {
        return;
    }
    let shown = ids.iter().take(MOST).map(|id| one_line(id));
    let shown = shown.collect::<Vec<_>>();
    let _ = write!(out, "{what} {}", shown.join(", "));
    if ids.len() > MOST {
        let more = ids.len() - MOST;
        let _ = match language {
            Language::En => write!(out, " and {more} more"),
            Language::Zh => write!(out, " 等，另有 {more} 项"),
        };
    }
}

/// How long the run took, seconds; clocks that went back give none.
pub(super) fn run_seconds(verdict: &Verdict) -> f64 {
    let elapsed = verdict.finished_at.duration_since(verdict.started_at);
    elapsed.as_secs_f64().max(0.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "a\u{1b}[2Jb\u{9b}31mc\u{7f}\u{0}\u{202e}d\u{2066}e\u{200f}\u{61c}\u{fffe}\u{1ffff}\u{e0041}";
        let shown = printable(hostile);
        assert_eq!(shown.chars().count(), hostile.chars().count());
        assert_eq!(shown.replace('\u{fffd}', ""), "a[2Jb31mcde");
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("a\r\nb\nc\rd\te\u{2028}f\u{85}g"), "a b c d e f g");
        assert_eq!(one_line(&"x".repeat(1 << 20)).chars().count(), MOST);
        assert_eq!(one_line("中文 👩‍🚒 ü"), "中文 👩‍🚒 ü");
    }

    #[test]
    fn paths_are_relative_where_they_can_be() {
        let root = Some(Path::new("/repo"));
        assert_eq!(relative("/repo/a/b.toml", root), "a/b.toml");
        assert_eq!(relative("/repository/b.toml", root), "/repository/b.toml");
        assert_eq!(relative("./b.toml", root), "b.toml");
        assert_eq!(relative("/repo/b.toml", None), "/repo/b.toml");
    }

    #[test]
    fn clipped_text_says_so() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüß", 3), "äö…");
        assert_eq!(clip("", 0), "");
    }
}
