//! Pure renderers of one verdict.

pub mod badge;
pub mod html;
mod json;
mod strip;
mod table;

use std::io::{self, Write};

pub(crate) use json::write as write_json;
pub(crate) use table::printable;

use crate::checklist::Language;
use crate::verdict::Verdict;

/// A form in which a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `probe.verdict/v1`.
    Json,
    /// For people.
    Table,
    /// The checklist, written anew.
    Markdown,
    /// A page: one file, for a browser.
    Html,
    /// A signed in-toto statement, with `--sign-key`.
    Intoto,
}

/// How a renderer may write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Columns; none: as many as it takes.
    pub width: Option<u16>,
    /// Of titles, statuses and headings.
    pub language: Language,
}

/// Writes a verdict, or the `document` that it gave, with a line break at its end. A verdict may be many megabytes: it is written as
/// it is rendered.
///
/// # Errors
/// Those of `out`.
pub fn write(
    verdict: &Verdict,
    document: Option<&str>,
    format: Format,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => json::write(verdict, out),
        Format::Html => html::write(verdict, style, None, out),
        Format::Table => out.write_all(table::render(verdict, style).as_bytes()),
        Format::Markdown | Format::Intoto => match document {
            Some(document) => out.write_all(document.as_bytes()),
            None => Err(io::Error::other("there is no document to write")),
        },
    }
}
