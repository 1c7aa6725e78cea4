//! The items by section, claimed against derived.

use std::io::{self, Write};

use super::text::{Anchor, Bdi, Cut, Esc, fair_cap};
use super::{Page, is_waived, mark};
use crate::checklist::ClaimStatus;
use crate::judge::Status;
use crate::report::strip;
use crate::verdict::{Freshness, ItemReport};

/// All reasons together are at most this long, and all remediations.
const TEXT_BYTES: usize = 180_000;

/// More rules of one item than this are counted.
const MAX_RULES: usize = 40;

/// How long texts may be, so that the page stays small.
struct Caps {
    title: usize,
    reason: usize,
    remediation: usize,
    rules: usize,
}

impl Caps {
    fn of(items: &[ItemReport]) -> Self {
        let cap = |text: &dyn Fn(&ItemReport) -> usize| {
            fair_cap(items.iter().map(text).collect(), TEXT_BYTES)
        };
        Self {
            title: cap(&|item| item.title.len()).min(500),
            reason: cap(&|item| item.reason.len()).min(2_000),
            remediation: cap(&|item| item.remediation.as_ref().map_or(0, String::len)).min(2_000),
            // Names of rules with their marks.
            rules: (2 * TEXT_BYTES / 100 / items.len().max(1)).clamp(3, MAX_RULES),
        }
    }
}

pub(super) fn write(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let items = &page.verdict.items;
    let caps = Caps::of(items);
    write!(
        out,
        "<section id=items aria-labelledby=items-h><h2 id=items-h>{} <small>{}</small></h2>",
        page.say("Items", "项目"),
        items.len()
    )?;
    for (section, items) in sections(items) {
        let name = section.unwrap_or(page.say("(no section)", "（无章节）"));
        write!(
            out,
            "<section class=sec data-sec=\"{0}\"><h3>{1} <small>{2}</small></h3><ul class=items>",
            Cut(name, 200),
            Bdi(Cut(name, 200)),
            items.len()
        )?;
        for item in items {
            write_item(page, item, &caps, out)?;
        }
        write!(out, "</ul></section>")?;
    }
    write!(
        out,
        "<p id=none hidden>{}</p></section>",
        page.say("No item is like that.", "没有符合条件的项目。")
    )
}

/// The items of each section, in the order of the first of each.
fn sections(items: &[ItemReport]) -> Vec<(Option<&str>, Vec<&ItemReport>)> {
    let mut list: Vec<(Option<&str>, Vec<&ItemReport>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for item in items {
        let section = item.section.as_deref();
        let place = *places.entry(section).or_insert_with(|| {
            list.push((section, Vec::new()));
            list.len() - 1
        });
        if let Some((_, items)) = list.get_mut(place) {
            items.push(item);
        }
    }
    list
}

fn write_item(
    page: Page<'_>,
    item: &ItemReport,
    caps: &Caps,
    out: &mut dyn Write,
) -> io::Result<()> {
    let differs = if differs(item) { " data-d" } else { "" };
    write!(
        out,
        "<li id=\"{}\" data-r={}{differs}><details><summary>{} <b>{}</b> {}",
        Anchor('i', &item.id),
        item.result,
        mark(page, item.result),
        Cut(&item.id, 200),
        Bdi(Cut(page.title_of(item), caps.title)),
    )?;
    flags(page, item, out)?;
    if let Some(history) = page.live.and_then(|live| live.history.get(&item.id)) {
        out.write_all(strip::svg(history, page.language).as_bytes())?;
    }
    if !item.reason.is_empty() {
        write!(
            out,
            "<span class=why>{}</span>",
            Bdi(Cut(&item.reason, caps.reason))
        )?;
    }
    write!(out, "</summary>")?;
    details(page, item, caps, out)?;
    write!(out, "</details></li>")
}

/// Whether people claim something else than what was seen.
fn differs(item: &ItemReport) -> bool {
    let Some(claim) = &item.claim else {
        return false;
    };
    match claim.status {
        ClaimStatus::Pass => !matches!(item.result, Status::Pass | Status::Na),
        ClaimStatus::Warn => item.result != Status::Warn,
        ClaimStatus::Pending => matches!(item.result, Status::Pass | Status::Warn | Status::Na),
    }
}

/// What else is to be seen at a glance.
fn flags(page: Page<'_>, item: &ItemReport, out: &mut dyn Write) -> io::Result<()> {
    if let Some(claim) = &item.claim {
        let status = match claim.status {
            ClaimStatus::Pass => page.language.status(Status::Pass),
            ClaimStatus::Warn => page.language.status(Status::Warn),
            ClaimStatus::Pending => page.say("pending", "待定"),
        };
        let class = if differs(item) { "t d" } else { "t" };
        let claimed = page.say("claimed", "声明");
        write!(out, " <span class=\"{class}\">{claimed} {status}</span>")?;
    }
    let mut flag = |wanted: bool, en, zh| {
        if wanted {
            write!(out, " <span class=\"t w\">{}</span>", page.say(en, zh))
        } else {
            Ok(())
        }
    };
    flag(is_waived(item), "waived", "豁免")?;
    flag(item.flaky, "flaky", "不稳定")?;
    flag(item.freshness == Freshness::Stale, "stale", "过期")?;
    flag(item.unmapped, "unmapped", "未映射")
}

fn details(page: Page<'_>, item: &ItemReport, caps: &Caps, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |name: &str, text: &str, cap: usize| {
        write!(out, "<p><b>{name}</b> {}", Bdi(Cut(text, cap)))
    };
    if let Some(remediation) = &item.remediation {
        line(
            page.say("What to do:", "处理办法："),
            remediation,
            caps.remediation,
        )?;
    }
    if let Some(owner) = &item.owner {
        line(page.say("Owner:", "负责人："), owner, 200)?;
    }
    if let Some(misses) = &item.misses {
        line(page.say("Not gathered yet:", "尚未采集："), misses, 500)?;
    }
    if let Some(waiver) = &item.waiver {
        let applied = if waiver.applied {
            page.say("holds", "有效")
        } else {
            page.say("does not hold", "无效")
        };
        let text = format!(
            "{} ({}), {}, {}: {}",
            page.language.status(waiver.result),
            applied,
            waiver.owner,
            waiver.expires,
            waiver.reason
        );
        line(page.say("Waiver:", "豁免："), &text, 500)?;
    }
    if let Some(last) = item.last_known {
        line(
            page.say("Last known:", "上次结果："),
            page.language.status(last),
            20,
        )?;
    }
    if let Some(claim) = &item.claim {
        let text = format!("{} ({}:{})", claim.text, claim.file, claim.line);
        line(page.say("Claim:", "声明："), &text, 300)?;
    }
    if let Some(at) = item.observed_at {
        line(page.say("Seen:", "观测于："), &at.to_string(), 40)?;
    }
    rules(page, item, caps, out)
}

fn rules(page: Page<'_>, item: &ItemReport, caps: &Caps, out: &mut dyn Write) -> io::Result<()> {
    if item.rules.is_empty() {
        return Ok(());
    }
    write!(out, "<p><b>{}</b>", page.say("Rules:", "规则："))?;
    // What decided first.
    let mut rules: Vec<_> = item.rules.iter().collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.result));
    for rule in rules.iter().take(caps.rules) {
        let probe = rule.id.split('/').next().unwrap_or_default();
        write!(
            out,
            " <a class={} href=\"#{}\">{}</a>",
            rule.result,
            Anchor('p', probe),
            Esc(&rule.id)
        )?;
    }
    if rules.len() > caps.rules {
        write!(out, " +{}", rules.len() - caps.rules)?;
    }
    Ok(())
}
