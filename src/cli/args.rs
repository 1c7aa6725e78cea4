//! The arguments.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::exit::ExitMap;
use crate::attest::Subject;
use crate::diff::DiffFormat;
use crate::params::DurationText;
use crate::report::{Format, Language};

/// Replaces a checklist's ticks with evidence from real endpoints.
///
/// What could not be seen is unknown, and unknown never passes.
#[derive(Debug, Parser)]
#[command(
    name = "probe",
    version,
    max_term_width = 100,
    after_long_help = "Exit codes: 0 the gate passes, 1 it fails, 2 usage or configuration error (nothing was probed), \
3 unknown (evidence is missing, or a report could not be delivered), 4 warnings with --fail-on-warn."
)]
pub struct Cli {
    /// The configuration.
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        default_value = "probes.toml"
    )]
    pub(super) config: PathBuf,

    /// Say more on stderr; twice for details.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    /// Run every probe once, print the verdict, exit with the gate's code. Without it and without a command: run
    /// as a daemon, until SIGTERM.
    #[arg(long)]
    pub(super) once: bool,

    #[command(flatten)]
    pub(super) run: RunArgs,

    #[command(flatten)]
    pub(super) report: ReportArgs,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What runs, and what its result means.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunArgs {
    /// Only these probes, and what they depend on: an id, `tag:NAME`, or an item's id; `*` as wildcard. Repeatable.
    #[arg(long, value_name = "ID|tag:NAME")]
    pub(super) select: Vec<String>,

    /// The gate that decides the exit code; without it all gates do.
    #[arg(long, value_name = "NAME")]
    pub(super) gate: Option<String>,

    /// Bounds the whole run, such as 60s; what has not ended by then is unknown.
    #[arg(long, value_name = "DURATION")]
    pub(super) deadline: Option<DurationText>,

    /// Exit with 4 when the gate only warns.
    #[arg(long)]
    pub(super) fail_on_warn: bool,

    /// Use the exit codes of another tool.
    #[arg(long, value_name = "MAP")]
    pub(super) exit_map: Option<ExitMap>,
}

/// Where the verdict goes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ReportArgs {
    /// The form on stdout; without it: a table on a terminal, JSON otherwise.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<Format>,

    /// Also write the verdict to a file, whole or not at all; `-` is stdout, in place of `--format`. Repeatable.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_output)]
    pub(super) output: Vec<(Format, PathBuf)>,

    /// The checklist in Markdown: its claims are held against the results, its rows become items.
    #[arg(long, value_name = "FILE")]
    pub(super) checklist: Option<PathBuf>,

    /// Write no Markdown, and exit with 1 when the checklist (or the file that `--output markdown=` names) is out of date.
    #[arg(long, requires = "checklist")]
    pub(super) check: bool,

    /// The language of titles, statuses and reports; without it: English in tables, a document's own in Markdown.
    #[arg(long, value_name = "LANGUAGE")]
    pub(super) lang: Option<Language>,

    /// The private key for `--output intoto=FILE`: PEM, PKCS#8, Ed25519 or ECDSA P-256.
    #[arg(long, value_name = "KEY.pem")]
    pub(super) sign_key: Option<PathBuf>,

    /// An artifact that is being deployed, in place of `[agent] digests`. Repeatable.
    #[arg(long, value_name = "NAME@sha256:HEX")]
    pub(super) subject: Vec<Subject>,
}

/// Two verdicts.
#[derive(Debug, Clone, Args)]
pub(super) struct DiffArgs {
    /// The earlier verdict, as `--format json` wrote it.
    pub(super) old: PathBuf,

    /// The later one.
    pub(super) new: PathBuf,

    /// The form on stdout; without it: a table on a terminal, JSON otherwise.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<DiffFormat>,
}

/// What a signed statement must hold.
#[derive(Debug, Clone, Args)]
pub(super) struct VerifyArgs {
    /// The statement, as `--output intoto=FILE` wrote it.
    pub(super) file: PathBuf,

    /// The public key: PEM, Ed25519 or ECDSA P-256.
    #[arg(long, value_name = "PUB.pem")]
    pub(super) key: PathBuf,

    /// The artifact that it must be about, by its digest, or by name and digest. Repeatable: about each of them.
    #[arg(long, value_name = "sha256:HEX", value_parser = Subject::wanted)]
    pub(super) subject: Vec<Subject>,

    /// How old its verdict may be, such as 24h; without it: as old as it is.
    #[arg(long, value_name = "DURATION")]
    pub(super) max_age: Option<DurationText>,

    /// The gate that must have passed; without it: the one that decided the run.
    #[arg(long, value_name = "NAME")]
    pub(super) gate: Option<String>,

    /// Refuse a gate that only warned.
    #[arg(long)]
    pub(super) fail_on_warn: bool,
}

impl RunArgs {
    /// Whether none is given.
    pub(super) fn is_empty(&self) -> bool {
        self.select.is_empty()
            && self.gate.is_none()
            && self.deadline.is_none()
            && !self.fail_on_warn
            && self.exit_map.is_none()
    }
}

impl ReportArgs {
    /// Whether none is given.
    pub(super) fn is_empty(&self) -> bool {
        self.format.is_none()
            && self.output.is_empty()
            && self.checklist.is_none()
            && !self.check
            && self.lang.is_none()
            && self.sign_key.is_none()
            && self.subject.is_empty()
    }

    /// Whether a report of that form is asked for.
    pub(super) fn wants(&self, format: Format) -> bool {
        self.format == Some(format) || self.output.iter().any(|(wanted, _)| *wanted == format)
    }

    /// Markdown is a checklist written anew: there must be one.
    pub(super) fn check_markdown(&self) -> anyhow::Result<()> {
        let mut formats = self
            .output
            .iter()
            .map(|(format, _)| *format)
            .chain(self.format);
        anyhow::ensure!(
            self.checklist.is_some() || !formats.any(|format| format == Format::Markdown),
            "the report `markdown` is a checklist written anew: name it with --checklist FILE.md"
        );
        Ok(())
    }
}

/// A daemon that is asked.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct DaemonArgs {
    /// The address of a daemon, such as `http://127.0.0.1:9730`; without it the probes run here.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,

    /// A file with the token that the daemon wants.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(super) token_file: Option<PathBuf>,

    /// The roots (PEM) that the daemon's certificate is checked with; without it those of the system.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Validate the configuration: all errors at once, nothing is probed.
    Check,
    /// Print a kind's facts, rules, privileges and side effects.
    Explain {
        /// The kind.
        kind: String,
    },
    /// List the kinds.
    Kinds,
    /// Print a JSON Schema.
    Schema {
        /// Of what.
        name: SchemaName,
    },
    /// Print a commented starter configuration for what the environment suggests.
    Init,
    /// Judge stored evidence again, without any connection.
    Replay {
        /// A verdict, as `--format json` wrote it.
        evidence: PathBuf,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        report: ReportArgs,
    },
    /// Compare two verdicts: exit 1 when anything got worse, vanished, or is new and not seen to be good.
    Diff(DiffArgs),
    /// Check a signed statement: exit 0 only when its signature, subject, age and gate hold, 1 when one does not.
    Verify(VerifyArgs),
    /// Read a checklist in Markdown, or freeze who its rows are.
    Checklist {
        #[command(subcommand)]
        command: ChecklistCommand,
    },
    /// Wait until a gate passes: probe again and again, or ask a daemon. Exit codes are those of a single run.
    Wait {
        /// How long to wait.
        #[arg(long, value_name = "DURATION", default_value = "10m")]
        timeout: DurationText,
        /// How long to pause between two tries.
        #[arg(long, value_name = "DURATION", default_value = "2s")]
        every: DurationText,
        #[command(flatten)]
        daemon: DaemonArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        report: ReportArgs,
    },
    /// Ask whether a daemon lives, whatever its gates say: 0 when it does, 1 when it does not.
    Health {
        /// The address of the daemon.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9730")]
        url: String,
        /// The roots (PEM) that its certificate is checked with; without it those of the system.
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

#[derive(Debug, Subcommand)]
pub(super) enum ChecklistCommand {
    /// Print its items with their claims, its gates, and what is odd about it; nothing is written.
    Read {
        /// The document.
        file: PathBuf,
        /// The form on stdout; without it: a table on a terminal, JSON otherwise.
        #[arg(long, value_name = "FORMAT")]
        format: Option<ListFormat>,
    },
    /// Write FILE.md.lock: rows keep their ids from then on, wherever they are moved and whatever they are called.
    Lock {
        /// The document.
        file: PathBuf,
    },
}

/// A form in which a checklist is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For programs.
    Json,
    /// For people.
    Table,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaName {
    /// probes.toml.
    Config,
    /// The JSON verdict.
    Verdict,
    /// The HTTP API of the daemon: an `OpenAPI` document.
    Openapi,
}

fn parse_output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, path) = text
        .split_once('=')
        .ok_or("write FORMAT=FILE, such as json=verdict.json")?;
    let format = Format::from_str(format, true)
        .map_err(|_| format!("`{format}` is not a format: there are {}", formats()))?;
    if path.is_empty() {
        return Err("write FORMAT=FILE, such as json=verdict.json".to_owned());
    }
    Ok((format, PathBuf::from(path)))
}

fn formats() -> String {
    let names: Vec<String> = Format::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| value.get_name().to_owned())
        .collect();
    names.join(", ")
}

/// The command line, for documentation.
pub fn command() -> clap::Command {
    Cli::command()
}
