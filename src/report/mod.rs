//! Pure renderers of one verdict.

mod json;
mod table;

use std::io::{self, Write};

use crate::verdict::Verdict;

/// A form in which a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `probe.verdict/v1`.
    Json,
    /// For people.
    Table,
}

/// How a renderer may write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Columns; none: as many as it takes.
    pub width: Option<u16>,
}

/// Writes a verdict, with a line break at its end. A verdict may be many megabytes: it is written as
/// it is rendered.
///
/// # Errors
/// Those of `out`.
pub fn write(
    verdict: &Verdict,
    format: Format,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => json::write(verdict, out),
        Format::Table => out.write_all(table::render(verdict, style).as_bytes()),
    }
}
