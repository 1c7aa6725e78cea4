//! Writes a verdict to stdout and to files. A report that did not reach its reader is not a pass.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::args::{ReportArgs, RunArgs};
use super::exit::{Exit, FailOnWarn};
use super::terminal::{self, BUFFER_BYTES};
use crate::report::{Format, Style, write};
use crate::verdict::Verdict;

/// Delivers every report and returns the run's exit.
pub(super) fn deliver(verdict: &Verdict, run: &RunArgs, report: &ReportArgs) -> Exit {
    let map = run.exit_map.unwrap_or_default();
    let mut exit = map.gate(verdict.gate.result, FailOnWarn(run.fail_on_warn));
    let plain = Style {
        colour: false,
        width: None,
    };
    for (format, path) in &report.output {
        let written = write_file(path, |out| write(verdict, *format, plain, out));
        if let Err(error) = written {
            terminal::error(&format!("cannot write {}: {error}", path.display()));
            exit = exit.undelivered();
        }
    }
    let on_terminal = terminal::stdout_is_terminal();
    let format = report.format.unwrap_or(if on_terminal {
        Format::Table
    } else {
        Format::Json
    });
    let style = Style {
        colour: terminal::colour(&io::stdout()),
        width: on_terminal.then(terminal_width).flatten(),
    };
    let printed = terminal::write_stdout(|out| write(verdict, format, style, out));
    if let Err(error) = printed {
        terminal::error(&format!("cannot write to stdout: {error}"));
        exit = exit.undelivered();
    }
    exit
}

fn terminal_width() -> Option<u16> {
    let (_, columns) = console_size()?;
    Some(columns)
}

fn console_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Whole or not at all: a reader never finds half a verdict. Devices and pipes are written directly.
fn write_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let special = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    if special {
        // A pipe that nobody reads would block before the first byte; asked this way it is an error.
        let unblocked = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        File::options()
            .write(true)
            .custom_flags(unblocked)
            .open(path)?;
        return fill_file(File::options().write(true).open(path)?, fill).map(drop);
    }
    // Through a symbolic link, not in its place.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("not a path of a file"))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let renamed = File::create(&temporary)
        .and_then(|file| fill_file(file, fill)?.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path));
    if renamed.is_err() {
        std::fs::remove_file(&temporary).ok();
    }
    renamed
}

fn fill_file(file: File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<File> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}
