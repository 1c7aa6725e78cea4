//! The built-in rules of the `postgres` kind. Every threshold stands here, none in the code.

use super::config::Config;
use crate::probes::{RuleSpec, Severity};

/// In the order in which they are printed.
pub const RULES: &[RuleSpec<Config>] = &[
    // --- servers and replication ---
    RuleSpec {
        name: "servers-answer",
        expr: "servers.all(s, s.connect_error == '')",
        applies: None,
        severity: Severity::Must,
        why: "every declared server takes connections and lets the probe log in",
        source: "definition",
        when: None,
    },
    RuleSpec {
        name: "roles-as-declared",
        expr: "servers.all(s, s.role == s.declared)",
        applies: None,
        severity: Severity::Must,
        why: "a standby that accepts writes, or a primary that does not, means a failover or a mistake",
        source: "definition",
        when: None,
    },
    // --- roles, columns, migrations, indexes, queries ---
];
