//! Auditing by pgaudit: loaded, created, and switched on for whoever logs in.

use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, first};
use super::session::Session;
use crate::evidence::{Observed, Unknown, UnknownWhy};

/// What pgaudit does.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Audit {
    /// Whether `shared_preload_libraries` of the running server names it; without that it logs
    /// nothing.
    pub preloaded: Observed<bool>,
    /// Whether the extension is created in the database of the connection string.
    pub extension: Observed<bool>,
    /// `pgaudit.log` as the server has it for everybody, before overrides of roles and databases.
    pub log: Observed<String>,
    /// Whether what it logs reaches the log: `pgaudit.log_level` is not below `log_min_messages`.
    pub reaches_log: Observed<bool>,
    /// The overrides of `pgaudit.log` that apply in this database, by `ALTER ROLE … SET` and
    /// `ALTER DATABASE … SET`.
    pub overrides: Observed<Vec<Override>>,
    /// The roles that may log in and of which nothing is logged in this database: what applies to
    /// them comes down to `none`.
    pub unlogged_roles: Observed<Vec<String>>,
}

/// `pgaudit.log` for some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Override {
    /// For this role; empty: for all.
    pub role: String,
    /// In this database; empty: in all.
    pub database: String,
    /// The value.
    pub log: String,
}

/// What the server says of itself; `source` tells whether `log` is only our own session's.
/// Source: `pg_settings`, which hides `shared_preload_libraries` from roles without
/// `pg_read_all_settings`.
const STATE: &str = "select
  (select setting from pg_catalog.pg_settings where name = 'shared_preload_libraries') as preload,
  exists (select from pg_catalog.pg_extension where extname = 'pgaudit') as extension,
  (select setting from pg_catalog.pg_settings where name = 'pgaudit.log') as log,
  (select source from pg_catalog.pg_settings where name = 'pgaudit.log') as source,
  (select json_object_agg(name, setting) from pg_catalog.pg_settings
    where name in ('pgaudit.log_level', 'log_min_messages')) as levels,
  (select json_object_agg(name, source) from pg_catalog.pg_settings
    where name in ('pgaudit.log_level', 'log_min_messages')) as level_sources";

/// The overrides that apply in this database. Source: `pg_db_role_setting`.
const OVERRIDES: &str =
    "select coalesce(r.rolname, '') as role, coalesce(d.datname, '') as database,
  substr(c.item, strpos(c.item, '=') + 1) as log
from pg_catalog.pg_db_role_setting s cross join lateral unnest(s.setconfig) c (item)
left join pg_catalog.pg_roles r on r.oid = s.setrole
left join pg_catalog.pg_database d on d.oid = s.setdatabase
where lower(split_part(c.item, '=', 1)) = 'pgaudit.log'
  and (s.setdatabase = 0 or d.datname = current_database())
order by 1, 2 limit 10000";

const LOGINS: &str =
    "select rolname as name from pg_catalog.pg_roles where rolcanlogin order by 1 limit 10000";

/// The most rows that are asked for; as many mean that there may be more.
const MAX_ROWS: usize = 10_000;

const NEEDS: &str = "needs pg_monitor or pg_read_all_settings";

/// Asks about pgaudit.
pub(super) async fn read(session: &Session) -> Audit {
    let (state, overrides, logins) = futures_util::join!(
        session.rows(STATE, &[]),
        session.rows(OVERRIDES, &[]),
        session.rows(LOGINS, &[]),
    );
    let state = first(state);
    let overrides = whole(overrides).map(|rows| rows.iter().map(an_override).collect());
    let logins = whole(logins).map(|rows| rows.iter().map(|row| row.shown("name")).collect());
    let of_state = |f: &dyn Fn(&Row) -> Observed<bool>| match &state {
        Ok(row) => f(row),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    };
    let log = match &state {
        Ok(row) => server_wide(row),
        Err(unknown) => Observed::Unknown(unknown.clone()),
    };
    Audit {
        preloaded: of_state(&|row| {
            row.granted::<String>("preload", NEEDS)
                .map(|libraries| names_pgaudit(&libraries))
        }),
        extension: of_state(&|row| row.must("extension")),
        reaches_log: of_state(&|row| reaches_log(session, row)),
        unlogged_roles: unlogged(&log, &overrides, &logins),
        log,
        overrides: observed(overrides),
    }
}

fn observed<T>(value: Result<T, Unknown>) -> Observed<T> {
    value.map_or_else(Observed::Unknown, Observed::Value)
}

fn whole(rows: Result<Vec<Row>, Unknown>) -> Result<Vec<Row>, Unknown> {
    let rows = rows?;
    if rows.len() < MAX_ROWS {
        return Ok(rows);
    }
    Err(Unknown {
        why: UnknownWhy::TooLarge,
        detail: format!("{MAX_ROWS} roles or more"),
    })
}

fn an_override(row: &Row) -> Override {
    Override {
        role: row.shown("role"),
        database: row.shown("database"),
        log: row.shown("log"),
    }
}

/// What everybody gets who has no override: our own value, unless we have one.
fn server_wide(row: &Row) -> Observed<String> {
    match row.shown("source").as_str() {
        "user" | "database user" | "database" | "global" | "client" | "session" => {
            Observed::unknown(
                UnknownWhy::NotObserved,
                "the probe's own role has an override of pgaudit.log, which hides the server's value",
            )
        }
        _ => row.or_unknown(
            "log",
            UnknownWhy::NotApplicable,
            "there is no pgaudit.log: pgaudit is not loaded",
        ),
    }
}

fn reaches_log(session: &Session, row: &Row) -> Observed<bool> {
    type Texts = std::collections::BTreeMap<String, String>;
    let (levels, sources) = match (
        row.get::<Texts>("levels"),
        row.get::<Texts>("level_sources"),
    ) {
        (Ok(levels), Ok(sources)) => (levels.unwrap_or_default(), sources.unwrap_or_default()),
        (Err(unknown), _) | (_, Err(unknown)) => return Observed::Unknown(unknown),
    };
    for (name, source) in &sources {
        if let Err(hidden) = session.is_server_wide(name, source) {
            return Observed::Unknown(hidden);
        }
    }
    match (
        levels.get("pgaudit.log_level"),
        levels.get("log_min_messages"),
    ) {
        (Some(level), Some(least)) => Observed::Value(is_logged(level, least)),
        _ => Observed::unknown(
            UnknownWhy::NotApplicable,
            "there is no pgaudit.log_level: pgaudit is not loaded",
        ),
    }
}

/// Whether a message of this level goes to the server's log; `log` stands above `error` there.
fn is_logged(level: &str, least: &str) -> bool {
    const ORDER: [&str; 12] = [
        "debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error",
        "log", "fatal", "panic",
    ];
    // The same level under another name.
    let rank = |name: &str| {
        let name = if name == "debug" { "debug2" } else { name };
        ORDER.iter().position(|known| *known == name)
    };
    matches!((rank(level), rank(least)), (Some(level), Some(least)) if level >= least)
}

/// Whether a list of libraries names pgaudit, with a path or without.
fn names_pgaudit(libraries: &str) -> bool {
    libraries.split(',').any(|library| {
        let library = library.trim().trim_matches('"');
        let file = library.rsplit('/').next().unwrap_or(library);
        file.strip_suffix(".so").unwrap_or(file) == "pgaudit"
    })
}

/// Whether a value of `pgaudit.log` comes down to nothing: classes are added and, with a minus,
/// taken away, from the left to the right.
fn logs_nothing(value: &str) -> bool {
    const CLASSES: [&str; 7] = [
        "ddl", "function", "misc", "misc_set", "read", "role", "write",
    ];
    let mut on: Vec<&str> = Vec::new();
    let lower = value.to_ascii_lowercase();
    for token in lower.split(',').map(|token| token.trim().trim_matches('"')) {
        let (add, class) = match token.strip_prefix('-') {
            Some(class) => (false, class),
            None => (true, token),
        };
        let named: &[&str] = match class {
            "all" => &CLASSES,
            "misc" => &["misc", "misc_set"],
            _ => CLASSES
                .iter()
                .position(|known| *known == class)
                .map_or(&[], |at| &CLASSES[at..=at]),
        };
        on.retain(|class| !named.contains(class));
        if add {
            on.extend(named);
        }
    }
    on.is_empty()
}

/// The roles of which nothing is logged. The override for a role in this database wins over that
/// for the role, that over the one for the database, that over the one for all.
fn unlogged(
    server: &Observed<String>,
    overrides: &Result<Vec<Override>, Unknown>,
    logins: &Result<Vec<String>, Unknown>,
) -> Observed<Vec<String>> {
    let (overrides, logins) = match (overrides, logins) {
        (Ok(overrides), Ok(logins)) => (overrides, logins),
        (Err(unknown), _) | (_, Err(unknown)) => return Observed::Unknown(unknown.clone()),
    };
    let find = |role: &str, in_database: bool| {
        overrides
            .iter()
            .find(|entry| entry.role == role && entry.database.is_empty() != in_database)
    };
    let mut silent = Vec::new();
    let mut unseen = None;
    for role in logins {
        let applies = find(role, true)
            .or_else(|| find(role, false))
            .or_else(|| find("", true))
            .or_else(|| find("", false));
        match (applies, server) {
            (Some(entry), _) if logs_nothing(&entry.log) => silent.push(role.clone()),
            (None, Observed::Value(log)) if logs_nothing(log) => silent.push(role.clone()),
            (None, Observed::Unknown(unknown)) => unseen = Some(unknown),
            _ => {}
        }
    }
    match unseen {
        // One that is not logged is seen, whatever the others are.
        Some(unknown) if silent.is_empty() => Observed::Unknown(unknown.clone()),
        _ => Observed::Value(silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up_from_left_to_right() {
        for nothing in [
            "none",
            "",
            "NONE",
            "read, -read",
            "misc, -misc",
            "all, -all",
            "-ddl",
        ] {
            assert!(logs_nothing(nothing), "{nothing}");
        }
        for something in [
            "all",
            "ddl",
            "-all, write",
            "READ,-write",
            "none, ddl",
            "misc, -misc_set",
        ] {
            assert!(!logs_nothing(something), "{something}");
        }
    }

    #[test]
    fn a_level_below_the_least_is_not_logged() {
        for (level, least) in [("log", "warning"), ("log", "log"), ("warning", "warning")] {
            assert!(is_logged(level, least), "{level} {least}");
        }
        for (level, least) in [("notice", "warning"), ("debug1", "info"), ("log", "fatal")] {
            assert!(!is_logged(level, least), "{level} {least}");
        }
    }

    #[test]
    fn a_library_is_known_by_its_file() {
        for there in [
            "pgaudit",
            "pg_stat_statements, pgaudit",
            "\"$libdir/pgaudit\"",
            "pgaudit.so",
        ] {
            assert!(names_pgaudit(there), "{there}");
        }
        for not in ["", "pgauditlogtofile", "pg_stat_statements"] {
            assert!(!names_pgaudit(not), "{not}");
        }
    }

    #[test]
    fn the_narrowest_override_wins() {
        let entry = |role: &str, database: &str, log: &str| Override {
            role: role.to_owned(),
            database: database.to_owned(),
            log: log.to_owned(),
        };
        let overrides = Ok(vec![
            entry("", "", "none"),
            entry("", "app", "all"),
            entry("a", "", "none"),
            entry("a", "app", "ddl"),
            entry("b", "", "none"),
        ]);
        let logins = Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let server = Observed::Value("none".to_owned());
        assert_eq!(
            unlogged(&server, &overrides, &logins),
            Observed::Value(vec!["b".to_owned()])
        );
        let unseen = Observed::unknown(UnknownWhy::NotObserved, "");
        assert_eq!(
            unlogged(&unseen, &Ok(Vec::new()), &logins),
            unseen.map(|_: String| Vec::new())
        );
    }
}
