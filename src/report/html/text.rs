//! Text that a page may hold, whoever wrote it.

use std::fmt::{self, Display, Write as _};

use crate::verdict::is_deceptive;

/// Text from anywhere, harmless as content and as a quoted attribute.
pub(super) struct Esc<'t>(pub(super) &'t str);

/// The same, cut to a number of bytes in the page, with a mark where it was.
pub(super) struct Cut<'t>(pub(super) &'t str, pub(super) usize);

/// Text whose direction of writing stays its own.
pub(super) struct Bdi<'t>(pub(super) Cut<'t>);

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most text is harmless: it is written in as large pieces as there are.
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
            f.write_str(&rest[..at])?;
            match escaped(c) {
                Some(text) => f.write_str(text)?,
                None => f.write_char(c)?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Whether a character stands for itself, for certain.
fn is_plain(c: char) -> bool {
    match c {
        '&' | '<' | '>' | '"' | '\'' => false,
        // ASCII; Chinese, and what is written with it.
        ' '..='~' | '\n' | '\u{3000}'..='\u{d7ff}' | '\u{ff01}'..='\u{ffef}' => true,
        _ => false,
    }
}

/// What is written for a character; none: itself.
fn escaped(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&#34;",
        '\'' => "&#39;",
        '\n' => return None,
        '\t' => " ",
        c if c.is_control() || is_deceptive(c) || is_noncharacter(c) => "\u{fffd}",
        _ => return None,
    })
}

/// How many bytes a character takes in the page.
fn size(c: char) -> usize {
    escaped(c).map_or(c.len_utf8(), str::len)
}

/// How many bytes a text takes in the page.
pub(super) fn len(text: &str) -> usize {
    text.chars().map(size).sum()
}

/// Code points in the middle of the others that no document may hold.
fn is_noncharacter(c: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

impl Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, most) = (self.0, self.1);
        // No character takes more than six bytes.
        if text.len() <= most / 6 {
            return Esc(text).fmt(f);
        }
        let mut used = 0;
        let end = text.char_indices().find(|(_, c)| {
            used += size(*c);
            used > most
        });
        match end {
            None => Esc(text).fmt(f),
            Some((end, _)) => write!(f, "{} …", Esc(&text[..end])),
        }
    }
}

impl Display for Bdi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bdi>{}</bdi>", self.0)
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
            "&lt;/script&gt;&lt;a b=&#39;c&#39; d=&#34;e&#34;&gt;&amp;"
        );
        assert_eq!(
            Esc("\u{1b}[2J\u{0}\u{85}\u{202e}\u{2066}\u{fffe}x").to_string(),
            "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}x"
        );
        assert_eq!(Cut("日本語", 4).to_string(), "日 …");
        assert_eq!(Cut("日本語", 9).to_string(), "日本語");
        assert_eq!(Cut("<<<<", 9).to_string(), "&lt;&lt; …");
        assert_eq!(
            Anchor('i', "F1.1 <é>").to_string(),
            "i-F1.1_20__3c__e9__3e_"
        );
    }

    proptest! {
        #[test]
        fn nothing_escapes(text in any::<String>(), at in 0_usize..100) {
            for shown in [Esc(&text).to_string(), Cut(&text, at).to_string()] {
                let bad = |c: char| matches!(c, '<' | '>' | '"' | '\'') || (c.is_control() && c != '\n');
                prop_assert!(!shown.contains(bad), "{shown:?}");
            }
            prop_assert_eq!(Esc(&text).to_string().len(), len(&text));
            prop_assert!(Cut(&text, at).to_string().len() <= at + " …".len());
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
