//! Figures of a child process, and how they are printed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 7;

/// What one run took.
pub struct Figures {
    wall_s: f64,
    cpu_s: f64,
    peak_mb: f64,
}

/// One child process, accounted by the operating system.
pub fn run(dir: &Path, args: &[&str]) -> Figures {
    let begun = Instant::now();
    let child = Command::new("/usr/bin/env")
        .arg("time")
        .args(["-f", "%U %S %M", "-o", "figures"])
        .arg(env!("CARGO_BIN_EXE_probe"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let wall_s = begun.elapsed().as_secs_f64();
    // A gate that does not pass is a run all the same; 2 means that nothing was done.
    assert!(
        matches!(child.code(), Some(0 | 1 | 3)),
        "{args:?} ended with {child}"
    );
    let figures = probe::limits::read_file(&dir.join("figures"), 1024).unwrap();
    let figures = String::from_utf8(figures).unwrap();
    let numbers: Vec<f64> = figures
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [user, system, kilobytes] = numbers[..] else {
        panic!("GNU time printed {figures}");
    };
    Figures {
        wall_s,
        cpu_s: user + system,
        peak_mb: kilobytes / 1024.0,
    }
}

/// Runs it a few times and prints minimum, median and maximum.
pub fn report(name: &str, probes: Option<u32>, run: impl Fn() -> Figures) {
    run();
    let runs: Vec<Figures> = (0..RUNS).map(|_| run()).collect();
    println!("{name}, {RUNS} runs after a warm-up (min / median / max)");
    line("wall, s", &runs, |f| f.wall_s);
    line("CPU, s", &runs, |f| f.cpu_s);
    line("peak memory, MB", &runs, |f| f.peak_mb);
    if let Some(probes) = probes {
        line("probes per CPU-second", &runs, |f| {
            f64::from(probes) / f.cpu_s
        });
    }
}

fn line(name: &str, runs: &[Figures], figure: impl Fn(&Figures) -> f64) {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    println!(
        "  {name:<22} {:>10.3} {:>10.3} {:>10.3}",
        values[0],
        values[values.len() / 2],
        values[values.len() - 1]
    );
}
