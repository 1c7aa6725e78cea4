//! What is signed: an in-toto statement that a test had a result.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::subject::{Descriptor, Subject};
use crate::judge::Status;
use crate::report::write_json;
use crate::verdict::{Basis, GateReport, ItemReport, Mode, SCHEMA, Verdict};

/// The version of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What the statement says: the result of a test.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A statement about artifacts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Statement<P = TestResult> {
    /// The version of the statement.
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about.
    pub subject: Vec<Descriptor>,
    /// What it says of them: the type.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says of them.
    pub predicate: P,
}

/// The result of a run. What is unknown counts as failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The result of the gate.
    pub result: TestOutcome,
    /// What decided it.
    pub configuration: Vec<Configuration>,
    /// The items that pass.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// The items that warn.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// The items that fail or are unknown, also those that a waiver covers.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

/// How a test ended, as the predicate has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// It passed.
    Passed,
    /// It passed with warnings.
    Warned,
    /// It failed, or was not seen to pass.
    Failed,
}

impl From<Status> for TestOutcome {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Passed,
            Status::Warn => Self::Warned,
            // A gate over nothing applicable has shown nothing.
            Status::Fail | Status::Unknown | Status::Na => Self::Failed,
        }
    }
}

/// The configuration, with a note about the verdict that it gave: the predicate has no other place for it that
/// every reader accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Configuration {
    /// What it is.
    pub name: String,
    /// SHA-256 over its files.
    pub digest: std::collections::BTreeMap<String, String>,
    /// The note.
    pub annotations: Annotations,
}

/// Notes to the configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Annotations {
    /// The verdict that was signed.
    pub verdict: VerdictNote,
}

/// What is needed to judge a verdict without having it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerdictNote {
    /// The version of the verdict.
    pub schema: String,
    /// SHA-256 over the JSON report of the same run, as `sha256:…`.
    pub digest: String,
    /// The run.
    pub run_id: String,
    /// How the verdict came about: a replay has judged stored evidence.
    pub mode: Mode,
    /// The version of probe.
    pub tool_version: String,
    /// `production`, `staging`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The commit that is being deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// From where it was seen.
    pub vantage: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the last probe ended; of a replay: of the evidence. The age of the statement counts from here.
    pub finished_at: Timestamp,
    /// The gate that decided.
    pub gate: GateReport,
    /// Every gate with its result.
    pub gates: Vec<GateNote>,
    /// The items whose result is unknown.
    pub unknown: Vec<String>,
    /// The items that do not apply.
    pub na: Vec<String>,
    /// The items whose result a waiver covers.
    pub waived: Vec<String>,
    /// The items whose result is somebody's word.
    #[serde(default)]
    pub attested: Vec<String>,
}

/// A gate's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateNote {
    /// Its id.
    pub id: String,
    /// Its result.
    pub result: Status,
}

impl Statement {
    /// The statement of a verdict.
    pub(super) fn of(verdict: &Verdict, subjects: &[Subject]) -> io::Result<Self> {
        let config = &verdict.tool.config_digest;
        let config = config.strip_prefix("sha256:").unwrap_or(config).to_owned();
        Ok(Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject: subjects.iter().map(Descriptor::from).collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: TestResult {
                result: verdict.gate.result.into(),
                configuration: vec![Configuration {
                    name: "probes.toml".to_owned(),
                    digest: [("sha256".to_owned(), config)].into(),
                    annotations: Annotations {
                        verdict: VerdictNote::of(verdict)?,
                    },
                }],
                passed_tests: items(verdict, |item| item.result == Status::Pass),
                warned_tests: items(verdict, |item| item.result == Status::Warn),
                failed_tests: items(verdict, |item| {
                    matches!(item.result, Status::Fail | Status::Unknown)
                }),
            },
        })
    }
}

impl VerdictNote {
    fn of(verdict: &Verdict) -> io::Result<Self> {
        let gates = verdict.gates.iter().map(|gate| GateNote {
            id: gate.id.clone(),
            result: gate.result,
        });
        Ok(Self {
            schema: SCHEMA.to_owned(),
            digest: digest(verdict)?,
            run_id: verdict.run_id.clone(),
            mode: verdict.mode,
            tool_version: verdict.tool.version.clone(),
            environment: verdict.subject.environment.clone(),
            service: verdict.subject.service.clone(),
            git_commit: verdict.subject.git_commit.clone(),
            vantage: verdict.vantage.host.clone(),
            started_at: verdict.started_at,
            finished_at: verdict.finished_at,
            gate: verdict.gate.clone(),
            gates: gates.collect(),
            unknown: items(verdict, |item| item.result == Status::Unknown),
            na: items(verdict, |item| item.result == Status::Na),
            waived: items(verdict, |item| item.basis == Basis::Waived),
            attested: items(verdict, |item| item.basis == Basis::Attested),
        })
    }

    /// The result of the gate that is asked for, or of the one that decided.
    pub fn gate_result(&self, wanted: Option<&str>) -> Option<(&str, Status)> {
        let Some(wanted) = wanted else {
            return Some((&self.gate.id, self.gate.result));
        };
        let known = self.gates.iter().find(|gate| gate.id == wanted);
        known.map(|gate| (gate.id.as_str(), gate.result))
    }
}

fn items(verdict: &Verdict, which: impl Fn(&ItemReport) -> bool) -> Vec<String> {
    let items = verdict.items.iter().filter(|item| which(item));
    items.map(|item| item.id.clone()).collect()
}

/// SHA-256 over the JSON report, byte for byte.
fn digest(verdict: &Verdict) -> io::Result<String> {
    struct Hasher(Sha256);
    impl Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = io::BufWriter::new(Hasher(Sha256::new()));
    write_json(verdict, &mut hasher)?;
    let hasher = hasher
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    Ok(format!("sha256:{:x}", hasher.0.finalize()))
}
