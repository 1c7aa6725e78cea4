//! Writes a verdict to stdout and to files. A report that did not reach its reader is not a pass.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::args::{ReportArgs, RunArgs};
use super::exit::{Exit, FailOnWarn};
use super::terminal::{self, BUFFER_BYTES};
use crate::checklist::{Checklist, Language, Regenerated, Volatile};
use crate::limits::read_file;
use crate::plan::Plan;
use crate::report::{Format, Style, write};
use crate::verdict::Verdict;

/// Delivers every report and returns the run's exit.
pub(super) fn deliver(plan: &Plan, verdict: &Verdict, run: &RunArgs, report: &ReportArgs) -> Exit {
    terminal::outlive_size_limits();
    let map = report.exit_map(run);
    let mut exit = map.gate(verdict.gate.result, FailOnWarn(run.fail_on_warn));
    let here = std::env::current_dir().ok();
    let plain = Style {
        colour: false,
        width: None,
        language: report.lang.unwrap_or(Language::En),
        root: here.as_deref(),
    };
    for (format, path) in report.files() {
        let written = match (&plan.checklist, format) {
            (Some(_), Format::Markdown) if report.check => Ok(()),
            (Some(checklist), Format::Markdown) => {
                write_checklist(checklist, verdict, path, report.lang)
            }
            _ => write_file(path, |out| write(verdict, None, format, plain, out)),
        };
        if let Err(error) = written {
            terminal::error(&format!("cannot write {}: {error}", path.display()));
            exit = exit.undelivered();
        }
    }
    let on_terminal = terminal::stdout_is_terminal();
    let format = report.on_stdout().unwrap_or(if on_terminal {
        Format::Table
    } else {
        Format::Json
    });
    let style = Style {
        colour: terminal::colour(&io::stdout()),
        width: on_terminal.then(terminal_width).flatten(),
        ..plain
    };
    let document = plan
        .checklist
        .as_ref()
        .filter(|_| format == Format::Markdown)
        .map(|checklist| regenerate(checklist, verdict, checklist.path(), report.lang))
        .transpose();
    let document = document.unwrap_or_else(|error| {
        terminal::error(&format!("cannot write the checklist anew: {error}"));
        exit = exit.undelivered();
        None
    });
    let document = document.as_ref().map(|document| document.text.as_str());
    let printed = terminal::write_stdout(|out| write(verdict, document, format, style, out));
    if let Err(error) = printed {
        terminal::error(&format!("cannot write to stdout: {error}"));
        exit = exit.undelivered();
    }
    match &plan.checklist {
        Some(checklist) if report.check && !is_current(checklist, verdict, report) => Exit::Fail,
        _ => exit,
    }
}

fn regenerate(
    checklist: &Checklist,
    verdict: &Verdict,
    path: &Path,
    language: Option<Language>,
) -> io::Result<Regenerated> {
    checklist
        .regenerate(verdict, path, language, Volatile::Renew)
        .map_err(io::Error::other)
}

/// Writes a checklist anew, its lock first: a claim that is in neither of them would be lost.
fn write_checklist(
    checklist: &Checklist,
    verdict: &Verdict,
    path: &Path,
    language: Option<Language>,
) -> io::Result<()> {
    let new = regenerate(checklist, verdict, path, language)?;
    if is_same_file(path, checklist.path())
        && read_file(path, u64::MAX - 1)? != checklist.text().as_bytes()
    {
        return Err(io::Error::other(
            "it was changed while the probes ran: run again",
        ));
    }
    write_text(&new.lock_path, &new.lock)?;
    write_text(path, &new.text)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

/// Writes a file, unless that is what it says already.
pub(super) fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let there = read_file(path, text.len() as u64 + 1);
    if there.is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    write_file(path, |out| out.write_all(text.as_bytes()))
}

/// Whether the checklist, and every file that it is to be written to, says what this run found.
fn is_current(checklist: &Checklist, verdict: &Verdict, report: &ReportArgs) -> bool {
    let files = report.files();
    let markdown = files.filter(|(format, _)| *format == Format::Markdown);
    let mut paths: Vec<&Path> = markdown.map(|(_, path)| path).collect();
    if paths.is_empty() {
        paths.push(checklist.path());
    }
    let mut current = true;
    for path in paths {
        let (is, wanted) = if is_same_file(path, checklist.path()) {
            let kept = checklist.regenerate(verdict, path, report.lang, Volatile::Keep);
            (
                Ok(checklist.text().as_bytes().to_vec()),
                kept.map_err(io::Error::other),
            )
        } else {
            let new = regenerate(checklist, verdict, path, report.lang);
            (read_file(path, u64::MAX - 1), new)
        };
        let difference = match (is, wanted) {
            (Ok(is), Ok(wanted)) => first_difference(&is, wanted.text.as_bytes()),
            (Err(error), _) | (_, Err(error)) => Some(format!(": {error}")),
        };
        let path = path.display();
        match difference {
            None => terminal::note(&format!("{path} is up to date\n")),
            Some(place) => {
                terminal::error(&format!(
                    "{path}{place} is out of date: write it anew with --output markdown={path}"
                ));
                current = false;
            }
        }
    }
    current
}

/// The first line in which two texts differ, as `:LINE`.
fn first_difference(one: &[u8], other: &[u8]) -> Option<String> {
    if one == other {
        return None;
    }
    let same = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let line = one[..same].split(|byte| *byte == b'\n').count();
    Some(format!(":{line}"))
}

pub(super) fn terminal_width() -> Option<u16> {
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
    path.file_name()
        .ok_or_else(|| io::Error::other("not a path of a file"))?;
    // Not made from the name, which may be as long as a name can be.
    let temporary = path.with_file_name(format!(".probe-{}.tmp", std::process::id()));
    // Who may read a file is not for a report to change.
    let mode = std::fs::metadata(path).map(|meta| meta.permissions());
    let renamed = File::create(&temporary)
        .and_then(|file| match mode {
            Ok(mode) => file.set_permissions(mode).map(|()| file),
            Err(_) => Ok(file),
        })
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
