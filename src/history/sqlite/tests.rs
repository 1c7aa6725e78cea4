use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::super::pack::Row;
use super::super::run::{Marks, RunQuery};
use super::super::slots::{DAY_US, Slot};
use super::super::{HistoryError, HistorySettings};
use super::{HOUR_US, compact, open, prune, read};

const MARKS_PASS: u16 = 0b0_0010_0100;
const MARKS_FAIL: u16 = 0b0_1001_0000;

/// A store with a probe `p` of number 1 and an agent `a`.
fn store() -> Connection {
    let conn = open::memory().expect("memory");
    conn.execute_batch("insert into probes values (1, 'p'); insert into agents values (1, 'a')")
        .expect("names");
    conn
}

fn add(conn: &Connection, started_us: i64, marks: u16) {
    conn.execute(
        "insert into recent values (1, ?, 1, 1500, ?)",
        [started_us, i64::from(marks)],
    )
    .expect("a run");
}

fn at(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).expect("a timestamp")
}

fn all(conn: &mut Connection) -> Vec<i64> {
    let query = RunQuery {
        probe: "p".to_owned(),
        from: None,
        to: None,
        limit: 100_000,
        cursor: None,
    };
    let page = read::runs(conn, &query, Timestamp::MIN).expect("a page");
    let starts = page.runs.iter().map(|run| run.started_at.as_microsecond());
    starts.collect()
}

fn slots(conn: &mut Connection, from: i64, to: i64) -> Vec<Slot> {
    let slots = read::slots(conn, "p", at(from), at(to), Duration::from_secs(60));
    slots.expect("slots")
}

const BEGIN: i64 = 20_000 * DAY_US;

#[test]
fn packing_changes_nothing_that_can_be_seen() {
    let mut conn = store();
    let runs: Vec<i64> = (0..500).map(|at| BEGIN + at * 29_000_017).collect();
    for (number, started) in runs.iter().enumerate() {
        add(
            &conn,
            *started,
            if number == 77 { MARKS_FAIL } else { MARKS_PASS },
        );
    }
    let (from, to) = (BEGIN - HOUR_US, BEGIN + 6 * HOUR_US);
    let (seen, before) = (all(&mut conn), slots(&mut conn, from, to));
    assert_eq!(seen, runs.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(before.iter().filter(|slot| **slot == Slot::Bad).count(), 1);
    assert_eq!(compact::waiting(&conn).expect("probes"), [1]);
    compact::probe(&mut conn, 1).expect("packs");
    assert!(compact::waiting(&conn).expect("probes").is_empty());
    assert_eq!(
        (all(&mut conn), slots(&mut conn, from, to)),
        (seen.clone(), before)
    );
    // Runs that come late, and those that come again, find their place.
    add(&conn, runs[10], MARKS_PASS);
    add(&conn, runs[10] + 1, MARKS_FAIL);
    compact::probe(&mut conn, 1).expect("packs");
    assert_eq!(all(&mut conn).len(), seen.len() + 1);
    let bad = slots(&mut conn, from, to);
    assert_eq!(bad.iter().filter(|slot| **slot == Slot::Bad).count(), 2);
}

#[test]
fn what_is_too_old_goes_and_its_slots_stay_as_long_as_they_may() {
    let mut conn = store();
    let now = BEGIN + 100 * DAY_US;
    for day in 0..100 {
        add(&conn, BEGIN + day * DAY_US + 1, MARKS_PASS);
    }
    compact::probe(&mut conn, 1).expect("packs");
    let settings = HistorySettings {
        retention: Duration::from_secs(40 * 86_400),
        runs_retention: Duration::from_secs(10 * 86_400),
        ..HistorySettings::sqlite("x")
    };
    prune::by_age(&mut conn, &settings, at(now)).expect("prunes");
    assert_eq!(all(&mut conn).len(), 10);
    let kept = slots(&mut conn, BEGIN, now);
    assert_eq!(kept.iter().filter(|slot| **slot == Slot::Good).count(), 40);
    let oldest = prune::oldest(&conn).expect("asks");
    assert_eq!(oldest, Some(at(BEGIN + 90 * DAY_US + 1)));
}

#[test]
fn what_is_too_much_goes_oldest_first() {
    let mut conn = store();
    for hour in 0..2_000 {
        for run in 0..60 {
            add(
                &conn,
                BEGIN + hour * HOUR_US + run * 60_000_000 + run * run * 977,
                MARKS_PASS,
            );
        }
    }
    compact::probe(&mut conn, 1).expect("packs");
    let before = prune::bytes(&conn).expect("bytes");
    prune::by_size(&mut conn, before / 2).expect("prunes");
    assert!(prune::bytes(&conn).expect("bytes") <= before / 2);
    let left = all(&mut conn);
    assert!(!left.is_empty() && left.len() < 120_000, "{}", left.len());
    assert_eq!(
        left[0] / HOUR_US,
        (BEGIN + 1_999 * HOUR_US) / HOUR_US,
        "the newest stay"
    );
    // The minutes go last.
    let kept = slots(&mut conn, BEGIN, BEGIN + HOUR_US);
    assert!(kept.iter().all(|slot| *slot == Slot::Good));
}

#[test]
fn a_chunk_that_cannot_be_read_is_damage() {
    let mut conn = store();
    add(&conn, BEGIN, MARKS_PASS);
    compact::probe(&mut conn, 1).expect("packs");
    conn.execute("update hours set runs = x'01ff'", [])
        .expect("damage");
    let query = RunQuery {
        probe: "p".to_owned(),
        from: None,
        to: None,
        limit: 1,
        cursor: None,
    };
    let error = read::runs(&mut conn, &query, Timestamp::MIN).expect_err("it is damaged");
    assert!(matches!(error, HistoryError::Corrupt(_)), "{error}");
}

#[test]
fn a_row_says_what_its_run_says() {
    let row = Row {
        started_us: 1,
        agent: 1,
        duration_us: 1,
        marks: Marks(MARKS_FAIL),
    };
    assert_eq!(row.slot(), Slot::Bad);
    assert_eq!(Marks(MARKS_PASS).slot(), Slot::Good);
}
