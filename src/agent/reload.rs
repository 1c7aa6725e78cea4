//! Sees that the configuration has changed: a SIGHUP, or files that are others. Files are looked at, not
//! subscribed to: that works alike for an editor, a bind mount, a network file system and the symbolic links by
//! which Kubernetes swaps a whole directory.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::core::{now, today};
use super::handle::{Command, ConfigError, Vitals, lock};
use super::notify::Notify;
use crate::config::{Sources, load};

/// How often files are looked at. What differs twice in a row in the same way is read: whoever writes a file in
/// two steps must not have half of it taken over.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a change of a file shows in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print(Vec<(PathBuf, Option<Stamp>)>);

/// Of a file that is there: inode, bytes, seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

/// The files that a configuration was read from.
#[derive(Debug, Clone)]
pub struct Watch {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Watch {
    /// Those of a configuration that was read from `root`.
    pub fn new(root: &Path, sources: &Sources) -> Self {
        Self {
            root: root.to_owned(),
            files: files(root, sources),
        }
    }

    fn print(&self) -> Print {
        let look = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok();
            let print = meta.map(|meta| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
            (path.clone(), print)
        };
        Print(self.files.iter().map(look).collect())
    }
}

/// Each file with its directory: a file that is added to an included directory shows there.
fn files(root: &Path, sources: &Sources) -> Vec<PathBuf> {
    let read = sources.files().iter().map(|file| file.path.as_path());
    let mut all = BTreeSet::new();
    for path in read.chain([root]) {
        all.insert(path.to_owned());
    }
    for path in sources.included_dirs() {
        all.insert(path.to_owned());
    }
    all.into_iter().collect()
}

/// Hands each good configuration to the core; a bad one is told of, and the one in use stays.
pub(super) async fn watch_files(
    watched: watch::Sender<Watch>,
    vitals: Arc<Vitals>,
    commands: mpsc::Sender<Command>,
    notify: Notify,
) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("cannot listen for SIGHUP: files are still looked at");
        return std::future::pending().await;
    };
    let mut known = watched.borrow().print();
    let mut differs: Option<Print> = None;
    loop {
        let told = told(&mut hangup).await;
        let found = watched.borrow().print();
        let settled = differs.as_ref() == Some(&found);
        if !told && (found == known || !settled) {
            differs = (found != known).then_some(found);
            continue;
        }
        differs = None;
        let root = watched.borrow().root.clone();
        notify.reloading();
        tracing::info!(config = %root.display(), "reading the configuration anew");
        let read = tokio::task::spawn_blocking(move || load(&root, today(now()))).await;
        match read {
            Ok(Ok(loaded)) => {
                watched.send_modify(|watch| watch.files = files(&watch.root, &loaded.sources));
                let warnings = loaded.diagnostics.render(&loaded.sources, false);
                if !warnings.is_empty() {
                    tracing::warn!("{warnings}");
                }
                let (done, taken) = oneshot::channel();
                let plan = Arc::new(loaded.plan);
                if commands.send(Command::Reload(plan, done)).await.is_err() {
                    return;
                }
                taken.await.ok();
            }
            Ok(Err(failed)) => {
                let text = failed.diagnostics.render(&failed.sources, false);
                // What was in use is still looked at: it may come back as it was.
                watched.send_modify(|watch| {
                    let more = files(&watch.root, &failed.sources);
                    let all: BTreeSet<PathBuf> = watch.files.drain(..).chain(more).collect();
                    watch.files = all.into_iter().collect();
                });
                refuse(&vitals, text);
            }
            Err(error) => refuse(&vitals, format!("reading it ended by a defect: {error}")),
        }
        notify.ready();
        known = watched.borrow().print();
        if known != found && !told {
            // It changed while it was read: once more.
            known = found;
        }
    }
}

/// Waits for a SIGHUP, at most until files are to be looked at.
async fn told(hangup: &mut Signal) -> bool {
    tokio::select! {
        got = hangup.recv() => got.is_some(),
        () = sleep(LOOK_EVERY) => false,
    }
}

fn refuse(vitals: &Vitals, text: String) {
    tracing::error!("the new configuration is refused, the old one stays in use:\n{text}");
    lock(&vitals.counts).failed_reloads += 1;
    let mut error = lock(&vitals.config_error);
    let since = error.as_ref().map_or_else(now, |error| error.since);
    *error = Some(ConfigError { text, since });
}
