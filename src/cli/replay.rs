//! `probe replay`: judges stored evidence again, without any connection.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::args::{ReportArgs, RunArgs};
use super::check::load_config;
use super::deliver::deliver;
use super::exit::Exit;
use super::once::check_gate;
use crate::evidence::{Envelope, Outcome, Trail};
use crate::limits::read_file;
use crate::plan::PlannedProbe;
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
    let stored = read(evidence)?;
    let Some(loaded) = load_config(config) else {
        return Ok(Exit::Usage);
    };
    let plan = loaded.plan;
    let selected = plan.select(&args.select)?;
    check_gate(&plan, args.gate.as_deref())?;
    let by_id: HashMap<&str, &ProbeReport> = stored
        .probes
        .iter()
        .map(|probe| (probe.id.as_str(), probe))
        .collect();
    let now = stored.finished_at;
    let observations = plan
        .probes
        .iter()
        .enumerate()
        .zip(&selected)
        .map(|((index, probe), selected)| {
            let envelope = if *selected {
                envelope(probe, by_id.get(probe.id.as_str()).copied(), now)
            } else {
                nothing(probe, now, "not selected for this run".to_owned())
            };
            let rules = judge_probe(&plan, index, &envelope, now);
            Observation { envelope, rules }
        })
        .collect();
    let verdict = judge_run(
        &plan,
        Run {
            id: stored.run_id,
            mode: Mode::Replay,
            host: stored.vantage.host,
            started_at: stored.started_at,
            finished_at: now,
            observations,
            selected,
            gate: args.gate.clone(),
        },
    );
    Ok(deliver(&verdict, args, report))
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
fn envelope(probe: &PlannedProbe, stored: Option<&ProbeReport>, now: jiff::Timestamp) -> Envelope {
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

fn nothing(probe: &PlannedProbe, now: jiff::Timestamp, cause: String) -> Envelope {
    Envelope {
        probe: probe.id.clone(),
        observed_at: now,
        duration: Duration::ZERO,
        outcome: Outcome::ProbeError,
        cause: Some(cause),
        tries: Vec::new(),
        trail: Trail::default(),
        facts: serde_json::Map::new(),
    }
}
