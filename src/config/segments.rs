//! The parts of a string: literal text and `${…}`.

use std::ops::Range;

/// A part of a string.
pub(super) enum Segment<'t> {
    Literal(&'t str),
    Variable { span: Range<usize>, body: &'t str },
}

/// Something that cannot be put in, with its bytes within the string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

pub(super) fn problem(span: &Range<usize>, message: String, help: Option<String>) -> Problem {
    Problem {
        span: span.clone(),
        message,
        help,
    }
}

/// Splits a string into its parts; `$${` is a literal `${`.
pub(super) fn segments(text: &str) -> Result<Vec<Segment<'_>>, Vec<Problem>> {
    let mut segments = Vec::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find('$') {
        let at = rest + found;
        let tail = &text[at..];
        if tail.starts_with("$${") {
            segments.push(Segment::Literal(&text[rest..at]));
            segments.push(Segment::Literal("${"));
            rest = at + 3;
        } else if tail.starts_with("${") {
            segments.push(Segment::Literal(&text[rest..at]));
            let Some(end) = tail.find('}') else {
                return Err(vec![problem(
                    &(at..text.len()),
                    "a variable that does not end".into(),
                    Some("close it with }; a literal ${ is $${".into()),
                )]);
            };
            segments.push(Segment::Variable {
                span: at..at + end + 1,
                body: &tail[2..end],
            });
            rest = at + end + 1;
        } else {
            segments.push(Segment::Literal(&text[rest..=at]));
            rest = at + 1;
        }
    }
    segments.push(Segment::Literal(&text[rest..]));
    Ok(segments)
}
