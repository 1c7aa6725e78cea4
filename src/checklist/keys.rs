//! The keys that headings begin with.

use super::text::loose;

/// The key that a heading begins with: `A1` of `#### A1. Servers`, `A` of `### 📁 A. Infrastructure`, `1.2` of
/// `1.2 Network`.
pub(super) fn section_key(title: &str) -> Option<String> {
    const MOST_LETTERS: usize = 3;
    let title = loose(title);
    let text = title.trim_start_matches(|c: char| !c.is_alphanumeric());
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let mut end = letters;
    loop {
        let rest = &text[end..];
        let dot = usize::from(end > letters && rest.starts_with('.'));
        let digits = rest[dot..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            break;
        }
        end += dot + digits;
    }
    let key = &text[..end];
    let next = text[end..].chars().next();
    let marked = matches!(next, Some('.' | ':' | '、' | ')' | ']'));
    let apart = next.is_none_or(|c| c.is_whitespace() || matches!(c, '-' | '—' | '–'));
    let numbered = end > letters;
    let is_key = match (letters, numbered) {
        (0, true) => marked || (apart && key.contains('.')),
        (1..=MOST_LETTERS, true) => marked || apart,
        (1, false) => marked && key.bytes().all(|b| b.is_ascii_uppercase()),
        _ => false,
    };
    (is_key && key.len() <= 32).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::section_key;

    #[test]
    fn keys_of_headings() {
        for (title, key) in [
            ("A1. 服务器资源配置", Some("A1")),
            ("Ａ１．服务器", Some("A1")),
            ("A1、服务器", Some("A1")),
            ("A1：服务器", Some("A1")),
            ("A1 Servers", Some("A1")),
            ("A1", Some("A1")),
            ("📁 A. 基础设施准备", Some("A")),
            ("🗄\u{fe0f} B. 数据库配置", Some("B")),
            ("1.2 Network", Some("1.2")),
            ("1. Network", Some("1")),
            ("SEC-1", None),
            ("SEC1: Roles", Some("SEC1")),
            ("A server", None),
            ("2 factors", None),
            ("K8s", None),
            ("Week 1: 基础设施", None),
            ("第一阶段", None),
            ("24小时", None),
            ("", None),
            ("✅", None),
        ] {
            assert_eq!(section_key(title).as_deref(), key, "{title}");
        }
    }
}
