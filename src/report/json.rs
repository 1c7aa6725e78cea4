//! `probe.verdict/v1`, whole or a line an item, and JSON that is harmless wherever it is pasted.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::text::is_deceptive;
use crate::verdict::{ItemReport, Verdict};

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    write_line(verdict, out)
}

#[derive(Serialize)]
struct Line<'v> {
    run_id: &'v str,
    finished_at: Timestamp,
    #[serde(flatten)]
    item: &'v ItemReport,
}

pub(super) fn write_lines(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    for item in &verdict.items {
        let line = Line {
            run_id: &verdict.run_id,
            finished_at: verdict.finished_at,
            item,
        };
        write_line(&line, out)?;
    }
    Ok(())
}

/// Writes a value and a line break.
pub(super) fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Harmless);
    value.serialize(&mut serializer)?;
    out.write_all(b"\n")
}

/// A string in JSON, which is also one in YAML.
pub(super) fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Harmless);
    // Writing a string to memory does not fail.
    text.serialize(&mut serializer).ok();
    String::from_utf8(bytes).unwrap_or_default()
}

/// An array that is made while it is written.
pub(super) struct Each<'v, T, F>(pub(super) &'v [T], pub(super) F);

impl<'v, T, U: Serialize, F: Fn(usize, &'v T) -> U> Serialize for Each<'v, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let made = self.0.iter().enumerate();
        serializer.collect_seq(made.map(|(index, one)| (self.1)(index, one)))
    }
}

/// Compact JSON with the same content, in which what a terminal or a browser could obey is escaped:
/// it parses back to the very text.
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
        let json = quoted(text);
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
