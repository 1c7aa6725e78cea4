//! The command line: arguments, commands, exit codes, terminal output. No logic.

mod args;
mod check;
mod checklist;
mod daemon;
mod deliver;
mod diff;
mod exit;
mod explain;
mod health;
mod init;
mod once;
mod outputs;
mod replay;
mod sign;
mod terminal;
mod verify;
mod wait;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::{Cli, command};
pub use exit::{Exit, ExitMap};

use args::{Command, SchemaName};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    terminal::quiet_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let is_daemon = cli.command.is_none() && !cli.once;
    terminal::init_logs(cli.verbose.max(u8::from(is_daemon)));
    let map = match &cli.command {
        Some(Command::Replay { run, report, .. } | Command::Wait { run, report, .. }) => {
            report.exit_map(run)
        }
        _ => cli.report.exit_map(&cli.run),
    };
    match dispatch(cli) {
        Ok(exit) => map.code(exit),
        Err(error) => {
            terminal::error(&format!("{error:#}"));
            map.code(Exit::Usage)
        }
    }
}

/// Help and version are answers, not errors.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is not worth a word.
    error.print().ok();
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Pass
    };
    wanted_map().code(exit)
}

/// The exit map of a command line that could not be parsed.
fn wanted_map() -> ExitMap {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let given = |flag: &str, value: &str| {
        words
            .windows(2)
            .any(|pair| pair[0] == flag && pair[1] == value)
            || words.contains(&format!("{flag}={value}"))
    };
    let line = given("--format", "nagios") || given("--output", "nagios=-");
    let nagios = given("--exit-map", "nagios") || (line && !given("--exit-map", "probe"));
    if nagios {
        ExitMap::Nagios
    } else {
        ExitMap::Probe
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let config = cli.config;
    let Some(command) = cli.command else {
        if cli.once {
            return once::run(&config, &cli.run, &cli.report);
        }
        anyhow::ensure!(
            cli.run.is_empty() && cli.report.is_empty(),
            "without --once this is the daemon, which takes no flags of a run: add --once, or leave them out"
        );
        return daemon::run(&config);
    };
    anyhow::ensure!(
        !cli.once && cli.run.is_empty() && cli.report.is_empty(),
        "flags of a run stand behind the command that runs: `probe replay FILE --gate NAME`, or `probe --once --gate NAME`"
    );
    Ok(match command {
        Command::Check => check::run(&config),
        Command::Explain { kind } => explain::explain(&kind)?,
        Command::Kinds => explain::kinds(),
        Command::Schema { name } => {
            let schema = match name {
                SchemaName::Config => crate::config::config_schema(),
                SchemaName::Verdict => crate::verdict::verdict_schema(),
                SchemaName::Openapi => crate::server::openapi_document(),
            };
            terminal::print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
        }
        Command::Init => init::run(),
        Command::Replay {
            evidence,
            run,
            report,
        } => replay::run(&evidence, &config, &run, &report)?,
        Command::Diff(args) => diff::run(&args)?,
        Command::Verify(args) => verify::run(&args)?,
        Command::Wait {
            timeout,
            every,
            daemon,
            run,
            report,
        } => {
            let times = wait::Times {
                timeout: timeout.0,
                every: every.0,
            };
            if daemon.url.is_some() {
                wait::ask(times, &daemon, &run)?
            } else {
                wait::probe(times, &config, &run, &report)?
            }
        }
        Command::Health { url, ca_file } => health::ask(&url, ca_file.as_deref())?,
        Command::Checklist { command } => checklist::run(command)?,
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "probe", &mut out);
            terminal::print(&String::from_utf8_lossy(&out))
        }
        Command::Man => {
            let mut out = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut out)?;
            terminal::print(&String::from_utf8_lossy(&out))
        }
    })
}
