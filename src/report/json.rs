//! `probe.verdict/v1`, whole or a line an item.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::verdict::{ItemReport, Verdict, write_json};

pub(crate) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
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
    write_json(value, out)?;
    out.write_all(b"\n")
}

/// A string in JSON, which is also one in YAML.
pub(super) fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    // Writing a string to memory does not fail.
    write_json(&text, &mut bytes).ok();
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
