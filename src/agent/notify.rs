//! Tells the service manager how the agent is (`sd_notify`): one datagram per message, nothing where no
//! manager asks for it.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::handle::Vitals;

/// A watchdog interval that is shorter is none that could be kept.
const SHORTEST: Duration = Duration::from_millis(100);

/// The way to the service manager, if there is one. Cheap to clone.
#[derive(Clone, Default)]
pub struct Notify {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// The one that the environment names.
    pub fn from_env() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET");
        let number = |name: &str| -> Option<u64> { std::env::var_os(name)?.to_str()?.parse().ok() };
        let pid = number("WATCHDOG_PID");
        let ours = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").map(Duration::from_micros);
        Self {
            socket: name.as_ref().and_then(connect).map(Arc::new),
            watchdog: watchdog.filter(|every| ours && *every >= SHORTEST),
        }
    }

    /// The agent answers.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read anew; [`Self::ready`] ends that.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
    }

    /// The agent is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.0.send_to_addr(message.as_bytes(), &socket.1)
        {
            tracing::warn!(%error, "cannot tell the service manager {message:?}");
        }
    }

    pub(super) const fn has_watchdog(&self) -> bool {
        self.socket.is_some() && self.watchdog.is_some()
    }
}

fn connect(name: &OsString) -> Option<(UnixDatagram, SocketAddr)> {
    let bytes = name.as_bytes();
    let address = match bytes.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().and_then(|socket| {
        // A manager that does not read must not stop the agent.
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    match (socket, address) {
        (Ok(socket), Ok(address)) => Some((socket, address)),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "cannot reach the service manager");
            None
        }
    }
}

/// Feeds the watchdog for as long as the task that owns the schedule goes on.
pub(super) async fn feed(notify: Notify, vitals: Arc<Vitals>) {
    let Some(every) = notify.watchdog else {
        return;
    };
    loop {
        if vitals.silence() < every / 2 {
            notify.send("WATCHDOG=1");
        } else {
            tracing::error!("the schedule stands still: the watchdog is not fed");
        }
        sleep(every / 3).await;
    }
}
