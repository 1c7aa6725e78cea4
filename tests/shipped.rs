//! The shipped configuration: every row of the production checklist, valid with nothing set, and
//! never green where nothing runs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::lab::{Run, free_port};

const ROWS: usize = 134;

/// A project of one's own: where its endpoints are, and what is different about it.
fn project(own: &str) -> Run {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("checklist/*.toml");
    Run::with_config(&format!("include = [\"{}\"]\n{own}", profile.display()))
}

#[test]
fn it_is_valid_with_nothing_set() {
    valid("probes.toml");
}

#[test]
fn a_project_of_ones_own_is_valid_too() {
    valid("examples/project/probes.toml");
}

fn valid(config: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(["check", "--config"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(config))
        .env_clear()
        .output()
        .expect("run");
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(stderr)
    );
    let stdout = String::from_utf8_lossy(stdout);
    assert!(stdout.contains("0 warnings"), "{stdout}");
}

#[test]
fn where_nothing_runs_nothing_passes_and_it_ends() {
    let port = free_port();
    let nowhere = format!("127.0.0.1:{port}");
    let url = format!("http://{nowhere}");
    let mut run = project("[defaults]\ntimeout = \"2s\"\n");
    for (name, value) in [
        ("API_DOMAIN", "localhost"),
        ("API_HOST", "127.0.0.1"),
        ("API_PORT", &port.to_string()),
        ("API_URL", &url),
        ("API_HTTP_URL", &url),
        ("API_HEALTH_URL", &url),
        ("API_PROTECTED_URL", &url),
        ("STATIC_URL", &url),
        ("OPENAPI_URL", &url),
        ("DNS_RESOLVER_1", &nowhere),
        ("CLOSED_HOST", "127.0.0.1"),
        ("CLOSED_PORT", &port.to_string()),
        ("CLOSED_CONTROL", &format!("127.0.0.1:{}", free_port())),
        (
            "DATABASE_URL",
            &format!("host=127.0.0.1 port={port} user=probe sslmode=disable"),
        ),
        ("REDIS_URL", &format!("redis://{nowhere}")),
        ("KAFKA_BROKERS", &nowhere),
        ("SCHEMA_REGISTRY_URL", &url),
        ("PROMETHEUS_URL", &url),
        ("ALERTMANAGER_URL", &url),
        ("GRAFANA_URL", &url),
        ("LOKI_URL", &url),
    ] {
        run = run.env(name, value);
    }
    let verdict = run.args(["--deadline", "30s"]).once();
    assert!(matches!(verdict.code, 1 | 3), "{}", verdict.code);
    let items = verdict.json["items"].as_array().expect("items");
    let rows: Vec<&str> = items
        .iter()
        .filter_map(|item| item["id"].as_str())
        .filter(|id| !id.starts_with("acceptance-"))
        .collect();
    assert_eq!(rows.len(), ROWS);
    assert_eq!((rows[0], rows[ROWS - 1]), ("A1.1", "I3.5"));
    for item in items {
        assert!(
            matches!(item["result"].as_str(), Some("fail" | "unknown")),
            "{item}"
        );
        assert!(item["titles"]["zh"].is_string(), "{item}");
    }
    assert_eq!(verdict.json["score"]["low"], 0.0);
}

#[test]
fn a_risk_is_as_well_mitigated_as_its_worst_item() {
    let (open, closed) = (
        std::net::TcpListener::bind("127.0.0.1:0").expect("bind"),
        free_port(),
    );
    let port = open.local_addr().expect("address").port();
    let config = format!(
        "[[probe]]\nid = \"good\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n\
         [[probe]]\nid = \"bad\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {closed}\n\
         [[item]]\nid = \"X1\"\nneeds = [\"good/*\"]\n[[item]]\nid = \"X2\"\nneeds = [\"bad/*\"]\n[[item]]\nid = \"X3\"\n\
         [[risk]]\nid = \"none\"\nlevel = \"low\"\nitems = [\"X1\"]\n\
         [[risk]]\nid = \"some\"\nlevel = \"high\"\nitems = [\"X*\"]\n\
         [[risk]]\nid = \"unseen\"\nlevel = \"medium\"\nitems = [\"X1\", \"X3\"]\n"
    );
    let verdict = Run::with_config(&config).once();
    let state = |at: usize| {
        let risk: &Value = &verdict.json["risks"][at];
        (
            risk["result"].as_str().unwrap_or_default().to_owned(),
            risk["open"].clone(),
        )
    };
    assert_eq!(state(0), ("pass".to_owned(), serde_json::json!([])));
    assert_eq!(
        state(1),
        ("fail".to_owned(), serde_json::json!(["X2", "X3"]))
    );
    assert_eq!(state(2), ("unknown".to_owned(), serde_json::json!(["X3"])));
}
