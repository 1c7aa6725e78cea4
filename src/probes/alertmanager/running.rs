//! The configuration that an Alertmanager runs with, read from its own answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

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
    receivers: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    inhibit_rules: Option<Vec<RawInhibition>>,
    #[serde(default)]
    mute_time_intervals: Option<Vec<RawNamed>>,
    #[serde(default)]
    time_intervals: Option<Vec<RawNamed>>,
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
        let receivers = receivers.iter().map(receiver).collect::<Result<_, _>>()?;
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

fn receiver(raw: &Map<String, Value>) -> Result<Receiver, String> {
    let name = raw.get("name").and_then(Value::as_str);
    let name = name.ok_or("a receiver has no name")?.to_owned();
    let integrations = raw
        .iter()
        .filter(|(key, _)| key.ends_with("_configs"))
        .filter_map(|(_, value)| value.as_array())
        .map(Vec::len)
        .sum();
    Ok(Receiver { name, integrations })
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
mod tests {
    use super::super::matcher::Labels;
    use super::super::route::Reach;
    use super::*;

    const CONFIG: &str = r#"
global: {resolve_timeout: 5m, smtp_auth_password: <secret>}
route:
  receiver: default
  group_by: ['...']
  group_wait: 1m30s
  continue: false
  routes:
  - receiver: oncall
    match: {team: ops}
    match_re: {sev: crit|warn}
    matchers: ["a=\"b\"", "c=~\"d.*\""]
  - matchers: ["team=\"ops\""]
    group_wait: 1s
    continue: true
    routes:
    - {receiver: pager, matchers: ["sev=\"page\""], mute_time_intervals: [nights]}
  - {receiver: late, matchers: ["team=\"ops\""]}
receivers:
- name: default
- {name: oncall, webhook_configs: [{url: "http://127.0.0.1/"}], email_configs: [{to: a}, {to: b}]}
- name: pager
- name: late
inhibit_rules:
- {source_match: {severity: critical}, target_matchers: ["severity=\"warning\""], equal: [alertname]}
time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}]
"#;

    fn parse(yaml: &str) -> Result<Running, String> {
        Running::parse(yaml, &mut Patterns::default())
    }

    fn receivers(running: &Running, labels: &[(&str, &str)]) -> Vec<String> {
        let pair = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
        let labels: Labels = labels.iter().map(pair).collect();
        let found = running.tree.deliver(&labels).unwrap();
        let name = |at: usize| running.tree.routes[at].receiver.clone();
        found.into_iter().map(name).collect()
    }

    #[test]
    fn a_configuration_is_read_with_what_is_inherited() {
        let running = parse(CONFIG).unwrap();
        let routes = &running.tree.routes;
        assert_eq!(routes.len(), 5);
        assert_eq!(routes[1].group_wait, Duration::from_secs(90));
        assert_eq!(routes[1].matchers.len(), 4);
        assert_eq!(routes[2].receiver, "default");
        assert_eq!(routes[3].group_wait, Duration::from_secs(1));
        assert_eq!(routes[3].group_interval, Duration::from_secs(300));
        assert_eq!(running.receivers[1].integrations, 3);
        assert_eq!(running.receivers[0].integrations, 0);
        assert_eq!(running.inhibitions[0].equal, ["alertname"]);
    }

    #[test]
    fn alerts_go_where_alertmanager_sends_them() {
        let running = parse(CONFIG).unwrap();
        assert_eq!(receivers(&running, &[]), ["default"]);
        let paged = [("team", "ops"), ("sev", "page")];
        assert_eq!(receivers(&running, &paged), ["pager", "late"]);
        assert_eq!(receivers(&running, &[("team", "ops")]), ["default", "late"]);
        let all = [("team", "ops"), ("sev", "crit"), ("a", "b"), ("c", "dd")];
        assert_eq!(receivers(&running, &all), ["oncall"]);
    }

    #[test]
    fn every_witness_goes_where_it_is_said_to_go() {
        let running = parse(CONFIG).unwrap();
        for at in 0..running.tree.routes.len() {
            let Reach::By(labels) = running.tree.reach(at) else {
                panic!("{}", running.tree.name(at));
            };
            assert!(running.tree.deliver(&labels).unwrap().contains(&at));
        }
    }

    fn reach(routes: &str) -> Reach {
        let yaml = format!(
            "route:\n  receiver: default\n  routes: [{routes}]\nreceivers: [{{name: default}}]\n"
        );
        let running = parse(&yaml).unwrap();
        let wanted = |route: &Route| route.receiver == "oncall";
        let at = running.tree.routes.iter().position(wanted).unwrap();
        running.tree.reach(at)
    }

    #[test]
    fn a_route_behind_one_that_takes_everything_is_never_reached() {
        let oncall = "{receiver: oncall, match: {team: ops}}";
        for before in [
            "{receiver: all}",
            "{receiver: all, match_re: {team: .*}}",
            "{receiver: all, matchers: ['zone=~\".*\"']}",
            "{receiver: all, matchers: ['team!=\"dev\"']}",
            "{receiver: all, match_re: {team: ops|dev}}",
            "{receiver: a, matchers: ['b=\"c\"']}, {receiver: c, matchers: ['b!=\"c\"']}",
        ] {
            let said = reach(&format!("{before}, {oncall}"));
            assert!(matches!(said, Reach::Never(_)), "{before}: {said:?}");
            let said = reach(&format!("{oncall}, {before}"));
            assert!(matches!(said, Reach::By(_)), "{before}: {said:?}");
        }
        let passing = reach(&format!("{{receiver: all, continue: true}}, {oncall}"));
        assert!(matches!(passing, Reach::By(_)), "{passing:?}");
        let Reach::Never(why) = reach(&format!("{{receiver: all}}, {oncall}")) else {
            panic!();
        };
        assert!(why.contains("without `continue` {}"), "{why}");
    }

    #[test]
    fn a_receiver_whose_child_takes_everything_is_never_reached() {
        let said = reach("{receiver: oncall, match: {team: ops}, routes: [{receiver: x}]}");
        assert!(matches!(said, Reach::Never(_)), "{said:?}");
        let said = reach(
            "{receiver: oncall, match: {team: ops}, routes: [{receiver: x, match: {team: dev}}]}",
        );
        assert!(matches!(said, Reach::By(_)), "{said:?}");
        let said = reach(
            "{receiver: x, match: {team: ops}, routes: [{receiver: oncall, match: {team: dev}}]}",
        );
        assert!(matches!(said, Reach::Never(_)), "{said:?}");
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for bad in [
            "",
            "{}",
            "[]",
            "route: {}",
            "<html>",
            "route: {receiver: a, group_wait: x}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let bomb = "a: &a [x,x]\nb: &b [*a,*a,*a]\nroute: {receiver: x}\nreceivers: []\n";
        assert!(parse(bomb).is_err());
        let deep = format!(
            "route: {{receiver: a, routes: {}{}}}",
            "[{routes: ".repeat(500),
            "}]".repeat(500)
        );
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn durations_of_prometheus_are_read() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for bad in [
            "",
            "5",
            "m",
            "1x",
            "99999999999999999999s",
            "99999999999999y",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
