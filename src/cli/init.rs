//! `probe init`: a commented starter configuration for what the environment suggests.

use std::fmt::Write as _;

use super::exit::Exit;
use super::terminal;
use crate::probes::{InitHint, KINDS, KindEntry};

const HEAD: &str = "\
# What `probe` looks at. `probe check` validates this file, `probe --once` runs it,
# `probe explain KIND` prints a kind's parameters, facts and rules.

[agent]
# environment = \"production\"
# service     = \"my-service\"

[defaults]
timeout = \"5s\"
retries = 1
";

const TAIL: &str = "
# A row of your checklist; its result is the fold of the rules it needs.
# [[item]]
# id    = \"A1\"
# title = \"the API answers\"
# owner = \"ops\"
# needs = [\"api/*\"]

# Items that must pass at one phase: probe --once --gate pre-deploy
# [[gate]]
# id    = \"pre-deploy\"
# items = [\"A*\"]
";

pub(super) fn run() -> Exit {
    terminal::print(&starter(|name| {
        std::env::var_os(name).is_some_and(|value| !value.is_empty())
    }))
}

/// The starter file; `is_set` tells which environment variables there are. Values are never read:
/// the file refers to the variable.
fn starter(is_set: impl Fn(&str) -> bool) -> String {
    let mut out = HEAD.to_owned();
    let mut found = 0;
    for kind in KINDS {
        for hint in kind.info.init.iter().filter(|hint| is_set(hint.variable)) {
            found += 1;
            probe_from(&mut out, kind, hint);
        }
    }
    if found == 0 {
        out.push_str("\n# No variable of the environment names a service; this asks the system's resolvers for a name that is\n# reserved, and exists for ever (RFC 2606):\n");
        out.push_str("[[probe]]\nid   = \"resolvers\"\nkind = \"dns\"\nname = \"example.com\"\n");
    }
    for kind in KINDS {
        let _ = writeln!(out, "\n# {}: {}", kind.info.name, kind.info.summary);
        let _ = writeln!(
            out,
            "# [[probe]]\n# id   = \"my-{}\"\n# kind = \"{}\"",
            kind.info.name, kind.info.name
        );
        for line in kind.info.example.lines() {
            let _ = writeln!(out, "# {line}");
        }
    }
    out.push_str(TAIL);
    out
}

fn probe_from(out: &mut String, kind: &KindEntry, hint: &InitHint) {
    let id = hint.variable.to_lowercase().replace('_', "-");
    let _ = writeln!(
        out,
        "\n# from {}\n[[probe]]\nid   = \"{id}\"\nkind = \"{}\"",
        hint.variable, kind.info.name
    );
    let toml = hint.toml.replace("{variable}", hint.variable);
    let _ = writeln!(out, "{}", toml.trim_end());
}
