//! Whether an envelope holds what somebody may rely on.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::dsse::{Envelope, PAYLOAD_TYPE};
use super::json;
use super::key::VerifyingKey;
use super::statement::{
    PREDICATE_TYPE, STATEMENT_TYPE, Statement, TestOutcome, TestResult, VerdictNote,
};
use super::subject::{Descriptor, Subject};
use crate::judge::Status;
use crate::verdict::{Mode, SCHEMA};

/// How far two clocks may be apart: a statement from further ahead is refused.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);

/// What must hold.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The artifacts that it must be about.
    pub subjects: Vec<Subject>,
    /// How old it may be; none: as old as it is.
    pub max_age: Option<Duration>,
    /// The gate that must pass; none: the one that decided the run.
    pub gate: Option<String>,
    /// Whether a warning is refused.
    pub fail_on_warn: bool,
    /// The time.
    pub now: Timestamp,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

impl Check {
    fn new(name: &'static str, holds: bool, found: impl Into<String>) -> Self {
        Self {
            name,
            holds,
            found: found.into(),
        }
    }
}

/// Checks one envelope, up to the first thing without which the rest means nothing. It is to be relied on when every check holds.
pub fn verify(envelope: &Envelope, key: &VerifyingKey, wanted: &Wanted) -> Vec<Check> {
    let Some(payload) = envelope.payload_signed_by(key) else {
        let found = format!("none is by the key {}", key.id());
        return vec![Check::new("signature", false, found)];
    };
    let mut checks = vec![Check::new(
        "signature",
        true,
        format!("by the key {}", key.id()),
    )];
    let statement = match statement(envelope, &payload) {
        Ok(statement) => statement,
        Err(why) => {
            checks.push(Check::new("type", false, why));
            return checks;
        }
    };
    checks.push(Check::new("type", true, PREDICATE_TYPE));
    checks.push(subjects(&statement.subject, &wanted.subjects));
    match note(&statement.predicate) {
        Ok(note) => {
            checks.push(age(note, wanted));
            checks.push(gate(&statement.predicate, note, wanted));
        }
        Err(why) => checks.push(Check::new("verdict", false, why)),
    }
    checks
}

/// The statement in a payload whose signature holds.
fn statement(envelope: &Envelope, payload: &[u8]) -> Result<Statement, String> {
    let payload_type = envelope.payload_type();
    if payload_type != PAYLOAD_TYPE {
        return Err(format!(
            "the payload is of type {payload_type}, not {PAYLOAD_TYPE}"
        ));
    }
    let statement: Statement<Value> = json::read(payload)
        .map_err(|error| format!("the payload is not an in-toto statement: {error}"))?;
    let (is, predicate) = (&statement.statement_type, &statement.predicate_type);
    if is != STATEMENT_TYPE {
        return Err(format!(
            "the statement is of type {is}, not {STATEMENT_TYPE}"
        ));
    }
    if predicate != PREDICATE_TYPE {
        return Err(format!(
            "the predicate is of type {predicate}, not {PREDICATE_TYPE}"
        ));
    }
    let result: TestResult = serde_json::from_value(statement.predicate)
        .map_err(|error| format!("the predicate is not that of a verdict: {error}"))?;
    Ok(Statement {
        statement_type: statement.statement_type,
        subject: statement.subject,
        predicate_type: statement.predicate_type,
        predicate: result,
    })
}

fn note(predicate: &TestResult) -> Result<&VerdictNote, String> {
    let [configuration] = predicate.configuration.as_slice() else {
        return Err("it does not name the one configuration that decided".to_owned());
    };
    let note = &configuration.annotations.verdict;
    if note.schema == SCHEMA {
        Ok(note)
    } else {
        Err(format!("it is of a {}, not a {SCHEMA}", note.schema))
    }
}

fn subjects(about: &[Descriptor], wanted: &[Subject]) -> Check {
    const NAME: &str = "subject";
    if about.is_empty() {
        return Check::new(NAME, false, "it is about nothing");
    }
    let missing: Vec<String> = wanted
        .iter()
        .filter(|wanted| !about.iter().any(|about| about.is(wanted)))
        .map(ToString::to_string)
        .collect();
    let list = about.iter().take(10).map(|about| {
        let name = about.name.as_deref().unwrap_or("(no name)");
        let digest = about
            .digest
            .get("sha256")
            .map_or("no SHA-256", String::as_str);
        format!("{name} ({digest})")
    });
    let list = list.collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Check::new(
            NAME,
            false,
            format!("it is not about {missing}, but about {list}"),
        );
    }
    if wanted.is_empty() {
        return Check::new(
            NAME,
            true,
            format!("none was asked for; it is about {list}"),
        );
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Check::new(NAME, true, wanted.join(", "))
}

fn age(note: &VerdictNote, wanted: &Wanted) -> Check {
    const NAME: &str = "age";
    let evidence = match note.mode {
        Mode::Once | Mode::Daemon => "",
        Mode::Replay => " (replayed evidence)",
    };
    let at = note.finished_at;
    let age = wanted.now.duration_since(at);
    if age.is_negative() {
        let ahead = age.unsigned_abs();
        let found = format!("it is of {at}{evidence}, which is in the future");
        return Check::new(NAME, ahead <= MAX_AHEAD, found);
    }
    let seconds = age.as_secs();
    let found = format!("it is of {at}{evidence}, {seconds} s ago");
    match wanted.max_age {
        Some(most) if age.unsigned_abs() > most => {
            let most = most.as_secs_f64();
            Check::new(NAME, false, format!("{found}: more than {most} s"))
        }
        Some(_) => Check::new(NAME, true, found),
        None => Check::new(NAME, true, format!("{found}; no limit was given")),
    }
}

fn gate(predicate: &TestResult, note: &VerdictNote, wanted: &Wanted) -> Check {
    const NAME: &str = "gate";
    if predicate.result != TestOutcome::from(note.gate.result) {
        return Check::new(NAME, false, "its result is not that of its gate");
    }
    let Some((id, result)) = note.gate_result(wanted.gate.as_deref()) else {
        let wanted = wanted.gate.as_deref().unwrap_or_default();
        let known: Vec<&str> = note.gates.iter().map(|gate| gate.id.as_str()).collect();
        let found = format!("it has no gate {wanted}, only {}", known.join(", "));
        return Check::new(NAME, false, found);
    };
    let holds = match result {
        Status::Pass => true,
        Status::Warn => !wanted.fail_on_warn,
        Status::Fail | Status::Unknown | Status::Na => false,
    };
    Check::new(NAME, holds, format!("{id} {result}"))
}
