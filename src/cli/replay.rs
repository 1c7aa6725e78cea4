//! `probe replay`: judges stored evidence again, without any connection.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::args::{ReportArgs, RunArgs};
use super::check::{load_config, today};
use super::checklist;
use super::deliver::deliver;
use super::exit::Exit;
use super::once::check_gate;
use crate::evidence::{Envelope, Trail};
use crate::judge::is_met;
use crate::limits::read_file;
use crate::plan::{Plan, PlannedProbe};
use crate::verdict::{
    Mode, Observation, ProbeReport, Run, SCHEMA, Verdict, judge_probe, judge_run,
};

/// A verdict larger than this is not read.
const MAX_BYTES: u64 = 1 << 30;

pub(super) fn run(
    evidence: &Path,
    config: &Path,
    args: &RunArgs,
    report: &ReportArgs,
) -> anyhow::Result<Exit> {
    crate::net::install_crypto_provider();
    report.check_markdown()?;
    report.check_outputs(config)?;
    let stored = read(evidence)?;
    let Some(loaded) = load_config(config) else {
        return Ok(Exit::Usage);
    };
    let mut plan = loaded.plan;
    let selected = plan.select(&args.select)?;
    checklist::join(report, &mut plan)?;
    check_gate(&plan, args.gate.as_deref())?;
    let mut by_id: HashMap<&str, &ProbeReport> = HashMap::new();
    for probe in &stored.probes {
        let twice = by_id.insert(&probe.id, probe).is_some();
        anyhow::ensure!(
            !twice,
            "{}: the probe `{}` is in it twice",
            evidence.display(),
            probe.id
        );
    }
    let now = stored.finished_at;
    let observations = judge_stored(&plan, &selected, &by_id, now);
    let verdict = judge_run(
        &plan,
        Run {
            id: stored.run_id,
            mode: Mode::Replay,
            host: stored.vantage.host,
            started_at: stored.started_at,
            finished_at: now,
            today: today(),
            observations,
            selected,
            gate: args.gate.clone(),
        },
    );
    Ok(deliver(&plan, &verdict, args, report))
}

/// Judges the probes in the order of their dependencies, as the engine does.
fn judge_stored(
    plan: &Plan,
    selected: &[bool],
    by_id: &HashMap<&str, &ProbeReport>,
    now: Timestamp,
) -> Vec<Observation> {
    let mut judged: Vec<Option<Observation>> = plan.probes.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..plan.probes.len()).rev().collect();
    while let Some(index) = open.pop() {
        if judged[index].is_some() {
            continue;
        }
        let probe = &plan.probes[index];
        let first = |wanted: fn(Option<&Observation>) -> bool| {
            let mut dependencies = probe.depends_on.iter().copied();
            dependencies.find(|dependency| wanted(judged[*dependency].as_ref()))
        };
        if let Some(waits_for) = first(|observation| observation.is_none()) {
            open.extend([index, waits_for]);
            continue;
        }
        let unmet = first(|observation| observation.is_some_and(|o| !is_met(&o.rules)));
        let mut envelope = if !selected[index] {
            nothing(probe, now, "not selected for this run".to_owned())
        } else if let Some(unmet) = unmet {
            nothing(probe, now, format!("depends on {}", plan.probes[unmet].id))
        } else {
            envelope(probe, by_id.get(probe.id.as_str()).copied(), now)
        };
        let rules = judge_probe(plan, index, &mut envelope);
        judged[index] = Some(Observation { envelope, rules });
    }
    judged.into_iter().flatten().collect()
}

fn read(path: &Path) -> anyhow::Result<Verdict> {
    let bytes =
        read_file(path, MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    let verdict: Verdict = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is not a verdict: store one with `probe --once --format json`",
            path.display()
        )
    })?;
    anyhow::ensure!(
        verdict.schema == SCHEMA,
        "{}: this version reads {SCHEMA}, not {}",
        path.display(),
        verdict.schema
    );
    Ok(verdict)
}

/// The evidence for a probe; unknown where there is none that can be trusted.
fn envelope(probe: &PlannedProbe, stored: Option<&ProbeReport>, now: Timestamp) -> Envelope {
    let Some(stored) = stored else {
        return nothing(
            probe,
            now,
            "the replayed evidence has no such probe".to_owned(),
        );
    };
    if stored.kind != probe.kind {
        let cause = format!(
            "the replayed evidence is of kind {}, not {}",
            stored.kind, probe.kind
        );
        return nothing(probe, now, cause);
    }
    if stored.target != probe.target || stored.params_digest != probe.params_digest {
        let cause = format!(
            "the replayed evidence is of {} with other parameters",
            stored.target
        );
        return nothing(probe, now, cause);
    }
    let envelope = Envelope {
        probe: probe.id.clone(),
        observed_at: stored.observed_at,
        duration: Duration::try_from_secs_f64(stored.duration_ms / 1e3).unwrap_or_default(),
        outcome: stored.outcome,
        cause: stored.cause.clone(),
        tries: stored.tries.clone(),
        trail: Trail {
            addresses: stored
                .addresses
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            phases: stored.phases.clone(),
        },
        facts: stored.facts.clone(),
    };
    if envelope.hash() != stored.evidence_hash {
        return nothing(
            probe,
            now,
            "the replayed evidence does not match its hash".to_owned(),
        );
    }
    envelope
}

fn nothing(probe: &PlannedProbe, now: Timestamp, cause: String) -> Envelope {
    Envelope::not_observed(&probe.id, now, cause)
}
