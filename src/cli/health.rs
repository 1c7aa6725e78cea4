//! `probe health`: whether a daemon lives, for supervisors that have nothing but this binary.

use std::path::Path;

use super::exit::Exit;
use super::terminal;
use super::wait::{client, endpoint, runtime};

/// Asks `/healthz` once.
///
/// # Errors
/// Where the arguments cannot be used.
pub(super) fn ask(url: &str, ca_file: Option<&Path>) -> anyhow::Result<Exit> {
    crate::net::install_crypto_provider();
    let url = endpoint(url, "healthz")?;
    let client = client(ca_file)?;
    // A request is made within a runtime: its timer needs one.
    let answer = runtime()?.block_on(async { client.get(url.clone()).send().await });
    Ok(match answer {
        Ok(answer) if answer.status().is_success() => Exit::Pass,
        Ok(answer) => unhealthy(&format!("{url}: {}", answer.status())),
        Err(error) => unhealthy(&format!("{:#}", anyhow::Error::new(error))),
    })
}

fn unhealthy(why: &str) -> Exit {
    terminal::error(why);
    Exit::Fail
}
