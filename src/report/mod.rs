//! Pure renderers of one verdict.

mod json;
mod table;

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

/// Renders a verdict, with a line break at its end.
///
/// # Errors
/// When the verdict cannot be written as JSON.
pub fn render(
    verdict: &Verdict,
    format: Format,
    style: Style,
) -> Result<String, serde_json::Error> {
    match format {
        Format::Json => json::render(verdict),
        Format::Table => Ok(table::render(verdict, style)),
    }
}
