//! `probe.verdict/v1`.

use std::io::{self, Write};

use crate::verdict::Verdict;

pub(crate) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, verdict)?;
    out.write_all(b"\n")
}
