//! Writes a verdict to stdout and to files. A report that did not reach its reader is not a pass.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::args::{ReportArgs, RunArgs};
use super::exit::{Exit, FailOnWarn};
use super::terminal;
use crate::report::{Format, Style, render};
use crate::verdict::Verdict;

/// Delivers every report and returns the run's exit.
pub(super) fn deliver(
    verdict: &Verdict,
    run: &RunArgs,
    report: &ReportArgs,
) -> anyhow::Result<Exit> {
    let map = run.exit_map.unwrap_or_default();
    let mut exit = map.gate(verdict.gate.result, FailOnWarn(run.fail_on_warn));
    let plain = Style {
        colour: false,
        width: None,
    };
    for (format, path) in &report.output {
        if let Err(error) = write_file(path, &render(verdict, *format, plain)?) {
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
    if let Err(error) = terminal::write_stdout(&render(verdict, format, style)?) {
        terminal::error(&format!("cannot write to stdout: {error}"));
        exit = exit.undelivered();
    }
    Ok(exit)
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
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let special = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    if special {
        return File::options()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("not a path of a file"))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    if renamed.is_err() {
        std::fs::remove_file(&temporary).ok();
    }
    renamed
}
