//! `probe checklist`, and the checklist that a run is given.

use std::path::Path;

use super::args::{ChecklistCommand, ListFormat, ReportArgs};
use super::deliver::{terminal_width, write_text};
use super::exit::Exit;
use super::terminal;
use crate::checklist::{Checklist, Listing, listing_table};
use crate::plan::Plan;

pub(super) fn run(command: ChecklistCommand) -> anyhow::Result<Exit> {
    match command {
        ChecklistCommand::Read { file, format } => read(&file, format),
        ChecklistCommand::Lock { file } => lock(&file),
    }
}

fn read(file: &Path, format: Option<ListFormat>) -> anyhow::Result<Exit> {
    let checklist = Checklist::read(file)?;
    let on_terminal = terminal::stdout_is_terminal();
    let format = format.unwrap_or(if on_terminal {
        ListFormat::Table
    } else {
        ListFormat::Json
    });
    let text = match format {
        ListFormat::Json => {
            let listing = Listing::of(&checklist);
            format!("{}\n", serde_json::to_string_pretty(&listing)?)
        }
        ListFormat::Table => {
            let width = on_terminal.then(terminal_width).flatten();
            listing_table(&checklist, width)
        }
    };
    Ok(terminal::print(&text))
}

fn lock(file: &Path) -> anyhow::Result<Exit> {
    let checklist = Checklist::read_rows(file)?;
    let (path, text) = checklist.lock_text(file)?;
    if let Err(error) = write_text(&path, &text) {
        terminal::error(&format!("cannot write {}: {error}", path.display()));
        return Ok(Exit::Unknown);
    }
    Ok(terminal::print(&format!(
        "{}: {} rows are locked\n",
        path.display(),
        checklist.rows.len()
    )))
}

/// Gives the plan the checklist of this run, if there is one.
pub(super) fn join(report: &ReportArgs, plan: &mut Plan) -> anyhow::Result<Option<Checklist>> {
    let Some(path) = &report.checklist else {
        return Ok(None);
    };
    let checklist = Checklist::read_rows(path)?;
    checklist.join(plan);
    Ok(Some(checklist))
}
