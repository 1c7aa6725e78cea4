//! Pages of runs, newest first, with cursors that stay right while runs come in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::HistoryError;
use super::pack::Row;
use super::run::RunQuery;

/// The last run of a page: the next one holds what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    started_us: i64,
    agent: i64,
}

impl Cursor {
    fn of(row: &Row) -> Self {
        Self {
            started_us: row.started_us,
            agent: row.agent,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.started_us, self.agent)
    }
}

impl FromStr for Cursor {
    type Err = HistoryError;

    fn from_str(text: &str) -> Result<Self, HistoryError> {
        let parse = || {
            let (started_us, agent) = text.split_once('.')?;
            Some(Self {
                started_us: started_us.parse().ok()?,
                agent: agent.parse().ok()?,
            })
        };
        parse().ok_or(HistoryError::BadCursor)
    }
}

/// Fills a page with runs that come newest first.
pub(super) struct Pager {
    from_us: i64,
    to_us: i64,
    after: Option<Cursor>,
    limit: usize,
    rows: Vec<Row>,
    more: bool,
}

impl Pager {
    /// For a query. `oldest`: the start before which no run is shown.
    pub(super) fn new(query: &RunQuery, oldest: Timestamp) -> Result<Self, HistoryError> {
        let from = query.from.map_or(oldest, |from| from.max(oldest));
        Ok(Self {
            from_us: up(from),
            to_us: query.to.map_or(i64::MAX, up),
            after: query.cursor.as_deref().map(str::parse).transpose()?,
            limit: query.limit.max(1),
            rows: Vec::new(),
            more: false,
        })
    }

    /// The earliest start.
    pub(super) const fn earliest_us(&self) -> i64 {
        self.from_us
    }

    /// The start before which, or at which, all runs of the page are.
    pub(super) fn latest_us(&self) -> i64 {
        match self.after {
            Some(after) => self.to_us.min(after.started_us.saturating_add(1)),
            None => self.to_us,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.more
    }

    pub(super) fn add(&mut self, row: Row) {
        let inside = row.started_us >= self.from_us
            && row.started_us < self.to_us
            && self.after.is_none_or(|after| Cursor::of(&row) < after);
        if !inside {
            return;
        }
        if self.rows.len() < self.limit {
            self.rows.push(row);
        } else {
            self.more = true;
        }
    }

    /// The page, and where the next one goes on.
    pub(super) fn finish(self) -> (Vec<Row>, Option<Cursor>) {
        let next = self.rows.last().filter(|_| self.more).map(Cursor::of);
        (self.rows, next)
    }
}

/// Starts are kept to the microsecond: a bound between two of them is the later one.
fn up(at: Timestamp) -> i64 {
    let below = at.as_nanosecond().rem_euclid(1_000) != 0;
    at.as_nanosecond()
        .div_euclid(1_000)
        .saturating_add(i128::from(below))
        .try_into()
        .unwrap_or(i64::MAX)
}
