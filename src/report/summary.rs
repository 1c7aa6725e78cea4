//! Markdown for a pull request or a job summary: what needs work first, and never too long to post.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::text::{
    clip, counts, counts_text, gate_text, next_step, one_line, place_text, rank, reason, title,
    worst_first,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, ItemReport, Verdict};

/// What a comment on a pull request may hold; counted in bytes, so that every way of counting agrees.
const MOST_BYTES: usize = 65_536;
/// Kept free for what closes the document.
const END_BYTES: usize = 1_024;
/// Lines of gates, risks, categories and findings.
const MOST_LINES: usize = 15;
/// Characters of a title, a reason or a next step.
const MOST_TEXT: usize = 240;

pub(super) fn write(verdict: &Verdict, language: Language, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(render(verdict, language).as_bytes())
}

fn render(verdict: &Verdict, language: Language) -> String {
    let mut text = head(verdict, language);
    let items = worst_first(verdict);
    let work = (items.iter())
        .take_while(|item| rank(item.result) <= rank(Status::Warn))
        .count();
    let (work, rest) = items.split_at(work);
    let mut left_out = table(work, language, &mut text);
    if left_out.is_empty() && !rest.is_empty() {
        let summary = language.pick("Items that need no work", "无需处理的项目");
        let _ = write!(
            text,
            "\n<details><summary>{summary} ({})</summary>\n",
            rest.len()
        );
        left_out = table(rest, language, &mut text);
        text.push_str("\n</details>\n");
    } else {
        left_out.extend_from_slice(rest);
    }
    if !left_out.is_empty() {
        let counted = counts_text(counts(left_out.iter().copied()), language);
        let count = left_out.len();
        let _ = match language {
            Language::En => write!(text, "\n**{count} more items are left out:** {counted}\n"),
            Language::Zh => write!(text, "\n**另有 {count} 项未列出：** {counted}\n"),
        };
    }
    text
}

fn head(verdict: &Verdict, language: Language) -> String {
    let mut text = String::new();
    let gate = &verdict.gate;
    let name = quote(&gate.id);
    let word = language.pick("Gate", "关卡");
    let _ = writeln!(
        text,
        "## {} {word} {name}: {}\n",
        mark(gate.result),
        language.status(gate.result)
    );
    let items = language.pick("items", "项目");
    let counted = counts_text(counts(&verdict.items), language);
    let _ = writeln!(text, "- {items}: {counted}");
    let score = language.pick("score", "得分");
    let _ = writeln!(text, "- {score}: {}", escape(&verdict.score.to_string()));
    let categories = (verdict.score.categories.iter()).filter_map(|category| {
        let id = category.category.as_deref()?;
        category.target?;
        let title = category.title.as_deref().unwrap_or(id);
        let title = language.title(title, &category.titles);
        Some(format!(
            "{}: {}",
            quote(title),
            escape(&category.to_string())
        ))
    });
    let gates = (verdict.gates.iter())
        .filter(|_| verdict.gates.len() > 1)
        .map(|gate| {
            format!(
                "{} {}",
                mark(gate.result),
                quote(&gate_text(gate, language))
            )
        });
    let open = |risk: &&crate::verdict::RiskReport| risk.result != Status::Pass;
    let risks = verdict.risks.iter().filter(open).map(|risk| {
        let title = language.title(&risk.title, &risk.titles);
        let word = language.pick("risk", "风险");
        format!("{} {word} {}", mark(risk.result), quote(title))
    });
    let findings = verdict.findings.iter().map(|finding| {
        let word = language.pick("finding", "发现");
        format!("{word} {}: {}", quote(&finding.code), quote(&finding.text))
    });
    lines(categories, language, &mut text);
    lines(gates, language, &mut text);
    lines(risks, language, &mut text);
    lines(findings, language, &mut text);
    text
}

/// The first of a list as a list, and how many more there are.
fn lines(mut all: impl Iterator<Item = String>, language: Language, text: &mut String) {
    for line in all.by_ref().take(MOST_LINES) {
        let _ = writeln!(text, "- {line}");
    }
    let more = all.count();
    if more > 0 {
        let _ = match language {
            Language::En => writeln!(text, "- and {more} more"),
            Language::Zh => writeln!(text, "- 另有 {more} 条"),
        };
    }
}

/// A table of items as far as there is room; what is left of them.
fn table<'v>(
    items: &[&'v ItemReport],
    language: Language,
    text: &mut String,
) -> Vec<&'v ItemReport> {
    if items.is_empty() {
        return Vec::new();
    }
    text.push_str(language.pick(
        "\n| Result | Item | Title | Why | Next |\n|---|---|---|---|---|\n",
        "\n| 结果 | 项目 | 标题 | 原因 | 下一步 |\n|---|---|---|---|---|\n",
    ));
    for (index, item) in items.iter().enumerate() {
        let row = row(item, language);
        if text.len() + row.len() + END_BYTES > MOST_BYTES {
            return items[index..].to_vec();
        }
        text.push_str(&row);
    }
    Vec::new()
}

fn row(item: &ItemReport, language: Language) -> String {
    let mut result = format!("{} {}", mark(item.result), language.status(item.result));
    if item.basis == Basis::Waived {
        let _ = write!(result, " ({})", language.basis(item.basis));
    }
    let mut why = match reason(item) {
        reason if reason.is_empty() => String::new(),
        reason => quote(&reason),
    };
    if !matches!(item.result, Status::Pass | Status::Na) {
        let _ = write!(why, " {}", quote(&place_text(item)));
    }
    let title = escape(&clip(&title(item, language), MOST_TEXT));
    let next = next_step(item).map(|step| escape(&clip(&step, MOST_TEXT)));
    format!(
        "| {result} | {} | {title} | {} | {} |\n",
        quote(&item.id),
        why.trim(),
        next.unwrap_or_default()
    )
}

const fn mark(result: Status) -> &'static str {
    match result {
        Status::Pass => "✅",
        Status::Warn => "⚠️",
        Status::Fail => "❌",
        Status::Unknown => "❓",
        Status::Na => "➖",
    }
}

/// Quoted as code: there the sites make no mentions, references or links of it.
fn quote(text: &str) -> String {
    let text = clip(&one_line(text), MOST_TEXT);
    format!("<code>{}</code>", entities(&text, ""))
}

/// Text as it is: no markup, and neither people nor issues are called by it.
fn escape(text: &str) -> String {
    entities(&one_line(text), "&#8203;")
}

/// What Markdown or HTML could read otherwise, as entities; `apart` keeps a sign from what it calls.
fn entities(text: &str, apart: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '$' | ':' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '@' | '#' | '!' => {
                let _ = write!(out, "&#{};{apart}", u32::from(c));
            }
            // `www.` alone would be a link.
            '.' if matches!(before, 'w' | 'W') => out.push_str("&#46;"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(
            quote("</code>|`x`"),
            "<code>&#60;/code&#62;&#124;&#96;x&#96;</code>"
        );
        assert_eq!(
            escape("@team #1 www.x.org https://x"),
            "&#64;&#8203;team &#35;&#8203;1 www&#46;x.org https&#58;//x"
        );
    }
}
