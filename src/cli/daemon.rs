//! `probe`: the daemon, in the foreground.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::check::load_config;
use super::exit::{Exit, ExitMap};
use super::once::vantage;
use super::terminal;
use crate::agent::{Agent, DRAIN, Notify, Settings, Watch};
use crate::config::Loaded;
use crate::history::{Access, History, HistorySettings};
use crate::net::Dialler;
use crate::server;

/// After running probes had their time, what was recorded is written, and answers are sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) fn run(config: &Path) -> anyhow::Result<Exit> {
    crate::net::install_crypto_provider();
    let Some(loaded) = load_config(config) else {
        return Ok(Exit::Usage);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let watch = Watch::new(config, &loaded.sources);
    let handle = runtime.handle().clone();
    let ended = runtime.block_on(runtime.spawn(serve(loaded, watch, handle)));
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_background();
    ended.context("the daemon ended by a defect")?
}

async fn serve(
    loaded: Loaded,
    watch: Watch,
    runtime: tokio::runtime::Handle,
) -> anyhow::Result<Exit> {
    let plan = Arc::new(loaded.plan);
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let notify = Notify::from_env();
    let host = vantage(&plan);
    let settings = plan.history.clone().unwrap_or_else(HistorySettings::memory);
    let history = History::open(&settings, &agent_name(&host), Access::Write)
        .await
        .context("cannot open the history")?;
    let bound = server::bind(&plan.server)?;
    let mut agent = Agent::start(Settings {
        plan: Arc::clone(&plan),
        history: history.clone(),
        host,
        watch: Some(watch),
        notify: notify.clone(),
    })
    .await;
    let url = bound.url();
    let serving = bound.start(agent.handle(), Arc::new(Dialler::new()), runtime)?;
    tracing::info!(
        url,
        probes = plan.probes.len(),
        items = plan.items.len(),
        gates = plan.gates.len(),
        store = history.status().store,
        "ready"
    );
    notify.ready();
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: probes that run have {DRAIN:?} to end");
        }
        () = agent.ended() => tracing::error!("the schedule ended by itself"),
    }
    notify.stopping();
    tokio::spawn(async move {
        let name = signals.next().await;
        terminal::error(&format!("{name} once more: ended at once"));
        ExitMap::default().end_now(Exit::Unknown);
    });
    agent.stop().await;
    serving.stop(LAST_WORDS).await;
    if !history.flush(Instant::now() + LAST_WORDS).await {
        tracing::error!("not all that was recorded could be written");
    }
    tracing::info!("stopped");
    Ok(Exit::Pass)
}

/// Under which this process leases probes: two agents on one host are two.
fn agent_name(host: &str) -> String {
    format!("{host}/{}", std::process::id())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
