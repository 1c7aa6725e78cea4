//! `alertmanager`: would an alert reach somebody, and does one.

mod analysis;
mod canary;
mod config;
mod facts;
mod hiding;
mod interval;
mod listener;
mod matcher;
mod node;
mod pattern;
mod reach;
mod route;
mod rules;
mod running;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use self::analysis::{Input, Output, analyse};
use self::canary::Plan;
use self::config::{Config, Prepared};
use self::facts::{CanaryFacts, Facts};
use self::hiding::{Alert, Silence};
use self::node::Read;
use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec};
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError, DESCRIPTORS};

/// The kind.
pub struct Alertmanager {
    config: Config,
    prepared: Prepared,
}

impl ProbeKind for Alertmanager {
    const INFO: KindInfo = KindInfo {
        name: "alertmanager",
        summary: "whether an alert would reach somebody: members, routes, silences, inhibitions; and whether one does, by a canary",
        privileges: "GET on /-/ready, /metrics and /api/v2; for the canary also POST on /api/v2/alerts, and a webhook of the receiver that points to `canary.listen`",
        effect: Effect::Write,
        side_effects: "none without `canary`; with it, an alert of its own is posted and resolved, which the receivers of its route are notified of",
        example: "url = \"http://127.0.0.1:9093\"\nreceivers = [\"oncall\"]\n",
        init: &[],
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let prepared = config.prepare()?;
        Ok(Self { config, prepared })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        self.prepared
            .nodes
            .first()
            .map_or_else(String::new, |node| node.target())
    }

    fn descriptors(&self) -> usize {
        const LISTENER: usize = 33;
        let listener = if self.config.has_canary() {
            LISTENER
        } else {
            0
        };
        DESCRIPTORS * self.prepared.nodes.len() + listener
    }

    fn secrets(&self) -> Vec<String> {
        let nodes = self.prepared.nodes.iter();
        nodes.flat_map(|node| node.secrets().to_vec()).collect()
    }

    fn extra_time(&self) -> Duration {
        let canary = self
            .config
            .canary
            .as_ref()
            .filter(|_| self.config.has_canary());
        canary
            .and_then(|canary| canary.wait)
            .map_or(Duration::ZERO, |wait| wait.0)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let deadline = self.read_until(ctx);
        // An answer that is slow is one, as long as the timeout is not over.
        let own = ctx.remaining().saturating_sub(self.extra_time());
        let answer_by = Instant::now() + own.mul_f64(0.9);
        let first = self.open(ctx, 0).await?;
        let (first_read, others, silences, alerts) = tokio::join!(
            node::read(&first, self.url(0), answer_by, deadline),
            self.read_peers(ctx, deadline),
            first.get::<Vec<Silence>>("api/v2/silences", &[], deadline),
            first.get::<Vec<Alert>>("api/v2/alerts", &[], deadline),
        );
        let Read { node, config, date } = first_read?;
        let now = now_at(ctx, date);
        let input = self.input(config, observed(silences), observed(alerts), now);
        let thought = match think(input, ctx.deadline()).await {
            Ok(thought) => thought,
            Err(unknown) => {
                let config = unknown.clone().into();
                let silences = unknown.clone().into();
                analyse(self.input(config, silences, unknown.into(), now))
            }
        };
        let mut nodes = vec![node];
        nodes.extend(others.into_iter().map(|read| read.node));
        let waits = (thought.canary_wait, thought.canary_interval);
        let canary = self.canary(ctx, first, date, waits).await;
        Ok(Facts {
            config_hashes: node::distinct_hashes(&nodes),
            nodes,
            receivers: thought.receivers,
            declared_receivers: thought.declared_receivers,
            silences_active: thought.silences_active,
            alerts_firing: thought.alerts_firing,
            alerts_suppressed: thought.alerts_suppressed,
            declared_alerts: thought.declared_alerts,
            canary,
        })
    }
}

impl Alertmanager {
    fn url(&self, at: usize) -> String {
        self.prepared.nodes[at].target()
    }

    /// What was read is thought about in the last tenth; the canary needs the rest of the time, and
    /// all of its own.
    fn read_until(&self, ctx: &Context) -> Instant {
        let own = ctx.remaining().saturating_sub(self.extra_time());
        let share = if self.config.has_canary() {
            own / 2
        } else {
            own.mul_f64(0.9)
        };
        Instant::now() + share
    }

    fn input(
        &self,
        config: Observed<String>,
        silences: Observed<Vec<Silence>>,
        alerts: Observed<Vec<Alert>>,
        now: Timestamp,
    ) -> Input {
        Input {
            config,
            silences,
            alerts,
            declared_receivers: self.config.receivers.clone(),
            declared_alerts: self.config.alerts.clone(),
            canary_labels: self.canary_labels(),
            now,
        }
    }

    async fn open(&self, ctx: &Context, at: usize) -> Result<Arc<Api>, Failure> {
        ctx.api(&self.prepared.nodes[at]).await.map(Arc::new)
    }

    async fn read_peers(&self, ctx: &Context, deadline: Instant) -> Vec<Read> {
        let peers = 1..self.prepared.nodes.len();
        join_all(peers.map(|at| async move {
            let read = async {
                node::read(
                    &*self.open(ctx, at).await?,
                    self.url(at),
                    deadline,
                    deadline,
                )
                .await
            };
            read.await
                .unwrap_or_else(|failure| node::unseen(self.url(at), &failure))
        }))
        .await
    }

    fn canary_labels(&self) -> Option<matcher::Labels> {
        let canary = self.config.canary.as_ref();
        canary.map(|canary| canary::labels(&canary.labels))
    }

    async fn canary(
        &self,
        ctx: &Context,
        api: Arc<Api>,
        date: Option<(Timestamp, Instant)>,
        (longest_wait, group_interval): (Option<Duration>, Option<Duration>),
    ) -> CanaryFacts {
        let labels = self.canary_labels().filter(|_| self.config.has_canary());
        match (labels, self.prepared.listen) {
            (Some(labels), Some(listen)) => {
                let plan = Plan {
                    labels,
                    listen,
                    date,
                    longest_wait,
                    group_interval,
                };
                canary::run(ctx, &api, &self.prepared.nodes[0], plan).await
            }
            _ => canary::none(),
        }
    }
}

/// The clock of the target, where it told it: its time intervals go by it.
fn now_at(ctx: &Context, date: Option<(Timestamp, Instant)>) -> Timestamp {
    date.and_then(|(date, seen)| {
        date.checked_add(SignedDuration::try_from(seen.elapsed()).ok()?)
            .ok()
    })
    .unwrap_or_else(|| ctx.now())
}

fn observed<T>(answer: Result<Answer<T>, ApiError>) -> Observed<T> {
    match answer {
        Ok(answer) => Observed::Value(answer.value),
        Err(error) => error.into(),
    }
}

/// A large configuration takes a while, in which other probes get to run.
async fn think(input: Input, deadline: Instant) -> Result<Output, Unknown> {
    let failed = |why, detail: String| Unknown { why, detail };
    let thinking = tokio::task::spawn_blocking(move || analyse(input));
    match timeout_at(deadline, thinking).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(failed(UnknownWhy::NotObserved, error.to_string())),
        Err(_) => {
            let detail = "no time was left to think the running configuration through";
            Err(failed(UnknownWhy::TimedOut, detail.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
