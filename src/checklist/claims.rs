//! What a row says of itself: the status that somebody typed.

use super::text::{loose, plain};
use crate::plan::ClaimStatus;

use ClaimStatus::{Pass, Pending, Warn};

const SIGNS: [(&str, ClaimStatus); 3] = [
    ("✅✔☑✓🟢🆗💚👍√", Pass),
    ("⚠🟡🟠❗‼❕🔶", Warn),
    ("🔄⏳⌛🚧⏸⬜☐🔲❌✗✘✖×🔴⛔🚫❓❔➖⭕📝🔜🕐", Pending),
];

/// Words that make a tick no tick.
const DENIES: [&str; 12] = [
    "待",
    "未",
    "不通过",
    "不合格",
    "失败",
    "进行中",
    "not ",
    "pending",
    "todo",
    "fail",
    "incomplete",
    "in progress",
];

const ZH_WARN: [&str; 8] = [
    "警告",
    "部分",
    "需完善",
    "需改进",
    "注意",
    "风险",
    "接近",
    "有条件",
];
const ZH_PENDING: [&str; 12] = [
    "待",
    "未",
    "不",
    "没",
    "进行中",
    "失败",
    "缺",
    "无",
    "否",
    "暂",
    "阻塞",
    "需",
];
const ZH_PASS: [&str; 9] = [
    "通过", "完成", "已", "就绪", "达标", "合格", "正常", "成功", "是",
];

const EN_WARN: [&str; 10] = [
    "warn",
    "warning",
    "partial",
    "partially",
    "risk",
    "degraded",
    "caution",
    "amber",
    "yellow",
    "attention",
];
const EN_PENDING: [&str; 36] = [
    "pending",
    "todo",
    "tbd",
    "wip",
    "open",
    "not",
    "no",
    "n",
    "never",
    "fail",
    "failed",
    "failing",
    "fails",
    "blocked",
    "progress",
    "planned",
    "started",
    "incomplete",
    "unverified",
    "unknown",
    "missing",
    "red",
    "untested",
    "unready",
    "na",
    "waiting",
    "skipped",
    "remaining",
    "false",
    "later",
    "doing",
    "backlog",
    "draft",
    "scheduled",
    "to",
    "unfinished",
];
const EN_PASS: [&str; 28] = [
    "pass",
    "passed",
    "passing",
    "passes",
    "ok",
    "okay",
    "done",
    "yes",
    "y",
    "verified",
    "ready",
    "complete",
    "completed",
    "finished",
    "green",
    "true",
    "x",
    "approved",
    "good",
    "success",
    "successful",
    "met",
    "configured",
    "tested",
    "validated",
    "implemented",
    "live",
    "enabled",
];

/// Reads a status cell. `None`: it says something, but not a status.
pub(super) fn status(cell: &str) -> Option<ClaimStatus> {
    let text = loose(&plain(cell)).to_lowercase();
    if text.is_empty() || text.chars().all(|c| matches!(c, '-' | '—' | '–' | '/')) {
        return Some(Pending);
    }
    let (signs, words) = match text.as_str() {
        "[x]" => (Some(Pass), None),
        "[ ]" | "[]" => (Some(Pending), None),
        text => (by_sign(text), by_words(text)),
    };
    match (signs, words) {
        (Some(Pass), Some(words)) if DENIES.iter().any(|word| text.contains(word)) => {
            Some(if words == Pass { Pending } else { words })
        }
        (Some(sign), _) => Some(sign),
        (None, words) => words,
    }
}

/// Of several signs, the worst.
fn by_sign(text: &str) -> Option<ClaimStatus> {
    SIGNS
        .iter()
        .rev()
        .find(|(signs, _)| text.chars().any(|c| !c.is_ascii() && signs.contains(c)))
        .map(|(_, status)| *status)
}

fn by_words(text: &str) -> Option<ClaimStatus> {
    let zh = |list: &[&str]| list.iter().any(|word| text.contains(word));
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let en = |list: &[&str]| words.iter().any(|word| list.contains(word));
    if zh(&ZH_WARN) || en(&EN_WARN) {
        Some(Warn)
    } else if zh(&ZH_PENDING) || en(&EN_PENDING) {
        Some(Pending)
    } else if zh(&ZH_PASS) || en(&EN_PASS) || text == "100%" {
        Some(Pass)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_both_languages() {
        for (cell, wanted) in [
            ("✅ 已验证", Some(Pass)),
            ("✅ 已准备", Some(Pass)),
            ("**✅ 已验证**", Some(Pass)),
            ("✔\u{fe0f} done", Some(Pass)),
            ("✔ done", Some(Pass)),
            ("已通过", Some(Pass)),
            ("ＰＡＳＳ", Some(Pass)),
            ("[x]", Some(Pass)),
            ("[X]", Some(Pass)),
            ("Done", Some(Pass)),
            ("⚠\u{fe0f} 待配置", Some(Warn)),
            ("⚠ 待配置", Some(Warn)),
            ("⚠️　待配置", Some(Warn)),
            ("partially done", Some(Warn)),
            ("🔄 待验证", Some(Pending)),
            ("❌", Some(Pending)),
            ("❌ failed", Some(Pending)),
            ("待配置", Some(Pending)),
            ("not done", Some(Pending)),
            ("In progress", Some(Pending)),
            ("[ ]", Some(Pending)),
            ("", Some(Pending)),
            ("—", Some(Pending)),
            ("✅ 未完成", Some(Pending)),
            ("✅ not verified", Some(Pending)),
            ("✅ ⚠️", Some(Warn)),
            ("✅ ❌", Some(Pending)),
            ("✅ 42", Some(Pass)),
            ("ask Bob", None),
        ] {
            assert_eq!(status(cell), wanted, "{cell}");
        }
    }
}
