//! The examples of deployment: their syntax, and every command line in them against the real arguments.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PROBE: &str = env!("CARGO_BIN_EXE_probe");

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(examples().join(name)).unwrap()
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every command line of `probe` in a document: the arguments of its containers, its commands and its scripts.
fn command_lines(value: &Value, found: &mut Vec<Vec<String>>) {
    let words = |value: &Value| -> Option<Vec<String>> {
        let words = value.as_array()?.iter();
        words.map(|word| word.as_str().map(str::to_owned)).collect()
    };
    match value {
        Value::Object(map) => {
            let image = map.get("image").and_then(Value::as_str).unwrap_or_default();
            if let Some(args) = map.get("args").and_then(words)
                && image.contains("probe")
            {
                found.push(args);
            }
            if let Some(command) = map.get("command").and_then(words)
                && command[0] == "/usr/local/bin/probe"
            {
                found.push(command[1..].to_vec());
            }
            map.values().for_each(|value| command_lines(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| command_lines(value, found)),
        Value::String(text) => found.extend(text.lines().filter_map(shell_line)),
        _ => {}
    }
}

fn shell_line(line: &str) -> Option<Vec<String>> {
    let arguments = line.trim().strip_prefix("probe ")?;
    Some(arguments.split_whitespace().map(str::to_owned).collect())
}

fn must_parse(file: &str, arguments: &[String]) {
    let words = std::iter::once("probe").chain(arguments.iter().map(String::as_str));
    if let Err(error) = probe::cli::command().try_get_matches_from(words) {
        panic!("{file}: {arguments:?}: {error}");
    }
}

#[test]
fn every_command_line_is_one_of_probe() {
    for (file, at_least) in [
        ("kubernetes-sidecar.yaml", 3),
        ("kubernetes-init-container.yaml", 1),
        ("kubernetes-job.yaml", 1),
        ("helm-pre-upgrade.yaml", 1),
        ("argo-rollouts.yaml", 0),
        ("github-actions.yml", 2),
        ("gitlab-ci.yml", 2),
    ] {
        let mut found = Vec::new();
        for document in documents(file) {
            command_lines(&document, &mut found);
        }
        assert!(found.len() >= at_least, "{file}: {found:?}");
        for arguments in found {
            must_parse(file, &arguments);
        }
    }
    let unit = read("probe.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/probe "));
    let words: Vec<String> = start
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    must_parse("probe.service", &words);
}

#[test]
fn manifests_say_what_they_are_and_run_without_rights() {
    for file in std::fs::read_dir(examples()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if Path::new(&name)
            .extension()
            .is_none_or(|ending| ending != "yaml")
        {
            continue;
        }
        for document in documents(&name) {
            for key in ["apiVersion", "kind", "metadata"] {
                assert!(!document[key].is_null(), "{name}: no {key}");
            }
            let pod = &document["spec"]["template"]["spec"];
            for list in ["containers", "initContainers"] {
                for container in pod[list].as_array().into_iter().flatten() {
                    if !container["image"].as_str().unwrap().contains("/shop") {
                        let security = &container["securityContext"];
                        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
                        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
                        assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_configuration_of_the_sidecar_is_valid() {
    let sidecar = documents("kubernetes-sidecar.yaml");
    let config = sidecar[0]["data"]["probes.toml"].as_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probes.toml");
    std::fs::write(&path, config).unwrap();
    let checked = Command::new(PROBE)
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn systemd_takes_the_unit_and_finds_it_hardened() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("probe.service");
    let text = read("probe.service").replace("/usr/local/bin/probe", PROBE);
    std::fs::write(&unit, text).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&unit)
            .output();
        output.expect("systemd-analyze: install the package systemd")
    };
    let verified = run(&["verify", "--man=no"]);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.is_empty(), "{said}");
    // The threshold is systemd's own for what it calls OK.
    let hardened = run(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
    assert!(
        hardened.status.success(),
        "{}",
        String::from_utf8_lossy(&hardened.stdout)
    );
}
