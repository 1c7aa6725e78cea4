//! A row of the checklist, and what people say of it: waivers, attestations, claims.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;

use super::{Claim, SourceRef};
use crate::judge::Status;

/// A row of the checklist.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// The title in other languages.
    pub titles: BTreeMap<String, String>,
    /// Its section.
    pub section: Option<String>,
    /// Its category for the score.
    pub category: Option<String>,
    /// Its weight for the score.
    pub weight: f64,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The rules that decide it.
    pub needs: Vec<Need>,
    /// How old evidence may be; none: as old as it is.
    pub ttl: Option<Duration>,
    /// Evidence that is not gathered yet: the item is then at best a warning.
    pub misses: Option<String>,
    /// What to do when it does not pass.
    pub remediation: Option<String>,
    /// The waiver for it, expired or not.
    pub waiver: Option<Waiver>,
    /// Somebody's word for it.
    pub attestation: Option<Attestation>,
    /// The item that is the same as this one, in another place of the checklist: its index.
    pub alias_of: Option<usize>,
    /// Indices of items without which this one cannot hold.
    pub prerequisites: Vec<usize>,
    /// What the checklist claims of it.
    pub claim: Option<Claim>,
    /// Whether it is a row of the checklist that no item answers for.
    pub unmapped: bool,
    /// Where it was configured; a probe that is an item of its own has its probe's place, a row of
    /// the checklist that no item answers for its line.
    pub source: SourceRef,
}

impl Item {
    /// Indices of the probes that decide it, as often as it names them.
    pub fn probes(&self) -> impl Iterator<Item = usize> + '_ {
        let attested = self.attestation.iter();
        let needs = self.needs.iter().map(|need| need.probe);
        needs.chain(attested.map(|attestation| attestation.probe))
    }

    /// All text that people wrote for people.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [
            &mut self.section,
            &mut self.category,
            &mut self.owner,
            &mut self.misses,
            &mut self.remediation,
        ];
        let waiver = self.waiver.iter_mut();
        let attestation = self.attestation.iter_mut();
        std::iter::once(&mut self.title)
            .chain(self.titles.values_mut())
            .chain(optional.into_iter().flatten())
            .chain(waiver.flat_map(|waiver| [&mut waiver.owner, &mut waiver.reason]))
            .chain(attestation.map(|attestation| &mut attestation.owner))
    }
}

/// One rule that an item needs: indices into the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// Index of the probe.
    pub probe: usize,
    /// Index of the rule within the probe.
    pub rule: usize,
}

/// Whoever answers for a waiver is warned this long before it expires.
pub const EXPIRES_SOON_DAYS: i64 = 14;

/// A stated, dated exception for one result of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The result that is waived.
    pub result: Status,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds, UTC.
    pub expires: Date,
}

/// How many days from `day` until `last`: 0 on that day, negative after it.
pub fn days_until(day: Date, last: Date) -> i64 {
    // Without a largest unit a span of dates is in days alone; dates have a range in which it always fits.
    day.until(last)
        .map_or(i64::MAX, |span| i64::from(span.get_days()))
}

/// Somebody's word for what no machine can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Who answers for it.
    pub owner: String,
    /// The first day on which it holds, UTC.
    pub issued: Date,
    /// The last day on which it holds, UTC.
    pub expires: Date,
    /// SHA-256 of the document that says so, hexadecimal in lower case.
    pub sha256: String,
    /// Index of the probe that fetches the document.
    pub probe: usize,
    /// Index of the rule within that probe that holds the document against the hash.
    pub rule: usize,
    /// Where it was configured.
    pub source: SourceRef,
}
