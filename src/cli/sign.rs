//! What a signed report needs; it is read before anything is probed.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::args::ReportArgs;
use crate::attest::{self, SigningKey, Subject};
use crate::limits::read_file;
use crate::plan::Plan;
use crate::report::Format;
use crate::verdict::Verdict;

/// A key is some hundred bytes.
pub(super) const MAX_KEY_BYTES: u64 = 64 * 1024;

/// Who signs, and for what.
pub(super) struct Signing {
    key: SigningKey,
    subjects: Vec<Subject>,
    withheld: bool,
}

impl Signing {
    /// The same, for a run that was interrupted: it has no verdict that anybody could rely on.
    pub(super) fn withhold(self) -> Self {
        Self {
            withheld: true,
            ..self
        }
    }

    /// The statement of a verdict, signed.
    pub(super) fn sign(&self, verdict: &Verdict) -> io::Result<String> {
        if self.withheld {
            return Err(io::Error::other(
                "the run was interrupted: nothing is signed",
            ));
        }
        attest::sign(verdict, &self.subjects, &self.key)
    }
}

/// The key and the subjects, where a signed report is asked for. `--subject` says for the whole run what is being deployed.
pub(super) fn prepare(report: &ReportArgs, plan: &mut Plan) -> anyhow::Result<Option<Signing>> {
    if !report.subject.is_empty() {
        plan.agent.digests = report.subject.iter().map(ToString::to_string).collect();
    }
    let Some(path) = &report.sign_key else {
        if report.wants(Format::Intoto) {
            bail!("the report `intoto` is signed: name the private key with --sign-key KEY.pem");
        }
        return Ok(None);
    };
    if !report.wants(Format::Intoto) {
        bail!("--sign-key signs the report `intoto` alone: ask for it with --output intoto=FILE");
    }
    let subjects = subjects(&plan.agent.digests)?;
    let key = signing_key(path)?;
    Ok(Some(Signing {
        key,
        subjects,
        withheld: false,
    }))
}

fn subjects(digests: &[String]) -> anyhow::Result<Vec<Subject>> {
    if digests.is_empty() {
        bail!(
            "a signed statement is about artifacts: name them in [agent] digests = [\"NAME@sha256:HEX\"], or with --subject"
        );
    }
    let subjects = digests.iter().map(|text| text.parse::<Subject>());
    let (good, bad): (Vec<_>, Vec<_>) = subjects.partition(Result::is_ok);
    let bad: Vec<String> = bad
        .into_iter()
        .filter_map(Result::err)
        .map(|error| error.to_string())
        .collect();
    if !bad.is_empty() {
        bail!("[agent] digests: {}", bad.join("; "));
    }
    Ok(good.into_iter().flatten().collect())
}

fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let place = || format!("--sign-key {}", path.display());
    let pem = read_file(path, MAX_KEY_BYTES).with_context(place)?;
    SigningKey::from_pem(&pem).with_context(place)
}
