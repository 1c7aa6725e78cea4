//! Pure renderers of one verdict.

pub mod badge;
mod cdevents;
mod github;
pub mod html;
mod json;
mod junit;
mod language;
mod nagios;
mod ohdf;
mod prometheus;
mod sarif;
mod strip;
mod summary;
mod table;
mod tap;
mod text;

use std::io::{self, Write};
use std::path::Path;

pub(crate) use json::write as write_json;
pub use language::Language;
pub use prometheus::{ItemLabels, Readiness};
pub(crate) use text::printable;

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
    /// One line of JSON an item.
    Jsonl,
    /// `JUnit` XML, for Jenkins, GitLab and other CI.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Test Anything Protocol, version 14.
    Tap,
    /// The line of a monitoring plugin; on stdout with its exit codes.
    Nagios,
    /// Prometheus text, for the textfile collector.
    Prometheus,
    /// Markdown for a pull request or a job summary.
    Summary,
    /// Annotations of GitHub Actions.
    Github,
    /// Test events of `CDEvents`, one line of JSON each.
    Cdevents,
    /// OASIS Heimdall data format.
    Ohdf,
    /// A page: one file, for a browser.
    Html,
    /// A signed in-toto statement, with `--sign-key`.
    Intoto,
}

/// How a renderer may write.
#[derive(Debug, Clone, Copy)]
pub struct Style<'s> {
    /// ANSI colours.
    pub colour: bool,
    /// Columns; none: as many as it takes.
    pub width: Option<u16>,
    /// Of titles, statuses and headings.
    pub language: Language,
    /// The folder from which paths in annotations and scans are seen; none: as they were named.
    pub root: Option<&'s Path>,
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
    style: Style<'_>,
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
        Format::Jsonl => json::write_lines(verdict, out),
        Format::Junit => junit::write(verdict, style.language, out),
        Format::Sarif => sarif::write(verdict, style, out),
        Format::Tap => tap::write(verdict, style.language, out),
        Format::Nagios => nagios::write(verdict, out),
        Format::Prometheus => prometheus::write(verdict, out),
        Format::Summary => summary::write(verdict, style.language, out),
        Format::Github => github::write(verdict, style, out),
        Format::Cdevents => cdevents::write(verdict, style.language, out),
        Format::Ohdf => ohdf::write(verdict, style.language, out),
    }
}
