//! Who a row is: its id, the same one after the row was moved, renamed or put elsewhere.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::lock::{Lock, LockedRow};
use super::rows::RawRow;
use super::text::{digest, loose, slug};

/// The ids of all rows, and which rows were known only after they had been renamed.
pub(super) struct Identities {
    pub(super) ids: Vec<String>,
    /// Index of the row in the lock.
    pub(super) locked: Vec<Option<usize>>,
    /// Rows, and the titles that they had.
    pub(super) renamed: Vec<(usize, String)>,
    /// Rows whose own id another row had before them.
    pub(super) duplicates: Vec<usize>,
}

/// Gives every row its id: the locked one where the lock knows it.
pub(super) fn identify(rows: &[RawRow], lock: &Lock) -> Identities {
    let mut matching = Matching::new(rows, &lock.rows);
    matching.run();
    let Matching {
        to_lock, renamed, ..
    } = matching;
    let mut taken: HashSet<String> = lock.rows.iter().map(|row| row.id.clone()).collect();
    taken.extend(rows.iter().filter_map(|row| row.own_id.clone()));
    let mut own_used: HashSet<&str> = HashSet::new();
    let mut counters: HashMap<String, usize> = HashMap::new();
    let mut orders: HashMap<&str, usize> = HashMap::new();
    let mut ids = Vec::with_capacity(rows.len());
    let mut duplicates = Vec::new();
    for (at, (row, locked)) in rows.iter().zip(&to_lock).enumerate() {
        let order = orders.entry(&row.section.identity).or_default();
        *order += 1;
        let own = row.own_id.as_deref().filter(|own| own_used.insert(own));
        if own.is_none() && row.own_id.is_some() {
            duplicates.push(at);
        }
        ids.push(match (own, locked) {
            (Some(own), _) => own.to_owned(),
            (None, Some(locked)) => lock.rows[*locked].id.clone(),
            (None, None) => fresh(row, *order, &mut taken, &mut counters),
        });
    }
    Identities {
        duplicates,
        ids,
        locked: to_lock,
        renamed: renamed
            .into_iter()
            .map(|(row, locked)| (row, lock.rows[locked].title.clone()))
            .collect(),
    }
}

/// An id that nobody has or had.
fn fresh(
    row: &RawRow,
    order: usize,
    taken: &mut HashSet<String>,
    counters: &mut HashMap<String, usize>,
) -> String {
    let section = &row.section.identity;
    let (base, joint, first) = if row.section.keyed {
        (section.clone(), '.', order)
    } else {
        (format!("{section}.{}", slug(&row.title)), '-', 1)
    };
    let next = counters.entry(base.clone()).or_insert(0);
    *next = (*next + 1).max(first);
    loop {
        let id = if *next == 1 && joint == '-' {
            base.clone()
        } else {
            format!("{base}{joint}{next}")
        };
        if taken.insert(id.clone()) {
            return id;
        }
        *next += 1;
    }
}

/// Finds the locked row of each row of the document, the surest way first.
struct Matching<'r> {
    rows: &'r [RawRow],
    titles: Vec<String>,
    details: Vec<String>,
    locked: &'r [LockedRow],
    to_lock: Vec<Option<usize>>,
    to_row: Vec<Option<usize>>,
    renamed: Vec<(usize, usize)>,
}

impl<'r> Matching<'r> {
    fn new(rows: &'r [RawRow], locked: &'r [LockedRow]) -> Self {
        Self {
            rows,
            titles: rows.iter().map(|row| loose(&row.title)).collect(),
            details: rows.iter().map(|row| detail_digest(&row.detail)).collect(),
            locked,
            to_lock: vec![None; rows.len()],
            to_row: vec![None; locked.len()],
            renamed: Vec::new(),
        }
    }

    fn run(&mut self) {
        if self.locked.is_empty() {
            return;
        }
        // Its own id, where the document gives one.
        self.in_order(
            |this, row| this.rows[row].own_id.clone(),
            |locked| Some(locked.id.clone()),
        );
        // In its place. Equal titles of one section are told apart by their details, then by their order.
        self.in_order(
            |this, row| {
                Some((
                    this.section(row),
                    this.titles[row].clone(),
                    this.details[row].clone(),
                ))
            },
            |locked| {
                Some((
                    locked.section.clone(),
                    loose(&locked.title),
                    locked.detail.clone(),
                ))
            },
        );
        self.in_order(
            |this, row| Some((this.section(row), this.titles[row].clone())),
            |locked| Some((locked.section.clone(), loose(&locked.title))),
        );
        // Moved to another section, or its section was renamed.
        self.unique(
            |this, row| Some((this.titles[row].clone(), this.details[row].clone())),
            |locked| Some((loose(&locked.title), locked.detail.clone())),
        );
        self.unique(
            |this, row| Some(this.titles[row].clone()),
            |locked| Some(loose(&locked.title)),
        );
        // Renamed: in its section, with the same details.
        let before = self.to_lock.clone();
        self.unique(
            |this, row| {
                let detail = &this.details[row];
                (!detail.is_empty()).then(|| (this.section(row), detail.clone()))
            },
            |locked| {
                (!locked.detail.is_empty()).then(|| (locked.section.clone(), locked.detail.clone()))
            },
        );
        self.similar();
        self.same_place();
        self.renamed = (0..self.rows.len())
            .filter_map(|row| {
                let locked = self.to_lock[row].filter(|_| before[row].is_none())?;
                Some((row, locked))
            })
            .collect();
    }

    fn section(&self, row: usize) -> String {
        self.rows[row].section.identity.clone()
    }

    fn pair(&mut self, row: usize, locked: usize) {
        self.to_lock[row] = Some(locked);
        self.to_row[locked] = Some(row);
    }

    /// Pairs rows with equal keys, first with first.
    fn in_order<K: Hash + Eq>(
        &mut self,
        of_row: impl Fn(&Self, usize) -> Option<K>,
        of_locked: impl Fn(&LockedRow) -> Option<K>,
    ) {
        let mut free: HashMap<K, Vec<usize>> = HashMap::new();
        // Rows that are gone are the last to be found again; each list is read from its end.
        let order = |gone: bool| {
            let rows = self.locked.iter().enumerate().rev();
            rows.filter(move |(_, locked)| locked.gone == gone)
        };
        for (at, locked) in order(true).chain(order(false)) {
            if self.to_row[at].is_none()
                && let Some(key) = of_locked(locked)
            {
                free.entry(key).or_default().push(at);
            }
        }
        for row in 0..self.rows.len() {
            if self.to_lock[row].is_none()
                && let Some(key) = of_row(self, row)
                && let Some(locked) = free.get_mut(&key).and_then(Vec::pop)
            {
                self.pair(row, locked);
            }
        }
    }

    /// Pairs rows whose key is nobody else's.
    fn unique<K: Hash + Eq>(
        &mut self,
        of_row: impl Fn(&Self, usize) -> Option<K>,
        of_locked: impl Fn(&LockedRow) -> Option<K>,
    ) {
        let mut free: HashMap<K, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for row in (0..self.rows.len()).filter(|row| self.to_lock[*row].is_none()) {
            if let Some(key) = of_row(self, row) {
                free.entry(key).or_default().0.push(row);
            }
        }
        for at in self.free_locked() {
            if let Some(key) = of_locked(&self.locked[at]) {
                free.entry(key).or_default().1.push(at);
            }
        }
        for (rows, locked) in free.into_values() {
            if let ([row], [locked]) = (rows.as_slice(), locked.as_slice()) {
                self.pair(*row, *locked);
            }
        }
    }

    fn free_locked(&self) -> Vec<usize> {
        (0..self.locked.len())
            .filter(|at| self.to_row[*at].is_none() && !self.locked[*at].gone)
            .collect()
    }

    /// What is left of each section: rows, and locked rows.
    fn left(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut by_section: HashMap<&str, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            if self.to_lock[at].is_none() {
                by_section
                    .entry(&row.section.identity)
                    .or_default()
                    .0
                    .push(at);
            }
        }
        for at in self.free_locked() {
            if let Some(section) = by_section.get_mut(self.locked[at].section.as_str()) {
                section.1.push(at);
            }
        }
        // In their order, so that what is compared does not depend on chance.
        let mut left: Vec<_> = by_section.into_values().collect();
        left.sort_unstable();
        left
    }

    /// Renamed: in its section, with a title that is much the same.
    fn similar(&mut self) {
        const LEAST: f64 = 0.6;
        // Where the details changed as well, it may be another row in its place.
        const LEAST_WITH_OTHER_DETAILS: f64 = 0.8;
        // Comparing everything with everything is for a handful.
        const MOST: usize = 64;
        const MOST_BYTES: usize = 512;
        // And in all for as long as nobody waits for it: beyond it a row is a new one.
        const MOST_PAIRS_OF_BYTES: usize = 16 << 20;
        let mut compared = 0;
        for (rows, locked) in self.left() {
            if rows.len() > MOST || locked.len() > MOST {
                continue;
            }
            let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
            for row in rows {
                for at in &locked {
                    let title = loose(&self.locked[*at].title);
                    let (one, other) = (self.titles[row].len(), title.len());
                    compared += one * other;
                    if one.max(other) > MOST_BYTES || compared > MOST_PAIRS_OF_BYTES {
                        continue;
                    }
                    let likeness =
                        strsim::normalized_damerau_levenshtein(&self.titles[row], &title);
                    let bare = self.details[row].is_empty() && self.locked[*at].detail.is_empty();
                    let least = if bare {
                        LEAST
                    } else {
                        LEAST_WITH_OTHER_DETAILS
                    };
                    if likeness >= least {
                        pairs.push((likeness, row, *at));
                    }
                }
            }
            pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            for (_, row, at) in pairs {
                if self.to_lock[row].is_none() && self.to_row[at].is_none() {
                    self.pair(row, at);
                }
            }
        }
    }

    /// Renamed: the one row of its section that is left, in the same place, where there are no details that
    /// could say otherwise.
    fn same_place(&mut self) {
        let rows = self.rows.iter().map(|row| row.section.identity.as_str());
        let (now, rows_of) = places(rows.map(Some));
        let locked = self.locked.iter();
        let (then, locked_of) = places(locked.map(|row| (!row.gone).then_some(&*row.section)));
        for (rows, locked) in self.left() {
            let ([row], [at]) = (rows.as_slice(), locked.as_slice()) else {
                continue;
            };
            let section = self.rows[*row].section.identity.as_str();
            let bare = self.details[*row].is_empty() && self.locked[*at].detail.is_empty();
            if bare && rows_of.get(section) == locked_of.get(section) && now[*row] == then[*at] {
                self.pair(*row, *at);
            }
        }
    }
}

/// The place of each row within its section, and how many rows each section has; rows without a section have
/// no place.
fn places<'s>(
    sections: impl Iterator<Item = Option<&'s str>>,
) -> (Vec<usize>, HashMap<&'s str, usize>) {
    let mut of: HashMap<&str, usize> = HashMap::new();
    let mut places = Vec::new();
    for section in sections {
        let count = section.map(|section| of.entry(section).or_default());
        places.push(count.map_or(0, |count| {
            *count += 1;
            *count
        }));
    }
    (places, of)
}

/// What the lock keeps of a row's details.
pub(super) fn detail_digest(detail: &str) -> String {
    let detail = loose(detail);
    if detail.is_empty() {
        detail
    } else {
        digest(&detail)
    }
}
