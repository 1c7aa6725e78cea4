//! How much runs at a time: bounded by open files, and per target where configured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Descriptors that are not for probes: standard streams, the runtime, reports, certificates.
const RESERVED: u64 = 32;
const MOST: u64 = 1 << 20;

/// Raises the limit of open files to the hard one and returns how many probes may have open.
pub fn raise_open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).ok();
    }
    let open = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(MOST)
        .min(MOST);
    usize::try_from(open.saturating_sub(RESERVED))
        .unwrap_or(1)
        .max(1)
}

/// Hands out the right to run.
pub struct Budget {
    files: Arc<Semaphore>,
    most_files: usize,
    per_target: Option<usize>,
    targets: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to run one attempt; dropping it gives it back.
pub(super) struct Permit {
    _target: Option<OwnedSemaphorePermit>,
    _files: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// At most `files` descriptors at a time, and `per_target` attempts at a time at one target.
    pub fn new(files: usize, per_target: Option<usize>) -> Self {
        let most_files = files.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            files: Arc::new(Semaphore::new(most_files)),
            most_files,
            per_target: per_target.map(|most| most.clamp(1, Semaphore::MAX_PERMITS)),
            targets: Mutex::default(),
        }
    }

    /// Waits until an attempt with that many descriptors at that target may run.
    pub(super) async fn acquire(&self, target: &str, descriptors: usize) -> Permit {
        // The target first: who waits for a busy target holds no files.
        let target = match self.target(target) {
            Some(semaphore) => semaphore.acquire_owned().await.ok(),
            None => None,
        };
        let wanted = u32::try_from(descriptors.clamp(1, self.most_files)).unwrap_or(u32::MAX);
        let files = Arc::clone(&self.files)
            .acquire_many_owned(wanted)
            .await
            .ok();
        Permit {
            _target: target,
            _files: files,
        }
    }

    fn target(&self, target: &str) -> Option<Arc<Semaphore>> {
        let most = self.per_target?;
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore = targets
            .entry(endpoint_of(target))
            .or_insert_with(|| Arc::new(Semaphore::new(most)));
        Some(Arc::clone(semaphore))
    }
}

/// The host and port of a target, so that URLs of one server share its budget.
fn endpoint_of(target: &str) -> String {
    match url::Url::parse(target) {
        Ok(url) if url.has_host() => format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        ),
        _ => target.to_owned(),
    }
}
