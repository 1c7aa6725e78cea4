//! The HTTP API of the running agent: health, gates, the verdict, events, metrics, and probes of targets
//! that others name. It reads what the agent knows; it judges nothing.

mod certificate;
mod error;
mod events;
mod guard;
mod listen;
mod metrics;
mod module_probe;
mod negotiate;
mod openapi;
mod origin;
mod page;
mod query;
mod rate;
mod routes;
mod stalled;
mod verdict_body;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime;
use tokio_util::sync::CancellationToken;

pub use listen::{BindError, Bound, bind};
pub use openapi::document as openapi_document;

use crate::agent::Handle;
use crate::net::Dialler;
use crate::plan::ServerSettings;

/// What all handlers share.
pub(crate) struct App {
    handle: Handle,
    guard: guard::Guard,
    events: events::EventLog,
    metrics: metrics::Cache,
    pages: page::Cache,
    http: metrics::HttpCounts,
    certificate: certificate::Certificate,
    modules: module_probe::Runner,
    /// Where it listens and whether it speaks TLS was decided by these.
    started_with: ServerSettings,
    runs: tokio::sync::Semaphore,
    shutdown: CancellationToken,
}

/// A server that runs on a thread of its own: answers do not wait for probes, however many there are.
pub struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    thread: JoinHandle<()>,
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// The system gives no thread, or no runtime.
    #[error("cannot start the server: {0}")]
    System(#[from] std::io::Error),
}

impl Bound {
    /// Starts to answer. `probing` is where the probes of `/probe` run.
    ///
    /// # Errors
    /// When the certificate cannot be read, or the system gives no thread.
    pub fn start(
        self,
        handle: Handle,
        dialler: Arc<Dialler>,
        probing: runtime::Handle,
    ) -> Result<Running, StartError> {
        let plan = handle.plan();
        let settings = &plan.server;
        let certificate = certificate::Certificate::load(settings.tls.as_ref());
        let shutdown = CancellationToken::new();
        let address = self.address();
        let app = Arc::new(App {
            guard: guard::Guard::new(
                address.ip().to_canonical().is_loopback(),
                settings.max_requests,
            ),
            events: events::EventLog::new(handle.health().started_at.as_millisecond()),
            metrics: metrics::Cache::default(),
            pages: page::Cache::default(),
            http: metrics::HttpCounts::default(),
            certificate: certificate.map_err(StartError::Tls)?,
            modules: module_probe::Runner::new(dialler, probing, settings.max_probes),
            started_with: settings.clone(),
            runs: tokio::sync::Semaphore::new(routes::MAX_RUNS),
            shutdown: shutdown.clone(),
            handle,
        });
        let connections = settings.max_connections;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()?;
        let thread = std::thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || {
                runtime.block_on(listen::serve(self, app, connections));
                // A renderer that is still at work has nobody to give its report to.
                runtime.shutdown_background();
            })?;
        Ok(Running {
            address,
            shutdown,
            thread,
        })
    }
}

impl Running {
    /// The address that is really listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it still answers.
    pub fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Takes no more connections, finishes what was asked, and ends by `deadline` at the latest.
    pub async fn stop(self, deadline: Duration) {
        self.shutdown.cancel();
        let ended = async {
            while !self.thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(deadline, ended).await.is_err() {
            tracing::warn!("requests were cut off: they did not end within {deadline:?}");
        }
    }
}
