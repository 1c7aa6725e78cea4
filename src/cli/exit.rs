//! Exit codes: one exhaustive mapping.

use std::process::ExitCode;

use crate::judge::Status;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The gate passes, or a command did what it was asked to.
    Pass,
    /// The gate warns.
    Warn,
    /// The gate fails.
    Fail,
    /// A usage or configuration error: nothing was probed.
    Usage,
    /// Evidence is missing, or a report could not be delivered: no verdict.
    Unknown,
}

/// Whose exit codes are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ExitMap {
    /// 0 pass or warn, 1 fail, 2 usage, 3 unknown, 4 warn with --fail-on-warn.
    #[default]
    Probe,
    /// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for usage errors).
    Nagios,
}

/// Whether a warning lets the gate pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailOnWarn(pub bool);

impl Exit {
    /// The exit of a gate's result.
    pub const fn of(gate: Status) -> Self {
        match gate {
            Status::Pass => Self::Pass,
            Status::Warn => Self::Warn,
            Status::Fail => Self::Fail,
            // A gate over nothing applicable has shown nothing.
            Status::Unknown | Status::Na => Self::Unknown,
        }
    }

    /// The exit when a report did not reach its reader: a known fail stays one.
    #[must_use]
    pub const fn undelivered(self) -> Self {
        match self {
            Self::Fail => Self::Fail,
            Self::Usage => Self::Usage,
            Self::Pass | Self::Warn | Self::Unknown => Self::Unknown,
        }
    }

    /// Lets warnings pass, unless `--fail-on-warn`.
    #[must_use]
    pub const fn with(self, fail_on_warn: FailOnWarn) -> Self {
        match self {
            Self::Warn if !fail_on_warn.0 => Self::Pass,
            other => other,
        }
    }
}

impl ExitMap {
    /// The process's exit code.
    pub fn code(self, exit: Exit) -> ExitCode {
        ExitCode::from(self.number(exit))
    }

    /// Ends the process at once, whatever it is waiting for.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that does: a report is being written to somebody who does not read"
    )]
    pub fn end_now(self, exit: Exit) {
        std::process::exit(i32::from(self.number(exit)));
    }

    /// The number. `Exit::Warn` reaches the default map only with `--fail-on-warn`.
    pub const fn number(self, exit: Exit) -> u8 {
        match (self, exit) {
            (_, Exit::Pass) => 0,
            (Self::Probe, Exit::Fail) | (Self::Nagios, Exit::Warn) => 1,
            (Self::Probe, Exit::Usage) | (Self::Nagios, Exit::Fail) => 2,
            (_, Exit::Unknown) | (Self::Nagios, Exit::Usage) => 3,
            (Self::Probe, Exit::Warn) => 4,
        }
    }

    /// The exit of a gate under this map: Nagios tells a warning apart anyway.
    pub const fn gate(self, gate: Status, fail_on_warn: FailOnWarn) -> Exit {
        match self {
            Self::Probe => Exit::of(gate).with(fail_on_warn),
            Self::Nagios => Exit::of(gate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_its_documented_code() {
        let table = [
            (Exit::Pass, 0, 0),
            (Exit::Warn, 4, 1),
            (Exit::Fail, 1, 2),
            (Exit::Usage, 2, 3),
            (Exit::Unknown, 3, 3),
        ];
        for (exit, probe, nagios) in table {
            assert_eq!(ExitMap::Probe.number(exit), probe, "{exit:?}");
            assert_eq!(ExitMap::Nagios.number(exit), nagios, "{exit:?}");
        }
    }

    #[test]
    fn a_warning_passes_unless_told_otherwise() {
        assert_eq!(
            ExitMap::Probe.gate(Status::Warn, FailOnWarn(false)),
            Exit::Pass
        );
        assert_eq!(
            ExitMap::Probe.gate(Status::Warn, FailOnWarn(true)),
            Exit::Warn
        );
        assert_eq!(
            ExitMap::Nagios.gate(Status::Warn, FailOnWarn(false)),
            Exit::Warn
        );
        assert_eq!(
            ExitMap::Probe.gate(Status::Na, FailOnWarn(false)),
            Exit::Unknown
        );
    }

    #[test]
    fn an_undelivered_report_is_never_a_pass() {
        assert_eq!(Exit::Pass.undelivered(), Exit::Unknown);
        assert_eq!(Exit::Warn.undelivered(), Exit::Unknown);
        assert_eq!(Exit::Fail.undelivered(), Exit::Fail);
    }
}
