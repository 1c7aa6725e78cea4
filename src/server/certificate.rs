//! The certificate that is shown, read anew when its files change.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::{MissedTickBehavior, interval};

use super::App;
use crate::net::server_tls_config;
use crate::plan::{ServerSettings, TlsFiles};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The configuration in use; none: no TLS.
pub struct Certificate {
    current: Mutex<Option<Current>>,
    /// Reloads that were taken over, and those that were refused.
    pub reloads: AtomicU64,
    pub failures: AtomicU64,
}

struct Current {
    config: Arc<ServerConfig>,
    files: TlsFiles,
    seen: [Option<Stamp>; 2],
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        inode: meta.ino(),
        bytes: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
    })
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [stamp(&files.cert), stamp(&files.key)]
}

impl Certificate {
    /// Reads the files, where TLS is wanted.
    pub fn load(files: Option<&TlsFiles>) -> Result<Self, String> {
        let current = match files {
            None => None,
            Some(files) => {
                let seen = stamps(files);
                Some(Current {
                    config: server_tls_config(&files.cert, &files.key)?,
                    files: files.clone(),
                    seen,
                })
            }
        };
        Ok(Self {
            current: Mutex::new(current),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// What the next handshake uses; none: no TLS.
    pub fn config(&self) -> Option<Arc<ServerConfig>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.config))
    }

    /// Reads the files anew if they are others, or have changed. What cannot be used changes nothing.
    fn refresh(&self, wanted: Option<&TlsFiles>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether TLS is spoken at all is decided when the daemon starts.
        let (Some(current), Some(wanted)) = (current.as_mut(), wanted) else {
            return;
        };
        let seen = stamps(wanted);
        if current.seen == seen && current.files == *wanted {
            return;
        }
        current.seen = seen;
        current.files = wanted.clone();
        match server_tls_config(&wanted.cert, &wanted.key) {
            Ok(config) => {
                current.config = config;
                self.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the certificate was read anew");
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("the old certificate is kept: {error}");
            }
        }
    }
}

/// Watches the files until the agent ends.
pub async fn watch(app: Arc<App>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut plan = app.handle.plan();
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            _ = tick.tick() => {
                let reloaded = Arc::clone(&app);
                let app = Arc::clone(&app);
                // A file may stand on a disk that hangs.
                let refreshed = tokio::task::spawn_blocking(move || {
                    app.certificate.refresh(app.handle.plan().server.tls.as_ref());
                });
                refreshed.await.ok();
                let in_use = reloaded.handle.plan();
                if !Arc::ptr_eq(&plan, &in_use) {
                    warn_of_restart(&reloaded.started_with, &in_use.server);
                    plan = in_use;
                }
            }
        }
    }
}

/// Says what of a new configuration waits for a restart.
fn warn_of_restart(started: &ServerSettings, wanted: &ServerSettings) {
    let place = |settings: &ServerSettings| (settings.authority(), settings.tls.is_some());
    if place(started) != place(wanted) {
        tracing::warn!(
            listen = started.authority(),
            "[server] listen and TLS are taken over by a restart alone"
        );
    }
}
