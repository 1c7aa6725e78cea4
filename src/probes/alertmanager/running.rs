//! The configuration that an Alertmanager runs with, read from its own answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::interval::{Interval, RawInterval};
use super::matcher::{self, Matcher};
use super::pattern::Patterns;
use super::route::{Route, Tree};

/// A longer one is not read.
const MAX_CONFIG_BYTES: usize = 8 * 1024 * 1024;
const MAX_ROUTES: usize = 10_000;
const MAX_MATCHERS: usize = 50_000;

/// What of the configuration decides where alerts go.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) tree: Tree,
    pub(super) receivers: Vec<Receiver>,
    pub(super) inhibitions: Vec<Inhibition>,
    pub(super) intervals: BTreeMap<String, Vec<Interval>>,
}

/// A receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) name: String,
    /// How many ways of notifying it has.
    pub(super) integrations: usize,
}

/// A rule by which one alert hides others.
#[derive(Debug)]
pub(super) struct Inhibition {
    pub(super) source: Vec<Matcher>,
    pub(super) target: Vec<Matcher>,
    pub(super) equal: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    route: Option<RawRoute>,
    #[serde(default)]
    receivers: Option<Vec<RawReceiver>>,
    #[serde(default)]
    inhibit_rules: Option<Vec<RawInhibition>>,
    #[serde(default)]
    mute_time_intervals: Option<Vec<RawNamed>>,
    #[serde(default)]
    time_intervals: Option<Vec<RawNamed>>,
}

/// Its name, and how many ways of notifying it has: all that matters of what may be large.
struct RawReceiver {
    name: Option<String>,
    integrations: usize,
}

impl<'de> Deserialize<'de> for RawReceiver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = RawReceiver;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a receiver")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawReceiver, A::Error> {
                let (mut name, mut integrations) = (None, 0);
                while let Some(key) = map.next_key::<String>()? {
                    if key == "name" {
                        name = map.next_value()?;
                    } else if key.ends_with("_configs") {
                        // Elements of no size: only their number is kept.
                        let configs: Option<Vec<IgnoredAny>> = map.next_value()?;
                        integrations += configs.map_or(0, |configs| configs.len());
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(RawReceiver { name, integrations })
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[derive(Deserialize)]
struct RawNamed {
    name: String,
    #[serde(default)]
    time_intervals: Option<Vec<RawInterval>>,
}

#[derive(Deserialize)]
struct RawRoute {
    receiver: Option<String>,
    #[serde(rename = "match")]
    equal: Option<BTreeMap<String, String>>,
    match_re: Option<BTreeMap<String, String>>,
    matchers: Option<Vec<String>>,
    #[serde(rename = "continue", default)]
    is_continue: bool,
    routes: Option<Vec<RawRoute>>,
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    mute_time_intervals: Option<Vec<String>>,
    active_time_intervals: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawInhibition {
    source_match: Option<BTreeMap<String, String>>,
    source_match_re: Option<BTreeMap<String, String>>,
    source_matchers: Option<Vec<String>>,
    target_match: Option<BTreeMap<String, String>>,
    target_match_re: Option<BTreeMap<String, String>>,
    target_matchers: Option<Vec<String>>,
    equal: Option<Vec<String>>,
}

impl Running {
    /// Reads the YAML.
    ///
    /// # Errors
    /// Text saying what cannot be read, without quoting the file: it may hold secrets.
    pub(super) fn parse(yaml: &str, patterns: &mut Patterns) -> Result<Self, String> {
        if yaml.len() > MAX_CONFIG_BYTES {
            return Err(format!(
                "the configuration is larger than {MAX_CONFIG_BYTES} bytes"
            ));
        }
        let options = serde_saphyr::options! {
            // What Alertmanager prints has no aliases; a bomb is made of them.
            budget: serde_saphyr::budget! { max_aliases: 0, max_anchors: 0 },
            with_snippet: false,
        };
        let raw: Raw = serde_saphyr::from_str_with_options(yaml, options).map_err(|_| {
            "the running configuration is not the YAML of an Alertmanager".to_owned()
        })?;
        let route = raw.route.ok_or("the running configuration has no route")?;
        let mut reader = Reader {
            patterns,
            tree: Tree { routes: Vec::new() },
            matchers: 0,
        };
        reader.add_route(route, None)?;
        let receivers = raw.receivers.unwrap_or_default();
        let receivers = receivers
            .into_iter()
            .map(receiver)
            .collect::<Result<_, _>>()?;
        let inhibitions = raw.inhibit_rules.unwrap_or_default().into_iter();
        let inhibitions = inhibitions
            .map(|raw| reader.inhibition(raw))
            .collect::<Result<_, _>>()?;
        let named = raw.mute_time_intervals.unwrap_or_default().into_iter();
        let named = named.chain(raw.time_intervals.unwrap_or_default());
        let mut intervals = BTreeMap::new();
        for RawNamed {
            name,
            time_intervals,
        } in named
        {
            let parts = time_intervals.unwrap_or_default();
            let read: Result<Vec<Interval>, String> = parts.iter().map(Interval::read).collect();
            let read = read.map_err(|problem| format!("time interval `{name}`: {problem}"))?;
            intervals.insert(name, read);
        }
        Ok(Self {
            tree: reader.tree,
            receivers,
            inhibitions,
            intervals,
        })
    }
}

struct Reader<'p> {
    patterns: &'p mut Patterns,
    tree: Tree,
    matchers: usize,
}

impl Reader<'_> {
    fn add_route(&mut self, raw: RawRoute, parent: Option<usize>) -> Result<usize, String> {
        if self.tree.routes.len() >= MAX_ROUTES {
            return Err(format!("there are more than {MAX_ROUTES} routes"));
        }
        let matchers = self.matchers(raw.equal, raw.match_re, raw.matchers)?;
        let inherited = parent.map(|parent| &self.tree.routes[parent]);
        // The defaults of Alertmanager: 30 s and 5 min.
        let wait = inherited.map_or(Duration::from_secs(30), |route| route.group_wait);
        let interval = inherited.map_or(Duration::from_secs(300), |route| route.group_interval);
        let receiver = raw
            .receiver
            .filter(|name| !name.is_empty())
            .or_else(|| inherited.map(|route| route.receiver.clone()))
            .ok_or("the root route has no receiver")?;
        let group_by = raw
            .group_by
            .or_else(|| inherited.map(|route| route.group_by.clone()));
        let at = self.tree.routes.len();
        self.tree.routes.push(Route {
            parent,
            children: Vec::new(),
            matchers,
            receiver,
            is_continue: raw.is_continue,
            group_by: group_by.unwrap_or_default(),
            group_wait: own_or(raw.group_wait.as_ref(), wait)?,
            group_interval: own_or(raw.group_interval.as_ref(), interval)?,
            mute: raw.mute_time_intervals.unwrap_or_default(),
            active: raw.active_time_intervals.unwrap_or_default(),
        });
        for child in raw.routes.unwrap_or_default() {
            let child = self.add_route(child, Some(at))?;
            self.tree.routes[at].children.push(child);
        }
        Ok(at)
    }

    fn matchers(
        &mut self,
        equal: Pairs,
        patterns: Pairs,
        matchers: Option<Vec<String>>,
    ) -> Result<Vec<Matcher>, String> {
        let mut all = Vec::new();
        for (label, value) in equal.unwrap_or_default() {
            all.push(Matcher::equal(&label, &value));
        }
        for (label, source) in patterns.unwrap_or_default() {
            all.push(Matcher::pattern(&label, &source, self.patterns));
        }
        for text in matchers.unwrap_or_default() {
            all.extend(matcher::parse(&text, self.patterns)?);
        }
        self.matchers += all.len();
        if self.matchers > MAX_MATCHERS {
            return Err(format!("there are more than {MAX_MATCHERS} matchers"));
        }
        Ok(all)
    }

    fn inhibition(&mut self, raw: RawInhibition) -> Result<Inhibition, String> {
        Ok(Inhibition {
            source: self.matchers(raw.source_match, raw.source_match_re, raw.source_matchers)?,
            target: self.matchers(raw.target_match, raw.target_match_re, raw.target_matchers)?,
            equal: raw.equal.unwrap_or_default(),
        })
    }
}

fn own_or(text: Option<&String>, inherited: Duration) -> Result<Duration, String> {
    text.map_or(Ok(inherited), |text| {
        duration(text).ok_or_else(|| format!("`{text}` is not a duration"))
    })
}

type Pairs = Option<BTreeMap<String, String>>;

fn receiver(raw: RawReceiver) -> Result<Receiver, String> {
    Ok(Receiver {
        name: raw.name.ok_or("a receiver has no name")?,
        integrations: raw.integrations,
    })
}

/// A duration as Prometheus and its friends print it: `1h30m`, `5m`, `250ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    if text == "0" {
        return Some(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(rest.len());
        let ms = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(ms)?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests;
