//! `probe --once`.

use std::future::{Future, pending};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::args::{ReportArgs, RunArgs};
use super::check::{load_config, today};
use super::checklist;
use super::deliver::deliver;
use super::exit::{Exit, ExitMap};
use super::sign::{self, Signing};
use super::terminal;
use crate::checklist::add_findings;
use crate::evidence::Envelope;
use crate::history::{Access, History};
use crate::net::Dialler;
use crate::observe::{self, Budget, Engine, Interrupt};
use crate::params::DurationText;
use crate::plan::Plan;
use crate::probes::CleanUps;
use crate::verdict::{Mode, Observation, Run, judge_probe, judge_run};

pub(super) fn run(config: &Path, args: &RunArgs, report: &ReportArgs) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    crate::net::install_crypto_provider();
    report.check_markdown()?;
    report.check_outputs(config)?;
    let Some(loaded) = load_config(config) else {
        return Ok(Exit::Usage);
    };
    let mut plan = loaded.plan;
    let selected = plan.select(&args.select)?;
    let document = checklist::join(report, &mut plan)?;
    let signing = sign::prepare(report, &mut plan)?;
    let plan = Arc::new(plan);
    check_gate(&plan, args.gate.as_deref())?;
    check_deadline(&plan, &selected, args.deadline)?;
    let deadline = args.deadline.map(|deadline| begun + deadline.0);
    let clean_ups = Arc::<CleanUps>::default();
    let observing = observe_all(
        Arc::clone(&plan),
        selected,
        args.gate.clone(),
        deadline,
        Arc::clone(&clean_ups),
    );
    let (runtime, run, cut) = match start(observing) {
        Ok(started) => started,
        Err(error) => {
            // The configuration is right, and nothing was seen.
            terminal::error(&format!("{error:#}"));
            return Ok(Exit::Unknown);
        }
    };
    // They run while the report is written.
    let cleaned_up_by = Instant::now() + CleanUps::LONGEST;
    let mut verdict = judge_run(&plan, run);
    add_findings(&plan, document.as_ref(), &mut verdict);
    let map = report.exit_map(args);
    runtime.spawn(async move { end_on_signal(map).await });
    let signing = match cut {
        Some(Interrupt::Signal) => signing.map(Signing::withhold),
        Some(Interrupt::Deadline) | None => signing,
    };
    let exit = deliver(document.as_ref(), &verdict, args, report, signing.as_ref());
    if !runtime.block_on(clean_ups.ended(cleaned_up_by)) {
        tracing::warn!("a target did not let a clean-up end: something may be left there");
    }
    // A blocking call that hangs must not keep the process: its probe was judged.
    runtime.shutdown_background();
    Ok(match cut {
        // Who interrupts a run has no verdict, whatever was learnt until then.
        Some(Interrupt::Signal) => Exit::Unknown,
        Some(Interrupt::Deadline) | None => exit,
    })
}

pub(super) type Observed = (Run, Option<Interrupt>);

/// Runs the engine on a worker, not on this thread: waking it for each probe that ends would cost a
/// system call.
fn start(
    observing: impl Future<Output = anyhow::Result<Observed>> + Send + 'static,
) -> anyhow::Result<(Runtime, Run, Option<Interrupt>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (run, cut) = runtime
        .block_on(runtime.spawn(observing))
        .context("the engine ended")??;
    Ok((runtime, run, cut))
}

/// Whoever reads a report may never do so: a signal must still end the process.
pub(super) async fn end_on_signal(map: ExitMap) {
    if let Ok(interrupted) = interrupted(None) {
        interrupted.await;
        map.end_now(Exit::Unknown);
    }
}

/// A probe that watches for a while must be able to do so within the run.
pub(super) fn check_deadline(
    plan: &Plan,
    selected: &[bool],
    deadline: Option<DurationText>,
) -> anyhow::Result<()> {
    let Some(DurationText(deadline)) = deadline else {
        return Ok(());
    };
    let running = plan.probes.iter().zip(selected).filter(|(_, run)| **run);
    for (probe, _) in running {
        let (watches, needs) = (probe.probe.extra_time(), probe.longest_attempt());
        if !watches.is_zero() && needs > deadline {
            bail!(
                "--deadline {deadline:?}: the probe `{}` watches for {watches:?} and with its timeout needs {needs:?}; \
                 give the run that long, or let the probe watch for less",
                probe.id
            )
        }
    }
    Ok(())
}

/// A gate of that name must exist.
pub(super) fn check_gate(plan: &Plan, wanted: Option<&str>) -> anyhow::Result<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    if plan.gates.iter().any(|gate| gate.id == wanted) {
        return Ok(());
    }
    let names: Vec<&str> = plan.gates.iter().map(|gate| gate.id.as_str()).collect();
    bail!(
        "--gate {wanted}: there is no such gate; there are {}",
        names.join(", ")
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run is stamped with the wall clock"
)]
pub(super) async fn observe_all(
    plan: Arc<Plan>,
    selected: Vec<bool>,
    gate: Option<String>,
    deadline: Option<Instant>,
    clean_ups: Arc<CleanUps>,
) -> anyhow::Result<Observed> {
    let started_at = Timestamp::now();
    let engine = Engine {
        dialler: Arc::new(Dialler::new()),
        clean_ups,
        budget: Budget::new(observe::raise_open_files(), plan.agent.max_per_target),
        history: history_to_read(&plan).await,
    };
    let interrupt = interrupted(deadline).context("cannot listen for signals")?;
    let bar = progress_bar(selected.iter().filter(|selected| **selected).count());
    let judge =
        |plan: &Plan, index: usize, envelope: &mut Envelope| judge_probe(plan, index, envelope);
    let (seen, cut) = observe::run(
        &plan,
        &selected,
        engine,
        judge,
        |index| {
            bar.set_message(plan.probes[index].id.clone());
            bar.inc(1);
        },
        interrupt,
    )
    .await;
    bar.finish_and_clear();
    let run = Run {
        id: run_id(started_at),
        mode: Mode::Once,
        host: vantage(&plan),
        started_at,
        finished_at: Timestamp::now(),
        today: today(),
        observations: seen
            .into_iter()
            .map(|seen| Observation {
                envelope: seen.envelope,
                rules: seen.verdicts,
            })
            .collect(),
        selected,
        gate,
    };
    Ok((run, cut))
}

/// The configured history, where a probe reads it. One that cannot be read leaves those probes unknown.
async fn history_to_read(plan: &Plan) -> Option<History> {
    let settings = plan.history.as_ref()?;
    let mut probes = plan.probes.iter();
    if !probes.any(|probe| probe.probe.history_of().is_some()) {
        return None;
    }
    match History::open(settings, &vantage(plan), Access::Read).await {
        Ok(history) => Some(history),
        Err(error) => {
            terminal::error(&error.to_string());
            None
        }
    }
}

/// Ends with the deadline of the run, or with the first SIGINT, SIGTERM or SIGHUP.
pub(super) fn interrupted(
    deadline: Option<Instant>,
) -> std::io::Result<impl Future<Output = Interrupt>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = hang_up()?;
    Ok(async move {
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = late => Interrupt::Deadline,
            _ = interrupt.recv() => Interrupt::Signal,
            _ = terminate.recv() => Interrupt::Signal,
            () = &mut hang_up => Interrupt::Signal,
        }
    })
}

/// Ends with the first SIGHUP. Whoever has it ignored, as `nohup` has, means it.
fn hang_up() -> std::io::Result<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
    if is_ignored(SignalKind::hangup()) {
        return Ok(Box::pin(pending()));
    }
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(Box::pin(async move {
        hang_up.recv().await;
    }))
}

/// Whether this process was started with that signal ignored, as the kernel tells it.
fn is_ignored(signal: SignalKind) -> bool {
    const MOST_BYTES: u64 = 64 * 1024;
    let status = crate::limits::read_file(Path::new("/proc/self/status"), MOST_BYTES);
    let mask = status.ok().and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    mask.is_some_and(|mask| mask >> (signal.as_raw_value() - 1) & 1 == 1)
}

fn progress_bar(count: usize) -> ProgressBar {
    if !terminal::stderr_is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Unique enough to tell runs apart in a store, and sorted by time.
fn run_id(started_at: Timestamp) -> String {
    format!(
        "{}-{:x}",
        started_at.strftime("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id()
    )
}

pub(super) fn vantage(plan: &Plan) -> String {
    plan.agent.vantage.clone().unwrap_or_else(|| {
        let uname = rustix::system::uname();
        uname.nodename().to_string_lossy().into_owned()
    })
}
