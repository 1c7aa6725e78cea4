//! What a kind gets to observe with.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::clean_up::{CleanUp, CleanUps};
use crate::evidence::{Failure, Trail};
use crate::history::History;
use crate::net::Dialler;
use crate::net::api::{Api, Endpoint};

/// What an earlier run of the same probe observed.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// When it was observed, UTC.
    pub observed_at: Timestamp,
    /// The facts, as they stand in the verdict.
    pub facts: Map<String, Value>,
}

/// One attempt's surroundings: the dialler, the clock, the deadline, and the trail that is kept
/// even when the attempt fails. Dropping the future of `observe` cancels the attempt.
pub struct Context {
    dialler: Arc<Dialler>,
    deadline: Instant,
    earlier: Arc<[Earlier]>,
    history: Option<History>,
    trail: Mutex<Trail>,
    clean_ups: Arc<CleanUps>,
}

impl Context {
    /// Surroundings for one attempt that ends at `deadline`.
    pub fn new(dialler: Arc<Dialler>, deadline: Instant) -> Self {
        Self {
            dialler,
            deadline,
            earlier: Arc::default(),
            history: None,
            trail: Mutex::default(),
            clean_ups: Arc::default(),
        }
    }

    /// With clean-ups that somebody waits for before the process ends.
    #[must_use]
    pub fn with_clean_ups(mut self, clean_ups: Arc<CleanUps>) -> Self {
        self.clean_ups = clean_ups;
        self
    }

    /// To be called before anything is written that must not stay: `job` takes it back when what is
    /// returned is dropped, as it is when the attempt is cut by its timeout, the end of the run or a
    /// signal. It gets surroundings of its own, with a deadline of its own.
    pub fn clean_up<F>(&self, job: impl FnOnce(Self) -> F + Send + Sync + 'static) -> CleanUp
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dialler = Arc::clone(&self.dialler);
        // What a clean-up leaves to others is waited for too.
        let clean_ups = Arc::clone(&self.clean_ups);
        CleanUp::new(&self.clean_ups, move || {
            let deadline = Instant::now() + CleanUps::LONGEST;
            job(Self::new(dialler, deadline).with_clean_ups(clean_ups))
        })
    }

    /// With what earlier runs of this probe observed, the oldest first.
    #[must_use]
    pub fn with_earlier(mut self, earlier: Arc<[Earlier]>) -> Self {
        self.earlier = earlier;
        self
    }

    /// With a store of what probes saw.
    #[must_use]
    pub fn with_history(mut self, history: Option<History>) -> Self {
        self.history = history;
        self
    }

    /// What probes saw over time, where that is kept.
    pub const fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// What earlier runs of this probe observed, the oldest first: at most
    /// [`ProbeKind::earlier_runs`](super::ProbeKind::earlier_runs), and none in a one-shot run.
    pub fn earlier(&self) -> &[Earlier] {
        &self.earlier
    }

    /// The one dialler.
    pub fn net(&self) -> &Dialler {
        &self.dialler
    }

    /// The same for a thread of its own, which may outlive the attempt by a moment.
    pub fn shared_net(&self) -> Arc<Dialler> {
        Arc::clone(&self.dialler)
    }

    /// Opens an HTTP API for this attempt, and records its addresses.
    ///
    /// # Errors
    /// A probe error when our resolver gives no address, or our TLS cannot be set up.
    pub async fn api(&self, endpoint: &Endpoint) -> Result<Api, Failure> {
        let begun = Instant::now();
        // A slow resolver must not leave so little time that the target looks silent.
        let api = Api::open(&self.dialler, endpoint, self.share(2), self.deadline).await?;
        self.phase("dns", begun.elapsed());
        for address in api.addresses() {
            self.address(*address);
        }
        Ok(api)
    }

    /// When this attempt must be over.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left of the timeout.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The end of an equal share of what is left, for the first of `parts` steps that follow one
    /// another: a step that hangs leaves the others their time.
    pub fn share(&self, parts: usize) -> Instant {
        let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        Instant::now() + self.remaining() / parts
    }

    /// The wall clock, UTC.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where kinds get the time"
    )]
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Records an address that is about to be dialled.
    pub fn address(&self, address: SocketAddr) {
        self.with_trail(|trail| trail.address(address));
    }

    /// Records a phase that has ended.
    pub fn phase(&self, name: &str, took: Duration) {
        self.with_trail(|trail| trail.phase(name, took));
    }

    /// Takes what the attempt left behind.
    pub fn take_trail(&self) -> Trail {
        self.with_trail(std::mem::take)
    }

    fn with_trail<T>(&self, f: impl FnOnce(&mut Trail) -> T) -> T {
        f(&mut self.trail.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
