//! The numbers that stand for names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::types::Type;

use super::super::HistoryError;
use super::session::{Session, get};

/// Names of one table and their numbers.
pub(super) struct Names {
    table: &'static str,
    known: Mutex<HashMap<Arc<str>, i32>>,
}

impl Names {
    pub(super) fn new(table: &'static str) -> Self {
        Self {
            table,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, i32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of each name; new names get one.
    pub(super) async fn numbers(
        &self,
        session: &Session,
        names: &[&str],
    ) -> Result<Vec<i32>, HistoryError> {
        let mut unknown: Vec<&str> = {
            let known = self.known();
            let unknown = names.iter().filter(|name| !known.contains_key(**name));
            unknown.copied().collect()
        };
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let table = self.table;
            let insert = format!(
                "insert into probe.{table} (name) select name from unnest($1::text[]) as n(name) \
                 where not exists (select 1 from probe.{table} t where t.name = n.name) on conflict do nothing"
            );
            session
                .query(&insert, &[(&unknown, Type::TEXT_ARRAY)])
                .await?;
            let select = format!("select id, name from probe.{table} where name = any($1::text[])");
            let rows = session
                .query(&select, &[(&unknown, Type::TEXT_ARRAY)])
                .await?;
            let mut known = self.known();
            for row in &rows {
                known.insert(get::<String>(row, 1)?.into(), get(row, 0)?);
            }
        }
        let known = self.known();
        let numbers = names.iter().map(|name| {
            known.get(*name).copied().ok_or_else(|| {
                HistoryError::Corrupt(format!("the database gave no number to `{name}`"))
            })
        });
        numbers.collect()
    }

    /// Forgets all: what was given in a transaction that did not come about is none.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// How many are known.
    pub(super) fn count(&self) -> usize {
        self.known().len()
    }
}
