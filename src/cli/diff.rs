//! `probe diff`: what changed since another run.

use anyhow::anyhow;

use super::args::DiffArgs;
use super::exit::Exit;
use super::replay::read_verdict;
use super::terminal;
use crate::diff::{Diff, DiffFormat, Which, write};

pub(super) fn run(args: &DiffArgs) -> anyhow::Result<Exit> {
    let old = read_verdict(&args.old)?;
    let new = read_verdict(&args.new)?;
    let diff = Diff::of(&old, &new).map_err(|error| match error {
        Which::Old(twice) => anyhow!("{}: {twice}", args.old.display()),
        Which::New(twice) => anyhow!("{}: {twice}", args.new.display()),
    })?;
    if diff.old.finished_at > diff.new.finished_at {
        terminal::note(
            "note: the first verdict is younger than the second: write the old one first\n",
        );
    }
    let format = args.format.unwrap_or(if terminal::stdout_is_terminal() {
        DiffFormat::Table
    } else {
        DiffFormat::Json
    });
    let printed = terminal::write_stdout(|out| write(&diff, format, out));
    let exit = if diff.regression {
        Exit::Fail
    } else {
        Exit::Pass
    };
    Ok(match printed {
        Ok(()) => exit,
        Err(error) => {
            terminal::error(&format!("cannot write to stdout: {error}"));
            exit.undelivered()
        }
    })
}
