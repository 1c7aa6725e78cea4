//! `redis`: Redis and Valkey as an installation: a server, its replicas, the sentinels that watch it,
//! or all nodes of a cluster, each asked itself.

mod canary;
mod cluster;
mod commands;
mod config;
mod connect;
mod door;
mod facts;
mod guard;
mod info;
mod memory;
mod node;
mod node_facts;
mod persistence;
mod plaintext;
mod replication;
mod reply;
mod rules;
mod security;
mod sentinel;
mod since;
mod slow_log;
mod unseen;
mod writes;

use futures_util::future::join_all;
use redis::cmd;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec, TargetParams};
use crate::evidence::{Failure, Observed, Outcome, Unknown, UnknownWhy};
use cluster::{MAX_NODES, Member};
pub use config::Config;
use config::{Endpoint, Prepared};
use connect::Dial;
use facts::{DeclaredAs, Facts, Node, Role, Sentinel, State};
use info::Info;
use node::Asked;

/// Nodes of a cluster that are asked at the same time.
const AT_ONCE: usize = 16;

/// The kind.
pub struct Redis {
    config: Config,
    prepared: Prepared,
}

impl ProbeKind for Redis {
    const INFO: KindInfo = KindInfo {
        name: "redis",
        summary: "Redis and Valkey: persistence, memory, replication, Sentinel, Cluster, access",
        privileges: "a user with `+ping +info +config|get +slowlog|get +acl|getuser +acl|dryrun`, for `pool_size` `+client|list`, for `cluster` `+cluster|info +cluster|nodes`, for a URL with a database `+select`; for the canary also `~probe:canary:* +set +get +del +readonly`; at sentinels `+ping +info +sentinel|master +sentinel|ckquorum`",
        effect: Effect::Write,
        side_effects: "at most 20 commands per server and two connections, none of them reads other keys; a key `probe:canary:…`, deleted at once or after ten seconds, only with `allow_writes = true`",
        example: "url = \"redis://cache.example.com:6379/0\"\nrole = \"cache\"\n",
        init: &[InitHint {
            variable: "REDIS_URL",
            toml: "url = \"${env:{variable}}\"\n",
        }],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "redis",
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let prepared = Prepared::new(&config)?;
        Ok(Self { config, prepared })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        let prepared = &self.prepared;
        std::iter::once(&prepared.url)
            .chain(&prepared.replicas)
            .chain(&prepared.sentinels)
            .map(Endpoint::address)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn descriptors(&self) -> usize {
        let declared = 2 * (1 + self.prepared.replicas.len()) + self.prepared.sentinels.len();
        if self.config.cluster {
            declared + 2 * AT_ONCE
        } else {
            declared
        }
    }

    fn earlier_runs(&self) -> usize {
        1
    }

    fn secrets(&self) -> Vec<String> {
        let prepared = &self.prepared;
        std::iter::once(&prepared.url)
            .chain(&prepared.replicas)
            .chain(&prepared.sentinels)
            .filter_map(|endpoint| endpoint.password.as_ref())
            .map(|password| password.expose().to_owned())
            .collect()
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let dial = Dial::new(ctx, &self.prepared)?;
        let steps = self.steps(ctx);
        let sentinels = self.prepared.sentinels.iter().map(|endpoint| {
            sentinel::ask(&dial, endpoint, &self.prepared.master_name, steps.declared)
        });
        let (data, sentinels) = tokio::join!(self.data(&dial, &steps), join_all(sentinels));
        let (mut data, mut sentinels) = (data, sentinels);
        if let Some(failure) = nothing_seen(&data.asked, &sentinels) {
            return Err(failure);
        }
        if let Some(url) = data.asked.first() {
            sentinel::compare(&mut sentinels, &url.node, url.remote);
        }
        let sentinels = sentinels.into_iter().map(|one| one.sentinel).collect();
        let ports = plaintext::observe(&dial, &self.config, &data.asked, steps.end).await;
        for (one, port) in data.asked.iter_mut().zip(ports) {
            one.node.plaintext_port = port;
        }
        Ok(self.facts(ctx, data, sentinels))
    }
}

/// When each step must be over, so that one that hangs leaves the next its time.
struct Steps {
    /// The declared servers.
    declared: Instant,
    /// The other nodes of a cluster.
    members: Instant,
    /// A second look at a primary, and the canary.
    end: Instant,
}

/// The data servers and what was done with them.
struct Data {
    asked: Vec<Asked>,
    members: Result<Vec<Member>, Unknown>,
    canary: facts::Canary,
}

impl Redis {
    fn steps(&self, ctx: &Context) -> Steps {
        let now = Instant::now();
        let left = ctx.remaining();
        let part = |percent: u32| now + left * percent / 100;
        let (declared, members) = match (self.config.cluster, self.config.allow_writes) {
            (true, true) => (35, 65),
            (true, false) => (45, 90),
            (false, true) => (60, 60),
            (false, false) => (85, 85),
        };
        Steps {
            declared: part(declared),
            members: part(members),
            end: part(97),
        }
    }

    async fn data(&self, dial: &Dial<'_>, steps: &Steps) -> Data {
        let declared = std::iter::once((&self.prepared.url, DeclaredAs::Url)).chain(
            self.prepared
                .replicas
                .iter()
                .map(|replica| (replica, DeclaredAs::Replica)),
        );
        let asking = declared.map(|(endpoint, declared_as)| {
            node::ask(dial, &self.config, endpoint, declared_as, steps.declared)
        });
        let mut asked = join_all(asking).await;
        let members = self.members(&asked);
        if let Ok(members) = &members {
            let others = cluster::others(members, &self.prepared.url);
            asked.extend(self.ask_members(dial, others, steps.members).await);
        }
        look_again(&mut asked, steps.end).await;
        let mut nodes: Vec<&mut Node> = asked.iter_mut().map(|one| &mut one.node).collect();
        replication::compare(&mut nodes, self.config.cluster);
        let canary = if self.config.allow_writes {
            let members = Some(&members).filter(|_| self.config.cluster);
            canary::run(dial.ctx(), &asked, members, steps.end).await
        } else {
            canary::none()
        };
        let seconds = asked
            .iter_mut()
            .map(|one| security::ask_second(dial, one, steps.end));
        join_all(seconds).await;
        Data {
            asked,
            members,
            canary,
        }
    }

    /// What stands for the nodes that were not asked, because the one at `url` does not tell who they are.
    fn unnamed(&self, data: &Data) -> Option<Node> {
        let first = data.asked.first()?;
        let why = data.members.as_ref().err()?;
        let is_asked = self.config.cluster && first.failure.is_none();
        (is_asked && first.cluster_enabled != Observed::Value(false))
            .then(|| unseen::unnamed(&first.endpoint, why))
    }

    fn members(&self, asked: &[Asked]) -> Result<Vec<Member>, Unknown> {
        if !self.config.cluster {
            return Err(Unknown {
                why: UnknownWhy::NotApplicable,
                detail: "no `cluster` is declared".to_owned(),
            });
        }
        match asked.first() {
            Some(first) => first.members.clone(),
            None => Ok(Vec::new()),
        }
    }

    async fn ask_members(
        &self,
        dial: &Dial<'_>,
        others: Vec<Endpoint>,
        deadline: Instant,
    ) -> Vec<Asked> {
        let permits = Semaphore::new(AT_ONCE);
        let asking = others.iter().take(MAX_NODES).map(|endpoint| async {
            let _permit = permits.acquire().await;
            let mut asked = node::ask(
                dial,
                &self.config,
                endpoint,
                DeclaredAs::ClusterNode,
                deadline,
            )
            .await;
            if !self.config.allow_writes {
                asked.link = None;
            }
            asked
        });
        join_all(asking).await
    }

    fn facts(&self, ctx: &Context, data: Data, sentinels: Vec<Sentinel>) -> Facts {
        let enabled = data.asked.first().map_or_else(
            || Observed::unknown(UnknownWhy::NotObserved, "it was not asked"),
            |first| first.cluster_enabled.clone(),
        );
        let views: Vec<_> = data.asked.iter().map(|one| &one.members).collect();
        let disputed_slots = cluster::disputed_slots(&views);
        let unnamed = self.unnamed(&data);
        let nodes = data.asked.into_iter().map(|one| one.node);
        let nodes: Vec<Node> = nodes.chain(unnamed).collect();
        let last = ctx.earlier().last().map(|earlier| &earlier.facts);
        Facts {
            loss_seconds: over_primaries(&nodes, |node| &node.loss.seconds, f64::max),
            loss_changes: over_primaries(&nodes, |node| &node.loss.changes, i64::saturating_add),
            sentinels_agree: sentinel::agree(&sentinels),
            sentinels_distinct: sentinel::distinct(&sentinels),
            cluster: cluster::summary(enabled, &data.members, disputed_slots, &nodes),
            canary: data.canary,
            pool_size: self.config.pool_size.map_or_else(
                || Observed::unknown(UnknownWhy::NotApplicable, "no `pool_size` is declared"),
                |size| Observed::Value(i64::from(size)),
            ),
            replicas_missing: replication::missing(&nodes),
            nodes_distinct: node::all_different(nodes.iter().map(|node| &node.run_id)),
            plaintext_port: plaintext::worst(nodes.iter().map(|node| &node.plaintext_port)),
            has_earlier_run: last.is_some(),
            since_last_run: since::since_last_run(last, &nodes, &sentinels),
            nodes,
            sentinels,
        }
    }
}

/// Folds a fact over all servers that take writes; unknown where it is for one of them.
fn over_primaries<T: Copy>(
    nodes: &[Node],
    fact: impl Fn(&Node) -> &Observed<T>,
    fold: impl Fn(T, T) -> T,
) -> Observed<T> {
    let primaries = nodes
        .iter()
        .filter(|node| node.role != Observed::Value(Role::Replica));
    primaries
        .map(|node| fact(node).clone())
        .reduce(|left, right| memory::both(&left, &right, |left, right| fold(*left, *right)))
        .unwrap_or_else(|| {
            Observed::unknown(
                UnknownWhy::NotObserved,
                "no server that takes writes was seen",
            )
        })
}

/// A server that hangs is first seen by those that feed it, and only after a while: when one did
/// not answer, its primary is asked once more how long it has not heard of it.
async fn look_again(asked: &mut [Asked], deadline: Instant) {
    let silent = asked.iter().skip(1).any(|one| {
        matches!(
            one.node.state,
            Observed::Value(State::Silent | State::Filtered)
        )
    });
    if !silent {
        return;
    }
    let feeding = asked
        .iter_mut()
        .filter(|one| one.node.role == Observed::Value(Role::Primary));
    join_all(feeding.map(|one| look_again_at(one, deadline))).await;
}

async fn look_again_at(one: &mut Asked, deadline: Instant) {
    let Some(link) = &one.link else {
        return;
    };
    let mut info = cmd("INFO");
    info.arg("replication");
    let Ok((value, _)) = link.ask_one(info, deadline).await else {
        return;
    };
    let info = Info::parse(&reply::text(&value).unwrap_or_default());
    let offset = info.int("master_repl_offset");
    if offset.value().is_some() {
        one.node.replication.replicas = replication::replicas(&info, &offset);
    }
}

/// The failure of an attempt in which no server said anything. A server that is broken while the one
/// at `url` merely refused us is something that was seen.
fn nothing_seen(asked: &[Asked], sentinels: &[sentinel::Asked]) -> Option<Failure> {
    let answered = asked.iter().any(|one| one.failure.is_none())
        || sentinels
            .iter()
            .any(|one| one.sentinel.state == Observed::Value(State::Answered));
    if answered {
        return None;
    }
    let first = asked.first().and_then(|one| one.failure.clone())?;
    let others = asked
        .iter()
        .skip(1)
        .filter_map(|one| one.failure.as_ref())
        .chain(sentinels.iter().filter_map(|one| one.failure.as_ref()))
        .any(|failure| failure.outcome() == Outcome::TargetError);
    if first.outcome() != Outcome::TargetError && others {
        return None;
    }
    Some(first)
}
