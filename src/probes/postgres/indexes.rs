//! Indexes: invalid ones, twins, and foreign keys without one.

use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, unknown};
use super::session::Session;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// The indexes of the database of the connection string.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Indexes {
    /// Invalid ones that nobody is working on, as `schema.index on schema.table`: what a failed
    /// `CREATE INDEX CONCURRENTLY` leaves behind, and a partitioned one that lacks partitions. They
    /// cost every write and serve no read; a unique one does not hold.
    pub invalid: Observed<Vec<String>>,
    /// Those that are being built, rebuilt or dropped right now, and are invalid until that is done.
    pub in_progress: Observed<Vec<String>>,
    /// Sets of indexes of one table that index the same in the same way, as `table: index, index`.
    pub duplicate: Observed<Vec<String>>,
    /// Foreign keys whose columns are not the first ones of any index, as `table: constraint`:
    /// each delete of a referenced row reads the whole table.
    pub foreign_keys_without_index: Observed<Vec<String>>,
}

/// Invalid indexes, and whether somebody is at work on them: `pg_stat_progress_create_index` names
/// what `CREATE INDEX` and `REINDEX` are at; a lock on the index itself shows what is being
/// dropped, and all that `REINDEX CONCURRENTLY` builds and replaces. Without
/// `pg_read_all_stats` the progress of others is there with its columns NULL: `hidden`.
const INVALID: &str = "select format('%I.%I', n.nspname, c.relname) as name,
  i.indrelid::regclass::text as table,
  exists (select from pg_catalog.pg_stat_progress_create_index p
    where p.datname = current_database() and p.index_relid = i.indexrelid)
  or exists (select from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'relation'
      and l.relation = i.indexrelid and l.granted
      and l.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')) as busy,
  exists (select from pg_catalog.pg_stat_progress_create_index p
    where p.datname = current_database() and p.relid is null) as hidden
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not (i.indisvalid and i.indisready and i.indislive) and n.nspname !~ '^pg_temp_'
order by 1 limit 1001";

/// Indexes that are equal in all that the planner looks at. Expressions are compared as they are
/// written out: the stored trees also hold the place in the statement that made them.
const DUPLICATE: &str = "select i.indrelid::regclass::text as table,
  string_agg(i.indexrelid::regclass::text, ', '
    order by i.indisprimary desc, i.indisunique desc, i.indexrelid) as name
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indisvalid and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname !~ '^pg_(toast_)?temp_'
group by i.indrelid, c.relam, i.indnkeyatts, i.indkey::text, i.indclass::text,
  i.indcollation::text, i.indoption::text, pg_get_expr(i.indexprs, i.indrelid),
  pg_get_expr(i.indpred, i.indrelid)
having count(*) > 1
order by 1, 2 limit 1001";

/// Foreign keys without a whole, valid index that begins with their columns, in any order. The
/// copies on the partitions of a table are not listed apart.
const FOREIGN_KEYS: &str =
    "select k.conrelid::regclass::text as table, quote_ident(k.conname) as name
from pg_catalog.pg_constraint k
where k.contype = 'f' and k.conparentid = 0 and not exists (
  select from pg_catalog.pg_index i
  where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
    and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
order by 1, 2 limit 1001";

/// The most that are listed.
const MAX_LISTED: usize = 1000;

/// Asks about the indexes.
pub(super) async fn read(session: &Session) -> Indexes {
    let (invalid, duplicate, foreign_keys) = futures_util::join!(
        session.rows(INVALID, &[]),
        session.rows(DUPLICATE, &[]),
        session.rows(FOREIGN_KEYS, &[]),
    );
    let (invalid, in_progress) = match invalid.and_then(by_progress) {
        Ok((invalid, in_progress)) => (invalid, Observed::Value(in_progress)),
        Err(unknown) => (Observed::Unknown(unknown.clone()), unknown.into()),
    };
    let of_table = |row: &Row| format!("{}: {}", row.shown("table"), row.shown("name"));
    Indexes {
        invalid,
        in_progress,
        duplicate: listed(duplicate, of_table),
        foreign_keys_without_index: listed(foreign_keys, of_table),
    }
}

type Split = (Observed<Vec<String>>, Vec<String>);

/// Parts those that are broken from those that are not ready yet.
fn by_progress(rows: Vec<Row>) -> Result<Split, Unknown> {
    let rows = whole(rows)?;
    let is = |row: &Row, column: &str| row.get::<bool>(column).map(Option::unwrap_or_default);
    let (mut invalid, mut in_progress, mut hidden) = (Vec::new(), Vec::new(), false);
    for row in &rows {
        let name = format!("{} on {}", row.shown("name"), row.shown("table"));
        if is(row, "busy")? {
            in_progress.push(name);
        } else {
            hidden |= is(row, "hidden")?;
            invalid.push(name);
        }
    }
    if hidden {
        let detail = format!(
            "an index is being built, and whether it is {} cannot be seen: needs pg_monitor or \
             pg_read_all_stats",
            invalid.join(", ")
        );
        return Ok((Observed::unknown(UnknownWhy::Denied, detail), in_progress));
    }
    Ok((Observed::Value(invalid), in_progress))
}

fn listed(rows: Result<Vec<Row>, Unknown>, name: impl Fn(&Row) -> String) -> Observed<Vec<String>> {
    match rows.and_then(whole) {
        Ok(rows) => Observed::Value(rows.iter().map(name).collect()),
        Err(unknown) => Observed::Unknown(unknown),
    }
}

fn whole(rows: Vec<Row>) -> Result<Vec<Row>, Unknown> {
    if rows.len() > MAX_LISTED {
        let detail = format!("more than {MAX_LISTED}");
        return Err(unknown(UnknownWhy::TooLarge, detail));
    }
    Ok(rows)
}
