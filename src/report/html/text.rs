//! Text that a page may hold, whoever wrote it.

use std::fmt::{self, Display, Write as _};

/// Text from anywhere, harmless as content and as a quoted attribute.
pub(super) struct Esc<'t>(pub(super) &'t str);

/// The same, cut to a number of bytes, with a mark where it was.
pub(super) struct Cut<'t>(pub(super) &'t str, pub(super) usize);

/// Text whose direction of writing stays its own.
pub(super) struct Bdi<'t>(pub(super) Cut<'t>);

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most text is harmless: it is written in as large pieces as there are.
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
            f.write_str(&rest[..at])?;
            escape(c, f)?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Whether a character stands for itself, for certain.
fn is_plain(c: char) -> bool {
    match c {
        '&' | '<' | '>' | '"' | '\'' => false,
        ' '..='~' | '\n' => true,
        // Chinese, and what is written with it.
        '\u{3000}'..='\u{d7ff}' | '\u{ff01}'..='\u{ffef}' => true,
        _ => false,
    }
}

fn escape(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&quot;"),
        '\'' => f.write_str("&#39;"),
        '\n' | '\t' => f.write_char(c),
        // Directions of writing: text could be made to look like another.
        '\u{200e}'
        | '\u{200f}'
        | '\u{061c}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}'),
        c if c.is_control() || is_noncharacter(c) => f.write_char('\u{fffd}'),
        c => f.write_char(c),
    }
}

/// Code points that no document may hold.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

impl Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.floor_char_boundary_at(self.1);
        Esc(&self.0[..end]).fmt(f)?;
        if end < self.0.len() {
            f.write_str(" …")?;
        }
        Ok(())
    }
}

impl Display for Bdi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bdi>{}</bdi>", self.0)
    }
}

trait FloorBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorBoundary for str {
    /// The last boundary between characters that is not beyond `at`.
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        if at >= self.len() {
            return self.len();
        }
        (0..=at)
            .rev()
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

/// An identifier in the page: what may not stand in one is written as its code.
pub(super) struct Anchor<'t>(pub(super) char, pub(super) &'t str);

impl Display for Anchor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.0)?;
        self.1.chars().try_for_each(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') => f.write_char(c),
            c => write!(f, "_{:x}_", u32::from(c)),
        })
    }
}

/// The most that each of these lengths may keep, so that all together stay within `budget`: short ones stay
/// whole, the long ones share what is left.
pub(super) fn fair_cap(mut lengths: Vec<usize>, budget: usize) -> usize {
    lengths.sort_unstable();
    let mut left = budget;
    for (at, length) in lengths.iter().enumerate() {
        let share = left / (lengths.len() - at);
        if *length > share {
            return share;
        }
        left -= length;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_is_harmless() {
        assert_eq!(
            Esc("</script><a b='c' d=\"e\">&").to_string(),
            "&lt;/script&gt;&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;"
        );
        assert_eq!(
            Esc("\u{1b}[2J\u{0}\u{85}\u{202e}\u{2066}\u{fffe}x").to_string(),
            "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}x"
        );
        assert_eq!(Cut("日本語", 4).to_string(), "日 …");
        assert_eq!(Cut("日本語", 9).to_string(), "日本語");
        assert_eq!(
            Anchor('i', "F1.1 <é>").to_string(),
            "i-F1.1_20__3c__e9__3e_"
        );
    }

    proptest! {
        #[test]
        fn nothing_escapes(text in any::<String>(), at in 0_usize..100) {
            for shown in [Esc(&text).to_string(), Cut(&text, at).to_string()] {
                let bad = |c: char| matches!(c, '<' | '>' | '"' | '\'') || (c.is_control() && c != '\n' && c != '\t');
                prop_assert!(!shown.contains(bad), "{shown:?}");
            }
            let anchor = Anchor('i', &text).to_string();
            prop_assert!(anchor.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        }

        #[test]
        fn a_fair_cap_keeps_to_the_budget(lengths in prop::collection::vec(0_usize..1000, 0..50), budget in 0_usize..10_000) {
            let cap = fair_cap(lengths.clone(), budget);
            let kept: usize = lengths.iter().map(|length| (*length).min(cap)).sum();
            prop_assert!(kept <= budget);
            if cap == usize::MAX {
                prop_assert_eq!(kept, lengths.iter().sum::<usize>());
            }
        }
    }
}
