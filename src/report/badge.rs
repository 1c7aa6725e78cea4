//! A gate's result as a picture, for a page of somebody else.

use crate::checklist::Language;
use crate::judge::Status;

use super::printable;

/// A longer name would make no badge.
const MAX_CHARS: usize = 60;

/// A badge in SVG. Its text can be read by a screen reader, and its colours from a distance.
pub fn svg(gate: &str, status: Status, language: Language) -> String {
    let mut name: String = printable(gate).chars().take(MAX_CHARS).collect();
    if gate.chars().nth(MAX_CHARS).is_some() {
        name.push('…');
    }
    let word = language.status(status);
    let colour = match status {
        Status::Pass => "#1a7f37",
        Status::Warn => "#8a5a00",
        Status::Fail => "#b3261e",
        Status::Unknown => "#6b3fa0",
        Status::Na => "#57606a",
    };
    let (left, right) = (width(&name), width(word));
    let (all, name) = (left + right, escape(&name));
    let (middle, end) = (left / 2, left + right / 2);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="{name}: {word}"><title>{name}: {word}</title><rect width="{left}" height="20" fill="#444"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/><g fill="#fff" text-anchor="middle" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11"><text x="{middle}" y="14">{name}</text><text x="{end}" y="14">{word}</text></g></svg>
"##
    )
}

/// About how wide a text is, with room at both sides.
fn width(text: &str) -> usize {
    let characters = text.chars().map(|c| if c.is_ascii() { 7 } else { 12 });
    12 + characters.sum::<usize>()
}

/// Text in XML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_is_well_formed_whatever_the_name() {
        let hostile = "\"><script>&\u{1b}\u{202e}]]>".repeat(20);
        for name in ["pre-deploy", "", "上线前", &hostile] {
            for status in Status::ALL {
                for language in [Language::En, Language::Zh] {
                    let text = svg(name, status, language);
                    assert!(
                        !text.contains("<script") && !text.contains('\u{1b}'),
                        "{text}"
                    );
                    assert_eq!(
                        text.matches('<').count(),
                        text.matches('>').count(),
                        "{text}"
                    );
                    assert!(text.contains(&format!(": {}</title>", language.status(status))));
                }
            }
        }
    }
}
