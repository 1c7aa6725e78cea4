//! Text of Markdown as people read it, and as it is compared.

use sha2::{Digest, Sha256};

/// The text without its markup: emphasis, code marks, links, line breaks, escapes.
pub(super) fn plain(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' if after.starts_with(|c: char| c.is_ascii_punctuation()) => {
                out.push_str(&after[..1]);
                &after[1..]
            }
            '`' => after,
            '~' if after.starts_with('~') => &after[1..],
            '*' if after.starts_with('*') => &after[1..],
            '*' if !(after.starts_with(' ') && out.ends_with(' ')) => after,
            '_' if after.starts_with('_')
                && (out.is_empty() || out.ends_with(' ') || ends_word(&after[1..])) =>
            {
                &after[1..]
            }
            '!' if after.starts_with('[') && link(after).is_some() => after,
            '[' => match link(rest) {
                Some((label, after)) => {
                    out.push_str(&plain(label));
                    after
                }
                None => {
                    out.push(c);
                    after
                }
            },
            '<' => match line_break(rest) {
                Some(after) => {
                    out.push(' ');
                    after
                }
                None => {
                    out.push(c);
                    after
                }
            },
            c => {
                out.push(c);
                after
            }
        };
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// No target of a link is longer.
const MAX_TARGET_BYTES: usize = 2048;

/// `[label](target)` at the beginning: the label, and what follows.
fn link(text: &str) -> Option<(&str, &str)> {
    // A label inside a label would be a link inside a link, which there is not.
    let end = text[1..].find(['[', ']'])? + 1;
    let after = text[end..].strip_prefix("](")?;
    let close = after
        .bytes()
        .take(MAX_TARGET_BYTES)
        .position(|b| b == b')')?;
    Some((&text[1..end], &after[close + 1..]))
}

fn line_break(text: &str) -> Option<&str> {
    ["<br>", "<br/>", "<br />", "<BR>"]
        .iter()
        .find_map(|tag| text.strip_prefix(tag))
}

/// Full-width letters, digits and punctuation as their narrow ones.
pub(super) fn narrow(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{3000}' => ' ',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xff01 + 0x21).unwrap_or(c),
            c => c,
        })
        .collect()
}

/// Chooses between the forms of a character; says nothing.
fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}')
}

/// What two spellings of the same text share: width, spaces and variation selectors do not matter.
pub(super) fn loose(text: &str) -> String {
    let text: String = narrow(text).chars().filter(|c| !is_variation(*c)).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a heading or a column's title: lower case, no markup, emoji or punctuation.
pub(super) fn words(markdown: &str) -> String {
    let text: String = narrow(&plain(markdown))
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

/// Whether a character is Chinese.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// The first hexadecimal digits of a text's SHA-256.
pub(super) fn digest(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))[..12].to_owned()
}

/// A slug of a text. What ASCII cannot say is told apart by a digest.
pub(super) fn slug(text: &str) -> String {
    const MOST: usize = 48;
    let text = loose(text);
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let cut = slug.len() > MOST;
    slug.truncate(MOST);
    let slug = slug.trim_end_matches('-');
    let lossy = cut || text.chars().any(|c| c.is_alphanumeric() && !c.is_ascii());
    match (slug.is_empty(), lossy) {
        (true, _) => format!("t{}", &digest(&text)[..8]),
        (false, true) => format!("{slug}-{}", &digest(&text)[..8]),
        (false, false) => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_off() {
        for (markdown, text) in [
            ("**域名配置**", "域名配置"),
            ("a \\| b", "a | b"),
            ("`x_y` and __z__", "x_y and z"),
            ("[docs](https://e.test/a) now", "docs now"),
            ("![ok](a.png) fine", "ok fine"),
            ("[姓名]", "[姓名]"),
            ("1 * 2", "1 * 2"),
            ("one<br>two", "one two"),
            ("a < b", "a < b"),
            ("", ""),
            ("[", "["),
            ("*", ""),
            ("\\", "\\"),
        ] {
            assert_eq!(plain(markdown), text, "{markdown}");
        }
    }

    #[test]
    fn spellings_that_look_alike_are_alike() {
        assert_eq!(loose("⚠\u{fe0f}\u{3000}待配置 "), loose("⚠ 待配置"));
        assert_eq!(words("**📁 Ａ１． 状态**"), "a1 状态");
    }

    #[test]
    fn slugs_are_ids_and_tell_texts_apart() {
        assert_eq!(slug("Backups are tested!"), "backups-are-tested");
        assert_ne!(slug("Redis主从配置"), slug("Redis监控配置"));
        assert_ne!(slug("监控"), slug("备份"));
        for text in ["", "!!", "监控", "Redis主从配置", &"long ".repeat(100)] {
            let slug = slug(text);
            assert!(slug.len() < 60 && slug.is_ascii(), "{slug}");
            assert!(slug.starts_with(|c: char| c.is_ascii_alphanumeric()));
        }
    }
}
