//! How large a week is, and how long its windows take: `scripts/size-history` runs it at full size.

use std::time::{Duration, Instant};

use probe::history::{Access, History, HistorySettings};
use probe::judge::Status;
use tempfile::TempDir;

use super::{at_us, flush, run_at, say};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_few_bytes() {
    let (bytes_per_run, _) = measure(20, 2).await;
    assert!(bytes_per_run < 50.0, "{bytes_per_run}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: run by scripts/size-history"]
async fn a_week_is_small_and_its_windows_are_quick() {
    let number = |name: &str| super::told(name).parse().expect("a number");
    let (bytes_per_run, windows) = measure(number("HISTORY_PROBES"), number("HISTORY_DAYS")).await;
    println!("{bytes_per_run:.1} bytes per run, windows of all probes in {windows:?}");
    assert!(bytes_per_run < 50.0);
}

/// Records so many probes every 30 s over so many days up to now; then all their windows of a minute.
async fn measure(probes: i64, days: i64) -> (f64, Duration) {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("probe.db");
    let history = History::open(&HistorySettings::sqlite(&path), "a", Access::Write).await;
    let history = history.expect("open");
    let end = super::ago(0).as_microsecond() / 60_000_000 * 60_000_000;
    let rounds = days * 2_880;
    let begun = Instant::now();
    let names: Vec<String> = (0..probes).map(|probe| format!("probe-{probe}")).collect();
    for round in 0..rounds {
        for (probe, name) in (0_i64..).zip(&names) {
            // Jitter of the scheduler and of the target, and one bad run in some thousand.
            let noise = (round * 7_919 + probe * 104_729) % 3_001;
            let phase = probe * 29_999_000 / probes;
            let start = end - (rounds - round) * 30_000_000 + phase + noise;
            let must = if (round * 31 + probe) % 4_001 == 0 {
                Status::Fail
            } else {
                Status::Pass
            };
            let mut run = run_at(name, at_us(start), must);
            run.duration = Duration::from_micros(2_000 + (noise * noise % 8_191).unsigned_abs());
            history.record(run, None, false);
        }
        if round * probes % 50_000 < probes {
            flush(&history).await;
        }
    }
    flush(&history).await;
    let recorded = begun.elapsed();
    assert_eq!(history.status().dropped, 0);
    let (from, to) = (at_us(end - days * 86_400_000_000), at_us(end));
    let begun = Instant::now();
    let mut good = 0;
    for name in &names {
        let slots = history.slots(name, from, to, Duration::from_secs(60)).await;
        let slots = slots.expect("slots");
        good += slots
            .iter()
            .filter(|slot| **slot == probe::history::Slot::Good)
            .count();
    }
    let windows = begun.elapsed();
    let all = usize::try_from(probes * days * 1_440).expect("a count");
    assert!(good > all * 99 / 100, "{good} of {all}");
    // The log beside it is bounded, and empty when nobody writes.
    let bytes = std::fs::metadata(&path).expect("the file").len();
    let runs = probes * rounds;
    say(&format!(
        "{runs} runs in {recorded:?}, {bytes} bytes on disk"
    ));
    let hundredths = bytes * 100 / runs.unsigned_abs();
    (
        u32::try_from(hundredths).map(f64::from).expect("a count") / 100.0,
        windows,
    )
}
