//! One probe: attempts with a deadline each, retried with backoff, every one kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout_at};

use super::budget::Budget;
use super::pulse::{Pulse, TICK};
use crate::evidence::{Envelope, Failure, Outcome, Redactor, Try, millis};
use crate::history::History;
use crate::judge::{RuleVerdict, Status};
use crate::net::Dialler;
use crate::plan::PlannedProbe;
use crate::probes::{CleanUps, Context, Earlier, Severity};

/// A kind that is still running this long after its deadline has a defect.
const GRACE: Duration = Duration::from_millis(250);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What all attempts share.
pub(super) struct Shared {
    pub(super) dialler: Arc<Dialler>,
    pub(super) clean_ups: Arc<CleanUps>,
    pub(super) budget: Budget,
    pub(super) pulse: Pulse,
    pub(super) history: Option<History>,
}

/// Runs a probe until an attempt is good enough or no retry is left.
pub(super) async fn run_probe(
    probe: &PlannedProbe,
    redactor: &Redactor,
    earlier: &Arc<[Earlier]>,
    shared: &Shared,
    tries: &Mutex<Vec<Try>>,
    judge: impl Fn(&mut Envelope) -> Vec<RuleVerdict>,
) -> (Envelope, Vec<RuleVerdict>) {
    let begun = Instant::now();
    let mut backoff = FIRST_BACKOFF;
    let mut learnt = None;
    loop {
        let permit = shared
            .budget
            .acquire(&probe.target, probe.probe.descriptors())
            .await;
        let (mut envelope, ended) = attempt(probe, redactor, earlier, shared).await;
        drop(permit);
        let verdicts = judge(&mut envelope);
        let count = keep(tries, ended);
        let again = envelope.outcome != Outcome::Observed
            || (probe.retry_on_fail && must_rule_failed(&verdicts));
        let blind = matches!(envelope.outcome, Outcome::ProbeError | Outcome::Denied);
        let ended = !again || count > probe.retries as usize;
        // What one attempt learnt of the target is not forgotten because a later one could not look.
        if !blind || learnt.is_none() {
            learnt = Some((envelope, verdicts));
        }
        if ended && let Some((mut envelope, verdicts)) = learnt {
            envelope.duration = begun.elapsed();
            envelope.tries = take(tries);
            return (envelope, verdicts);
        }
        tracing::debug!(probe = probe.id, tries = count, "trying again");
        sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

fn keep(tries: &Mutex<Vec<Try>>, ended: Try) -> usize {
    let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
    tries.push(ended);
    tries.len()
}

/// All attempts that have ended.
pub(super) fn take(tries: &Mutex<Vec<Try>>) -> Vec<Try> {
    std::mem::take(&mut *tries.lock().unwrap_or_else(PoisonError::into_inner))
}

fn must_rule_failed(verdicts: &[RuleVerdict]) -> bool {
    verdicts
        .iter()
        .any(|verdict| verdict.severity == Severity::Must && verdict.result == Status::Fail)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the engine stamps evidence with the wall clock"
)]
async fn attempt(
    probe: &PlannedProbe,
    redactor: &Redactor,
    earlier: &Arc<[Earlier]>,
    shared: &Shared,
) -> (Envelope, Try) {
    let started_at = Timestamp::now();
    let begun = Instant::now();
    let late_before = shared.pulse.late();
    let deadline = begun + probe.longest_attempt();
    let ctx = Context::new(Arc::clone(&shared.dialler), deadline)
        .with_clean_ups(Arc::clone(&shared.clean_ups))
        .with_earlier(Arc::clone(earlier))
        .with_history(shared.history.clone());
    let seen = timeout_at(deadline + GRACE, probe.probe.observe(&ctx)).await;
    let took = begun.elapsed();
    let starved = is_starved(shared, late_before, probe, took).await;
    let seen = seen.unwrap_or_else(|_| {
        Err(Failure::probe(format!(
            "the kind did not end within its timeout of {:?}",
            probe.longest_attempt()
        )))
    });
    let (outcome, cause, facts) = match blame(seen, starved) {
        Ok(facts) => (Outcome::Observed, None, facts),
        Err(failure) => {
            let cause = redactor.string(failure.detail().to_owned());
            (failure.outcome(), Some(cause), Map::new())
        }
    };
    let ended = Try {
        started_at,
        duration_ms: millis(took),
        outcome,
        error: cause.clone(),
    };
    let envelope = Envelope {
        probe: probe.id.clone(),
        observed_at: Timestamp::now(),
        duration: took,
        outcome,
        cause,
        tries: Vec::new(),
        trail: ctx.take_trail(),
        facts,
    };
    (envelope, ended)
}

/// Whether this agent did not get to run while the target seemed to be slow.
async fn is_starved(
    shared: &Shared,
    late_before: Duration,
    probe: &PlannedProbe,
    took: Duration,
) -> bool {
    if took < probe.probe.extra_time() + probe.timeout / 2 {
        return false;
    }
    // Whoever was stopped wakes up with all timers due at once: the pulse has to be heard first.
    sleep(TICK * 2).await;
    let overslept = took.saturating_sub(probe.longest_attempt());
    let late = shared.pulse.late().saturating_sub(late_before);
    late.max(overslept) > probe.timeout / 4
}

type Facts = Map<String, Value>;

/// A target that seemed slow while this agent did not get to run is not to blame, and what little
/// was seen of it is no evidence.
fn blame(seen: Result<Facts, Failure>, starved: bool) -> Result<Facts, Failure> {
    const STARVED: &str = "this agent was starved of CPU while it looked";
    match seen {
        Ok(_) if starved => Err(Failure::probe(STARVED)),
        Err(failure) if starved && failure.outcome() == Outcome::TargetError => {
            Err(Failure::probe(format!("{STARVED}: {failure}")))
        }
        seen => seen,
    }
}

/// The envelope of a probe that was not run, or whose run did not end.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine stamps evidence with the wall clock"
)]
pub fn not_observed(probe: &PlannedProbe, cause: String) -> Envelope {
    Envelope::not_observed(&probe.id, Timestamp::now(), cause)
}
