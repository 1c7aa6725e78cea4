//! What outlives this process: runs, the latest evidence with what rules remember, since when items have their
//! results and what they were lately, the deployed digest, and the windows of maintenance that were declared.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::core::{Core, now};
use super::evidence::{Judged, Memory, judge};
use super::strip::Strip;
use crate::evidence::Envelope;
use crate::history::{History, Latest, RunRecord, StoreSettings};
use crate::judge::{Past, Status};
use crate::plan::{FactRef, Plan};
use crate::probes::Earlier;

const SINCE: &str = "since/";
const STRIPS: &str = "strips";
const DEPLOYMENT: &str = "deployment";
const MAINTENANCE: &str = "maintenance";

/// The small things that are kept by name.
#[derive(Default)]
pub(super) struct Kept {
    since: HashMap<Box<str>, (Status, Timestamp)>,
    strips: HashMap<Box<str>, Strip>,
    deployment: Option<Deployment>,
    maintenance: Vec<Window>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Deployment {
    digest: String,
    since: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    probes: Vec<String>,
    start: Timestamp,
    end: Timestamp,
}

impl Kept {
    /// What history remembers; nothing where it cannot be read, which its status tells.
    pub(super) async fn load(history: &History) -> Self {
        let all = history.kept().await.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read what history keeps: it begins anew");
            std::collections::BTreeMap::new()
        });
        let mut kept = Self::default();
        for (key, value) in all {
            if let Some(id) = key.strip_prefix(SINCE) {
                if let Ok(since) = serde_json::from_value(value) {
                    kept.since.insert(id.into(), since);
                }
            } else if key == STRIPS {
                kept.strips = serde_json::from_value(value).unwrap_or_default();
            } else if key == DEPLOYMENT {
                kept.deployment = serde_json::from_value(value).ok();
            } else if key == MAINTENANCE {
                kept.maintenance = serde_json::from_value(value).unwrap_or_default();
            }
        }
        kept
    }

    pub(super) fn since(&self, item: &str) -> Option<(Status, Timestamp)> {
        self.since.get(item).copied()
    }

    /// What an item is now joins what it was lately.
    pub(super) fn strip(&mut self, item: &str) -> &mut Strip {
        self.strips.entry(item.into()).or_default()
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.deployment
            .as_ref()
            .map(|deployment| deployment.digest.as_str())
    }

    /// The windows that are to be remembered: one that was declared after it had begun holds from then on, and
    /// one that is no longer declared held until now.
    fn windows(&self, plan: &Plan, now: Timestamp) -> Vec<Window> {
        let declared: Vec<Window> = plan
            .maintenance
            .iter()
            .map(|window| {
                let ids = window.probes.iter();
                let probes = ids.map(|at| plan.probes[*at].id.clone()).collect();
                Window {
                    probes,
                    start: window.start,
                    end: window.end,
                }
            })
            .collect();
        let same =
            |one: &Window, other: &Window| one.end == other.end && one.probes == other.probes;
        let mut all: Vec<Window> = Vec::new();
        for old in self.maintenance.iter().filter(|old| old.start <= now) {
            let mut old = old.clone();
            if old.end > now && !declared.iter().any(|new| same(new, &old)) {
                old.end = now;
            }
            all.push(old);
        }
        for mut new in declared {
            if all.iter().any(|old| same(old, &new)) || new.end <= now {
                continue;
            }
            new.start = new.start.max(now.min(new.end));
            all.push(new);
        }
        all
    }
}

impl Core {
    pub(super) fn keep_since(&mut self, id: &str, result: Status, since: Timestamp) {
        self.kept.since.insert(id.into(), (result, since));
        self.around
            .history
            .keep(&format!("{SINCE}{id}"), json!([result, since]));
    }

    /// Has history keep what the items of now were lately.
    pub(super) fn keep_strips(&mut self) {
        // What ends with this process need not be held twice in it.
        if matches!(self.around.history.settings().store, StoreSettings::Memory) {
            return;
        }
        let index = &self.index;
        self.kept.strips.retain(|id, _| index.item(id).is_some());
        if let Ok(value) = serde_json::to_value(&self.kept.strips) {
            self.around.history.keep(STRIPS, value);
        }
    }

    /// Windows over the past begin anew with a digest that was not deployed before.
    pub(super) fn remember_digests(&mut self, digests: &[String], at: Timestamp) {
        if digests.is_empty() {
            return;
        }
        let mut sorted = digests.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let digest = sorted.join(",");
        if self.kept.digest() == Some(digest.as_str()) {
            return;
        }
        tracing::info!(digest, "another digest is deployed: windows begin anew");
        let deployment = Deployment { digest, since: at };
        if let Ok(value) = serde_json::to_value(&deployment) {
            self.around.history.keep(DEPLOYMENT, value);
        }
        self.kept.deployment = Some(deployment);
    }

    /// The digest that a probe saw; one that it did not see changes nothing.
    pub(super) fn remember_observed_digest(&mut self, envelope: &Envelope) {
        let Some(from) = &self.plan.agent.digest_from else {
            return;
        };
        let digests = digests(from, envelope);
        self.remember_digests(&digests, envelope.observed_at);
    }

    pub(super) fn remember_maintenance(&mut self, now: Timestamp) {
        self.next_edge = self.edge_after(now);
        let windows = self.kept.windows(&self.plan, now);
        if windows == self.kept.maintenance {
            return;
        }
        if let Ok(value) = serde_json::to_value(&windows) {
            self.around.history.keep(MAINTENANCE, value);
        }
        self.kept.maintenance = windows;
    }

    /// Hands a run to history.
    pub(super) fn remember_run(&self, index: usize, judged: &Judged) {
        let probe = &self.plan.probes[index];
        let state = &judged.state;
        let started_at = state.started_at.unwrap_or(state.observed_at);
        let id: Arc<str> = probe.id.as_str().into();
        let history = &self.around.history;
        let run = RunRecord {
            probe: Arc::clone(&id),
            started_at,
            duration: state.duration,
            outcome: state.outcome,
            result: state.result,
            must: state.must,
            excluded: self.is_excluded(index, started_at),
            agent: history.agent().into(),
        };
        // What ends with this process need not be held twice in it.
        let lasts = !matches!(history.settings().store, StoreSettings::Memory);
        let latest = lasts.then(|| Latest {
            probe: id,
            params_digest: probe.params_digest.clone(),
            envelope: Arc::new(judged.envelope.clone()),
            state: self.state_of(index, judged),
            version: 0,
        });
        let before = &self.probes[index].state;
        let keep_facts = !before.seen || before.result != state.result;
        history.record(run, latest, keep_facts);
    }

    fn state_of(&self, index: usize, judged: &Judged) -> Value {
        let probe = &self.plan.probes[index];
        let mut state = judged.past.store(&probe.rules);
        let wanted = probe.probe.earlier_runs();
        if wanted > 1 {
            let earlier = self.probes[index].earlier.iter();
            let earlier: Vec<Value> = earlier
                .map(|one| json!({ "observed_at": one.observed_at, "facts": one.facts }))
                .collect();
            state["earlier"] = Value::Array(earlier);
        }
        state
    }

    fn is_excluded(&self, index: usize, at: Timestamp) -> bool {
        let windows = self.plan.maintenance.iter();
        windows
            .filter(|window| window.holds(at))
            .any(|window| window.probes.binary_search(&index).is_ok())
    }

    /// Takes up where the process before this one ended.
    pub(super) async fn restore(&mut self) {
        match self.around.history.latest(0).await {
            Ok(latest) => self.take_foreign(latest),
            Err(error) => {
                tracing::error!(%error, "cannot read what was last seen: every probe begins anew");
            }
        }
    }

    /// Takes in what was seen by another process: the one before this one, or another agent.
    pub(super) fn take_foreign(&mut self, latest: Vec<Latest>) {
        let horizon = now() + std::time::Duration::from_secs(60);
        for mut one in latest {
            let Some(index) = self.index.probe(&one.probe) else {
                continue;
            };
            let probe = &self.plan.probes[index];
            let watched = &self.probes[index];
            let newer = !watched.state.seen || one.envelope.observed_at > watched.state.observed_at;
            let same = probe.params_digest == one.params_digest;
            // What claims to come from the future would never be replaced.
            if !newer || !same || one.envelope.observed_at > horizon {
                continue;
            }
            let earlier = one.state.get_mut("earlier").map(Value::take);
            let past = Past::restore(one.state, &probe.rules);
            let envelope = Arc::unwrap_or_clone(one.envelope);
            let wanted = probe.probe.earlier_runs();
            let newest = Earlier {
                observed_at: envelope.observed_at,
                facts: envelope.facts.clone(),
            };
            let mut earlier = read_earlier(&earlier.unwrap_or_default());
            earlier.retain(|one| one.observed_at < newest.observed_at);
            if !newest.facts.is_empty() {
                earlier.push(newest);
            }
            let too_many = earlier.len().saturating_sub(wanted);
            self.probes[index].earlier = earlier.into_iter().skip(too_many).collect();
            let judged = judge(&self.plan, index, envelope, &past, Memory::Has);
            self.replace(index, judged);
        }
    }
}

fn read_earlier(stored: &Value) -> Vec<Earlier> {
    let list = stored.as_array().into_iter().flatten();
    let read = |one: &Value| {
        Some(Earlier {
            observed_at: one.get("observed_at")?.as_str()?.parse().ok()?,
            facts: one.get("facts")?.as_object()?.clone(),
        })
    };
    list.filter_map(read).collect()
}

/// The digests that a fact names: a string, or a list of them.
fn digests(from: &FactRef, envelope: &Envelope) -> Vec<String> {
    let mut names = from.path.iter();
    let first = names.next().and_then(|name| envelope.facts.get(name));
    let found = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
    match found {
        Some(Value::String(digest)) => vec![digest.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_a_string_or_a_list_of_them() {
        let mut envelope = Envelope::not_observed("app", Timestamp::UNIX_EPOCH, String::new());
        let from = |path: &[&str]| FactRef {
            probe: 0,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
        };
        envelope.facts = json!({
            "digest": "sha256:a",
            "json": { "images": ["sha256:b", "sha256:c"] },
            "blind": { "unknown": "denied", "detail": "" },
        })
        .as_object()
        .cloned()
        .expect("an object");
        assert_eq!(digests(&from(&["digest"]), &envelope), ["sha256:a"]);
        assert_eq!(
            digests(&from(&["json", "images"]), &envelope),
            ["sha256:b", "sha256:c"]
        );
        assert!(digests(&from(&["blind"]), &envelope).is_empty());
        assert!(digests(&from(&["none"]), &envelope).is_empty());
    }
}
