//! Each report as those define it who read it: public schemas, `xmllint`, `promtool`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jsonschema::Validator;
use probe::report::Format;
use serde_json::Value;

use super::hostile::hostile_verdicts;
use super::read_back::parse;
use super::{frozen, render, verdict};
use crate::lab::require;

/// Public schemas are not part of this repository: `PROBE_SCHEMAS`, or `shared/schemas` beside the checkout.
fn schemas(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("PROBE_SCHEMAS").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/schemas"));
    let folder = named.unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to stderr: what is printed by a test that passes is not shown.
    writeln!(
        std::io::stderr(),
        "{test} DID NOT RUN: there is no {}",
        folder.display()
    )
    .expect("said");
    None
}

fn schema(folder: &std::path::Path, name: &str) -> Value {
    parse(&std::fs::read_to_string(folder.join(name)).expect("a schema"))
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("a schema")
}

fn check(validator: &Validator, json: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{json:#}");
}

fn verdicts() -> Vec<probe::verdict::Verdict> {
    let mut empty = frozen();
    empty["items"] = serde_json::json!([]);
    empty["findings"] = serde_json::json!([]);
    let mut bare = frozen();
    bare["subject"] = serde_json::json!({"digests": []});
    bare["score"] = serde_json::json!({"applicable": 0, "categories": []});
    bare["vantage"]["host"] = "".into();
    let mut all: Vec<_> = [frozen(), empty, bare].into_iter().map(verdict).collect();
    all.extend(hostile_verdicts());
    all
}

#[test]
fn sarif_is_valid() {
    let Some(folder) = schemas("sarif_is_valid") else {
        return;
    };
    let validator = validator(&schema(&folder, "sarif-schema-2.1.0.json"));
    for verdict in verdicts() {
        check(&validator, &parse(&render(&verdict, Format::Sarif)));
    }
    let mut broken = parse(&render(&verdict(frozen()), Format::Sarif));
    broken["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(
        !validator.is_valid(&broken),
        "the schema tells right from wrong"
    );
}

#[test]
fn ohdf_is_valid() {
    let Some(folder) = schemas("ohdf_is_valid") else {
        return;
    };
    let validator = validator(&schema(&folder, "ohdf-exec-json.json"));
    for verdict in verdicts() {
        check(&validator, &parse(&render(&verdict, Format::Ohdf)));
    }
    let mut broken = parse(&render(&verdict(frozen()), Format::Ohdf));
    broken["profiles"][0]["controls"][0]["results"][0]["status"] = "warn".into();
    assert!(
        !validator.is_valid(&broken),
        "the schema tells right from wrong"
    );
}

#[test]
fn cdevents_are_valid() {
    let Some(folder) = schemas("cdevents_are_valid") else {
        return;
    };
    let schemas = schema(&folder, "cdevents-test.json");
    let validators: std::collections::HashMap<&str, Validator> = schemas
        .as_object()
        .expect("schemas by type")
        .iter()
        .map(|(name, schema)| (name.as_str(), validator(schema)))
        .collect();
    for verdict in verdicts() {
        let mut ids = std::collections::HashSet::new();
        for line in render(&verdict, Format::Cdevents).lines() {
            let event = parse(line);
            let kind = event["context"]["type"].as_str().expect("a type");
            check(&validators[kind], &event);
            assert!(
                ids.insert(event["context"]["id"].to_string()),
                "an id twice"
            );
        }
    }
}

/// Runs a program on a text; what it says when it does not like it.
fn complaint(program: &str, args: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new(require(program))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start it");
    let mut stdin = child.stdin.take().expect("its input");
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("its end");
    // A program that has seen enough closes its input.
    writer.join().expect("written").ok();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (!output.status.success()).then_some(said)
}

#[test]
fn junit_is_valid() {
    let Some(folder) = schemas("junit_is_valid") else {
        return;
    };
    let schema = folder.join("junit-10.xsd").display().to_string();
    let args = ["--noout", "--nonet", "--schema", schema.as_str(), "-"];
    for verdict in verdicts() {
        let text = render(&verdict, Format::Junit);
        assert_eq!(complaint("xmllint", &args, &text), None, "{text}");
    }
    let text = render(&verdict(frozen()), Format::Junit);
    let broken = text.replacen("<testsuites ", "<testsuites skipped=\"1\" ", 1);
    assert!(complaint("xmllint", &args, &broken).is_some());
}

#[test]
fn promtool_finds_nothing_to_say() {
    for verdict in verdicts() {
        let text = render(&verdict, Format::Prometheus);
        let mut child = Command::new(require("promtool"))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start promtool");
        let mut stdin = child.stdin.take().expect("its input");
        let sent = text.clone();
        let writer = std::thread::spawn(move || stdin.write_all(sent.as_bytes()));
        let output = child.wait_with_output().expect("its end");
        writer.join().expect("written").ok();
        // Lint is told in words alone where the exit code stays 0.
        let said = [output.stdout, output.stderr].concat();
        assert!(
            said.is_empty(),
            "{}\n{text}",
            String::from_utf8_lossy(&said)
        );
        assert!(output.status.success());
    }
    let lint = "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n";
    assert!(complaint("promtool", &["check", "metrics"], lint).is_some());
}
