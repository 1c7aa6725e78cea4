//! The `http` kind.

mod failures;
mod redirects;
mod responses;
mod servers;
mod verdicts;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join;

use crate::lab::{Attempt, Hostile, attempt};

const TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer than its timeout an attempt may take.
const SLACK: Duration = Duration::from_millis(500);

async fn get(url: &str) -> Attempt {
    attempt("http", &format!("url = '{url}'"), TIMEOUT).await
}

async fn with(url: &str, params: &str) -> Attempt {
    attempt("http", &format!("url = '{url}'\n{params}"), TIMEOUT).await
}

/// The same behaviour over plain HTTP and over TLS.
async fn both(hostile: &Hostile, dir: &Path, path: &str, timeout: Duration) -> [Attempt; 2] {
    let ca = dir.join("hostile.pem");
    std::fs::write(&ca, hostile.certificate_pem()).expect("write the certificate");
    let plain = format!("url = '{}'", hostile.url(path));
    let tls = format!(
        "url = '{}'\nca_file = '{}'",
        hostile.tls_url(path),
        ca.display()
    );
    let (plain, tls) = join(
        attempt("http", &plain, timeout),
        attempt("http", &tls, timeout),
    )
    .await;
    [plain, tls]
}
