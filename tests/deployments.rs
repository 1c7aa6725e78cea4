//! The examples of deployments: they can be read, and the flags that they use exist.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::lab::require;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy")
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// Whether the real command line takes these words.
fn parses(words: &[String]) -> Result<(), String> {
    let parsed = probe::cli::command().try_get_matches_from(words);
    parsed.map(|_| ()).map_err(|error| error.to_string())
}

/// Every call of `probe` in a document: `command` and `args` of containers, and lines of scripts.
fn calls(value: &Value, into: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(object) => {
            let words = |key: &str| -> Vec<String> {
                let list = object.get(key).and_then(Value::as_array);
                let texts = list.into_iter().flatten().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            };
            let call = [words("command"), words("args")].concat();
            if call.first().is_some_and(|first| first == "probe") {
                into.push(call);
            }
            object.values().for_each(|value| calls(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| calls(value, into)),
        Value::String(text) => {
            for line in text.lines().filter(|line| line.starts_with("probe ")) {
                into.push(line.split_whitespace().map(str::to_owned).collect());
            }
        }
        _ => {}
    }
}

#[test]
fn every_example_is_read_and_its_flags_exist() {
    let mut all = Vec::new();
    files(&examples(), &mut all);
    let mut count = 0;
    for path in all {
        let text = std::fs::read_to_string(&path).expect("an example");
        let name = path.display();
        let mut found = Vec::new();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => {
                let document: Value =
                    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                calls(&document, &mut found);
                let asks = text.contains("/gates/") || text.contains("/readyz");
                assert!(!found.is_empty() || asks, "{name} does not use probe");
            }
            Some("service") => {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix("ExecStart="));
                let words = line.expect("ExecStart").split_whitespace();
                found.push(words.map(str::to_owned).collect());
            }
            _ => panic!("{name}: nobody checks this"),
        }
        for call in found {
            parses(&call).unwrap_or_else(|error| panic!("{name}: {call:?}: {error}"));
            count += 1;
        }
    }
    assert!(count >= 10, "{count} calls were found");
    let misspelt = ["probe", "--once", "--gates", "x"].map(str::to_owned);
    assert!(parses(&misspelt).is_err());
}

#[test]
fn systemd_takes_the_unit() {
    let unit = std::fs::read_to_string(examples().join("systemd/probe.service")).expect("the unit");
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join("probe.service");
    // It says so when the program is not there.
    std::fs::write(
        &path,
        unit.replace("/usr/local/bin/probe", env!("CARGO_BIN_EXE_probe")),
    )
    .expect("write");
    let output = Command::new(require("systemd-analyze"))
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("run systemd-analyze");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("probe.service"),
        "{said}"
    );
}
