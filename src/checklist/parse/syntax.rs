//! What single lines of Markdown are.

use std::ops::Range;

/// The bytes of each line without its break: LF, CR LF or CR.
pub(super) fn split_lines(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut at = start;
    while at < bytes.len() {
        let wide = match bytes[at] {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
            b'\n' | b'\r' => 1,
            _ => {
                at += 1;
                continue;
            }
        };
        spans.push(start..at);
        at += wide;
        start = at;
    }
    if start < bytes.len() {
        spans.push(start..bytes.len());
    }
    spans
}

/// Where code begins.
pub(super) struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    pub(super) fn open(content: &str) -> Option<Self> {
        let mark = content.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = content.len() - content.trim_start_matches(mark).len();
        let info = &content[length..];
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self { mark, length })
    }

    pub(super) fn closes(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

/// `## Title ##` → level and title.
pub(super) fn atx_heading(content: &str) -> Option<(usize, &str)> {
    let rest = content.trim_start_matches('#');
    let level = content.len() - rest.len();
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t', '\u{3000}']))
    {
        return None;
    }
    let title = rest.trim();
    let bare = title.trim_end_matches('#');
    // Hashes that close a heading stand apart from it.
    let closed = bare.len() < title.len() && (bare.is_empty() || bare.ends_with([' ', '\t']));
    Some((level, if closed { bare.trim_end() } else { title }))
}

/// A line of `=` or `-` makes a heading of the line above.
pub(super) fn underline(line: &str) -> Option<usize> {
    let line = line.trim();
    match line.chars().next()? {
        '=' if line.chars().all(|c| c == '=') => Some(1),
        '-' if line.chars().all(|c| c == '-') => Some(2),
        _ => None,
    }
}

/// What follows the marker of a list's entry.
pub(super) fn list_marker(content: &str) -> Option<&str> {
    let rest = content.strip_prefix(['-', '*', '+']).or_else(|| {
        let digits = content.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &content[digits..];
        (1..=9)
            .contains(&digits)
            .then(|| rest.strip_prefix(['.', ')']))
            .flatten()
    })?;
    rest.starts_with([' ', '\t']).then_some(rest)
}

/// `- [x] title` → where the mark stands, and the title.
pub(super) fn task(content: &str) -> Option<(usize, &str)> {
    let rest = list_marker(content)?.trim_start();
    let mark = content.len() - rest.len() + 1;
    let title = ["[ ]", "[x]", "[X]"]
        .iter()
        .find_map(|mark| rest.strip_prefix(mark))?;
    (title.is_empty() || title.starts_with([' ', '\t', '\u{3000}'])).then(|| (mark, title.trim()))
}

/// Where the pipes of a line stand that no backslash escapes.
pub(super) fn pipes(line: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = line.as_bytes();
    let mut escaped = false;
    (0..bytes.len()).filter(move |at| {
        let was = escaped;
        escaped = bytes[*at] == b'\\' && !was;
        bytes[*at] == b'|' && !was
    })
}

/// The same, without those within code.
pub(super) fn pipes_outside_code(line: &str) -> Vec<usize> {
    let mut code: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(begin) = line[from..].find('`').map(|at| from + at) {
        let ticks = run_of_ticks(&line[begin..]);
        let mut at = begin + ticks;
        from = at;
        while let Some(next) = line[at..].find('`').map(|next| at + next) {
            let closing = run_of_ticks(&line[next..]);
            at = next + closing;
            if closing == ticks {
                code.push(begin..at);
                from = at;
                break;
            }
        }
    }
    pipes(line)
        .filter(|pipe| !code.iter().any(|code| code.contains(pipe)))
        .collect()
}

fn run_of_ticks(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// Whether a pipe that no backslash escapes is in a line.
pub(super) fn has_pipe(line: &str) -> bool {
    pipes(line).next().is_some()
}

/// Whether a line is `|---|:-:|`.
pub(super) fn has_dashes_only(line: &str) -> bool {
    let line = line.trim();
    line.contains('-')
        && line.contains('|')
        && line.trim_matches('|').split('|').all(|cell| {
            let cell = cell.trim();
            let cell = cell.strip_prefix(':').unwrap_or(cell);
            let cell = cell.strip_suffix(':').unwrap_or(cell);
            !cell.is_empty() && cell.chars().all(|c| c == '-')
        })
}
