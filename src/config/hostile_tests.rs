//! Whatever a file holds: errors or a plan, never a panic.

use std::path::Path;

use jiff::civil::date;
use proptest::prelude::*;

use super::{LoadError, Loaded, load};

const VALID: &str = r#"
[agent]
environment = "x"

[vars]
host = "127.0.0.1"

[[probe]]
id = "a"
kind = "tcp"
host = "${var:host}"
port = 9
timeout = "5s"
rules.own = { expr = "state == 'open'", severity = "should", for = "1m" }

[[probe]]
id = "b"
kind = "http"
url = "http://u:${env:HOME:-pw}@127.0.0.1/?q=${var:host}"
headers = { Accept = "x" }
depends_on = ["a"]
rules.status = false

[[item]]
id = "I"
needs = ["a/*", "b/comp*"]
weight = 2.5

[[gate]]
id = "g"
items = ["I*"]

[[waiver]]
item = "I"
result = "fail"
owner = "o"
reason = "r"
expires = 2026-01-31
"#;

fn load_text(dir: &Path, text: &[u8]) -> Result<Loaded, Box<LoadError>> {
    let path = dir.join("probes.toml");
    std::fs::write(&path, text).expect("write");
    load(&path, date(2026, 1, 1))
}

/// Renders what is wrong: places must be within their files, whatever the text.
fn render(result: &Result<Loaded, Box<LoadError>>) {
    let (diagnostics, sources) = match result {
        Ok(loaded) => (&loaded.diagnostics, &loaded.sources),
        Err(failed) => {
            assert!(failed.diagnostics.has_errors());
            (&failed.diagnostics, &failed.sources)
        }
    };
    diagnostics.render(sources, false);
}

fn dir() -> tempfile::TempDir {
    crate::net::install_crypto_provider();
    tempfile::tempdir().expect("a directory")
}

/// Text that is likely to reach deep into the loader.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        Just("\"".to_owned()),
        Just("${env:".to_owned()),
        Just("${file:/etc/hostname}".to_owned()),
        Just("[[probe]]\n".to_owned()),
        Just("rules = { x = true }\n".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("-1".to_owned()),
        Just("nan".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\r\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let dir = dir();
        render(&load_text(dir.path(), &bytes));
    }

    #[test]
    fn a_valid_file_with_something_put_in(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..20_usize, fragment()), 1..4),
    ) {
        let mut text: Vec<char> = VALID.chars().collect();
        for (at, remove, put) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, put.chars());
        }
        let dir = dir();
        render(&load_text(dir.path(), text.iter().collect::<String>().as_bytes()));
    }
}

#[test]
fn the_valid_file_is_valid() {
    let dir = dir();
    let result = load_text(dir.path(), VALID.as_bytes());
    if let Err(failed) = &result {
        panic!("{}", failed.diagnostics.render(&failed.sources, false));
    }
}
