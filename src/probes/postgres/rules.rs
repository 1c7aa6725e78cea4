//! The built-in rules of the `postgres` kind. Every threshold stands here, none in the code.

use super::config::Config;
use crate::probes::{Condition, RuleSpec, Severity};

const RESTRICTED: &str = "`hba = \"restricted\"` is declared";

const fn declared(text: &'static str, holds: fn(&Config) -> bool) -> Option<Condition<Config>> {
    Some(Condition { text, holds })
}

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
    RuleSpec {
        name: "readers-cannot-write",
        expr: "readers.all(r, r.exists && r.write_paths == [])",
        applies: None,
        severity: Severity::Must,
        why: "a role for reading that can write, by any path, is one mistake or one break-in away from it",
        source: "principle of least privilege; PostgreSQL documentation, 5.8 and 22",
        when: declared("`readers` is declared", |config| !config.readers.is_empty()),
    },
    RuleSpec {
        name: "readers-call-no-definers",
        expr: "readers.all(r, r.definer_functions == [])",
        applies: None,
        severity: Severity::Should,
        why: "a SECURITY DEFINER function writes with the rights of its owner, whoever calls it",
        source: "PostgreSQL documentation, CREATE FUNCTION: writing SECURITY DEFINER functions safely",
        when: declared("`readers` is declared", |config| !config.readers.is_empty()),
    },
    RuleSpec {
        name: "audit-on",
        expr: "audit.preloaded && audit.extension && audit.unlogged_roles == []",
        applies: None,
        severity: Severity::Must,
        why: "pgaudit logs only where it is preloaded, created, and pgaudit.log is not none for whoever logs in",
        source: "pgaudit documentation, settings",
        when: declared("`audit = \"pgaudit\"` is declared", |config| {
            config.audit.is_some()
        }),
    },
    RuleSpec {
        name: "columns-encrypted",
        expr: "encrypted_columns.all(c, c.exists && c.plaintext == 0)",
        applies: None,
        severity: Severity::Must,
        why: "one readable value in a column that is said to be encrypted is a leak",
        source: "the declaration",
        when: declared("`encrypted_columns` is declared", |config| {
            !config.encrypted_columns.is_empty()
        }),
    },
    RuleSpec {
        name: "migrations-applied",
        expr: "migrations.table_exists && migrations.applied.size() > 0 && migrations.missing_heads == [] && migrations.unknown_revisions == []",
        applies: None,
        severity: Severity::Must,
        why: "a program meets another schema than it was written for",
        source: "Alembic documentation, working with branches",
        when: declared("`migrations` is declared", |config| {
            config.migrations.is_some()
        }),
    },
    RuleSpec {
        name: "indexes-valid",
        expr: "indexes.invalid == []",
        applies: None,
        severity: Severity::Must,
        why: "an invalid index costs every write, serves no read, and if it is unique does not hold",
        source: "PostgreSQL documentation, CREATE INDEX: building indexes concurrently",
        when: None,
    },
    RuleSpec {
        name: "indexes-distinct",
        expr: "indexes.duplicate == []",
        applies: None,
        severity: Severity::Should,
        why: "the twin of an index costs every write and helps no read",
        source: "convention",
        when: None,
    },
    RuleSpec {
        name: "foreign-keys-indexed",
        expr: "indexes.foreign_keys_without_index == []",
        applies: None,
        severity: Severity::Should,
        why: "without an index each delete of a referenced row reads the whole referencing table",
        source: "PostgreSQL documentation, 5.5.5",
        when: declared("`foreign_key_indexes = true` is declared", |config| {
            config.foreign_key_indexes
        }),
    },
    RuleSpec {
        name: "hba-loads",
        expr: "hba.all(h, h.errors == [])",
        applies: None,
        severity: Severity::Must,
        why: "with one wrong line in it the file is not loaded, and at the next start neither is the server",
        source: "PostgreSQL documentation, 20.1",
        when: declared(RESTRICTED, |config| config.hba.is_some()),
    },
    RuleSpec {
        name: "hba-no-trust",
        expr: "hba.all(h, h.lines.all(l, l.connection == 'local' || !(l.method in ['trust', 'ident'])))",
        applies: None,
        severity: Severity::Must,
        why: "over the network, trust and ident let in whoever says a name",
        source: "PostgreSQL documentation, 20.4 and 20.8",
        when: declared(RESTRICTED, |config| config.hba.is_some()),
    },
    RuleSpec {
        name: "hba-strong-passwords",
        expr: "hba.all(h, h.lines.all(l, l.connection == 'local' || !(l.method in ['password', 'md5'])))",
        applies: None,
        severity: Severity::Must,
        why: "password sends the password itself, and md5 what is as good as the password",
        source: "PostgreSQL documentation, 20.5",
        when: declared(RESTRICTED, |config| config.hba.is_some()),
    },
    RuleSpec {
        name: "hba-not-open",
        expr: "hba.all(h, h.lines.all(l, l.method == 'reject' || l.address_bits >= 8))",
        applies: None,
        severity: Severity::Must,
        why: "a database is for the networks of its clients, not for the whole world",
        source: "convention; no single organisation has more than a /8",
        when: declared(RESTRICTED, |config| config.hba.is_some()),
    },
    RuleSpec {
        name: "hba-encrypted",
        expr: "hba.all(h, h.lines.all(l, l.is_loopback || !l.lets_plaintext_in))",
        applies: None,
        severity: Severity::Must,
        why: "a `host` line takes connections without TLS too",
        source: "PostgreSQL documentation, 20.1",
        when: declared(RESTRICTED, |config| config.hba.is_some()),
    },
];
