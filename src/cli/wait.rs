//! `probe wait`: until a gate passes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use reqwest::{Certificate, Client};
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use url::Url;

use super::args::{DaemonArgs, ReportArgs, RunArgs};
use super::check::load_config;
use super::checklist;
use super::deliver::deliver;
use super::exit::{Exit, FailOnWarn};
use super::once::{check_deadline, check_gate, end_on_signal, interrupted, observe_all};
use super::sign;
use crate::checklist::add_findings;
use crate::judge::Status;
use crate::limits::read_file;
use crate::observe::Interrupt;
use crate::plan::Plan;
use crate::probes::CleanUps;
use crate::verdict::{Verdict, judge_run};

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) timeout: Duration,
    pub(super) every: Duration,
}

const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// One question to a daemon.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The last question is asked when the time is over, and needs some of its own: what holds then decides.
const LAST_QUESTION: Duration = Duration::from_secs(2);

/// Runs the probes again and again, and delivers the last verdict.
pub(super) fn probe(
    times: Times,
    config: &Path,
    args: &RunArgs,
    report: &ReportArgs,
) -> anyhow::Result<Exit> {
    let end = Instant::now() + times.timeout;
    crate::net::install_crypto_provider();
    report.check_markdown()?;
    report.check_outputs(config)?;
    let Some(loaded) = load_config(config) else {
        return Ok(Exit::Usage);
    };
    let mut plan = loaded.plan;
    let selected = plan.select(&args.select)?;
    let document = checklist::join(report, &mut plan)?;
    let signing = sign::prepare(report, &mut plan)?;
    let plan = Arc::new(plan);
    check_gate(&plan, args.gate.as_deref())?;
    check_deadline(&plan, &selected, args.deadline)?;
    let runtime = runtime()?;
    let clean_ups = Arc::<CleanUps>::default();
    let waiting = again_and_again(
        Arc::clone(&plan),
        selected,
        args.clone(),
        times,
        end,
        Arc::clone(&clean_ups),
    );
    let waited = runtime
        .block_on(runtime.spawn(waiting))
        .context("the engine ended")??;
    let cleaned_up_by = Instant::now() + CleanUps::LONGEST;
    let Some(mut verdict) = waited else {
        runtime.block_on(clean_ups.ended(cleaned_up_by));
        return Ok(Exit::Unknown);
    };
    add_findings(&plan, document.as_ref(), &mut verdict);
    let map = report.exit_map(args);
    runtime.spawn(async move { end_on_signal(map).await });
    let exit = deliver(document.as_ref(), &verdict, args, report, signing.as_ref());
    runtime.block_on(clean_ups.ended(cleaned_up_by));
    runtime.shutdown_background();
    Ok(exit)
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

const fn passes(result: Status, fail_on_warn: FailOnWarn) -> bool {
    match result {
        Status::Pass => true,
        Status::Warn => !fail_on_warn.0,
        Status::Na | Status::Unknown | Status::Fail => false,
    }
}

/// The verdict that ended the wait; none where a signal did.
async fn again_and_again(
    plan: Arc<Plan>,
    selected: Vec<bool>,
    args: RunArgs,
    times: Times,
    end: Instant,
    clean_ups: Arc<CleanUps>,
) -> anyhow::Result<Option<Verdict>> {
    let mut last: Option<Verdict> = None;
    loop {
        let own = args.deadline.map(|deadline| Instant::now() + deadline.0);
        let deadline = own.map_or(end, |own| own.min(end));
        let observing = observe_all(
            Arc::clone(&plan),
            selected.clone(),
            args.gate.clone(),
            Some(deadline),
            Arc::clone(&clean_ups),
        );
        let (run, cut) = observing.await?;
        if cut == Some(Interrupt::Signal) {
            return Ok(None);
        }
        let verdict = judge_run(&plan, run);
        let passed = passes(verdict.gate.result, FailOnWarn(args.fail_on_warn));
        // A run that the end of the wait cut says less than the whole one before it.
        if passed || last.is_none() || deadline < end || cut.is_none() {
            last = Some(verdict);
        }
        if passed || Instant::now() >= end {
            return Ok(last);
        }
        if let Some(verdict) = &last {
            tracing::warn!(
                gate = verdict.gate.id,
                result = %verdict.gate.result,
                blocking = verdict.gate.blocking.join(", "),
                "waiting"
            );
        }
        let pause = (Instant::now() + times.every).min(end);
        tokio::select! {
            () = sleep_until(pause) => {}
            why = interrupted(None)? => {
                tracing::debug!(?why, "ended");
                return Ok(None);
            }
        }
        if Instant::now() >= end {
            return Ok(last);
        }
    }
}

/// What `/readyz` answers.
#[derive(Deserialize)]
struct Ready {
    result: Status,
    #[serde(default)]
    blocking: Vec<String>,
}

/// What a question to a daemon came to.
enum Answer {
    Gate(Ready),
    /// It did not answer, or not as a daemon does.
    None(String),
}

/// Asks a daemon again and again.
pub(super) fn ask(times: Times, daemon: &DaemonArgs, args: &RunArgs) -> anyhow::Result<Exit> {
    let end = Instant::now() + times.timeout;
    crate::net::install_crypto_provider();
    anyhow::ensure!(
        args.select.is_empty() && args.deadline.is_none(),
        "--select and --deadline are for probes that run here: a daemon runs its own"
    );
    let url = readyz(daemon, args.gate.as_deref())?;
    let token = daemon.token_file.as_deref().map(token).transpose()?;
    let client = client(daemon.ca_file.as_deref())?;
    let waiting = async move {
        let fail_on_warn = FailOnWarn(args.fail_on_warn);
        let map = args.exit_map.unwrap_or_default();
        loop {
            let exit = match question(&client, &url, token.as_deref(), end).await? {
                Answer::Gate(ready) => {
                    let exit = map.gate(ready.result, fail_on_warn);
                    if passes(ready.result, fail_on_warn) {
                        return Ok(exit);
                    }
                    let blocking = ready.blocking.join(", ");
                    tracing::warn!(result = %ready.result, blocking, "waiting");
                    exit
                }
                Answer::None(why) => {
                    tracing::warn!(why, "waiting");
                    Exit::Unknown
                }
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(exit);
            }
            sleep(times.every.min(left)).await;
        }
    };
    runtime()?.block_on(waiting)
}

fn readyz(daemon: &DaemonArgs, gate: Option<&str>) -> anyhow::Result<Url> {
    let mut url = endpoint(daemon.url.as_deref().unwrap_or_default(), "readyz")?;
    if let Some(gate) = gate {
        url.query_pairs_mut().append_pair("gate", gate);
    }
    Ok(url)
}

/// What a daemon answers at `path`; `text` is its address.
pub(super) fn endpoint(text: &str, path: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(text)
        .with_context(|| format!("--url {text}: write it as http://127.0.0.1:9730"))?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "--url {text}: write it as http://127.0.0.1:9730"
    );
    let path = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

fn token(path: &Path) -> anyhow::Result<String> {
    let text = read_file(path, MAX_FILE_BYTES)
        .with_context(|| format!("--token-file {}", path.display()))?;
    let text = String::from_utf8(text).ok();
    let token = text.map(|text| text.trim().to_owned()).unwrap_or_default();
    anyhow::ensure!(
        !token.is_empty(),
        "--token-file {}: there is no token in it",
        path.display()
    );
    Ok(token)
}

pub(super) fn client(ca_file: Option<&Path>) -> anyhow::Result<Client> {
    let mut client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ASK_WITHIN);
    let roots = match ca_file {
        None => rustls_native_certs::load_native_certs()
            .certs
            .into_iter()
            .filter_map(|root| Certificate::from_der(&root).ok())
            .collect(),
        Some(path) => {
            let pem = read_file(path, MAX_FILE_BYTES)
                .with_context(|| format!("--ca-file {}", path.display()))?;
            Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("--ca-file {}: no certificates in PEM", path.display()))?
        }
    };
    client = client.tls_certs_only(roots);
    client.build().context("cannot set up TLS")
}

/// Asks once. What cannot become better by waiting is an error.
async fn question(
    client: &Client,
    url: &Url,
    token: Option<&str>,
    end: Instant,
) -> anyhow::Result<Answer> {
    let mut request = client.get(url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let exchange = async {
        let mut response = request.send().await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            if body.len() + part.len() > MAX_ANSWER_BYTES {
                break;
            }
            body.extend_from_slice(&part);
        }
        Ok::<_, reqwest::Error>((status, body))
    };
    let by = end.max(Instant::now() + LAST_QUESTION);
    let (status, body) = match timeout_at(by, exchange).await {
        Err(_) => return Ok(Answer::None("no answer in time".to_owned())),
        Ok(Err(error)) => return Ok(Answer::None(format!("{:#}", anyhow::Error::new(error)))),
        Ok(Ok(answer)) => answer,
    };
    let said = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => Ok(serde_json::from_slice(&body)
            .map_or_else(
                |_| Answer::None(format!("{status}, and no gate")),
                Answer::Gate,
            )),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            bail!("{url}: {status}: {}", said())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            bail!("{url}: {status}: --token-file names a file with the daemon's token")
        }
        _ => Ok(Answer::None(format!("{status}"))),
    }
}
