//! Anchored regular expressions of matchers: what they accept, as far as it can be told.
//!
//! Alertmanager reads them with Go's RE2 syntax. What this crate reads otherwise is not decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::RegexBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A longer pattern is not looked into.
const MAX_PATTERN_BYTES: usize = 4 * 1024;
const MAX_COMPILED_BYTES: usize = 128 * 1024;
/// More patterns than this are not looked into.
const MAX_PATTERNS: usize = 1_000;
/// More strings than this are not listed.
const MAX_STRINGS: usize = 64;

/// Which strings a pattern accepts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// All, the empty one included.
    Every,
    /// All but the empty one.
    NonEmpty,
    /// At most these.
    Finite(Vec<String>),
    /// Others too; these are tried first.
    Open(Vec<String>),
}

/// Patterns that were read: equal ones once, and no more than can be held.
#[derive(Debug, Default)]
pub(super) struct Patterns(BTreeMap<String, Arc<Pattern>>);

impl Patterns {
    /// The pattern of that source.
    pub(super) fn get(&mut self, source: &str) -> Arc<Pattern> {
        if let Some(known) = self.0.get(source) {
            return Arc::clone(known);
        }
        if self.0.len() >= MAX_PATTERNS {
            return Arc::new(Pattern::undecided(source));
        }
        let pattern = Arc::new(Pattern::new(source));
        self.0.insert(source.to_owned(), Arc::clone(&pattern));
        pattern
    }
}

/// One pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) source: String,
    pub(super) shape: Shape,
    /// `None`: it cannot be told what it accepts.
    regex: Option<regex::Regex>,
    ascii_only: bool,
}

impl Pattern {
    fn undecided(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            shape: Shape::Open(Vec::new()),
            regex: None,
            ascii_only: true,
        }
    }

    /// Reads a pattern as Alertmanager anchors it.
    fn new(source: &str) -> Self {
        let parsed = parse(source);
        let shape = parsed
            .as_ref()
            .map_or_else(|| Shape::Open(Vec::new()), shape_of);
        let regex = parsed.and_then(|_| {
            RegexBuilder::new(&format!("^(?:{source})$"))
                .size_limit(MAX_COMPILED_BYTES)
                .dfa_size_limit(MAX_COMPILED_BYTES)
                .nest_limit(50)
                .build()
                .ok()
        });
        Self {
            source: source.to_owned(),
            shape,
            regex,
            ascii_only: source.contains(['\\', '[']) || source.contains("(?"),
        }
    }

    /// Whether it accepts `value`; `None` where that cannot be told.
    pub(super) fn accepts(&self, value: &str) -> Option<bool> {
        // Classes and letter case are ASCII's in RE2 and Unicode's here.
        if self.ascii_only && !value.is_ascii() {
            return None;
        }
        self.regex.as_ref().map(|regex| regex.is_match(value))
    }
}

fn parse(source: &str) -> Option<Hir> {
    if source.len() > MAX_PATTERN_BYTES || has_other_class_syntax(source) {
        return None;
    }
    regex_syntax::ParserBuilder::new()
        .nest_limit(50)
        .build()
        .parse(source)
        .ok()
}

/// Whether a class has what means a set operation here and stands for itself in RE2, or a flag is
/// set that RE2 does not know.
fn has_other_class_syntax(source: &str) -> bool {
    let mut in_class = false;
    let mut chars = source.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let rest = &source[at..];
        match char {
            '\\' => {
                // `\C`, `\Q…\E` and the like are refused by one side or the other.
                chars.next();
            }
            '[' if in_class && rest.starts_with("[:") => {}
            '[' if in_class => return true,
            '[' => {
                in_class = true;
                // A `]` that comes first stands for itself.
                if rest.starts_with("[]") || rest.starts_with("[^]") {
                    return true;
                }
            }
            ']' if in_class => in_class = false,
            ':' if in_class && rest.starts_with(":]") => {
                chars.next();
            }
            '&' | '-' | '~' if in_class && rest[1..].starts_with(char) => return true,
            '(' if rest.starts_with("(?") => {
                let flags = rest[2..].split([':', ')', '<', 'P']).next().unwrap_or("");
                if flags.contains(['x', 'u', 'R', 'U']) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn shape_of(hir: &Hir) -> Shape {
    if let Some(least) = any_text(hir) {
        return if least == 0 {
            Shape::Every
        } else {
            Shape::NonEmpty
        };
    }
    let listed = list(hir);
    if listed.complete {
        Shape::Finite(listed.strings)
    } else {
        Shape::Open(listed.strings)
    }
}

/// For `.*` and `.+`, however anchored and grouped: the least length. A line break in a label's
/// value is not thought of: nobody routes by one.
fn any_text(hir: &Hir) -> Option<u32> {
    match hir.kind() {
        HirKind::Capture(capture) => any_text(&capture.sub),
        HirKind::Repetition(repetition) => {
            let is_any = repetition.max.is_none()
                && repetition.min <= 1
                && matches!(repetition.sub.kind(), HirKind::Class(class) if is_dot(class));
            is_any.then_some(repetition.min)
        }
        HirKind::Concat(parts) => {
            let mut parts = parts
                .iter()
                .filter(|part| !matches!(part.kind(), HirKind::Look(_)));
            let only = parts.next()?;
            parts.next().is_none().then(|| any_text(only))?
        }
        _ => None,
    }
}

fn is_dot(class: &Class) -> bool {
    let Class::Unicode(class) = class else {
        return false;
    };
    let count: u64 = class
        .iter()
        .map(|range| u64::from(u32::from(range.end()) - u32::from(range.start())) + 1)
        .sum();
    // All scalar values (with the gap of the surrogates counted), or all but the line break.
    count >= 0x11_0000 - 0x800 - 1
}

/// Strings that a pattern may accept, and whether it accepts no other.
struct Listed {
    strings: Vec<String>,
    complete: bool,
}

impl Listed {
    fn one(text: impl Into<String>) -> Self {
        Self {
            strings: vec![text.into()],
            complete: true,
        }
    }

    fn capped(mut self) -> Self {
        self.strings.sort();
        self.strings.dedup();
        if self.strings.len() > MAX_STRINGS {
            self.strings.truncate(MAX_STRINGS);
            self.complete = false;
        }
        self
    }

    fn then(&self, next: &Self) -> Self {
        let mut strings = Vec::new();
        'all: for left in &self.strings {
            for right in &next.strings {
                if strings.len() > MAX_STRINGS {
                    break 'all;
                }
                strings.push(format!("{left}{right}"));
            }
        }
        let complete = self.complete && next.complete;
        Self { strings, complete }.capped()
    }

    fn or(mut self, other: Self) -> Self {
        self.strings.extend(other.strings);
        self.complete &= other.complete;
        self.capped()
    }
}

fn list(hir: &Hir) -> Listed {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Listed::one(""),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Listed::one(text),
            Err(_) => Listed {
                strings: Vec::new(),
                complete: false,
            },
        },
        HirKind::Class(class) => list_class(class),
        HirKind::Capture(capture) => list(&capture.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .fold(Listed::one(""), |done, part| done.then(&list(part))),
        HirKind::Alternation(parts) => parts
            .iter()
            .map(list)
            .reduce(Listed::or)
            .unwrap_or_else(|| Listed::one("")),
        HirKind::Repetition(repetition) => {
            let unit = list(&repetition.sub);
            let most = usize::try_from(repetition.max.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
            let least = usize::try_from(repetition.min).unwrap_or(usize::MAX);
            // A long repetition is not spelt out: nothing is listed, and nothing is claimed.
            if least > MAX_STRINGS {
                return Listed {
                    strings: Vec::new(),
                    complete: false,
                };
            }
            let shortest = (0..least).fold(Listed::one(""), |done, _| done.then(&unit));
            let mut all = Listed {
                strings: shortest.strings.clone(),
                complete: shortest.complete,
            };
            let mut longer = shortest;
            for _ in least..most.min(least + 2) {
                longer = longer.then(&unit);
                all = all.or(Listed {
                    strings: longer.strings.clone(),
                    complete: longer.complete,
                });
            }
            all.complete &= most <= least + 2;
            all
        }
    }
}

/// A class of few characters is listed; of many, a few that are likely in a label.
fn list_class(class: &Class) -> Listed {
    const MOST: u32 = 12;
    let Class::Unicode(class) = class else {
        return Listed {
            strings: Vec::new(),
            complete: false,
        };
    };
    let mut strings = Vec::new();
    let mut complete = true;
    for range in class.iter() {
        let count = u32::from(range.end()) - u32::from(range.start()) + 1;
        if count > MOST {
            complete = false;
            let likely = ['a', 'A', '0', '-', '_'];
            let among = |char: &char| range.start() <= *char && *char <= range.end();
            strings.extend(
                likely
                    .iter()
                    .filter(|char| among(char))
                    .map(char::to_string),
            );
            strings.push(range.start().to_string());
        } else {
            strings.extend((range.start()..=range.end()).map(String::from));
        }
    }
    Listed { strings, complete }.capped()
}

#[cfg(test)]
mod tests;
