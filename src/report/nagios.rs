//! The one line of a monitoring plugin: state, text, `|`, performance data.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::text::{
    clip, counts, counts_text, gate_text, one_line, reason, run_seconds, worst_first,
};
use crate::checklist::Language;
use crate::judge::Status;
use crate::verdict::{Basis, Verdict};

/// Characters of text; readers of the protocol cut lines, and performance data must not be what is cut.
const MOST: usize = 1000;

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let state = match verdict.gate.result {
        Status::Pass => "OK",
        Status::Warn => "WARNING",
        Status::Fail => "CRITICAL",
        Status::Unknown | Status::Na => "UNKNOWN",
    };
    let mut text = format!(
        "{}: {}",
        gate_text(&verdict.gate, Language::En),
        counts_text(counts(&verdict.items), Language::En)
    );
    let worst = worst_first(verdict).into_iter();
    let mut worst = worst.filter(|item| item.basis != Basis::Waived);
    if let Some(item) = worst.next().filter(|item| !reason(item).is_empty()) {
        let _ = write!(text, "; {}: {}", one_line(&item.id), reason(item));
    }
    writeln!(
        out,
        "READINESS {state} - {} | {}",
        clip(&harmless(&text), MOST),
        performance(verdict)
    )
}

/// The bar begins performance data, and web pages of monitoring systems have obeyed angle brackets.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '|' => '/',
            '<' => '‹',
            '>' => '›',
            c => c,
        })
        .collect()
}

/// `label=value[unit];warn;crit;min;max`.
fn performance(verdict: &Verdict) -> String {
    let [fail, unknown, warn, pass, na] = counts(&verdict.items);
    let mut data = String::new();
    if let Some(shares) = verdict.score.shares {
        for (label, share) in [
            ("score_low", shares.low),
            ("score_high", shares.high),
            ("coverage", shares.coverage),
        ] {
            let _ = write!(data, "{label}={:.2}%;;;0;100 ", share * 100.0);
        }
    }
    let items = verdict.items.len();
    for (label, count) in [
        ("pass", pass),
        ("warn", warn),
        ("fail", fail),
        ("unknown", unknown),
        ("na", na),
    ] {
        let _ = write!(data, "{label}={count};;;0;{items} ");
    }
    let _ = write!(data, "duration={:.3}s;;;0", run_seconds(verdict));
    data
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_cannot_begin_performance_data() {
        assert_eq!(super::harmless("a | b <script>"), "a / b ‹script›");
    }
}
