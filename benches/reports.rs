//! How long each report of a large verdict takes: `cargo bench --bench reports`.
//!
//! A verdict of 10,000 items with two rules and a reason each, and 1,000 probes with facts, is rendered in every
//! format. Prints the size, the minimum and the median over the runs, and the peak memory of the process at
//! the end; asserts nothing.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reports on stdout and stops at the first surprise"
)]

use std::io::{self, Write};
use std::time::Instant;

use clap::ValueEnum as _;
use probe::checklist::Language;
use probe::report::{Format, Style, write};
use probe::verdict::Verdict;
use serde_json::{Value, json};

const ITEMS: usize = 10_000;
const PROBES: usize = 1_000;
const RUNS: usize = 7;

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    let verdict = verdict();
    let style = Style {
        colour: false,
        width: None,
        language: Language::En,
        root: None,
    };
    println!("{ITEMS} items, {PROBES} probes, {RUNS} runs (bytes / min s / median s)");
    for format in Format::value_variants() {
        let mut seconds: Vec<f64> = Vec::new();
        let mut size = 0;
        for _ in 0..RUNS {
            let mut out = Count(0);
            let begun = Instant::now();
            if write(&verdict, None, *format, style, &mut out).is_err() {
                // The checklist written anew is not made from a verdict alone.
                break;
            }
            seconds.push(begun.elapsed().as_secs_f64());
            size = out.0;
        }
        seconds.sort_by(f64::total_cmp);
        if let (Some(least), Some(median)) = (seconds.first(), seconds.get(RUNS / 2)) {
            println!("  {format:<12?} {size:>12} {least:>8.3} {median:>8.3}");
        }
    }
    let status = probe::limits::read_file("/proc/self/status".as_ref(), 1 << 16).unwrap();
    let status = String::from_utf8(status).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("  {}", peak.unwrap_or("no peak memory here"));
}

fn verdict() -> Verdict {
    let mut json: Value =
        serde_json::from_str(include_str!("../tests/reports/verdict-v1.json")).unwrap();
    let kinds = json["items"].as_array().unwrap().clone();
    let rule = kinds[0]["rules"][0].clone();
    let items = (0..ITEMS).map(|index| {
        let mut item = kinds[index % kinds.len()].clone();
        item["id"] = format!("S{}.{index}", index % 40).into();
        item["section"] = format!("S{}", index % 40).into();
        item["rules"] = json!([rule, rule]);
        item["evidence"] = json!([format!("p{}@{}", index % PROBES, "0".repeat(64))]);
        item
    });
    json["items"] = items.collect();
    let one = json["probes"][0].clone();
    let probes = (0..PROBES).map(|index| {
        let mut probe = one.clone();
        probe["id"] = format!("p{index}").into();
        probe["facts"]["body"] = "x".repeat(2_000).into();
        probe
    });
    json["probes"] = probes.collect();
    serde_json::from_value(json).unwrap()
}
