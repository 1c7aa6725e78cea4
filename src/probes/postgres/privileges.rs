//! Least privilege: what the roles that are declared as readers could write, by any path.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;

use super::row::Row;
use super::session::Session;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A role that is declared as a reader.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reader {
    /// Its name.
    pub role: String,
    /// Whether there is such a role.
    pub exists: bool,
    /// Each way in which it could write: attributes, privileges on tables, columns and sequences,
    /// ownership, `CREATE`, default privileges, `ALTER SYSTEM` on a parameter, `EXECUTE` on the
    /// server's functions that write files, import large objects or promote; its own, inherited, granted to `PUBLIC`, or those
    /// of a role that it may become by `SET ROLE`. Relations are those of the database of the
    /// connection string alone; a grant inside a schema that the role may not enter counts too.
    /// Temporary tables and large objects of its own do not count.
    pub write_paths: Observed<Vec<String>>,
    /// Functions that it may call and that run with the rights of their owner (`SECURITY DEFINER`).
    /// `STABLE` and `IMMUTABLE` ones too: what they call may write. Whether one writes cannot be
    /// seen from outside, so that they are only warned about. Those of extensions are left out.
    pub definer_functions: Observed<Vec<String>>,
}

/// Which roles each reader can act as: itself, and those it may `SET ROLE` to, which does not need
/// inheritance. Sources: `pg_roles`, `pg_has_role` (PostgreSQL documentation, 9.26 and 22.3). A
/// superuser may do everything without being anybody else. `{become}` depends on the version.
const ACTING: &str = "reader as (
  select oid, rolname, rolsuper from pg_catalog.pg_roles where rolname = any ($1)
), acting as materialized (
  select reader.oid as reader, reader.rolname as name, a.oid, a.rolname as via, a.rolsuper,
    a.rolcreaterole, a.rolcreatedb, a.rolbypassrls, a.rolreplication
  from reader join pg_catalog.pg_roles a on a.oid = reader.oid or (not reader.rolsuper and ({become}))
)";

/// What those roles could write with, and how many objects it is. Sources: `has_table_privilege`
/// and its family, which know inheritance, `PUBLIC` and `pg_write_all_data`; `pg_default_acl`;
/// the attributes in `pg_roles`; the predefined roles (PostgreSQL documentation, 22.5).
const PATHS: &str = "relation as materialized (
  select c.oid, c.relkind = 'S' as is_sequence, c.relowner,
    format('%I.%I', n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and n.nspname !~ '^pg_(toast_)?temp_'
), plain as materialized (
  select reader, name, oid, via from acting where not rolsuper
), path as (
  select name, via, 'attribute' as kind, a.attribute as what, null as object
  from acting cross join lateral (values ('SUPERUSER', rolsuper),
    ('CREATEROLE', rolcreaterole and not rolsuper), ('CREATEDB', rolcreatedb and not rolsuper),
    ('BYPASSRLS', rolbypassrls and not rolsuper),
    ('REPLICATION', rolreplication and not rolsuper)) a (attribute, held)
  where a.held
  union all
  select plain.name, via, 'membership', r.rolname, null
  from plain join pg_catalog.pg_roles r
    on r.rolname in ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program',
      'pg_create_subscription')
    and pg_has_role(plain.oid, r.oid, 'USAGE')
  union all
  select plain.name, via, case when is_sequence then 'sequence' else 'table' end, p.what,
    relation.name
  from plain cross join relation cross join lateral (
    select 'ownership' as what where pg_has_role(plain.oid, relowner, 'USAGE')
    union all select 'INSERT' where not is_sequence
      and has_any_column_privilege(plain.oid, relation.oid, 'INSERT')
    union all select 'UPDATE' where not is_sequence
      and has_any_column_privilege(plain.oid, relation.oid, 'UPDATE')
    union all select 'DELETE' where not is_sequence
      and has_table_privilege(plain.oid, relation.oid, 'DELETE')
    union all select 'TRUNCATE' where not is_sequence
      and has_table_privilege(plain.oid, relation.oid, 'TRUNCATE')
    union all select 'TRIGGER' where not is_sequence
      and has_table_privilege(plain.oid, relation.oid, 'TRIGGER')
    union all select 'USAGE' where is_sequence
      and has_sequence_privilege(plain.oid, relation.oid, 'USAGE')
    union all select 'UPDATE' where is_sequence
      and has_sequence_privilege(plain.oid, relation.oid, 'UPDATE')) p
  union all
  select plain.name, via, 'schema', p.what, quote_ident(nspname)
  from plain cross join pg_catalog.pg_namespace n cross join lateral (
    select 'ownership' as what where pg_has_role(plain.oid, nspowner, 'USAGE')
    union all select 'CREATE' where has_schema_privilege(plain.oid, n.oid, 'CREATE')) p
  where nspname !~ '^pg_(toast_)?temp_'
  union all
  select plain.name, via, 'database', p.what, quote_ident(datname)
  from plain cross join pg_catalog.pg_database d cross join lateral (
    select 'ownership' as what where pg_has_role(plain.oid, datdba, 'USAGE')
    union all select 'CREATE' where has_database_privilege(plain.oid, d.oid, 'CREATE')) p
  where datallowconn
  union all
  select plain.name, via, 'function', 'EXECUTE', p.oid::regprocedure::text
  from plain join pg_catalog.pg_proc p on p.proname in ('lo_import', 'lo_export', 'pg_promote',
      'pg_file_write', 'pg_file_rename', 'pg_file_unlink', 'pg_file_sync')
    and p.pronamespace = 'pg_catalog'::regnamespace
    and has_function_privilege(plain.oid, p.oid, 'EXECUTE')
  {parameters}
  union all
  select plain.name, via, 'default', a.privilege_type,
    format('%s that %I creates%s',
      case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' else 'schemas' end,
      pg_get_userbyid(defaclrole),
      case when defaclnamespace <> 0 then ' in ' || defaclnamespace::regnamespace end)
  from plain cross join pg_catalog.pg_default_acl
    cross join lateral aclexplode(defaclacl) a
  where a.grantee <> defaclrole
    and case when a.grantee = 0 then true else pg_has_role(plain.oid, a.grantee, 'USAGE') end
    and (defaclobjtype = 'r'
        and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
      or defaclobjtype = 'S' and a.privilege_type in ('USAGE', 'UPDATE')
      or defaclobjtype = 'n' and a.privilege_type = 'CREATE')
), by_object as (
  select name, via, kind, object, string_agg(what, ', ' order by what) as what
  from path group by name, via, kind, object
)
select name, via, kind, what, count(object) as objects, min(object) as object
from by_object group by name, via, kind, what
order by name, via <> name, via, kind, what limit 10001";

/// Who may write `postgresql.auto.conf`, and with it a command that the server runs. Since 15.
const PARAMETERS: &str = "union all
  select plain.name, via, 'parameter', 'ALTER SYSTEM', quote_ident(parname)
  from plain cross join pg_catalog.pg_parameter_acl
  where has_parameter_privilege(plain.oid, parname, 'ALTER SYSTEM')";

/// `SECURITY DEFINER` functions that a reader may call. Source: `pg_proc`; the members of
/// extensions are in `pg_depend`.
const DEFINERS: &str = "select distinct name, p.oid::regprocedure::text as function
from acting join pg_catalog.pg_proc p
  on has_function_privilege(acting.oid, p.oid, 'EXECUTE') and p.proowner <> acting.reader
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.prosecdef and not acting.rolsuper
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and n.nspname not in ('pg_catalog', 'information_schema')
  and not exists (select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by 1, 2 limit 10001";

const ROLES: &str = "select rolname as name from pg_catalog.pg_roles where rolname = any ($1)";

/// Asks what `readers` could write.
pub(super) async fn read(session: &Session, readers: &[String]) -> Observed<Vec<Reader>> {
    let acting = ACTING.replace("{become}", become_sql(session.version_num()));
    let parameters = if session.version_num() >= 150_000 {
        PARAMETERS
    } else {
        ""
    };
    let paths = format!(
        "with {acting}, {}",
        PATHS.replace("{parameters}", parameters)
    );
    let definers = format!("with {acting} {DEFINERS}");
    let names = readers.to_vec();
    let params = [(
        &names as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::TEXT_ARRAY,
    )];
    let (roles, paths, definers) = futures_util::join!(
        session.rows(ROLES, &params),
        session.rows(&paths, &params),
        session.rows(&definers, &params),
    );
    let roles = match by_reader(roles, |_| String::new()) {
        Ok(roles) => roles,
        Err(unknown) => return Observed::Unknown(unknown),
    };
    let paths = by_reader(paths, describe);
    let definers = by_reader(definers, |row| row.shown("function"));
    Observed::Value(
        readers
            .iter()
            .map(|role| {
                let exists = roles.contains_key(role);
                Reader {
                    role: role.clone(),
                    exists,
                    write_paths: of(role, exists, &paths),
                    definer_functions: of(role, exists, &definers),
                }
            })
            .collect(),
    )
}

/// Which roles a reader may become. Since 16 a membership can come without the right to `SET
/// ROLE`; one with the admin option can give that right to itself.
const fn become_sql(version_num: i64) -> &'static str {
    if version_num >= 160_000 {
        "pg_has_role(reader.oid, a.oid, 'SET') \
         or pg_has_role(reader.oid, a.oid, 'MEMBER WITH ADMIN OPTION')"
    } else {
        "pg_has_role(reader.oid, a.oid, 'MEMBER')"
    }
}

/// The most rows that are read about all readers together; past them nothing is known of any.
const MAX_ROWS: usize = 10_000;

type ByReader = BTreeMap<String, Vec<String>>;

fn by_reader(
    rows: Result<Vec<Row>, Unknown>,
    describe: impl Fn(&Row) -> String,
) -> Result<ByReader, Unknown> {
    let rows = rows?;
    if rows.len() > MAX_ROWS {
        return Err(Unknown {
            why: UnknownWhy::TooLarge,
            detail: format!("more than {MAX_ROWS} rows about the readers"),
        });
    }
    let mut all = ByReader::new();
    for row in rows {
        all.entry(row.shown("name"))
            .or_default()
            .push(describe(&row));
    }
    Ok(all)
}

fn of(role: &str, exists: bool, all: &Result<ByReader, Unknown>) -> Observed<Vec<String>> {
    if !exists {
        let detail = format!("there is no role `{role}`");
        return Observed::unknown(UnknownWhy::NotApplicable, detail);
    }
    match all {
        Ok(all) => Observed::Value(all.get(role).cloned().unwrap_or_default()),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    }
}

/// A path in words: `INSERT, UPDATE on 3 tables, such as public.users, as app_rw`.
fn describe(row: &Row) -> String {
    let (name, via, what) = (row.shown("name"), row.shown("via"), row.shown("what"));
    let (kind, object) = (row.shown("kind"), row.shown("object"));
    let objects: i64 = row.get("objects").ok().flatten().unwrap_or_default();
    let mut words = match kind.as_str() {
        "attribute" => what,
        "membership" => format!("membership of {what}"),
        "default" => format!("{what} by default on {object}"),
        _ if objects > 1 => format!("{what} on {objects} {kind}s, such as {object}"),
        _ => format!("{what} on {kind} {object}"),
    };
    if via != name {
        words.push_str(" as ");
        words.push_str(&via);
    }
    words
}
