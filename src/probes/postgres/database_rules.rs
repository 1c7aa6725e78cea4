//! The rules about the database, its roles, and who may connect.

use super::config::Config;
use super::rules::{must, should};
use crate::probes::{Condition, RuleSpec};

const fn where_declared(
    text: &'static str,
    holds: fn(&Config) -> bool,
    mut rule: RuleSpec<Config>,
) -> RuleSpec<Config> {
    rule.when = Some(Condition { text, holds });
    rule
}

const RESTRICTED: &str = "`hba = \"restricted\"` is declared";

pub(super) const READERS_CANNOT_WRITE: RuleSpec<Config> = where_declared(
    "`readers` is declared",
    |config| !config.readers.is_empty(),
    must(
        "readers-cannot-write",
        "readers.all(r, r.exists && r.write_paths == [])",
        "a role for reading that can write, by any path, is one mistake or one break-in away from it",
        "principle of least privilege; PostgreSQL documentation, 5.8 and 22",
    ),
);

pub(super) const READERS_CALL_NO_DEFINERS: RuleSpec<Config> = where_declared(
    "`readers` is declared",
    |config| !config.readers.is_empty(),
    should(
        "readers-call-no-definers",
        "readers.all(r, r.definer_functions == [])",
        "a SECURITY DEFINER function writes with the rights of its owner, whoever calls it",
        "PostgreSQL documentation, CREATE FUNCTION: writing SECURITY DEFINER functions safely",
    ),
);

pub(super) const AUDIT_ON: RuleSpec<Config> = where_declared(
    "`audit = \"pgaudit\"` is declared",
    |config| config.audit.is_some(),
    must(
        "audit-on",
        "audit.preloaded && audit.extension && audit.reaches_log && audit.unlogged_roles == []",
        "pgaudit logs only where it is preloaded, created, and pgaudit.log is not none for whoever logs in; what it logs below log_min_messages reaches no log",
        "pgaudit documentation, settings",
    ),
);

pub(super) const COLUMNS_ENCRYPTED: RuleSpec<Config> = where_declared(
    "`encrypted_columns` is declared",
    |config| !config.encrypted_columns.is_empty(),
    must(
        "columns-encrypted",
        "encrypted_columns.all(c, c.exists && c.plaintext == 0)",
        "one readable value in a column that is said to be encrypted is a leak",
        "the declaration",
    ),
);

pub(super) const MIGRATIONS_APPLIED: RuleSpec<Config> = where_declared(
    "`migrations` is declared",
    |config| config.migrations.is_some(),
    must(
        "migrations-applied",
        "migrations.table_exists && migrations.applied.size() > 0 && migrations.missing_heads == [] && migrations.unknown_revisions == [] && migrations.redundant_revisions == []",
        "a program meets another schema than it was written for",
        "Alembic documentation, working with branches",
    ),
);

pub(super) const INDEXES_VALID: RuleSpec<Config> = must(
    "indexes-valid",
    "indexes.invalid == []",
    "an invalid index costs every write, serves no read, and if it is unique does not hold",
    "PostgreSQL documentation, CREATE INDEX: building indexes concurrently",
);

pub(super) const INDEXES_DISTINCT: RuleSpec<Config> = should(
    "indexes-distinct",
    "indexes.duplicate == []",
    "the twin of an index costs every write and helps no read",
    "convention",
);

pub(super) const FOREIGN_KEYS_INDEXED: RuleSpec<Config> = where_declared(
    "`foreign_key_indexes = true` is declared",
    |config| config.foreign_key_indexes,
    should(
        "foreign-keys-indexed",
        "indexes.foreign_keys_without_index == []",
        "without an index each delete of a referenced row reads the whole referencing table",
        "PostgreSQL documentation, 5.5.5",
    ),
);

pub(super) const HBA_LOADS: RuleSpec<Config> = where_declared(
    RESTRICTED,
    |config| config.hba.is_some(),
    must(
        "hba-loads",
        "hba.all(h, h.errors == [])",
        "with one wrong line in it the file is not loaded, and at the next start neither is the server",
        "PostgreSQL documentation, 20.1",
    ),
);

pub(super) const HBA_NO_TRUST: RuleSpec<Config> = where_declared(
    RESTRICTED,
    |config| config.hba.is_some(),
    must(
        "hba-no-trust",
        "hba.all(h, h.login_asked != 'nothing' && h.lines.all(l, l.connection == 'local' || !(l.method in ['trust', 'ident'])))",
        "over the network, trust and ident let in whoever says a name; the login of this run shows what is loaded, which the file need not be",
        "PostgreSQL documentation, 20.4 and 20.8",
    ),
);

pub(super) const HBA_STRONG_PASSWORDS: RuleSpec<Config> = where_declared(
    RESTRICTED,
    |config| config.hba.is_some(),
    must(
        "hba-strong-passwords",
        "hba.all(h, h.login_asked != 'md5' && h.lines.all(l, l.connection == 'local' || !(l.method in ['password', 'md5'])))",
        "password sends the password itself, and md5 what is as good as the password",
        "PostgreSQL documentation, 20.5",
    ),
);

pub(super) const HBA_NOT_OPEN: RuleSpec<Config> = where_declared(
    RESTRICTED,
    |config| config.hba.is_some(),
    must(
        "hba-not-open",
        "hba.all(h, h.lines.all(l, l.method == 'reject' || l.address_bits >= 8))",
        "a database is for the networks of its clients, not for the whole world",
        "convention; no single organisation has more than a /8",
    ),
);

pub(super) const HBA_ENCRYPTED: RuleSpec<Config> = where_declared(
    RESTRICTED,
    |config| config.hba.is_some(),
    must(
        "hba-encrypted",
        "hba.all(h, h.lines.all(l, l.is_loopback || !l.lets_plaintext_in))",
        "a `host` line takes connections without TLS too",
        "PostgreSQL documentation, 20.1",
    ),
);
