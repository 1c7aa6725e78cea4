//! Judging one probe's evidence by its rules.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Status;
use super::expr::Program;
use crate::evidence::{Envelope, Outcome};
use crate::probes::Severity;

/// A rule of a probe.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Kebab-case, unique within the probe.
    pub name: String,
    /// How bad it is when the rule does not hold.
    pub severity: Severity,
    /// What must or should hold.
    pub expr: Program,
    /// Where this is false, the rule is `na`.
    pub applies: Option<Program>,
    /// One line: why anybody wants this.
    pub why: String,
    /// Where the threshold comes from.
    pub source: String,
    /// Whether the kind ships it, so that it fails when the target is broken.
    pub builtin: bool,
    /// Whether it takes part.
    pub state: RuleState,
    /// How long it must not hold before it counts; judged where there is history.
    pub hold: Option<Duration>,
}

/// Whether a rule takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleState {
    /// It does.
    Enabled,
    /// The configuration switched it off.
    Off,
    /// It is not part of this probe.
    NotEnabled {
        /// What would make it part.
        why: String,
    },
}

/// A rule's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleVerdict {
    /// `probe/rule`.
    pub id: String,
    /// The rule's name.
    pub name: String,
    /// How bad it is when the rule does not hold.
    pub severity: Severity,
    /// The result.
    pub result: Status,
    /// The expression.
    pub expr: String,
    /// What decided, with the values observed, or why the result is unknown.
    pub reason: String,
    /// Why anybody wants this.
    pub why: String,
    /// Where the threshold comes from.
    pub source: String,
    /// Whether the kind ships it.
    pub builtin: bool,
    /// Whether it takes part: a rule that does not is listed, and is in no fold.
    pub enabled: bool,
}

impl RuleVerdict {
    /// The verdict on a rule that came to this result.
    pub fn new(probe_id: &str, rule: &Rule, result: Status, reason: String) -> Self {
        Self {
            id: format!("{probe_id}/{}", rule.name),
            name: rule.name.clone(),
            severity: rule.severity,
            result,
            expr: rule.expr.source().to_owned(),
            reason,
            why: rule.why.clone(),
            source: rule.source.clone(),
            builtin: rule.builtin,
            enabled: rule.state == RuleState::Enabled,
        }
    }
}

/// Judges what one run of a probe saw. The verdicts are in the order of the rules.
pub fn judge(
    probe_id: &str,
    rules: &[Rule],
    envelope: &Envelope,
    now: Timestamp,
) -> Vec<RuleVerdict> {
    rules
        .iter()
        .map(|rule| {
            let (result, reason) = match &rule.state {
                RuleState::Enabled => judge_enabled(rule, envelope, now),
                RuleState::Off => (Status::Na, "switched off in the configuration".to_owned()),
                RuleState::NotEnabled { why } => (Status::Na, format!("not enabled: {why}")),
            };
            RuleVerdict::new(probe_id, rule, result, reason)
        })
        .collect()
}

/// Whether what depends on a probe with these verdicts may run: pass or warn.
pub fn is_met(verdicts: &[RuleVerdict]) -> bool {
    let enabled = verdicts.iter().filter(|verdict| verdict.enabled);
    matches!(
        Status::fold(enabled.map(|verdict| verdict.result)),
        Some(Status::Pass | Status::Warn)
    )
}

fn judge_enabled(rule: &Rule, envelope: &Envelope, now: Timestamp) -> (Status, String) {
    if envelope.outcome == Outcome::Observed {
        return judge_observed(rule, envelope, now);
    }
    let cause = envelope.cause.as_deref().unwrap_or("no cause was recorded");
    let broken = envelope.outcome == Outcome::TargetError;
    let status = if broken && rule.builtin && rule.severity == Severity::Must {
        Status::Fail
    } else {
        Status::Unknown
    };
    (status, format!("nothing was observed: {cause}"))
}

fn judge_observed(rule: &Rule, envelope: &Envelope, now: Timestamp) -> (Status, String) {
    if let Some(applies) = &rule.applies {
        let applies = applies.evaluate(&envelope.facts, now);
        match applies.value {
            Some(true) => {}
            Some(false) => {
                return (Status::Na, format!("does not apply: {}", applies.reason));
            }
            None => {
                return (
                    Status::Unknown,
                    format!("whether it applies is unknown: {}", applies.reason),
                );
            }
        }
    }
    let evaluation = rule.expr.evaluate(&envelope.facts, now);
    let status = match (evaluation.value, rule.severity) {
        (Some(true), _) => Status::Pass,
        (Some(false), Severity::Must) => Status::Fail,
        (Some(false), Severity::Should) => Status::Warn,
        (None, _) => Status::Unknown,
    };
    (status, evaluation.reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::{Fact, FactSchema, FactType, Trail};

    fn schema() -> FactSchema {
        let fact = |ty| Fact {
            ty,
            doc: String::new(),
        };
        FactSchema {
            facts: [
                ("status".to_owned(), fact(FactType::Int)),
                (
                    "lag".to_owned(),
                    fact(FactType::Observed(Box::new(FactType::Int))),
                ),
            ]
            .into(),
        }
    }

    fn rule(name: &str, severity: Severity, expr: &str) -> Rule {
        Rule {
            name: name.to_owned(),
            severity,
            expr: Program::compile(expr, &schema()).expect("the rule compiles"),
            applies: None,
            why: "because".to_owned(),
            source: "definition".to_owned(),
            builtin: true,
            state: RuleState::Enabled,
            hold: None,
        }
    }

    fn envelope(outcome: Outcome, facts: &serde_json::Value) -> Envelope {
        Envelope {
            probe: "api".to_owned(),
            observed_at: Timestamp::UNIX_EPOCH,
            duration: Duration::from_millis(1),
            outcome,
            cause: (outcome != Outcome::Observed).then(|| "connection refused".to_owned()),
            tries: Vec::new(),
            trail: Trail::default(),
            facts: facts.as_object().cloned().unwrap_or_default(),
        }
    }

    fn one(rule: Rule, envelope: &Envelope) -> RuleVerdict {
        judge("api", &[rule], envelope, Timestamp::UNIX_EPOCH)
            .pop()
            .expect("one rule, one verdict")
    }

    #[test]
    fn what_was_observed_is_judged_by_severity() {
        let seen = envelope(Outcome::Observed, &json!({"status": 500, "lag": 3}));
        let must = one(rule("status", Severity::Must, "status == 200"), &seen);
        assert_eq!(must.id, "api/status");
        assert_eq!(must.result, Status::Fail);
        assert_eq!(must.reason, "status == 200: observed 500");
        let should = one(rule("status", Severity::Should, "status == 200"), &seen);
        assert_eq!(should.result, Status::Warn);
        let pass = one(rule("lag", Severity::Must, "lag < 10"), &seen);
        assert_eq!(pass.result, Status::Pass);
        assert_eq!(pass.reason, "lag < 10: observed 3");
    }

    #[test]
    fn an_unknown_fact_is_an_unknown_rule_of_either_severity() {
        let seen = envelope(
            Outcome::Observed,
            &json!({"status": 200, "lag": {"unknown": "denied", "detail": "grant pg_monitor to probe"}}),
        );
        for severity in [Severity::Must, Severity::Should] {
            let verdict = one(rule("lag", severity, "lag < 10"), &seen);
            assert_eq!(verdict.result, Status::Unknown);
            assert_eq!(
                verdict.reason,
                "`lag` is unknown: denied: grant pg_monitor to probe"
            );
        }
    }

    #[test]
    fn a_rule_that_does_not_apply_is_na_and_unknown_where_that_is_unknown() {
        let mut moot = rule("lag", Severity::Must, "lag < 10");
        moot.applies = Program::compile("status == 1", &schema()).ok();
        let seen = envelope(Outcome::Observed, &json!({"status": 2, "lag": 30}));
        let verdict = one(moot.clone(), &seen);
        assert_eq!(verdict.result, Status::Na);
        assert!(verdict.enabled);
        assert_eq!(verdict.reason, "does not apply: status == 1: observed 2");

        let blind = envelope(Outcome::Observed, &json!({"lag": 3}));
        assert_eq!(one(moot.clone(), &blind).result, Status::Unknown);

        let applies = envelope(Outcome::Observed, &json!({"status": 1, "lag": 30}));
        assert_eq!(one(moot, &applies).result, Status::Fail);
    }

    #[test]
    fn a_broken_target_fails_the_built_in_musts_alone() {
        let broken = envelope(Outcome::TargetError, &json!({}));
        let must = one(rule("status", Severity::Must, "status == 200"), &broken);
        assert_eq!(must.result, Status::Fail);
        assert!(
            must.reason.contains("connection refused"),
            "{}",
            must.reason
        );
        let should = one(rule("status", Severity::Should, "status == 200"), &broken);
        assert_eq!(should.result, Status::Unknown);
        let mut own = rule("mine", Severity::Must, "status == 200");
        own.builtin = false;
        let own = one(own, &broken);
        assert_eq!(own.result, Status::Unknown);
        assert!(own.reason.contains("connection refused"), "{}", own.reason);
    }

    #[test]
    fn an_agent_that_could_not_look_knows_nothing() {
        for outcome in [Outcome::Denied, Outcome::ProbeError] {
            let blind = envelope(outcome, &json!({}));
            // Not even a rule that needs no fact is judged.
            for expr in ["status == 200", "true"] {
                let verdict = one(rule("status", Severity::Must, expr), &blind);
                assert_eq!(verdict.result, Status::Unknown);
                assert!(verdict.reason.contains("connection refused"));
            }
        }
    }

    #[test]
    fn rules_that_take_no_part_are_listed_as_such() {
        let seen = envelope(Outcome::TargetError, &json!({"status": 500}));
        let mut off = rule("status", Severity::Must, "status == 200");
        off.state = RuleState::Off;
        let verdict = one(off, &seen);
        assert_eq!((verdict.result, verdict.enabled), (Status::Na, false));
        assert_eq!(verdict.reason, "switched off in the configuration");
        let mut canary = rule("canary", Severity::Must, "status == 200");
        canary.state = RuleState::NotEnabled {
            why: "`allow_writes = true` is declared".to_owned(),
        };
        let verdict = one(canary, &seen);
        assert_eq!((verdict.result, verdict.enabled), (Status::Na, false));
        assert!(verdict.reason.starts_with("not enabled: "));
    }
}
