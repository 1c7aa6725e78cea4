//! Python programs of the tests, with the libraries that `scripts/report-lab` has fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter that has the libraries. A missing one is an error, never a skip.
pub fn python() -> Command {
    const SCRIPT: &str = include_str!("../../scripts/report-lab");
    let version = SCRIPT
        .lines()
        .find_map(|line| line.strip_prefix("reports_version="))
        .expect("scripts/report-lab names the version");
    let cache = std::env::var_os("PROBE_LAB_CACHE").map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME or PROBE_LAB_CACHE is set");
            Path::new(&home).join(".cache/probe-lab")
        },
        PathBuf::from,
    );
    let lab = cache.join(format!("reports-{version}"));
    assert!(
        lab.join("complete").exists(),
        "the libraries of version {version} are not in {}: run scripts/report-lab, which fetches them",
        cache.display()
    );
    Command::new(lab.join("bin/python"))
}

/// Runs `tests/SCRIPT` to its end and returns what it has printed.
pub fn run_python(script: &str, args: &[&str], dir: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(script);
    let output = python()
        .arg(&script)
        .args(args)
        .current_dir(dir)
        .output()
        .expect("run python");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{} {args:?}: {}\n{}\n{}",
        script.display(),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
