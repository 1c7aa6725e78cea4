//! Errors and warnings with their place, rendered with a caret and the next step.

use std::fmt::Write as _;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level as Style, Renderer, Snippet};

use super::lookup::looks_secret;
use super::sources::{Place, Sources};
use crate::evidence::Redactor;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is probed.
    Error,
    /// Worth knowing; the run goes on.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// A few words beside the caret.
    pub label: String,
    /// What to do next.
    pub help: Option<String>,
}

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    redactor: Arc<Redactor>,
}

/// More than this many are counted, not printed: a thousand carets help nobody.
const MOST_PRINTED: usize = 60;

impl Diagnostics {
    /// Adds an error.
    pub fn error(
        &mut self,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Level::Error, place.into(), message.into())
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Level::Warning, place.into(), message.into())
    }

    fn add(&mut self, level: Level, place: Option<Place>, message: String) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(Diagnostic {
            level,
            message,
            place,
            label: String::new(),
            help: None,
        });
        &mut self.list[at]
    }

    /// Keeps secrets out of what is rendered: a value that is wrong is quoted, and so is its line.
    pub fn redact_with(&mut self, redactor: Arc<Redactor>) {
        for diagnostic in &mut self.list {
            redactor.replace(&mut diagnostic.message);
            redactor.replace(&mut diagnostic.label);
            if let Some(help) = &mut diagnostic.help {
                redactor.replace(help);
            }
        }
        self.redactor = redactor;
    }

    /// Whether there is any error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.level == Level::Error)
    }

    /// Whether further ones may still be printed: looking for what was meant costs time.
    pub fn is_short(&self) -> bool {
        self.list.len() <= MOST_PRINTED
    }

    /// How many there are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.list.iter().filter(|d| d.level == level).count()
    }

    /// All of them.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Renders them for a terminal, errors and warnings in the order of their places.
    pub fn render(&self, sources: &Sources, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|d| {
            d.place
                .as_ref()
                .map_or((usize::MAX, 0), |place| (place.file, place.span.start))
        });
        // A parser that stumbles says the same of every step.
        let line = |d: &Diagnostic| {
            let place = d.place.as_ref()?;
            Some((place.file, sources.line(place)))
        };
        sorted.dedup_by(|a, b| a.message == b.message && line(a) == line(b) && line(a).is_some());
        let mut out = String::new();
        for diagnostic in sorted.iter().take(MOST_PRINTED) {
            out.push_str(&renderer.render(&[diagnostic.group(sources, &self.redactor)]));
            out.push_str("\n\n");
        }
        if sorted.len() > MOST_PRINTED {
            let more = sorted.len() - MOST_PRINTED;
            let _ = write!(out, "… and {more} more\n\n");
        }
        out
    }
}

impl Diagnostic {
    /// Adds what to do next.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a few words beside the caret.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    fn group<'a>(&'a self, sources: &'a Sources, redactor: &Redactor) -> Group<'a> {
        let style = match self.level {
            Level::Error => Style::ERROR,
            Level::Warning => Style::WARNING,
        };
        let mut group = Group::with_title(style.primary_title(self.message.as_str()));
        if let Some(place) = &self.place {
            let file = sources.file(place.file);
            let (window, first_line) = file.lines_around(&place.span);
            let start = place.span.start.clamp(window.start, window.end) - window.start;
            let end = place.span.end.clamp(window.start + start, window.end) - window.start;
            group = group.element(
                Snippet::source(hide_literals(&redactor.mask(&file.text[window])))
                    .path(file.path.to_string_lossy())
                    .line_start(first_line)
                    .annotation(
                        AnnotationKind::Primary
                            .span(start..end)
                            .label(self.label.as_str()),
                    ),
            );
        }
        if let Some(help) = &self.help {
            group = group.element(Style::HELP.message(help.as_str()));
        }
        group
    }
}

/// Overwrites the values on lines that seem to hold a secret as it is: a misspelt key is no parameter, so
/// that nothing knows what its value is. References to variables stay; every byte keeps its place.
fn hide_literals(text: &str) -> String {
    let hidden = |line: &str| match line.split_once('=') {
        Some((key, value)) if looks_secret(line) && !line.contains("${") => {
            let value: String = value
                .chars()
                .map(|c| match c {
                    '"' | '\'' | '{' | '}' | '[' | ']' | ',' | '=' | ' ' => c.to_string(),
                    c => "*".repeat(c.len_utf8()),
                })
                .collect();
            format!("{key}={value}")
        }
        _ => line.to_owned(),
    };
    text.split('\n').map(hidden).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::hide_literals;

    #[test]
    fn literals_that_seem_secret_are_hidden_in_place() {
        for (line, shown) in [
            ("bearer_token2 = \"ä-1\"", "bearer_token2 = \"****\""),
            ("password = 1234", "password = ****"),
            ("password = \"${env:X}\"", "password = \"${env:X}\""),
            ("port = 1234", "port = 1234"),
        ] {
            assert_eq!(hide_literals(line), shown);
        }
    }
}
