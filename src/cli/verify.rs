//! `probe verify`: whether a signed statement may be relied on.

use std::fmt::Write as _;

use anyhow::Context as _;
use jiff::Timestamp;

use super::args::VerifyArgs;
use super::exit::Exit;
use super::sign::MAX_KEY_BYTES;
use super::terminal;
use crate::attest::{Check, Envelope, VerifyingKey, Wanted, verify};
use crate::limits::read_file;
use crate::report::printable;

/// A statement larger than this is not read: 10,000 items take less than one.
const MAX_BYTES: u64 = 16 << 20;

pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let place = || format!("--key {}", args.key.display());
    let key = read_file(&args.key, MAX_KEY_BYTES).with_context(place)?;
    let key = VerifyingKey::from_pem(&key).with_context(place)?;
    let place = || format!("cannot use {}", args.file.display());
    let envelope = read_file(&args.file, MAX_BYTES).with_context(place)?;
    let envelope = Envelope::read(&envelope).with_context(place)?;
    let checks = verify(&envelope, &key, &wanted(args));
    let mut text = String::new();
    for Check { name, holds, found } in &checks {
        let word = if *holds { "ok" } else { "FAIL" };
        let _ = writeln!(text, "{word:5} {name:10} {}", printable(found));
    }
    let printed = terminal::print(&text);
    Ok(if checks.iter().all(|check| check.holds) {
        printed
    } else {
        Exit::Fail
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "how old a statement is depends on when it is verified"
)]
fn wanted(args: &VerifyArgs) -> Wanted {
    Wanted {
        subjects: args.subject.clone(),
        max_age: args.max_age.map(|age| age.0),
        gate: args.gate.clone(),
        fail_on_warn: args.fail_on_warn,
        now: Timestamp::now(),
    }
}
