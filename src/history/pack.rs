//! Runs of one probe, packed: a week of one probe every 30 seconds is about 20,000 runs, and a row of a
//! table for each costs several times of what it says.
//!
//! A chunk holds its runs in columns: starts as differences of differences, durations as differences,
//! and what came out as repetitions. A healthy probe needs about six bytes a run.

use std::time::Duration;

use jiff::Timestamp;

use super::run::{Marks, RunRecord};
use super::slots::Slot;

/// A run without the texts that a store keeps once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) started_us: i64,
    /// The store's number of the agent.
    pub(super) agent: i64,
    pub(super) duration_us: i64,
    pub(super) marks: Marks,
}

impl Row {
    pub(super) fn of(run: &RunRecord, agent: i64) -> Self {
        Self {
            started_us: run.started_at.as_microsecond(),
            agent,
            duration_us: i64::try_from(run.duration.as_micros()).unwrap_or(i64::MAX),
            marks: Marks::of(run),
        }
    }

    pub(super) fn slot(&self) -> Slot {
        self.marks.slot()
    }

    pub(super) fn started_at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.started_us).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.duration_us).unwrap_or(0))
    }
}

/// The first byte of a chunk.
const FORMAT: u8 = 1;
/// No chunk of an hour has more; a count beyond it is damage.
const MOST_RUNS: u64 = 10_000_000;

/// Packs runs; `rows` are in order of their start.
pub(super) fn pack(rows: &[Row]) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put(&mut out, rows.len() as u64);
    let (mut before, mut step) = (0_i64, 0_i64);
    for row in rows {
        let now = row.started_us.wrapping_sub(before);
        put_signed(&mut out, now.wrapping_sub(step));
        (before, step) = (row.started_us, now);
    }
    let mut before = 0_i64;
    for row in rows {
        put_signed(&mut out, row.duration_us.wrapping_sub(before));
        before = row.duration_us;
    }
    for same in rows.chunk_by(|a, b| (a.marks, a.agent) == (b.marks, b.agent)) {
        put(&mut out, same.len() as u64);
        put(&mut out, u64::from(same[0].marks.0));
        put_signed(&mut out, same[0].agent);
    }
    out
}

/// Reads a chunk; `None` where it is damaged.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<Row>> {
    let mut rest = bytes.strip_prefix(&[FORMAT])?;
    let count = take(&mut rest).filter(|count| *count <= MOST_RUNS)?;
    // What is read decides how much memory is taken, not what the chunk says of itself.
    let mut rows = Vec::with_capacity(usize::try_from(count).ok()?.min(bytes.len()));
    let (mut before, mut step) = (0_i64, 0_i64);
    for _ in 0..count {
        step = step.wrapping_add(take_signed(&mut rest)?);
        before = before.wrapping_add(step);
        rows.push(Row {
            started_us: before,
            agent: 0,
            duration_us: 0,
            marks: Marks(0),
        });
    }
    let mut before = 0_i64;
    for row in &mut rows {
        before = before.wrapping_add(take_signed(&mut rest)?);
        row.duration_us = before;
    }
    let mut open = rows.as_mut_slice();
    while !open.is_empty() {
        let count = usize::try_from(take(&mut rest)?).ok()?;
        let marks = Marks(u16::try_from(take(&mut rest)?).ok()?);
        let agent = take_signed(&mut rest)?;
        if count == 0 || count > open.len() {
            return None;
        }
        let (same, others) = open.split_at_mut(count);
        for row in same {
            (row.marks, row.agent) = (marks, agent);
        }
        open = others;
    }
    rest.is_empty().then_some(rows)
}

/// Adds rows to those of a chunk: in order, each once.
pub(super) fn merge(into: &mut Vec<Row>, rows: impl IntoIterator<Item = Row>) {
    into.extend(rows);
    into.sort_unstable();
    into.dedup_by_key(|row| (row.started_us, row.agent));
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(
        out,
        (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned(),
    );
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, others) = rest.split_first()?;
        *rest = others;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    let value = take(rest)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row() -> impl Strategy<Value = Row> {
        (any::<i64>(), any::<i64>(), 0..3_i64, 0..512_u16).prop_map(
            |(started_us, duration_us, agent, marks)| Row {
                started_us,
                agent,
                duration_us,
                marks: Marks(marks),
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_packed_reads_back(mut rows in prop::collection::vec(row(), 0..50)) {
            rows.sort_unstable();
            prop_assert_eq!(unpack(&pack(&rows)), Some(rows));
        }

        #[test]
        fn damage_is_found_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            unpack(&bytes);
            let mut begun = vec![FORMAT];
            begun.extend(bytes);
            unpack(&begun);
        }

        #[test]
        fn merging_counts_nothing_twice_in_any_order(
            rows in prop::collection::vec(row(), 0..30), cut in 0..30_usize
        ) {
            let cut = cut.min(rows.len());
            let mut once = Vec::new();
            merge(&mut once, rows.iter().copied());
            let mut twice = Vec::new();
            merge(&mut twice, rows[cut..].iter().copied());
            merge(&mut twice, rows.iter().copied());
            let starts = |rows: &[Row]| rows.iter().map(|row| (row.started_us, row.agent)).collect::<Vec<_>>();
            prop_assert_eq!(starts(&once), starts(&twice));
        }
    }

    #[test]
    fn a_healthy_probe_needs_few_bytes() {
        let rows: Vec<Row> = (0..120)
            .map(|at| Row {
                started_us: 1_780_000_000_000_000 + at * 30_000_000 + at * 7919 % 4000,
                agent: 1,
                duration_us: 2_000 + at * 104_729 % 9000,
                marks: Marks(0b0_0010_0100),
            })
            .collect();
        let bytes = pack(&rows).len();
        assert!(bytes <= rows.len() * 7, "{bytes} bytes");
    }
}
