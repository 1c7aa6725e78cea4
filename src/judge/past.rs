//! What earlier runs make of a verdict: rules with `for`, soft fails, flapping. Pure: what is remembered
//! comes in and goes out as a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Rule, RuleVerdict, Status};
use crate::probes::Severity;

/// `2/3`: two bad runs of the last three make a fail hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soft {
    /// So many bad runs.
    pub bad: u32,
    /// Of so many runs that could look.
    pub of: u32,
}

/// Text that is no k/n.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no k/n: write how many bad runs of how many make a fail hard, such as \"2/3\"; at most 32 runs"
)]
pub struct BadSoft(String);

impl FromStr for Soft {
    type Err = BadSoft;

    fn from_str(text: &str) -> Result<Self, BadSoft> {
        let bad = || BadSoft(text.to_owned());
        let number = |part: &str| -> Option<u32> {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let (few, all) = text.split_once('/').ok_or_else(bad)?;
        let (few, all) = (number(few).ok_or_else(bad)?, number(all).ok_or_else(bad)?);
        if few == 0 || few > all || all > Bits::MOST {
            return Err(bad());
        }
        Ok(Self { bad: few, of: all })
    }
}

impl fmt::Display for Soft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bad, self.of)
    }
}

impl<'de> Deserialize<'de> for Soft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Soft {
    fn schema_name() -> Cow<'static, str> {
        "Soft".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+/[0-9]+$",
            "description": "How many bad runs of how many make a fail hard, such as 2/3.",
        })
    }
}

/// The last runs that could look, the newest first: a set bit is a bad one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bits {
    bad: u32,
    count: u32,
}

impl Bits {
    const MOST: u32 = u32::BITS;

    const fn push(&mut self, bad: bool) {
        self.bad = self.bad << 1 | bad as u32;
        if self.count < Self::MOST {
            self.count += 1;
        }
    }

    const fn mask(runs: u32) -> u32 {
        if runs >= Self::MOST {
            u32::MAX
        } else {
            (1 << runs) - 1
        }
    }

    const fn of_last(self, runs: u32) -> u32 {
        let known = if runs < self.count { runs } else { self.count };
        (self.bad & Self::mask(known)).count_ones()
    }

    /// How often bad and good followed each other among the last `runs`.
    const fn changes(self, runs: u32) -> u32 {
        let known = if runs < self.count { runs } else { self.count };
        if known < 2 {
            return 0;
        }
        ((self.bad ^ self.bad >> 1) & Self::mask(known - 1)).count_ones()
    }
}

/// A rule is looked at over so many runs that could look.
pub const FLAPPING_RUNS: u32 = 20;
/// It flaps once it has changed so often among them between failing and not,
pub const FLAPPING_FROM: u32 = 5;
/// and no longer when it has changed less often than this.
pub const FLAPPING_UNTIL: u32 = 3;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RulePast {
    /// Since when it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default)]
    runs: Bits,
    #[serde(default)]
    flapping: bool,
}

/// What is remembered of a probe's earlier runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    runs: Bits,
    rules: Box<[RulePast]>,
}

/// The same with the names of the rules, to be stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    runs: Bits,
    rules: BTreeMap<String, RulePast>,
}

impl Past {
    /// What was stored for a probe with these rules; nothing where it cannot be read.
    pub fn restore(stored: serde_json::Value, rules: &[Rule]) -> Self {
        let Ok(mut stored) = serde_json::from_value::<Stored>(stored) else {
            return Self::default();
        };
        Self {
            runs: stored.runs,
            rules: rules
                .iter()
                .map(|rule| stored.rules.remove(&rule.name).unwrap_or_default())
                .collect(),
        }
    }

    /// For a store; `rules` are those of the probe.
    pub fn store(&self, rules: &[Rule]) -> serde_json::Value {
        let stored = Stored {
            runs: self.runs,
            rules: rules
                .iter()
                .zip(&self.rules)
                .filter(|(_, past)| **past != RulePast::default())
                .map(|(rule, past)| (rule.name.clone(), *past))
                .collect(),
        };
        serde_json::to_value(stored).unwrap_or_default()
    }

    /// What is left of it when the rules become others: a rule of the same name and expression is the same.
    #[must_use]
    pub fn carried(&self, from: &[Rule], to: &[Rule]) -> Self {
        let carry = |rule: &Rule| {
            let same = from
                .iter()
                .position(|old| old.name == rule.name && old.expr.source() == rule.expr.source());
            same.and_then(|at| self.rules.get(at).copied())
                .unwrap_or_default()
        };
        Self {
            runs: self.runs,
            rules: to.iter().map(carry).collect(),
        }
    }

    /// What is remembered after one more run, whose verdicts are as the facts alone make them.
    #[must_use]
    pub fn after(&self, rules: &[Rule], verdicts: &[RuleVerdict], at: Timestamp) -> Self {
        let mut past = self.clone();
        if past.rules.len() != rules.len() {
            past.rules = vec![RulePast::default(); rules.len()].into();
        }
        let (mut bad, mut blind, mut any) = (false, false, false);
        for ((rule, verdict), own) in rules.iter().zip(verdicts).zip(&mut past.rules) {
            if !verdict.enabled {
                continue;
            }
            match verdict.result {
                Status::Fail | Status::Warn => {
                    own.since = Some(own.since.map_or(at, |since| since.min(at)));
                }
                Status::Pass | Status::Na => own.since = None,
                // It was not seen to hold.
                Status::Unknown => {}
            }
            let failed = verdict.result == Status::Fail && own.pending(rule, at).is_none();
            if verdict.result != Status::Unknown {
                own.runs.push(failed);
                let least = if own.flapping {
                    FLAPPING_UNTIL
                } else {
                    FLAPPING_FROM
                };
                own.flapping = own.runs.changes(FLAPPING_RUNS) >= least;
            }
            if verdict.severity == Severity::Must {
                any = true;
                bad |= failed;
                blind |= verdict.result == Status::Unknown;
            }
        }
        if any && (bad || !blind) {
            past.runs.push(bad);
        }
        past
    }

    /// Softens the verdicts of the last run that is remembered: a soft fail warns, and a rule stays failed while
    /// its probe is hard. An unknown stays one.
    pub fn soften(&self, soft: Option<Soft>, verdicts: &mut [RuleVerdict]) {
        let Some(soft) = soft else {
            return;
        };
        let bad = self.runs.of_last(soft.of);
        // Without a good run there is no state that a bad one could be an exception from.
        let hard = bad >= soft.bad || bad == self.runs.count.min(soft.of);
        for (verdict, own) in verdicts.iter_mut().zip(&self.rules) {
            let must = verdict.enabled && verdict.severity == Severity::Must;
            match verdict.result {
                Status::Fail if must && !hard => {
                    verdict.result = Status::Warn;
                    verdict.reason = format!(
                        "soft: {bad} of the last {} runs bad, {} make it hard: {}",
                        self.runs.count.min(soft.of),
                        soft.bad,
                        verdict.reason
                    );
                }
                Status::Pass if must && hard && own.runs.of_last(soft.of) > 0 => {
                    verdict.result = Status::Fail;
                    verdict.reason = format!(
                        "hard: {bad} of the last {} runs bad; this one holds: {}",
                        self.runs.count.min(soft.of),
                        verdict.reason
                    );
                }
                _ => {}
            }
        }
    }

    /// A rule that does not hold, and not yet for as long as its `for` says, warns.
    pub fn hold_back(&self, rules: &[Rule], verdicts: &mut [RuleVerdict], at: Timestamp) {
        for ((rule, verdict), own) in rules.iter().zip(verdicts).zip(&self.rules) {
            let out_of_order = matches!(verdict.result, Status::Fail | Status::Warn);
            if out_of_order
                && verdict.enabled
                && let Some((held, hold)) = own.pending(rule, at)
            {
                verdict.result = Status::Warn;
                verdict.reason = format!(
                    "pending: for {}s of {}s: {}",
                    held.as_secs(),
                    hold.as_secs(),
                    verdict.reason
                );
            }
        }
    }

    /// Whether a rule keeps changing between failing and not.
    pub fn is_flapping(&self, rule: usize) -> bool {
        self.rules.get(rule).is_some_and(|own| own.flapping)
    }
}

impl RulePast {
    /// How long the rule has not held, and how long it must not: none when it counts.
    fn pending(&self, rule: &Rule, at: Timestamp) -> Option<(Duration, Duration)> {
        let (hold, since) = (rule.hold?, self.since?);
        let held = Duration::try_from(at.duration_since(since)).unwrap_or_default();
        (held < hold).then_some((held, hold))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::{Fact, FactSchema, FactType};
    use crate::judge::RuleState;
    use crate::judge::expr::Program;

    fn rules(hold: Option<Duration>) -> Vec<Rule> {
        let fact = Fact {
            ty: FactType::Bool,
            doc: String::new(),
        };
        let schema = FactSchema {
            facts: [("up".to_owned(), fact)].into(),
        };
        vec![Rule {
            name: "up".to_owned(),
            severity: Severity::Must,
            expr: Program::compile("up", &schema).expect("it compiles"),
            applies: None,
            why: String::new(),
            source: String::new(),
            builtin: true,
            state: RuleState::Enabled,
            hold,
        }]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// What is shown after each of these results, a second apart.
    fn shown(rules: &[Rule], soft: Option<Soft>, results: &[Status]) -> Vec<Status> {
        let mut past = Past::default();
        let mut shown = Vec::new();
        for (second, result) in results.iter().enumerate() {
            let now = at(i64::try_from(second).expect("small"));
            let mut verdicts = vec![RuleVerdict::new("p", &rules[0], *result, String::new())];
            past = past.after(rules, &verdicts, now);
            past.hold_back(rules, &mut verdicts, now);
            past.soften(soft, &mut verdicts);
            shown.push(verdicts[0].result);
        }
        shown
    }

    use Status::{Fail as F, Pass as P, Unknown as U, Warn as W};

    #[test]
    fn two_bad_of_the_last_three_make_it_hard() {
        let soft: Option<Soft> = "2/3".parse().ok();
        for (results, wanted) in [
            (vec![P, F, P, P], vec![P, W, P, P]),
            (vec![P, F, F, F], vec![P, W, F, F]),
            // Still two of the last three.
            (vec![P, F, F, P, P], vec![P, W, F, F, P]),
            (vec![P, F, P, F], vec![P, W, P, F]),
            // An unknown stays one, and pushes nothing out of sight.
            (vec![P, F, U, F], vec![P, W, U, F]),
            // Without a good run there is nothing that it could be an exception from.
            (vec![F, P], vec![F, P]),
        ] {
            assert_eq!(shown(&rules(None), soft, &results), wanted, "{results:?}");
        }
    }

    #[test]
    fn a_rule_counts_once_it_has_not_held_for_long_enough() {
        let rules = rules(Some(Duration::from_secs(2)));
        assert_eq!(shown(&rules, None, &[P, F, F, F, F]), [P, W, W, F, F]);
        // Seen to hold, it begins anew; not seen at all, it does not.
        assert_eq!(shown(&rules, None, &[F, P, F, F]), [W, P, W, W]);
        assert_eq!(shown(&rules, None, &[F, U, F]), [W, U, F]);
    }

    #[test]
    fn it_flaps_from_five_changes_of_twenty_runs_until_fewer_than_three() {
        let rules = rules(None);
        let mut past = Past::default();
        let mut run = |result: Status| {
            let verdict = RuleVerdict::new("p", &rules[0], result, String::new());
            past = past.after(&rules, &[verdict], at(0));
            past.is_flapping(0)
        };
        for (number, result) in [P, F, P, F, P].into_iter().enumerate() {
            assert!(!run(result), "after run {number}");
        }
        assert!(run(F));
        let steady = (0..40).take_while(|_| run(P)).count();
        assert!((10..20).contains(&steady), "{steady}");
    }

    #[test]
    fn what_is_stored_comes_back_and_what_is_odd_is_nothing() {
        let rules = rules(Some(Duration::from_secs(9)));
        let verdict = RuleVerdict::new("p", &rules[0], F, String::new());
        let past = Past::default().after(&rules, &[verdict], at(7));
        assert_eq!(Past::restore(past.store(&rules), &rules), past);
        let odd = serde_json::json!({ "runs": "many" });
        assert_eq!(Past::restore(odd, &rules), Past::default());
        assert_eq!(past.carried(&rules, &rules), past);
        assert_eq!(past.carried(&rules, &[]).rules.len(), 0);
    }

    #[test]
    fn what_is_no_k_of_n_is_refused() {
        for bad in [
            "", "2", "/", "0/3", "3/2", "1/33", "a/b", "2/3/4", "-1/3", "+1/3", " 2/3",
        ] {
            assert!(bad.parse::<Soft>().is_err(), "{bad}");
        }
        let soft: Soft = "2/3".parse().expect("k of n");
        assert_eq!((soft.bad, soft.of), (2, 3));
    }

    proptest! {
        #[test]
        fn an_unknown_is_never_made_known_and_nothing_that_fails_passes(
            results in prop::collection::vec(prop::sample::select(vec![P, F, U]), 1..40),
            few in 1u32..4, more in 0u32..4, hold in prop::option::of(1u64..5),
        ) {
            let soft = Soft { bad: few, of: few + more };
            let rules = rules(hold.map(Duration::from_secs));
            for (result, shown) in results.iter().zip(shown(&rules, Some(soft), &results)) {
                prop_assert_eq!(*result == U, shown == U);
                prop_assert!(*result != F || shown != P);
            }
        }
    }
}
