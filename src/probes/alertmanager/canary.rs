//! The delivery canary: an alert is posted, waited for, and resolved whatever happens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::CryptoProvider;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::NONCE_LABEL;
use super::facts::CanaryFacts;
use super::hiding::Alert;
use super::listener::{Listener, Received};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, Endpoint, short};
use crate::probes::Context;

/// How often Alertmanager is asked what it makes of the alert.
const POLL: Duration = Duration::from_millis(500);
/// For resolving it when nobody waits any more.
const LAST_WORD: Duration = Duration::from_secs(5);
/// An alert that could not be resolved ends by itself so long after it was waited for.
const SAFETY_NET: Duration = Duration::from_secs(60);
/// What a notification takes beside the group wait.
const MARGIN: Duration = Duration::from_secs(2);

/// What is to be done.
pub(super) struct Plan {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) listen: SocketAddr,
    /// The clock of the Alertmanager, where it told it.
    pub(super) date: Option<(Timestamp, Instant)>,
    /// How long its routes may wait before they notify, where that is known.
    pub(super) longest_wait: Option<Duration>,
    /// How long they may wait before they notify about the same group again.
    pub(super) group_interval: Option<Duration>,
}

/// An alert as it is posted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, &'static str>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// The clock of the target, as it last told it.
#[derive(Debug, Clone, Copy)]
struct Clock {
    told: Timestamp,
    at: Instant,
}

/// Labels without the nonce, with the name.
pub(super) fn labels(declared: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = declared.clone();
    labels
        .entry("alertname".to_owned())
        .or_insert_with(|| "ProbeCanary".to_owned());
    labels
}

/// The canary of a probe that has none.
pub(super) fn none() -> CanaryFacts {
    nothing(UnknownWhy::NotApplicable, "no `canary` is declared")
}

fn nothing(why: UnknownWhy, detail: impl Into<String>) -> CanaryFacts {
    let unknown = Unknown {
        why,
        detail: detail.into(),
    };
    CanaryFacts {
        delivered: unknown.clone().into(),
        obstacle: unknown.clone().into(),
        posted_at: unknown.clone().into(),
        received_at: unknown.clone().into(),
        delivery_ms: unknown.clone().into(),
        received_from: unknown.clone().into(),
        state: unknown.clone().into(),
        silenced_by: unknown.clone().into(),
        inhibited_by: unknown.clone().into(),
        receivers: unknown.clone().into(),
        resolved: unknown.clone().into(),
        resolved_at: unknown.clone().into(),
        resolved_received: unknown.clone().into(),
        others_received: unknown.into(),
    }
}

/// Posts, waits, resolves.
pub(super) async fn run(
    ctx: &Context,
    api: &Api,
    endpoint: &Arc<Endpoint>,
    mut plan: Plan,
) -> CanaryFacts {
    let nonce = match nonce() {
        Ok(nonce) => nonce,
        Err(failure) => return nothing(UnknownWhy::NotObserved, failure.detail()),
    };
    let listener = match Listener::bind(plan.listen, &nonce, clock).await {
        Ok(listener) => listener,
        Err(error) => {
            let detail = format!("nothing was posted: listen on {}: {error}", plan.listen);
            return nothing(UnknownWhy::NotObserved, detail);
        }
    };
    plan.labels.insert(NONCE_LABEL.to_owned(), nonce.clone());
    let left = ctx.remaining();
    // The last word is spoken within the deadline too.
    let wait_until = ctx.deadline() - (left / 5).min(LAST_WORD);
    // A beginning that lies further back than the group wait is notified about at once, and the
    // header that tells the time cuts the second off.
    let clock = plan.clock(ctx);
    let now = clock.now();
    let now = now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let net = SignedDuration::try_from(left + SAFETY_NET).unwrap_or(SignedDuration::from_mins(5));
    let alert = Posted {
        labels: plan.labels.clone(),
        annotations: BTreeMap::from([(
            "summary",
            "A probe posted this to see whether notifications arrive. It ends by itself.",
        )]),
        starts_at: now,
        ends_at: now.checked_add(net).unwrap_or(now),
    };
    let not_listed = "Alertmanager did not list the canary while it was waited for";
    let mut facts = nothing(UnknownWhy::NotObserved, not_listed);
    let mut said_until = None;
    let (posted_at, posted) = (ctx.now(), Instant::now());
    // From here on it may be out there, whatever the answer is.
    let standing_by = {
        let (endpoint, alert, nonce) = (Arc::clone(endpoint), alert.clone(), nonce.clone());
        ctx.clean_up(move |ctx| take_back(ctx, endpoint, alert, clock, nonce))
    };
    match alert.post(api, wait_until).await {
        Err(error) => {
            let Unknown { why, detail } = error.unknown();
            let detail = format!("the canary could not be posted: {detail}");
            facts = nothing(why, detail);
        }
        Ok(()) => {
            ctx.phase("post", posted.elapsed());
            facts.posted_at = Observed::Value(posted_at);
            let arrived = watch(api, &listener, &nonce, wait_until, &mut facts).await;
            if arrived.is_some() {
                said_until = plan.said_until(ctx.deadline());
            }
            record(&mut facts, arrived, posted_at, &plan, posted.elapsed());
            facts.others_received = Observed::Value(listener.others());
        }
    }
    // Who notifies that it is resolved is to find somebody here.
    let said = async {
        match said_until {
            Some(until) => timeout_at(until, listener.wait_resolved()).await.is_ok(),
            None => false,
        }
    };
    facts.resolved_received = not_said(&facts.delivered, said_until);
    let (is_gone, is_said) =
        tokio::join!(resolve(ctx, api, &alert, clock, &nonce, &mut facts), said);
    if is_said {
        facts.resolved_received = Observed::Value(true);
    }
    if is_gone {
        standing_by.disarm();
    }
    facts
}

#[expect(
    clippy::disallowed_methods,
    reason = "a notification is stamped when it arrives, outside of any context"
)]
fn clock() -> Timestamp {
    Timestamp::now()
}

fn nonce() -> Result<String, Failure> {
    use std::fmt::Write as _;
    let mut random = [0; 16];
    CryptoProvider::get_default()
        .ok_or_else(|| Failure::probe("no TLS provider is installed"))?
        .secure_random
        .fill(&mut random)
        .map_err(|_| Failure::probe("this system gives no random numbers"))?;
    Ok(random.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    }))
}

/// Why the word that it is resolved did not come.
fn not_said(delivered: &Observed<bool>, said_until: Option<Instant>) -> Observed<bool> {
    let (why, detail) = if *delivered != Observed::Value(true) {
        let detail = "nothing was notified, so there is nothing to take back";
        (UnknownWhy::NotApplicable, detail)
    } else if said_until.is_none() {
        let detail =
            "it comes after the route's group_interval, which is longer than this probe waits";
        (UnknownWhy::NotApplicable, detail)
    } else {
        let detail =
            "no such notification arrived in time: the receiver may have send_resolved off";
        (UnknownWhy::TimedOut, detail)
    };
    Observed::unknown(why, detail)
}

impl Plan {
    /// How long to listen for the word that it is resolved; `None` where it cannot come in time.
    fn said_until(&self, deadline: Instant) -> Option<Instant> {
        /// Where nobody knows how long it takes.
        const A_LITTLE: Duration = Duration::from_secs(1);
        const REST: Duration = Duration::from_millis(200);
        let until = match self.group_interval {
            Some(interval) => Instant::now().checked_add(interval)? + MARGIN,
            None => Instant::now() + A_LITTLE,
        };
        (until <= deadline - REST).then_some(until)
    }

    fn clock(&self, ctx: &Context) -> Clock {
        let (told, at) = self.date.unwrap_or_else(|| (ctx.now(), Instant::now()));
        Clock { told, at }
    }
}

impl Clock {
    fn now(self) -> Timestamp {
        let since = SignedDuration::try_from(self.at.elapsed()).unwrap_or_default();
        self.told.checked_add(since).unwrap_or(self.told)
    }
}

/// Waits for the notification, and asks meanwhile what became of the alert. What hides it ends the wait.
async fn watch(
    api: &Api,
    listener: &Listener,
    nonce: &str,
    until: Instant,
    facts: &mut CanaryFacts,
) -> Option<Received> {
    let asking = async {
        loop {
            if let Ok(Some(alert)) = look(api, nonce, until).await {
                let hidden = tell(facts, alert);
                if hidden {
                    return;
                }
            }
            sleep(POLL).await;
        }
    };
    let either = async {
        tokio::select! {
            biased;
            received = listener.wait() => Some(received),
            () = asking => None,
        }
    };
    timeout_at(until, either).await.ok().flatten()
}

/// The alert as Alertmanager knows it, if it does.
async fn look(api: &Api, nonce: &str, deadline: Instant) -> Result<Option<Alert>, ApiError> {
    let filter = format!("{NONCE_LABEL}=\"{nonce}\"");
    let query = [("filter", filter.as_str())];
    let answer = api.get::<Vec<Alert>>("api/v2/alerts", &query, deadline);
    let alerts = answer.await?.value;
    Ok(alerts
        .into_iter()
        .find(|alert| alert.labels.get(NONCE_LABEL) == Some(nonce)))
}

/// Puts into facts what Alertmanager says; whether the alert is hidden.
fn tell(facts: &mut CanaryFacts, alert: Alert) -> bool {
    let hidden = !alert.status.silenced_by.is_empty() || !alert.status.inhibited_by.is_empty();
    facts.state = Observed::Value(alert.status.state);
    facts.silenced_by = Observed::Value(alert.status.silenced_by);
    facts.inhibited_by = Observed::Value(alert.status.inhibited_by);
    let names = alert.receivers.into_iter().map(|named| named.name);
    facts.receivers = Observed::Value(names.collect());
    hidden
}

fn record(
    facts: &mut CanaryFacts,
    arrived: Option<Received>,
    posted_at: Timestamp,
    plan: &Plan,
    waited: Duration,
) {
    if let Some(received) = arrived {
        let took = received.at.duration_since(posted_at);
        facts.delivered = Observed::Value(true);
        facts.obstacle = Observed::Value(String::new());
        facts.received_at = Observed::Value(received.at);
        facts.delivery_ms = Observed::Value(took.as_secs_f64() * 1000.0);
        facts.received_from = Observed::Value(received.receiver);
        return;
    }
    let missing = Unknown {
        why: UnknownWhy::NotObserved,
        detail: "no notification about the canary arrived".to_owned(),
    };
    facts.received_at = missing.clone().into();
    facts.delivery_ms = missing.clone().into();
    facts.received_from = missing.into();
    let named = |ids: &Observed<Vec<String>>| ids.value().is_some_and(|ids| !ids.is_empty());
    let is_hidden = named(&facts.silenced_by) || named(&facts.inhibited_by);
    let is_over = plan
        .longest_wait
        .is_some_and(|wait| waited >= wait + MARGIN);
    if is_hidden || is_over {
        facts.delivered = Observed::Value(false);
        facts.obstacle = Observed::Value(in_the_way(facts, waited));
        return;
    }
    let might = {
        let waited = waited.as_secs_f64();
        let detail = match plan.longest_wait {
            Some(wait) => format!(
                "no notification arrived within {waited:.1} s, and the route of the canary may wait {} s: give `canary.wait`, or group that route by `{NONCE_LABEL}`",
                wait.as_secs_f64()
            ),
            None => format!(
                "no notification arrived within {waited:.1} s, and how long its route waits is unknown"
            ),
        };
        Unknown {
            why: UnknownWhy::TimedOut,
            detail,
        }
    };
    facts.delivered = might.clone().into();
    facts.obstacle = might.into();
}

/// What Alertmanager says that became of an alert nobody was told about.
fn in_the_way(facts: &CanaryFacts, waited: Duration) -> String {
    let named = |ids: &Observed<Vec<String>>| {
        let ids = ids.value().filter(|ids| !ids.is_empty());
        ids.map(|ids| short(&ids.join(", "), 200))
    };
    if let Some(ids) = named(&facts.silenced_by) {
        return format!("silenced by {ids}");
    }
    if let Some(ids) = named(&facts.inhibited_by) {
        return format!("inhibited by the alert {ids}");
    }
    let waited = waited.as_secs_f64();
    match named(&facts.receivers) {
        Some(receivers) => format!(
            "no notification arrived at the listener within {waited:.1} s; Alertmanager routes the canary to {receivers}"
        ),
        None => format!(
            "no notification arrived at the listener within {waited:.1} s, and Alertmanager did not list the canary"
        ),
    }
}

/// Whether it was taken back, as far as that can be known.
async fn resolve(
    ctx: &Context,
    api: &Api,
    alert: &Posted,
    clock: Clock,
    nonce: &str,
    facts: &mut CanaryFacts,
) -> bool {
    if let Err(error) = alert.ended(clock).post(api, ctx.deadline()).await {
        facts.resolved = error.unknown().into();
        facts.resolved_at = error.into();
        return false;
    }
    facts.resolved_at = Observed::Value(ctx.now());
    facts.resolved = gone(api, nonce, ctx.deadline()).await;
    facts.resolved == Observed::Value(true)
}

/// Resolves an alert that nobody waits for any more; where that is not possible, its end does.
async fn take_back(
    ctx: Context,
    endpoint: Arc<Endpoint>,
    alert: Posted,
    clock: Clock,
    nonce: String,
) {
    /// What was in flight when the attempt was cut may arrive after the word that ends it.
    const PAUSE: Duration = Duration::from_millis(200);
    let Ok(api) = ctx.api(&endpoint).await else {
        return;
    };
    while Instant::now() < ctx.deadline() {
        let ended = alert.ended(clock).post(&api, ctx.deadline()).await;
        sleep(PAUSE).await;
        if ended.is_ok() && matches!(look(&api, &nonce, ctx.deadline()).await, Ok(None)) {
            return;
        }
    }
}

/// Whether Alertmanager no longer lists the alert. Its clock may be a moment behind the end.
async fn gone(api: &Api, nonce: &str, deadline: Instant) -> Observed<bool> {
    const TRIES: usize = 10;
    const PAUSE: Duration = Duration::from_millis(200);
    for _ in 0..TRIES {
        match look(api, nonce, deadline).await {
            Ok(None) => return Observed::Value(true),
            Ok(Some(_)) => sleep(PAUSE).await,
            Err(error) => return error.into(),
        }
        if Instant::now() + PAUSE >= deadline {
            break;
        }
    }
    Observed::Value(false)
}

impl Posted {
    /// The same alert with an end that has passed: with one still to come the later end, which is
    /// that of the safety net, would win. It may not lie before the beginning.
    fn ended(&self, clock: Clock) -> Self {
        let now = clock.now();
        let before = now.checked_sub(SignedDuration::from_secs(1)).unwrap_or(now);
        Self {
            starts_at: self.starts_at.min(before),
            ends_at: now,
            ..self.clone()
        }
    }

    async fn post(&self, api: &Api, deadline: Instant) -> Result<(), ApiError> {
        api.post_json("api/v2/alerts", &[self], deadline).await
    }
}
