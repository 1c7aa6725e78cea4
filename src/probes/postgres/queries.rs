//! Read-only SQL of the user's own, whose rows become facts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::row::unknown;
use super::session::Session;
use super::sql::{Sketch, sketch};
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// What one query gave.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Query {
    /// Its rows, each a map from column to value. Whole numbers are ints, other numbers doubles
    /// (the nearest one: cast to text where every digit counts), `timestamptz` is RFC 3339 text in
    /// UTC (`timestamp(…)` in a rule), JSON and arrays are what they are, everything else is the
    /// text that PostgreSQL prints. NULL is unknown.
    pub rows: Observed<Vec<BTreeMap<String, Observed<Value>>>>,
    /// How long it took, as seen from here, in milliseconds.
    pub duration_ms: Observed<f64>,
}

impl Query {
    /// Nothing was seen of it.
    pub(super) fn unknown(reason: Unknown) -> Self {
        Self {
            rows: Observed::Unknown(reason.clone()),
            duration_ms: Observed::Unknown(reason),
        }
    }
}

/// The caps of one query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// The most rows.
    pub(super) rows: u32,
    /// The most bytes of its rows as JSON.
    pub(super) bytes: u32,
}

/// Runs the queries, one after the other: each has an equal share of the time that is left.
pub(super) async fn read(
    session: &Session,
    queries: &BTreeMap<String, String>,
    caps: Caps,
) -> BTreeMap<String, Query> {
    let mut facts = BTreeMap::new();
    for (at, (name, text)) in queries.iter().enumerate() {
        let left = session.deadline().saturating_duration_since(Instant::now());
        let parts = u32::try_from(queries.len() - at).unwrap_or(u32::MAX);
        let share = left / parts.saturating_add(1);
        facts.insert(name.clone(), one(session, text, caps, share).await);
    }
    facts
}

async fn one(session: &Session, text: &str, caps: Caps, share: Duration) -> Query {
    let begun = Instant::now();
    let rows = match plan(text, caps) {
        Ok(plan) => run(session, &plan, caps, share).await,
        Err(refused) => Err(refused),
    };
    match rows {
        Ok(rows) => Query {
            rows: Observed::Value(rows),
            duration_ms: Observed::Value(begun.elapsed().as_secs_f64() * 1000.0),
        },
        Err(reason) => Query::unknown(reason),
    }
}

/// What is sent for a query.
#[derive(Debug)]
enum Plan {
    /// The server makes JSON of the rows, and stops at the caps itself.
    Rows(String),
    /// The statement as it is; it has few columns, all of them text.
    Text(String),
}

/// Functions, by the beginning of their names, whose effects a rollback does not undo, or that
/// outlive the transaction, or that some versions do in a reading transaction, and those that run a
/// statement given as text, which is not looked at.
/// Source: PostgreSQL documentation, 9.28, and the functions' modules.
const BEYOND_ROLLBACK: &[&str] = &[
    "brin_desummarize_",
    "brin_summarize_",
    "dblink",
    "gin_clean_pending_list",
    "heap_force_",
    "cursor_to_xml",
    "lo_creat",
    "lo_export",
    "lo_from_bytea",
    "lo_import",
    "lo_put",
    "lo_unlink",
    "pg_advisory_lock",
    "pg_advisory_unlock",
    "pg_backup_",
    "pg_cancel_backend",
    "pg_copy_",
    "pg_create_",
    "pg_drop_replication_slot",
    "pg_file_",
    "pg_log_",
    "pg_logical_emit_message",
    "pg_logical_slot_",
    "pg_promote",
    "pg_reload_conf",
    "pg_replication_origin_",
    "pg_replication_slot_",
    "pg_rotate_logfile",
    "pg_start_backup",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "pg_stop_backup",
    "pg_switch_wal",
    "pg_sync_replication_slots",
    "pg_terminate_backend",
    "pg_truncate_visibility_map",
    "pg_try_advisory_lock",
    "pg_wal_replay_",
    "query_to_xml",
    "table_to_xml",
    "ts_rewrite",
    "ts_stat",
];

fn plan(text: &str, caps: Caps) -> Result<Plan, Unknown> {
    let refused = |words: String| unknown(UnknownWhy::NotApplicable, words);
    let sketch = sketch(text);
    if sketch.several {
        return Err(refused("refused: a query is one statement".to_owned()));
    }
    if let Some(call) = forbidden(&sketch) {
        return Err(refused(format!(
            "refused: what `{call}` does is not undone with its transaction"
        )));
    }
    let statement = sketch.text;
    match sketch.first.as_str() {
        "select" | "with" | "values" | "table" | "" => Ok(Plan::Rows(capped(statement, caps))),
        "show" | "explain" => Ok(Plan::Text(statement.to_owned())),
        other => Err(refused(format!(
            "refused: a query begins with select, with, values, table, show or explain, not `{other}`"
        ))),
    }
}

fn forbidden(sketch: &Sketch<'_>) -> Option<String> {
    if sketch.escaped_name {
        return Some("U&\"…\"".to_owned());
    }
    let beyond = |call: &&String| {
        BEYOND_ROLLBACK
            .iter()
            .any(|beginning| call.starts_with(beginning))
    };
    sketch.calls.iter().find(beyond).cloned()
}

/// A statement around the query that sends no more than the caps and one row. What stands in
/// parentheses can only be a query; that it is one statement is seen to by the protocol.
fn capped(statement: &str, caps: Caps) -> String {
    format!(
        "select case when probe_bytes <= {bytes} then probe_row end from (\
         select probe_row, sum(octet_length(probe_row)) over (rows unbounded preceding) \
         as probe_bytes from (select row_to_json(probe_query)::text as probe_row from (\n\
         {statement}\n) probe_query limit {rows}) probe_rows) probe_sums",
        bytes = caps.bytes,
        rows = u64::from(caps.rows) + 1,
    )
}

/// Settings that the text of values depends on, and a transaction that can only read.
fn begin(share: Duration) -> String {
    format!(
        "begin isolation level read committed read only; \
         set local standard_conforming_strings = on; set local timezone = 'UTC'; \
         set local datestyle = 'ISO'; set local intervalstyle = 'iso_8601'; \
         set local extra_float_digits = 1; set local bytea_output = 'hex'; \
         set local statement_timeout = {}",
        share.as_millis().max(1)
    )
}

type Rows = Vec<BTreeMap<String, Observed<Value>>>;

async fn run(session: &Session, plan: &Plan, caps: Caps, share: Duration) -> Result<Rows, Unknown> {
    let (client, begin) = (session.client(), begin(share));
    // The three are queued at once and in this order, so that no other statement of ours comes
    // between, and the transaction ends whatever became of the query.
    let transaction = async {
        let (begun, rows, ended) = futures_util::join!(
            client.batch_execute(&begin),
            receive(session, plan, caps),
            client.batch_execute("rollback"),
        );
        begun.map_err(|error| session.explain(&error))?;
        let rows = rows?;
        ended.map_err(|error| session.explain(&error))?;
        Ok(rows)
    };
    timeout_at(session.deadline(), transaction)
        .await
        .unwrap_or_else(|_| {
            Err(unknown(
                UnknownWhy::TimedOut,
                "the server did not answer in time",
            ))
        })
}

async fn receive(session: &Session, plan: &Plan, caps: Caps) -> Result<Rows, Unknown> {
    let sql = match plan {
        Plan::Rows(sql) | Plan::Text(sql) => sql,
    };
    let explain = |error: Error| session.explain(&error);
    let no_params = std::iter::empty::<(&(dyn ToSql + Sync), Type)>();
    let stream = session.client().query_typed_raw(sql, no_params).await;
    let mut stream = std::pin::pin!(stream.map_err(explain)?);
    let (mut rows, mut bytes) = (Rows::new(), 0_usize);
    while let Some(row) = stream.next().await {
        let row = row.map_err(explain)?;
        if rows.len() >= caps.rows as usize {
            let detail = format!("more than {} rows", caps.rows);
            return Err(unknown(UnknownWhy::TooLarge, detail));
        }
        let (row, size) = match plan {
            Plan::Rows(_) => from_json(&row, explain)?,
            Plan::Text(_) => from_text(&row, explain)?,
        };
        bytes = bytes.saturating_add(size);
        if bytes > caps.bytes as usize {
            return Err(too_many_bytes(caps));
        }
        rows.push(row);
    }
    Ok(rows)
}

type Sized = (BTreeMap<String, Observed<Value>>, usize);

/// A row that the server made JSON of; NULL where the cap is passed.
fn from_json(
    row: &tokio_postgres::Row,
    explain: impl Fn(Error) -> Unknown,
) -> Result<Sized, Unknown> {
    let text: Option<&str> = row.try_get(0).map_err(explain)?;
    let Some(text) = text else {
        return Ok((BTreeMap::new(), usize::MAX));
    };
    let columns: Columns = serde_json::from_str(text)
        .map_err(|error| unknown(UnknownWhy::Unparseable, format!("a row: {error}")))?;
    Ok((columns.0, text.len()))
}

/// A row of `SHOW` or `EXPLAIN`.
fn from_text(
    row: &tokio_postgres::Row,
    explain: impl Fn(Error) -> Unknown,
) -> Result<Sized, Unknown> {
    let (mut columns, mut size) = (BTreeMap::new(), 0);
    for (at, column) in row.columns().iter().enumerate() {
        let value = if *column.type_() == Type::JSON {
            row.try_get::<_, Option<Value>>(at).map_err(&explain)?
        } else {
            let text: Option<String> = row.try_get(at).map_err(&explain)?;
            text.map(Value::String)
        };
        size += value.as_ref().map_or(0, |value| value.to_string().len());
        columns.insert(column.name().to_owned(), or_null(value));
    }
    Ok((columns, size))
}

fn too_many_bytes(caps: Caps) -> Unknown {
    let detail = format!("more than {} bytes", caps.bytes);
    unknown(UnknownWhy::TooLarge, detail)
}

fn or_null(value: Option<Value>) -> Observed<Value> {
    match value {
        None | Some(Value::Null) => Observed::unknown(UnknownWhy::NotApplicable, "NULL"),
        Some(value) => Observed::Value(value),
    }
}

/// The columns of a row; two of one name are refused, since one of them would be lost.
struct Columns(BTreeMap<String, Observed<Value>>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(BTreeMap::new()))
    }
}

impl<'de> Visitor<'de> for Columns {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the columns of a row")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Option<Value>>()? {
            if self.0.contains_key(&name) {
                return Err(A::Error::custom(format!(
                    "two columns are named `{name}`: give them names of their own with AS"
                )));
            }
            self.0.insert(name, or_null(value));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { rows: 2, bytes: 10 };

    #[test]
    fn only_a_query_is_sent() {
        for text in [
            "select 1;",
            "(values (1))",
            "table t",
            "WITH a AS (SELECT 1) SELECT * FROM a",
        ] {
            assert!(matches!(plan(text, CAPS), Ok(Plan::Rows(_))), "{text}");
        }
        for text in ["show all", "explain select 1"] {
            assert!(matches!(plan(text, CAPS), Ok(Plan::Text(_))), "{text}");
        }
        for text in [
            "commit",
            "rollback; insert into t values (1)",
            "insert into t values (1) returning id",
            "set transaction_read_only = off",
            "call p()",
            "copy t to '/tmp/x'",
            "select 1; select 2",
            "select dblink_exec('dbname=app', 'delete from t')",
            "select PG_TERMINATE_BACKEND (1)",
            "select * from pg_create_physical_replication_slot('x')",
        ] {
            assert!(plan(text, CAPS).is_err(), "{text}");
        }
    }

    #[test]
    fn null_is_unknown_and_a_second_column_of_a_name_is_refused() {
        let row: Columns = serde_json::from_str(r#"{"a": null, "b": [null], "c": 1}"#).unwrap();
        assert_eq!(
            row.0["a"],
            Observed::unknown(UnknownWhy::NotApplicable, "NULL")
        );
        assert_eq!(row.0["b"], Observed::Value(serde_json::json!([null])));
        assert_eq!(row.0["c"], Observed::Value(serde_json::json!(1)));
        assert!(serde_json::from_str::<Columns>(r#"{"a": 1, "a": 2}"#).is_err());
    }
}
