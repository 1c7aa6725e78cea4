//! From the running configuration, the silences and the alerts to facts: no network in here.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::config::NONCE_LABEL;
use super::facts::{AlertState, DeclaredAlert, Receiver};
use super::hiding::{Alert, Hidden, Known, MAX_ALERTS, MAX_SILENCES, Silence};
use super::interval::{Interval, Notifies, notifies};
use super::matcher::{Labels, show_labels};
use super::pattern::Patterns;
use super::route::Reach;
use super::running::Running;
use crate::evidence::{Observed, UnknownWhy};

/// A configuration whose routes take longer than this to think about is not decided.
const PATIENCE: Duration = Duration::from_secs(2);
/// A configuration with more receivers is none.
const MAX_RECEIVERS: usize = 10_000;

/// What is thought about.
pub(super) struct Input {
    pub(super) config: Observed<String>,
    pub(super) silences: Observed<Vec<Silence>>,
    pub(super) alerts: Observed<Vec<Alert>>,
    pub(super) declared_receivers: Vec<String>,
    pub(super) declared_alerts: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) canary_labels: Option<Labels>,
    pub(super) now: Timestamp,
}

/// What is thought of it.
pub(super) struct Output {
    pub(super) receivers: Observed<Vec<Receiver>>,
    pub(super) declared_receivers: Vec<Receiver>,
    pub(super) declared_alerts: Vec<DeclaredAlert>,
    pub(super) silences_active: Observed<u64>,
    pub(super) alerts_firing: Observed<u64>,
    pub(super) alerts_suppressed: Observed<u64>,
    /// How long the routes of the canary may wait before they notify.
    pub(super) canary_wait: Option<Duration>,
    /// How long they may wait before they notify about the same group again.
    pub(super) canary_interval: Option<Duration>,
}

/// Thinks.
pub(super) fn analyse(input: Input) -> Output {
    let mut patterns = Patterns::default();
    let running = input.config.and_then(|yaml| {
        Running::parse(&yaml, &mut patterns).map_or_else(
            |why| Observed::unknown(UnknownWhy::Unparseable, why),
            Observed::Value,
        )
    });
    let silences = capped(input.silences, MAX_SILENCES, "silences");
    let alerts = capped(input.alerts, MAX_ALERTS, "alerts");
    let receivers = running_receivers(&running, input.now);
    let declared_receivers = input
        .declared_receivers
        .iter()
        .map(|name| declared_receiver(name, &receivers))
        .collect();
    let mut declared_alerts = Vec::new();
    for (name, labels) in &input.declared_alerts {
        let known = Known { name, labels };
        declared_alerts.push(declared_alert(
            &known,
            &running,
            &silences,
            &alerts,
            &mut patterns,
            input.now,
        ));
    }
    let (canary_wait, canary_interval) = match (&running, &input.canary_labels) {
        (Observed::Value(running), Some(labels)) => (
            longest_wait(running, labels),
            longest_interval(running, labels),
        ),
        _ => (None, None),
    };
    let suppressed = |alert: &&Alert| alert.status.state == AlertState::Suppressed;
    Output {
        receivers,
        declared_receivers,
        declared_alerts,
        silences_active: seen(&silences, |all| {
            count(all.iter().filter(|one| one.is_active()))
        }),
        alerts_firing: seen(&alerts, |all| count(all.iter())),
        alerts_suppressed: seen(&alerts, |all| count(all.iter().filter(suppressed))),
        canary_wait,
        canary_interval,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

fn seen<S, T>(seen: &Observed<S>, take: impl FnOnce(&S) -> T) -> Observed<T> {
    match seen {
        Observed::Value(value) => Observed::Value(take(value)),
        Observed::Unknown(unknown) => unknown.clone().into(),
    }
}

fn capped<T>(items: Observed<Vec<T>>, most: usize, what: &str) -> Observed<Vec<T>> {
    items.and_then(|items| {
        if items.len() > most {
            let detail = format!("there are {} {what}, more than {most}", items.len());
            return Observed::unknown(UnknownWhy::TooLarge, detail);
        }
        Observed::Value(items)
    })
}

/// How a receiver, or a single route to it, can be reached.
struct Way {
    reachable: Observed<bool>,
    why: String,
    muted_now: Observed<bool>,
}

fn running_receivers(running: &Observed<Running>, now: Timestamp) -> Observed<Vec<Receiver>> {
    match running {
        Observed::Value(running) if running.receivers.len() > MAX_RECEIVERS => {
            let detail = format!("there are more than {MAX_RECEIVERS} receivers");
            Observed::unknown(UnknownWhy::TooLarge, detail)
        }
        Observed::Value(running) => Observed::Value(receivers(running, now)),
        Observed::Unknown(unknown) => unknown.clone().into(),
    }
}

fn receivers(running: &Running, now: Timestamp) -> Vec<Receiver> {
    let mut routes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, route) in running.tree.routes.iter().enumerate() {
        routes.entry(&route.receiver).or_default().push(at);
    }
    let give_up = Instant::now() + PATIENCE;
    running
        .receivers
        .iter()
        .map(|receiver| {
            let routes = routes.get(receiver.name.as_str()).map(Vec::as_slice);
            let way = way(running, routes.unwrap_or_default(), now, give_up);
            Receiver {
                name: receiver.name.clone(),
                integrations: Observed::Value(count(0..receiver.integrations)),
                obstacle: obstacle(&way),
                reachable: way.reachable,
                why: way.why,
                muted_now: way.muted_now,
            }
        })
        .collect()
}

fn obstacle(way: &Way) -> Observed<String> {
    way.reachable.clone().map(|reachable| {
        if reachable {
            String::new()
        } else {
            way.why.clone()
        }
    })
}

/// The best way to a receiver by any of its routes.
fn way(running: &Running, routes: &[usize], now: Timestamp, give_up: Instant) -> Way {
    let mut best = Way {
        reachable: Observed::Value(false),
        why: "no route names it".to_owned(),
        muted_now: Observed::Value(false),
    };
    let mut doubt: Option<String> = None;
    for &at in routes {
        if Instant::now() >= give_up {
            doubt.get_or_insert_with(|| "the routes are too many to be thought through".to_owned());
            break;
        }
        let labels = match running.tree.reach(at) {
            Reach::By(labels) => labels,
            Reach::Never(why) => {
                best.why = if best.reachable == Observed::Value(false) {
                    why
                } else {
                    best.why
                };
                continue;
            }
            Reach::Undecided(why) => {
                doubt.get_or_insert(why);
                continue;
            }
        };
        let why = format!(
            "by {}: alerts with {}",
            running.tree.name(at),
            show_labels(&labels)
        );
        match when(running, at, now) {
            Some(Notifies::Now) => {
                return Way {
                    reachable: Observed::Value(true),
                    why,
                    muted_now: Observed::Value(false),
                };
            }
            Some(Notifies::Later) => {
                best = Way {
                    reachable: Observed::Value(true),
                    why,
                    muted_now: Observed::Value(true),
                };
            }
            Some(Notifies::Never) => {
                if best.reachable == Observed::Value(false) {
                    best.why = format!("{} is muted at all times", running.tree.name(at));
                }
            }
            Some(Notifies::Undecided) | None => {
                doubt.get_or_insert(format!(
                    "{} is muted at this moment, and whether it ever is not cannot be told",
                    running.tree.name(at)
                ));
            }
        }
    }
    match doubt {
        None => best,
        Some(why) => {
            let muted_now = Observed::unknown(UnknownWhy::Unsupported, why.clone());
            if best.reachable == Observed::Value(false) {
                best.reachable = Observed::unknown(UnknownWhy::Unsupported, why.clone());
                best.why = why;
            }
            Way { muted_now, ..best }
        }
    }
}

/// When a route notifies; `None` where it names an interval that there is not.
fn when(running: &Running, at: usize, now: Timestamp) -> Option<Notifies> {
    let route = &running.tree.routes[at];
    let named = |names: &[String]| {
        let mut all: Vec<&Interval> = Vec::new();
        for name in names {
            all.extend(running.intervals.get(name)?);
        }
        Some(all)
    };
    let muted = named(&route.mute)?;
    let active = named(&route.active)?;
    let active = (!route.active.is_empty()).then_some(active.as_slice());
    Some(notifies(&muted, active, now))
}

fn declared_receiver(name: &str, receivers: &Observed<Vec<Receiver>>) -> Receiver {
    let unseen = match receivers {
        Observed::Value(all) => match all.iter().find(|receiver| receiver.name == name) {
            Some(receiver) => return receiver.clone(),
            None => {
                return Receiver {
                    name: name.to_owned(),
                    integrations: Observed::Value(0),
                    reachable: Observed::Value(false),
                    obstacle: Observed::Value("there is no receiver of that name".to_owned()),
                    why: "there is no receiver of that name".to_owned(),
                    muted_now: Observed::Value(false),
                };
            }
        },
        Observed::Unknown(unknown) => unknown,
    };
    Receiver {
        name: name.to_owned(),
        integrations: unseen.clone().into(),
        reachable: unseen.clone().into(),
        obstacle: unseen.clone().into(),
        why: unseen.detail.clone(),
        muted_now: unseen.clone().into(),
    }
}

fn declared_alert(
    known: &Known<'_>,
    running: &Observed<Running>,
    silences: &Observed<Vec<Silence>>,
    alerts: &Observed<Vec<Alert>>,
    patterns: &mut Patterns,
    now: Timestamp,
) -> DeclaredAlert {
    let silenced = seen(silences, |silences| known.silenced(silences, patterns));
    let inhibited = match (running, alerts) {
        (Observed::Value(running), Observed::Value(alerts)) => {
            Observed::Value(known.inhibited(&running.inhibitions, alerts))
        }
        (Observed::Unknown(unknown), _) | (_, Observed::Unknown(unknown)) => unknown.clone().into(),
    };
    let such = |alert: &&Alert| known.is(&alert.labels);
    let hidden = |alert: &&Alert| alert.status.state == AlertState::Suppressed;
    let hidden_by = |list: &Observed<Hidden>, take: fn(&Hidden) -> Names| match list {
        Observed::Value(hidden) => take(hidden),
        Observed::Unknown(unknown) => unknown.clone().into(),
    };
    let mut labels: Labels = known.labels.clone();
    labels.insert("alertname".to_owned(), known.name.to_owned());
    let (receivers, notifying) = match running {
        Observed::Value(running) => routed(running, &labels, now),
        Observed::Unknown(unknown) => (unknown.clone().into(), unknown.clone().into()),
    };
    DeclaredAlert {
        name: known.name.to_owned(),
        silenced_by: hidden_by(&silenced, Hidden::wholly),
        partly_silenced_by: hidden_by(&silenced, Hidden::partly),
        inhibited_by: hidden_by(&inhibited, Hidden::wholly),
        partly_inhibited_by: hidden_by(&inhibited, Hidden::partly),
        firing: seen(alerts, |all| count(all.iter().filter(such))),
        suppressed: seen(alerts, |all| count(all.iter().filter(such).filter(hidden))),
        receivers,
        notifying_receivers: notifying,
    }
}

type Names = Observed<Vec<String>>;

/// Where an alert with these labels goes, and which of these receivers would notify now.
fn routed(running: &Running, labels: &Labels, now: Timestamp) -> (Names, Names) {
    let undecided = |what: &str| {
        Observed::unknown(
            UnknownWhy::Unsupported,
            format!("where such an alert goes cannot be told from {what}"),
        )
    };
    let Some(routes) = running.tree.deliver(labels) else {
        let what = "the patterns of the routes";
        return (undecided(what), undecided(what));
    };
    let name = |at: usize| running.tree.routes[at].receiver.clone();
    let receivers = routes.iter().map(|at| name(*at)).collect();
    let mut notifying = Vec::new();
    for at in routes {
        let receiver = name(at);
        let drops = running
            .receivers
            .iter()
            .any(|one| one.name == receiver && one.integrations == 0);
        match when(running, at, now) {
            _ if drops => {}
            Some(Notifies::Now) => notifying.push(receiver),
            Some(Notifies::Later | Notifies::Never) => {}
            Some(Notifies::Undecided) | None => {
                let notifying = undecided("the time intervals that a route names");
                return (Observed::Value(receivers), notifying);
            }
        }
    }
    (Observed::Value(receivers), Observed::Value(notifying))
}

/// What is said of an alert that has ended comes with the next notification about its group.
fn longest_interval(running: &Running, labels: &Labels) -> Option<Duration> {
    let routes = running.tree.deliver(labels)?;
    let intervals = routes
        .iter()
        .map(|at| running.tree.routes[*at].group_interval);
    intervals.max()
}

/// A group of its own is notified after the group wait; one that an earlier canary may have left
/// behind, at its next interval.
fn longest_wait(running: &Running, labels: &Labels) -> Option<Duration> {
    let mut labels = labels.clone();
    labels.insert(NONCE_LABEL.to_owned(), "0".to_owned());
    let routes = running.tree.deliver(&labels)?;
    let wait = |at: &usize| {
        let route = &running.tree.routes[*at];
        let is_own = route
            .group_by
            .iter()
            .any(|by| by == "..." || by == NONCE_LABEL);
        if is_own {
            route.group_wait
        } else {
            route.group_wait.max(route.group_interval)
        }
    };
    routes.iter().map(wait).max()
}
