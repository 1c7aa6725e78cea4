//! Declared settings against what every server runs with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;

use super::config::SettingValue;
use super::row::{Row, unknown};
use super::session::Session;
use super::units::{same, written};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::postgres::Target;

/// A declared setting on one server.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Setting {
    /// The setting and the server: `work_mem on 10.0.0.5:5432`.
    pub name: String,
    /// What is declared.
    pub expected: String,
    /// What new sessions get, with its unit.
    pub actual: Observed<String>,
    /// Whether they are the same after their units are. Unknown where the role, the database or the
    /// connection string of the probe has a value of its own, which hides that of the server.
    pub matches: Observed<bool>,
    /// Roles and databases for which another value is set, as `role app_rw: 1GB`.
    pub overridden: Observed<Vec<String>>,
}

/// `reset_val` is what a session begins with; `setting` may be what this session has set itself.
const SETTINGS: &str =
    "select name, reset_val as value, coalesce(unit, '') as unit, vartype, source
  from pg_settings where lower(name) = any($1)";
const MAY_SEE_ALL: &str =
    "select pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') as all_settings";
const OVERRIDES: &str = "select lower(split_part(c.item, '=', 1)) as name,
    substr(c.item, strpos(c.item, '=') + 1) as value,
    concat_ws(', ', 'role ' || r.rolname, 'database ' || d.datname) as subject
  from pg_db_role_setting s cross join lateral unnest(s.setconfig) c (item)
    left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
  where lower(split_part(c.item, '=', 1)) = any($1) order by 3, 1";

/// Asks one server.
pub(super) async fn read(
    target: &Target,
    declared: &BTreeMap<String, SettingValue>,
    session: Result<&Session, Unknown>,
) -> Vec<Setting> {
    let server = target.dsn.name();
    if declared.is_empty() {
        return Vec::new();
    }
    let session = match session {
        Ok(session) => session,
        Err(why) => {
            let unseen = |(name, expected): (&String, &SettingValue)| Setting {
                name: format!("{name} on {server}"),
                expected: written(expected),
                actual: why.clone().into(),
                matches: why.clone().into(),
                overridden: why.clone().into(),
            };
            return declared.iter().map(unseen).collect();
        }
    };
    let names: Vec<String> = declared.keys().map(|name| name.to_lowercase()).collect();
    let params = [(
        &names as &(dyn tokio_postgres::types::ToSql + core::marker::Sync),
        Type::TEXT_ARRAY,
    )];
    let (settings, all, overrides) = futures_util::join!(
        session.rows(SETTINGS, &params),
        session.rows(MAY_SEE_ALL, &[]),
        session.rows(OVERRIDES, &params),
    );
    let sees_all = all.is_ok_and(|rows| {
        rows.first()
            .is_some_and(|row| matches!(row.get("all_settings"), Ok(Some(true))))
    });
    declared
        .iter()
        .map(|(name, expected)| {
            let lower = name.to_lowercase();
            let row = settings
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|rows| find(rows, &lower).ok_or_else(|| absent(name, sees_all)));
            Setting {
                name: format!("{name} on {server}"),
                expected: written(expected),
                actual: row
                    .clone()
                    .and_then(actual)
                    .map_or_else(Observed::Unknown, Observed::Value),
                matches: row
                    .clone()
                    .and_then(|row| matches(session, row, &lower, expected))
                    .map_or_else(Observed::Unknown, Observed::Value),
                overridden: row
                    .and_then(|row| overridden(row, expected, &lower, &overrides))
                    .map_or_else(Observed::Unknown, Observed::Value),
            }
        })
        .collect()
}

fn find<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| {
        let own: Option<String> = row.get("name").unwrap_or_default();
        own.is_some_and(|own| own.to_lowercase() == name)
    })
}

fn absent(name: &str, sees_all: bool) -> Unknown {
    if sees_all {
        unknown(
            UnknownWhy::Unsupported,
            format!("this server has no setting `{name}`"),
        )
    } else {
        unknown(
            UnknownWhy::Denied,
            format!(
                "`{name}` is not there or hidden; needs: GRANT pg_read_all_settings (part of pg_monitor) TO the role of the probe"
            ),
        )
    }
}

fn text(row: &Row, column: &str) -> Result<String, Unknown> {
    Ok(row.get(column)?.unwrap_or_default())
}

fn actual(row: &Row) -> Result<String, Unknown> {
    let (value, unit) = (text(row, "value")?, text(row, "unit")?);
    Ok(match unit.as_str() {
        "" => value,
        // Counted in blocks: `16384 × 8kB`.
        unit if unit.starts_with(|c: char| c.is_ascii_digit()) => format!("{value} × {unit}"),
        unit => format!("{value} {unit}"),
    })
}

fn matches(
    session: &Session,
    row: &Row,
    name: &str,
    expected: &SettingValue,
) -> Result<bool, Unknown> {
    session.is_server_wide(name, &text(row, "source")?)?;
    same(
        expected,
        &text(row, "value")?,
        &text(row, "vartype")?,
        &text(row, "unit")?,
    )
    .map_err(|problem| unknown(UnknownWhy::Unparseable, problem))
}

/// The roles and databases whose own value is another than the declared one.
fn overridden(
    row: &Row,
    expected: &SettingValue,
    name: &str,
    overrides: &Result<Vec<Row>, Unknown>,
) -> Result<Vec<String>, Unknown> {
    let (vartype, unit) = (text(row, "vartype")?, text(row, "unit")?);
    let mut found = Vec::new();
    for own in overrides.as_ref().map_err(Clone::clone)? {
        if text(own, "name")? != name {
            continue;
        }
        let value = SettingValue::Text(text(own, "value")?);
        let equal = same(
            &value,
            &super::units::base(expected, &vartype, &unit),
            &vartype,
            &unit,
        );
        if equal != Ok(true) {
            found.push(format!(
                "{}: {}",
                text(own, "subject")?,
                text(own, "value")?
            ));
        }
    }
    Ok(found)
}
