//! The verdict as a page: one file, nothing fetched, readable without scripts.
//!
//! The daemon serves the same page live: with a [`Live`], the page listens to its events, fetches what
//! [`write_fragment`] gives, and says when it is stale or disconnected.

mod evidence;
mod items;
mod summary;
mod text;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::text::Esc;
use super::Style;
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// What a page needs to stay true after it was loaded.
#[derive(Debug, Clone)]
pub struct Live<'l> {
    /// Where server-sent events come from; each `verdict` event makes the page fetch anew.
    pub events: &'l str,
    /// What to fetch then: what [`write_fragment`] wrote.
    pub fragment: &'l str,
    /// The time now.
    pub now: Timestamp,
    /// How old a verdict may be before the page says that it is stale.
    pub stale_after: std::time::Duration,
    /// Earlier results of items by their id, the oldest first.
    pub history: &'l HashMap<String, Vec<Status>>,
}

/// What all parts of a page are written from.
#[derive(Clone, Copy)]
struct Page<'p> {
    verdict: &'p Verdict,
    language: Language,
    live: Option<&'p Live<'p>>,
}

impl<'p> Page<'p> {
    /// One of two texts.
    fn say(&self, en: &'static str, zh: &'static str) -> &'static str {
        self.language.pick(en, zh)
    }

    fn title_of(&self, item: &'p ItemReport) -> &'p str {
        self.language.title(&item.title, &item.titles)
    }
}

/// Writes the whole page.
///
/// # Errors
/// Those of `out`.
pub fn write(
    verdict: &Verdict,
    style: Style,
    live: Option<&Live<'_>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = Page {
        verdict,
        language: style.language,
        live,
    };
    head(page, out)?;
    toolbar(page, out)?;
    write!(out, "<main id=main tabindex=-1>")?;
    body(page, out)?;
    write!(out, "</main>")?;
    help(page, out)?;
    writeln!(out, "<script>{JS}</script></body></html>")
}

/// Writes what changes with a new verdict: the content of `main`.
///
/// # Errors
/// Those of `out`.
pub fn write_fragment(
    verdict: &Verdict,
    style: Style,
    live: &Live<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = Page {
        verdict,
        language: style.language,
        live: Some(live),
    };
    body(page, out)
}

/// The only script and style that may run are the ones written here.
fn policy(live: bool) -> String {
    static HASHES: LazyLock<(String, String)> = LazyLock::new(|| {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
        (hash(CSS), hash(JS))
    });
    let (css, js) = &*HASHES;
    let connect = if live { "connect-src 'self'; " } else { "" };
    format!(
        "default-src 'none'; style-src 'sha256-{css}'; script-src 'sha256-{js}'; img-src data:; {connect}base-uri 'none'; form-action 'none'"
    )
}

fn head(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let gate = &page.verdict.gate;
    let service = page.verdict.subject.service.as_deref().unwrap_or("probe");
    write!(
        out,
        "<!doctype html><html lang={} data-theme=auto><head><meta charset=utf-8>\
         <meta http-equiv=Content-Security-Policy content=\"{}\">\
         <meta name=viewport content=\"width=device-width,initial-scale=1\"><meta name=color-scheme content=\"light dark\">\
         <meta name=referrer content=no-referrer><link rel=icon href=\"data:,\">\
         <title>{}: {} {}</title><style>{CSS}</style></head><body",
        page.say("en", "zh-CN"),
        policy(page.live.is_some()),
        text::Cut(service, 100),
        text::Cut(&gate.id, 100),
        page.language.status(gate.result),
    )?;
    if let Some(live) = page.live {
        write!(
            out,
            " data-events=\"{}\" data-fragment=\"{}\" data-stale=\"{}\" data-say-stale=\"{}\" data-say-lost=\"{}\"",
            Esc(live.events),
            Esc(live.fragment),
            live.stale_after.as_millis(),
            page.say(
                "Stale: there is no newer verdict. What is shown is this old, in seconds:",
                "已过期：没有更新的结论。所示内容的时长（秒）："
            ),
            page.say(
                "Disconnected: what is shown may be out of date. Trying again.",
                "连接已断开：所示内容可能已过时，正在重试。"
            ),
        )?;
    }
    write!(
        out,
        "><a class=skip href=\"#main\">{}</a>",
        page.say("Skip to the result", "跳到结果")
    )
}

/// Filters and search; without scripts they would do nothing and are not shown.
fn toolbar(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<header><div class=bar id=bar hidden role=search><label for=q>{}</label> <input id=q type=search autocomplete=off \
         placeholder=\"{}\"> <span class=set role=group aria-label=\"{}\">",
        page.say("Search", "搜索"),
        page.say("id, title, owner, reason", "编号、标题、负责人、原因"),
        page.say("Results that are shown", "显示的结果"),
    )?;
    for status in [
        Status::Fail,
        Status::Unknown,
        Status::Warn,
        Status::Pass,
        Status::Na,
    ] {
        write!(
            out,
            "<button type=button class=\"f {status}\" data-f={status} aria-pressed=true>{}</button>",
            page.language.status(status)
        )?;
    }
    write!(
        out,
        "</span> <button type=button id=differs aria-pressed=false>{}</button> <label for=sec>{}</label> <select id=sec>\
         <option value=\"\">{}</option></select> <button type=button id=theme data-say=\"{}\">{}</button> \
         <button type=button id=ask aria-haspopup=dialog aria-label=\"{}\">?</button> <span id=count role=status aria-live=polite \
         data-of=\"{}\"></span></div>",
        page.say("claimed ≠ derived", "声明 ≠ 推导"),
        page.say("Section", "章节"),
        page.say("all", "全部"),
        page.say(
            "Theme: auto,Theme: light,Theme: dark",
            "主题：自动,主题：浅色,主题：深色"
        ),
        page.say("Theme: auto", "主题：自动"),
        page.say("Keyboard help", "键盘帮助"),
        page.say("of", "/"),
    )?;
    if page.live.is_some() {
        write!(out, "<p id=live role=status aria-live=polite hidden></p>")?;
    }
    write!(out, "</header>")
}

fn body(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if let Some(live) = page.live {
        let age = live
            .now
            .duration_since(page.verdict.finished_at)
            .as_millis();
        write!(out, "<div id=age data-age=\"{age}\" hidden></div>")?;
    }
    summary::answer(page, out)?;
    summary::score(page, out)?;
    items::write(page, out)?;
    summary::findings(page, out)?;
    evidence::write(page, out)?;
    summary::about(page, out)
}

fn help(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<dialog id=help aria-labelledby=help-h><h2 id=help-h>{}</h2><dl>",
        page.say("Keyboard", "键盘")
    )?;
    for (key, en, zh) in [
        ("/", "search", "搜索"),
        ("j", "next item", "下一项"),
        ("k", "previous item", "上一项"),
        ("Enter", "open or close it", "展开或收起"),
        (
            "Esc",
            "clear the search, close this",
            "清除搜索，关闭本窗口",
        ),
        ("?", "this help", "本帮助"),
    ] {
        write!(
            out,
            "<dt><kbd>{key}</kbd></dt><dd>{}</dd>",
            page.say(en, zh)
        )?;
    }
    write!(
        out,
        "</dl><form method=dialog><button>{}</button></form></dialog>",
        page.say("Close", "关闭")
    )
}

/// A result as a coloured word.
fn mark(page: Page<'_>, status: Status) -> String {
    format!(
        "<span class=\"m {status}\">{}</span>",
        page.language.status(status)
    )
}

/// Whether a waiver covers it.
fn is_waived(item: &ItemReport) -> bool {
    item.basis == Basis::Waived
}
