//! What is printed, and where.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::exit::Exit;

/// Reports are written in pieces of this size.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// A panic is reported as the probe's defect by the engine; the default hook would print its
/// message, which may hold a secret, before anything could be redacted.
pub(super) fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        tracing::error!(place, "a defect in probe, please report it");
    }));
}

/// A file that may not grow any further is an error of the write that names it, not the end of the
/// process: the signal, once listened to, kills no more.
pub(super) fn outlive_size_limits() {
    let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    if let Ok(runtime) = runtime {
        let _entered = runtime.enter();
        // Without it a full quota kills, as it kills others.
        signal(too_large).ok();
    }
}

/// Logs go to stderr; `PROBE_LOG` overrides the level.
pub(super) fn init_logs(verbose: u8) {
    let level = match verbose {
        0 => "probe=warn",
        1 => "probe=info",
        _ => "probe=debug",
    };
    let filter = EnvFilter::try_from_env("PROBE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour(&io::stderr()))
        .with_target(false)
        .init();
}

/// Whether a stream shows colours: a terminal, and no `NO_COLOR`.
pub(super) fn colour(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
}

/// Prints to stdout. A reader who left is not an error; a full disk is.
pub(super) fn print(text: &str) -> Exit {
    match write_stdout(|out| out.write_all(text.as_bytes())) {
        Ok(()) => Exit::Pass,
        Err(error) => {
            self::error(&format!("cannot write to stdout: {error}"));
            Exit::Unknown
        }
    }
}

/// Writes to stdout; a closed pipe counts as written.
pub(super) fn write_stdout(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    match fill(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            // What is left in the buffer must not be tried again.
            let _unwritten = out.into_parts();
            Ok(())
        }
        other => other,
    }
}

/// Prints an error to stderr; where even that fails there is nobody left to tell.
pub(super) fn error(text: &str) {
    writeln!(anstream::stderr(), "error: {text}").ok();
}

/// Prints text to stderr as it is.
pub(super) fn note(text: &str) {
    write!(anstream::stderr(), "{text}").ok();
}

/// Whether people look at stdout.
pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether people look at stderr.
pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}
