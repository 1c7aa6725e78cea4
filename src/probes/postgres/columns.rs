//! Columns that must hold ciphertext. They are looked at on the server: what is sent back are counts.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};

use super::row::{Row, first, unknown};
use super::session::Session;
use super::sql::name_parts;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// A column that is declared as encrypted.
///
/// A sample of at most 200 values is looked at: the first rows of the table and, where it is large,
/// some from all over it. A shape is evidence, not proof: a digest, or what was compressed by
/// something unknown, looks as random as ciphertext.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EncryptedColumn {
    /// As declared.
    pub name: String,
    /// Whether there is such a column.
    pub exists: bool,
    /// Its type.
    pub data_type: Observed<String>,
    /// How many values that are not NULL were looked at. Unknown where there was none, or where
    /// the role may not read the column.
    pub sampled: Observed<i64>,
    /// How many of them are a known envelope: `OpenPGP`, age, Fernet, JWE, OpenSSL, Vault, AWS, Rails.
    pub enveloped: Observed<i64>,
    /// How many have no envelope and are bytes, as they are or in hex or base64, that look random.
    pub random: Observed<i64>,
    /// How many are neither: readable, too short for a cipher, compressed, or not random.
    pub plaintext: Observed<i64>,
}

/// A column by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// `None`: whatever the search path finds.
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) column: String,
}

impl Name {
    /// Reads `schema.table.column` or `table.column`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = name_parts(text)?;
        let column = parts.pop()?;
        let table = parts.pop()?;
        let schema = parts.pop();
        parts.is_empty().then_some(Self {
            schema,
            table,
            column,
        })
    }
}

/// A column in the catalog, with its names quoted. `shape` is how its values are read: as bytes,
/// as text, or not at all since its type has no place for ciphertext (`typed`).
const LOOK_UP: &str = "select format('%I.%I', n.nspname, c.relname) as table,
  quote_ident(a.attname) as column, format_type(a.atttypid, a.atttypmod) as type,
  case when b.typname = 'bytea' then 'bytes'
    when b.typname in ('json', 'jsonb') then 'json'
    when b.typcategory = 'S' or b.typname = 'xml' then 'text'
    when b.typcategory in ('N', 'D', 'B', 'E', 'I', 'T', 'R', 'G', 'V') or b.typname = 'uuid'
      then 'typed'
    else 'other' end as shape,
  c.relkind in ('r', 'p', 'm') and c.reltuples > 20000 as is_large,
  greatest(c.reltuples, 1)::float8 as rows_estimate,
  has_column_privilege(c.oid, a.attnum, 'SELECT')
    and has_schema_privilege(n.oid, 'USAGE') as is_readable
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname = $2 and a.attname = $3
  and case when $1 = '' then pg_table_is_visible(c.oid) else n.nspname = $1 end";

/// What the values of a sample look like. `$sample` gives the first 512 bytes of each as bytes `v`
/// and its length `n`.
///
/// An envelope is known by its beginning (RFC 9580 4.2, RFC 7516 3, the age and Fernet
/// specifications, the documentation of OpenSSL enc, Vault transit, AWS KMS and Encryption SDK, Rails).
/// Random are bytes of which, within a value, no more are equal than chance makes equal: of n bytes,
/// n(n-1)/512 pairs on average. Only equal bytes inside one value count, so that a fixed version or
/// key number at its beginning does not matter.
const LOOK: &str = r#"with sample (v, n) as materialized ($sample),
readable as materialized (
  select v, n, encode(v, 'escape') as e from sample
), decoded as materialized (
  select e, n, case
    when length(e) >= 32 and length(e) % 2 = 0 and e ~ '^[0-9A-Fa-f]*$' and e ~ '[A-Fa-f]'
      then decode(e, 'hex')
    when length(e) >= 22 and e !~ '[^A-Za-z0-9+/_=\n\r-]' then decode(
      rpad(d.body, (length(d.body) + 3) / 4 * 4, '='), 'base64')
    when e ~ '[^\x20-\x7e\n\r\t]|\\' then v
    else null end as b
  from readable cross join lateral (
    select left(x.clean, length(x.clean) - case when length(x.clean) % 4 = 1 then 1 else 0 end)
    from (select translate(e, E'-_=\n\r', '+/') as clean) x) d (body)
), binary_value as (
  select e, n, substring(b from 1 for 128) as b, octet_length(b) as size,
    case when octet_length(b) >= 16 then encode(substring(b from 1 for 8), 'hex') end as magic
  from decoded
), judged as materialized (
  select b, size, magic, n >= 32 and (
    e ~ '^-----BEGIN (PGP MESSAGE|AGE ENCRYPTED FILE|PKCS7|CMS|ENCRYPTED MESSAGE)-----'
    or e ~ '^age-encryption\.org/v1'
    or e ~ '^gAAAAA[A-Za-z0-9_-]*=?=?$' and n >= 100
    or e ~ '^Salted__' or e ~ '^U2FsdGVkX1'
    or e ~ '^vault:v[0-9]+:[A-Za-z0-9+/]*=?=?$'
    or e ~ '^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$'
    or e ~ '^\{"p": ?"[A-Za-z0-9+/=]+", ?"h": ?\{.*"iv"'
    or magic ~ '^(0102020[0-9]|0180|020[45]78)'
    or magic ~ '^(c3|8c)..0[456]' or magic ~ '^8[56]....0[36]' or magic ~ '^84..0[36]'
    or magic ~ '^c1([0-9ab].|c..|d..)?..0[36]' or magic ~ '^c1[cd]...0[36]'
    or magic ~ '^d2..0[12]' or magic ~ '^d2[cd]...0[12]') as is_envelope
  from binary_value
), counted as materialized (
  select coalesce(is_envelope, false) as is_envelope, size >= 16 as is_binary, magic,
    least(size, 128) as n, (
      select coalesce(sum(c * (c - 1) / 2), 0) from (
        select count(*) as c from generate_series(0, least(size, 128) - 1) i
        group by get_byte(b, i)) h) as pairs
  from judged
), candidate as (
  select n, pairs, n * (n - 1) / 512.0 as expected, magic,
    magic !~ '^(1f8b08|28b52ffd|504b0304|89504e47|ffd8ff|425a68|fd377a58)'
      and pairs <= n * (n - 1) / 512.0 + 8 * sqrt(n * (n - 1) / 512.0) + 4 as is_random
  from counted where not is_envelope and is_binary
)
select (select count(*) from sample) as sampled,
  (select count(*) from counted where is_envelope) as enveloped,
  (select count(*) from candidate where is_random) as random,
  coalesce((select sum(pairs) <= sum(expected) + 6 * sqrt(sum(expected)) + 3
    and count(*) filter (where magic ~ '^78(01|9c|da)') * 2 <= count(*)
    from candidate where is_random), true) as is_random_together"#;

/// Asks about the columns.
pub(super) async fn read(session: &Session, columns: &[String]) -> Vec<EncryptedColumn> {
    join_all(columns.iter().map(|column| one(session, column))).await
}

async fn one(session: &Session, column: &str) -> EncryptedColumn {
    let found = match Name::parse(column) {
        Some(name) => look_up(session, &name).await,
        None => Ok(None),
    };
    match found {
        Err(reason) => of(column, true, reason.clone().into(), Err(reason)),
        Ok(None) => {
            let reason = unknown(UnknownWhy::NotApplicable, "there is no such column");
            of(column, false, reason.clone().into(), Err(reason))
        }
        Ok(Some(row)) => of(column, true, row.must("type"), look(session, &row).await),
    }
}

/// How many values were seen, and how many of them are enveloped and random.
struct Counts {
    sampled: i64,
    enveloped: i64,
    random: i64,
}

fn of(
    column: &str,
    exists: bool,
    data_type: Observed<String>,
    counts: Result<Counts, Unknown>,
) -> EncryptedColumn {
    let counts = counts.map_or_else(Observed::Unknown, Observed::Value);
    let count = |f: fn(&Counts) -> i64| match &counts {
        Observed::Value(counts) => Observed::Value(f(counts)),
        Observed::Unknown(reason) => Observed::Unknown(reason.clone()),
    };
    EncryptedColumn {
        name: column.to_owned(),
        exists,
        data_type,
        sampled: count(|counts| counts.sampled),
        enveloped: count(|counts| counts.enveloped),
        random: count(|counts| counts.random),
        plaintext: count(|counts| counts.sampled - counts.enveloped - counts.random),
    }
}

async fn look_up(session: &Session, name: &Name) -> Result<Option<Row>, Unknown> {
    let schema = name.schema.clone().unwrap_or_default();
    let params: [(&(dyn ToSql + Sync), Type); 3] = [
        (&schema, Type::TEXT),
        (&name.table, Type::TEXT),
        (&name.column, Type::TEXT),
    ];
    Ok(session.rows(LOOK_UP, &params).await?.into_iter().next())
}

async fn look(session: &Session, found: &Row) -> Result<Counts, Unknown> {
    let [table, column, shape] = ["table", "column", "shape"].map(|key| found.shown(key));
    if found.get("is_readable")? != Some(true) {
        let detail = format!("needs GRANT SELECT ({column}) ON {table}, and USAGE on its schema");
        return Err(unknown(UnknownWhy::Denied, detail));
    }
    let bytes = match shape.as_str() {
        "bytes" => format!("{column}::bytea"),
        "json" => as_bytes(&format!("{column} #>> '{{}}'")),
        "text" | "typed" => as_bytes(&format!("{column}::text")),
        _ => {
            let detail = "the values of this type cannot be looked into";
            return Err(unknown(UnknownWhy::Unsupported, detail));
        }
    };
    let whole = if shape == "bytes" {
        bytes.clone()
    } else {
        format!("{column}::text")
    };
    let values =
        format!("select substring({bytes} from 1 for 512), octet_length({whole}) from {table}");
    let some = format!("where {column} is not null limit");
    let sample = if found.get("is_large")? == Some(true) {
        let estimate: f64 = found.get("rows_estimate")?.unwrap_or(1.0);
        // Blocks are drawn, so that some rows more than wanted are asked for.
        let percent = (400_000.0 / estimate).clamp(0.000_1, 100.0);
        format!(
            "({values} {some} 100) union all ({values} tablesample system ({percent}) {some} 100)"
        )
    } else {
        format!("{values} {some} 200")
    };
    let row = first(session.rows(&LOOK.replace("$sample", &sample), &[]).await)?;
    let count = |key: &str| row.get::<i64>(key).map(Option::unwrap_or_default);
    let mut counts = Counts {
        sampled: count("sampled")?,
        enveloped: count("enveloped")?,
        random: count("random")?,
    };
    if counts.sampled == 0 {
        let detail = "no row with a value that the probe may see";
        return Err(unknown(UnknownWhy::NotObserved, detail));
    }
    if row.get("is_random_together")? != Some(true) {
        counts.random = 0;
    }
    if shape == "typed" {
        (counts.enveloped, counts.random) = (0, 0);
    }
    Ok(counts)
}

/// The beginning of a text as bytes.
fn as_bytes(text: &str) -> String {
    format!("convert_to(substring({text} from 1 for 512), 'UTF8')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_or_three_parts() {
        let parts = |text| {
            Name::parse(text).map(|name| (name.schema.unwrap_or_default(), name.table, name.column))
        };
        let of = |schema: &str, table: &str, column: &str| {
            Some((schema.to_owned(), table.to_owned(), column.to_owned()))
        };
        assert_eq!(parts("public.Users.email"), of("public", "users", "email"));
        assert_eq!(parts("users.email"), of("", "users", "email"));
        assert_eq!(parts("\"A.b\".\"c\"\"d\".e"), of("A.b", "c\"d", "e"));
        for bad in ["", "users", "a.b.c.d", "a..b", "\"a.b", "a b.c", ".a.b"] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }
}
