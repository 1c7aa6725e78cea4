//! Text that nobody obeys: what deceives a reader, and JSON in which it is escaped.

use std::io::{self, Write};

use serde::Serialize;

/// What is no control character and still makes text look or read like another: directions of
/// writing, separators of lines, invisible tags, and what is no character at all.
pub(crate) const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    ) || c as u32 & 0xfffe == 0xfffe
}

/// Writes compact JSON with the same content, in which what a terminal or a browser could obey is escaped: it
/// parses back to the very text. Whatever renders a part of a verdict writes it so.
pub(crate) fn write_json(value: &impl Serialize, out: &mut dyn Write) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Harmless))
}

struct Harmless;

impl serde_json::ser::Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|byte| byte < 0x7f && byte != b'<') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        for (at, c) in fragment.char_indices() {
            let rest = &fragment.as_bytes()[at + c.len_utf8()..];
            let opens = c == '<' && matches!(rest.first(), Some(b'/' | b'!'));
            if !(opens || c.is_control() || is_deceptive(c)) {
                continue;
            }
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_obeyed_is_escaped_and_parses_back() {
        let text =
            "</script><!-- a < b \u{7f}\u{9b}31m\u{202e}\u{2028}\u{feff}\u{e0041}\u{1b}\"\\中";
        let mut json = Vec::new();
        write_json(&text, &mut json).expect("memory");
        let json = String::from_utf8(json).expect("text");
        for harmful in [
            "</",
            "<!",
            "\u{7f}",
            "\u{9b}",
            "\u{202e}",
            "\u{2028}",
            "\u{e0041}",
        ] {
            assert!(!json.contains(harmful), "{json}");
        }
        assert!(
            json.contains(" a < b "),
            "a comparison stays readable: {json}"
        );
        let back: String = serde_json::from_str(&json).expect("JSON");
        assert_eq!(back, text);
    }
}
