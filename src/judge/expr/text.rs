//! Cutting text at character boundaries, and durations as text.

use jiff::SignedDuration;

/// The last character boundary at or before `at`.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first character boundary at or after `at`.
pub(super) fn ceil_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// At most `max_chars` characters, and `…` where there were more.
pub(super) fn truncate(mut text: String, max_chars: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(max_chars) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// `1h30m`, `1.5s`, `-2m`, `7d`: numbers, each with a unit of d, h, m, s, ms, us or ns.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total_ns = 0_i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        total_ns = total_ns.checked_add(part_ns(number, unit)?)?;
        rest = tail;
    }
    let total_ns = if negative { -total_ns } else { total_ns };
    let seconds = i64::try_from(total_ns / 1_000_000_000).ok()?;
    let nanoseconds = i32::try_from(total_ns % 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, nanoseconds))
}

fn part_ns(number: &str, unit: &str) -> Option<i128> {
    let unit_ns: i128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let read = |digits: &str| -> Option<i128> {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse().ok()
        }
    };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let ns = read(whole)?.checked_mul(unit_ns)?;
    ns.checked_add(read(fraction)?.checked_mul(unit_ns)? / scale)
}

/// `71h3m`, as `duration()` reads it.
pub(super) fn format_duration(duration: SignedDuration) -> String {
    use std::fmt::Write as _;
    let total = duration.as_secs().unsigned_abs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let fraction = duration.subsec_nanos().unsigned_abs();
    let mut out = String::new();
    if duration.is_negative() {
        out.push('-');
    }
    // Writing to a string cannot fail.
    if hours > 0 {
        let _ = write!(out, "{hours}h");
    }
    if minutes > 0 {
        let _ = write!(out, "{minutes}m");
    }
    if fraction > 0 {
        let digits = format!("{fraction:09}");
        let _ = write!(out, "{seconds}.{}s", digits.trim_end_matches('0'));
    } else if seconds > 0 || total == 0 {
        let _ = write!(out, "{seconds}s");
    }
    out
}
