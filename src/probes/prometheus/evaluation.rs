//! Rules: how many there are, how their last evaluation went, and how long ago it was.

use jiff::Timestamp;
use tokio::time::Instant;

use super::facts::{GroupFacts, RuleFacts, RuleHealth, RuleKind};
use super::kept::Kept;
use super::wire::{Group, Rule, RuleGroups, RuleType};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::api::{ApiError, without_secrets};

const MAX_RULES: usize = 10_000;

/// The server's clock: what it said, and when we heard it.
#[derive(Clone, Copy)]
pub(super) struct ServerClock {
    pub time: Timestamp,
    pub heard: Instant,
}

impl ServerClock {
    /// What its clock showed at `at`, at the least: the answer took a while to come.
    pub fn at(&self, at: Instant) -> f64 {
        let time = seconds(self.time);
        match at.checked_duration_since(self.heard) {
            Some(later) => time + later.as_secs_f64(),
            None => time - self.heard.duration_since(at).as_secs_f64(),
        }
    }
}

pub(super) fn seconds(time: Timestamp) -> f64 {
    time.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// What the rules endpoint told.
pub(super) struct Evaluation {
    pub rule_count: Observed<u64>,
    pub alert_count: Observed<u64>,
    pub groups: Observed<Vec<GroupFacts>>,
    pub rules: Observed<Vec<RuleFacts>>,
}

/// From the groups and the server's clock at the moment at which they were asked for.
pub(super) fn evaluation(
    groups: &Result<RuleGroups, ApiError>,
    now: &Observed<f64>,
    kept: &Kept,
) -> Evaluation {
    let groups = match groups {
        Ok(groups) => &groups.groups,
        Err(error) => {
            let unknown = error.unknown();
            return Evaluation {
                rule_count: unknown.clone().into(),
                alert_count: unknown.clone().into(),
                groups: unknown.clone().into(),
                rules: unknown.into(),
            };
        }
    };
    let all = || {
        groups
            .iter()
            .flat_map(|group| group.rules.iter().map(move |rule| (group, rule)))
    };
    let alerts = all().filter(|(_, rule)| rule.kind == RuleType::Alerting);
    Evaluation {
        rule_count: Observed::Value(all().count() as u64),
        alert_count: Observed::Value(alerts.count() as u64),
        groups: kept.list(
            "groups",
            MAX_RULES,
            groups.iter().map(|group| group_facts(group, now)),
            |group| group.name.len() + group.file.len(),
        ),
        rules: kept.list(
            "rules",
            MAX_RULES,
            all().map(|(group, rule)| rule_facts(group, rule)),
            |rule| rule.name.len() + rule.group.len() + rule.last_error.len(),
        ),
    }
}

fn not_yet() -> Unknown {
    Unknown {
        why: UnknownWhy::NotObserved,
        detail: "not yet evaluated".to_owned(),
    }
}

fn group_facts(group: &Group, now: &Observed<f64>) -> GroupFacts {
    // A group that was never evaluated says the year 1.
    let last = if group.last_evaluation.as_second() > 0 {
        Observed::Value(group.last_evaluation)
    } else {
        not_yet().into()
    };
    GroupFacts {
        name: group.name.clone(),
        file: group.file.clone(),
        rules: group.rules.len() as u64,
        interval_seconds: group.interval,
        evaluation_seconds: last.clone().and_then(|_| finite(group.evaluation_time)),
        lag_seconds: last.clone().and_then(|last| {
            let now = now.clone();
            now.and_then(|now| lag(now - seconds(last), group.interval))
        }),
        last_evaluation_at: last,
    }
}

/// A clock that was set back would make a dead group look fresh for as long.
fn lag(seconds: f64, interval: f64) -> Observed<f64> {
    const TOLERANCE_SECONDS: f64 = 5.0;
    if seconds < -(interval + TOLERANCE_SECONDS) {
        let detail = "the last evaluation lies in the future of the server's own clock";
        return Observed::unknown(UnknownWhy::Inconsistent, detail);
    }
    finite(seconds.max(0.0))
}

pub(super) fn finite(number: f64) -> Observed<f64> {
    if number.is_finite() {
        return Observed::Value(number);
    }
    Observed::unknown(UnknownWhy::Unparseable, format!("{number} is no number"))
}

fn rule_facts(group: &Group, rule: &Rule) -> RuleFacts {
    RuleFacts {
        name: rule.name.clone(),
        group: group.name.clone(),
        kind: match rule.kind {
            RuleType::Alerting => RuleKind::Alerting,
            RuleType::Recording => RuleKind::Recording,
        },
        health: match rule.health.as_str() {
            "ok" => Observed::Value(RuleHealth::Ok),
            "err" => Observed::Value(RuleHealth::Err),
            "unknown" => not_yet().into(),
            other => Observed::unknown(
                UnknownWhy::Unparseable,
                format!("health `{}`", crate::net::api::short(other, 40)),
            ),
        },
        last_error: without_secrets(&rule.last_error),
    }
}
