//! What is asked about the database of the primary's connection string.

use std::collections::BTreeMap;

use super::audit::Audit;
use super::columns::EncryptedColumn;
use super::config::Config;
use super::indexes::Indexes;
use super::migrations::Migrations;
use super::privileges::Reader;
use super::queries::{self, Caps, Query};
use super::revisions::Revisions;
use super::row::unknown;
use super::session::Session;
use super::{audit, columns, indexes, migrations, privileges};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::probes::ParamError;

/// The most rows and bytes of a query without a declaration, and with one.
const DEFAULT_CAPS: Caps = Caps {
    rows: 1000,
    bytes: 1024 * 1024,
};
const HIGHEST_CAPS: Caps = Caps {
    rows: 100_000,
    bytes: 16 * 1024 * 1024,
};

/// The facts of the database.
pub(super) struct Database {
    pub(super) readers: Observed<Vec<Reader>>,
    pub(super) audit: Observed<Audit>,
    pub(super) encrypted_columns: Observed<Vec<EncryptedColumn>>,
    pub(super) migrations: Observed<Migrations>,
    pub(super) indexes: Observed<Indexes>,
}

/// Asks about all that is declared, and about indexes.
pub(super) async fn read(
    session: Result<&Session, &Unknown>,
    config: &Config,
    revisions: Option<&Revisions>,
) -> Database {
    let session = match session {
        Ok(session) => session,
        Err(reason) => return nothing(reason),
    };
    let readers = async {
        if config.readers.is_empty() {
            return undeclared("readers");
        }
        privileges::read(session, &config.readers).await
    };
    let audit = async {
        if config.audit.is_none() {
            return undeclared("audit");
        }
        Observed::Value(audit::read(session).await)
    };
    let columns = async {
        if config.encrypted_columns.is_empty() {
            return undeclared("encrypted_columns");
        }
        Observed::Value(columns::read(session, &config.encrypted_columns).await)
    };
    let migrations = async {
        let Some(revisions) = revisions else {
            return undeclared("migrations");
        };
        let table = config.migrations_table.as_deref();
        Observed::Value(migrations::read(session, revisions, table).await)
    };
    let (readers, audit, encrypted_columns, migrations, indexes) =
        futures_util::join!(readers, audit, columns, migrations, indexes::read(session));
    Database {
        readers,
        audit,
        encrypted_columns,
        migrations,
        indexes: Observed::Value(indexes),
    }
}

/// Runs the declared queries.
pub(super) async fn queries(
    session: Result<&Session, &Unknown>,
    config: &Config,
) -> BTreeMap<String, Query> {
    let caps = Caps {
        rows: config.max_rows.unwrap_or(DEFAULT_CAPS.rows),
        bytes: config.max_bytes.unwrap_or(DEFAULT_CAPS.bytes),
    };
    match session {
        Ok(session) => queries::read(session, &config.queries, caps).await,
        Err(reason) => {
            let names = config.queries.keys();
            names
                .map(|name| (name.clone(), Query::unknown(reason.clone())))
                .collect()
        }
    }
}

fn undeclared<T>(parameter: &str) -> Observed<T> {
    let detail = format!("`{parameter}` is not declared");
    unknown(UnknownWhy::NotApplicable, detail).into()
}

fn nothing(reason: &Unknown) -> Database {
    Database {
        readers: reason.clone().into(),
        audit: reason.clone().into(),
        encrypted_columns: reason.clone().into(),
        migrations: reason.clone().into(),
        indexes: reason.clone().into(),
    }
}

/// The parameters that are judged here.
pub(super) fn check(config: &Config, errors: &mut Vec<ParamError>) {
    let mut wrong = |param: String, message: &str| errors.push(ParamError::new(param, message));
    for (at, role) in config.readers.iter().enumerate() {
        if role.is_empty() {
            wrong(
                format!("readers.{at}"),
                "is empty: write the name of a role",
            );
        }
    }
    for (at, column) in config.encrypted_columns.iter().enumerate() {
        if columns::Name::parse(column).is_none() {
            wrong(
                format!("encrypted_columns.{at}"),
                "is not a column: write `schema.table.column` or `table.column`, with double \
                 quotes around a part that has capitals",
            );
        }
    }
    if let Some(table) = &config.migrations_table {
        if config.migrations.is_none() {
            wrong(
                "migrations_table".to_owned(),
                "is about `migrations`, which is not there: name the directory of the revisions",
            );
        } else if migrations::table_name(table).is_none() {
            wrong(
                "migrations_table".to_owned(),
                "is not a table: write `schema.table` or `table`",
            );
        }
    }
    for (name, sql) in &config.queries {
        if !is_fact_name(name) {
            wrong(
                format!("queries.{name}"),
                "is no name of a fact: write small letters, digits and `_`, a letter first",
            );
        }
        if sql.trim().is_empty() {
            wrong(format!("queries.{name}"), "is empty: write a select");
        }
    }
    let caps = [
        ("max_rows", config.max_rows, HIGHEST_CAPS.rows),
        ("max_bytes", config.max_bytes, HIGHEST_CAPS.bytes),
    ];
    for (param, value, highest) in caps {
        if value.is_some_and(|value| value == 0 || value > highest) {
            wrong(
                param.to_owned(),
                &format!("is out of range: write 1 to {highest}"),
            );
        }
    }
}

fn is_fact_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Reads the directory of the migrations.
pub(super) fn revisions(config: &Config, errors: &mut Vec<ParamError>) -> Option<Revisions> {
    let dir = config.migrations.as_ref()?.as_path();
    Revisions::read(dir)
        .map_err(|message| errors.push(ParamError::new("migrations", message)))
        .ok()
}
