//! Whether the database is at the heads of the migrations.

use schemars::JsonSchema;
use serde::Serialize;

use super::revisions::Revisions;
use super::row::{Row, unknown};
use super::session::Session;
use super::sql::name_parts;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// The migrations of the declared directory and those of the database.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Migrations {
    /// The revisions of the directory that no other one follows; several are right where branches
    /// are.
    pub heads: Vec<String>,
    /// Whether there is a version table: `alembic_version`, or what `migrations_table` names.
    pub table_exists: Observed<bool>,
    /// Its name with its schema: what the search path finds, or else the only one of that name.
    pub table: Observed<String>,
    /// The revisions in it. None means that nothing was ever migrated.
    pub applied: Observed<Vec<String>>,
    /// Heads that the database is not at, directly or by what its revisions depend on.
    pub missing_heads: Observed<Vec<String>>,
    /// Revisions of the database that are in no file: it is ahead, or of another program.
    pub unknown_revisions: Observed<Vec<String>>,
    /// Revisions of the database that another one of its rows came after: no upgrade leaves both.
    pub redundant_revisions: Observed<Vec<String>>,
}

/// The version table without a declaration.
const TABLE: &str = "alembic_version";

/// The tables of that name. Everybody may read the catalog, so that none means none.
const LOOK_UP: &str = "select format('%I.%I', n.nspname, c.relname) as table,
  pg_table_is_visible(c.oid) as is_visible,
  has_any_column_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE') as is_readable
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and case when $1 = '' then n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    else n.nspname = $1 end
order by 2 desc, 1 limit 100";

/// The most rows of a version table.
const MAX_ROWS: usize = 1000;

/// Reads the name of a version table: its schema, empty where none is given, and the table.
pub(super) fn table_name(text: &str) -> Option<(String, String)> {
    let mut parts = name_parts(text)?;
    let table = parts.pop()?;
    let schema = parts.pop().unwrap_or_default();
    parts.is_empty().then_some((schema, table))
}

/// Compares the database with the directory.
pub(super) async fn read(
    session: &Session,
    revisions: &Revisions,
    table: Option<&str>,
) -> Migrations {
    let name = table_name(table.unwrap_or(TABLE)).unwrap_or_default();
    let (table_exists, table, applied) = match look_up(session, name).await {
        Err(reason) => (reason.clone().into(), reason.clone().into(), Err(reason)),
        Ok(None) => {
            let reason = unknown(UnknownWhy::NotApplicable, "there is no version table");
            (Observed::Value(false), reason.clone().into(), Err(reason))
        }
        Ok(Some(row)) => (
            Observed::Value(true),
            row.must("table"),
            applied(session, &row).await,
        ),
    };
    let applied = applied.map_or_else(Observed::Unknown, Observed::Value);
    Migrations {
        heads: revisions.heads().to_vec(),
        table_exists,
        table,
        missing_heads: applied.clone().map(|applied| revisions.missing(&applied)),
        unknown_revisions: applied.clone().map(|applied| revisions.strangers(&applied)),
        redundant_revisions: applied.clone().map(|applied| revisions.redundant(&applied)),
        applied,
    }
}

async fn look_up(
    session: &Session,
    (schema, table): (String, String),
) -> Result<Option<Row>, Unknown> {
    use tokio_postgres::types::{ToSql, Type};
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(&schema, Type::TEXT), (&table, Type::TEXT)];
    let mut found = session.rows(LOOK_UP, &params).await?;
    let visible = found
        .iter()
        .position(|row| row.get("is_visible") == Ok(Some(true)));
    match (visible, found.len()) {
        (Some(at), _) => Ok(Some(found.swap_remove(at))),
        (None, 0 | 1) => Ok(found.pop()),
        (None, _) => {
            let tables: Vec<String> = found.iter().map(|row| row.shown("table")).collect();
            let detail = format!(
                "there are several version tables ({}) and none is in the search path: name one \
                 with `migrations_table`",
                tables.join(", ")
            );
            Err(unknown(UnknownWhy::Inconsistent, detail))
        }
    }
}

async fn applied(session: &Session, found: &Row) -> Result<Vec<String>, Unknown> {
    let table = found.shown("table");
    if found.get("is_readable")? != Some(true) {
        let detail = format!("needs GRANT SELECT ON {table}, and USAGE on its schema");
        return Err(unknown(UnknownWhy::Denied, detail));
    }
    let sql = format!(
        "select version_num::text as version from {table} order by 1 limit {}",
        MAX_ROWS + 1
    );
    let rows = session.rows(&sql, &[]).await?;
    if rows.len() > MAX_ROWS {
        let detail = format!("{table} has more than {MAX_ROWS} rows");
        return Err(unknown(UnknownWhy::TooLarge, detail));
    }
    Ok(rows.iter().map(|row| row.shown("version")).collect())
}
