//! Silences and inhibitions, held against alerts of which only some labels are known.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::facts::AlertState;
use super::matcher::{Matcher, all, is_undecided, match_values, show};
use super::pattern::Patterns;
use super::running::Inhibition;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::Labels;

/// More alerts than this are not held against inhibitions.
pub(super) const MAX_ALERTS: usize = 50_000;
/// More silences than this are not held against alerts.
pub(super) const MAX_SILENCES: usize = 10_000;
/// More names than this are not listed.
const MAX_NAMED: usize = 20;

/// A silence as the API tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Silence {
    pub(super) id: String,
    status: SilenceStatus,
    matchers: Vec<RawMatcher>,
}

#[derive(Debug, Deserialize)]
struct SilenceStatus {
    state: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMatcher {
    name: String,
    value: String,
    is_regex: bool,
    /// Absent in old versions, which know no negation.
    #[serde(default = "yes")]
    is_equal: bool,
}

const fn yes() -> bool {
    true
}

impl Silence {
    pub(super) fn is_active(&self) -> bool {
        self.status.state == "active"
    }

    fn matchers(&self, patterns: &mut Patterns) -> Vec<Matcher> {
        let one = |raw: &RawMatcher| {
            let matcher = if raw.is_regex {
                Matcher::pattern(&raw.name, &raw.value, patterns)
            } else {
                Matcher::equal(&raw.name, &raw.value)
            };
            matcher.negated(!raw.is_equal)
        };
        self.matchers.iter().map(one).collect()
    }
}

/// An alert as the API tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) status: AlertStatus,
    #[serde(default)]
    pub(super) receivers: Vec<Named>,
}

/// What hides it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertStatus {
    pub(super) state: AlertState,
    #[serde(default)]
    pub(super) silenced_by: Vec<String>,
    #[serde(default)]
    pub(super) inhibited_by: Vec<String>,
}

/// The name of a receiver.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// An alert of which these labels are known.
pub(super) struct Known<'k> {
    pub(super) name: &'k str,
    pub(super) labels: &'k BTreeMap<String, String>,
}

/// What hides all such alerts, and what only those whose further labels fit.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Hidden {
    pub(super) wholly: Vec<String>,
    pub(super) partly: Vec<String>,
    /// One of which it cannot be told.
    pub(super) undecided: Option<String>,
}

impl Hidden {
    /// What hides all such alerts; unknown where nothing is known to and something may.
    pub(super) fn wholly(&self) -> Observed<Vec<String>> {
        self.told(&self.wholly)
    }

    /// The same of what hides some.
    pub(super) fn partly(&self) -> Observed<Vec<String>> {
        self.told(&self.partly)
    }

    fn told(&self, list: &[String]) -> Observed<Vec<String>> {
        match &self.undecided {
            Some(name) if list.is_empty() => Observed::unknown(
                UnknownWhy::Unsupported,
                format!("whether {name} hides it cannot be told from its patterns"),
            ),
            _ => Observed::Value(list.to_vec()),
        }
    }

    fn add(&mut self, hides: Option<bool>, is_undecided: bool, name: impl FnOnce() -> String) {
        let list = match hides {
            Some(false) => return,
            Some(true) => &mut self.wholly,
            None if is_undecided => {
                self.undecided.get_or_insert_with(name);
                return;
            }
            None => &mut self.partly,
        };
        if list.len() < MAX_NAMED {
            list.push(name());
        }
    }
}

impl<'k> Known<'k> {
    fn value(&self, label: &str) -> Option<&'k str> {
        if label == "alertname" {
            return Some(self.name);
        }
        self.labels.get(label).map(String::as_str)
    }

    fn matches(&self, matchers: &[Matcher]) -> Option<bool> {
        match_values(matchers, |label| self.value(label))
    }

    /// Whether that alert has all labels that are known.
    pub(super) fn is(&self, alert: &Labels) -> bool {
        let has = |label: &str, value: &str| alert.get(label).unwrap_or_default() == value;
        has("alertname", self.name) && self.labels.iter().all(|(label, value)| has(label, value))
    }

    /// The silences in force that hide it.
    pub(super) fn silenced(&self, silences: &[Silence], patterns: &mut Patterns) -> Hidden {
        let mut hidden = Hidden::default();
        for silence in silences.iter().filter(|silence| silence.is_active()) {
            let matchers = silence.matchers(patterns);
            let is_undecided = is_undecided(&matchers, |label| self.value(label));
            hidden.add(self.matches(&matchers), is_undecided, || silence.id.clone());
        }
        hidden
    }

    /// The alerts that inhibit it.
    pub(super) fn inhibited(&self, rules: &[Inhibition], alerts: &[Alert]) -> Hidden {
        let mut hidden = Hidden::default();
        for rule in rules {
            let is_target = self.matches(&rule.target);
            if is_target == Some(false) {
                continue;
            }
            let is_source = self.matches(&rule.source);
            let by_target = is_undecided(&rule.target, |label| self.value(label));
            for alert in alerts {
                let is_undecided = by_target
                    || is_undecided(&rule.source, |label| {
                        Some(alert.labels.get(label).unwrap_or_default())
                    });
                let by_this = [is_target, self.inhibited_by(rule, is_source, &alert.labels)];
                hidden.add(all(by_this.into_iter()), is_undecided, || {
                    let name = alert
                        .labels
                        .get("alertname")
                        .unwrap_or("an alert without a name");
                    format!("{name} by the rule for {}", show(&rule.target))
                });
            }
        }
        hidden
    }

    fn inhibited_by(
        &self,
        rule: &Inhibition,
        is_source: Option<bool>,
        alert: &Labels,
    ) -> Option<bool> {
        let of_alert = |label: &str| Some(alert.get(label).unwrap_or_default());
        let is_from = match_values(&rule.source, of_alert);
        if is_from == Some(false) {
            return Some(false);
        }
        let equal = all(rule.equal.iter().map(|label| {
            let known = self.value(label)?;
            Some(known == alert.get(label).unwrap_or_default())
        }));
        // Two alerts of which each is both source and target do not inhibit one another.
        let is_both = all([is_source, match_values(&rule.target, of_alert)].into_iter());
        all([is_from, equal, is_both.map(|both| !both)].into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Matcher>, String> {
        super::super::matcher::parse(text, &mut Patterns::default())
    }

    fn silence(id: &str, state: &str, name: &str, value: &str, is_regex: bool) -> Silence {
        serde_json::from_value(serde_json::json!({
            "id": id, "status": {"state": state},
            "matchers": [{"name": name, "value": value, "isRegex": is_regex}],
        }))
        .unwrap()
    }

    fn alert(labels: &serde_json::Value) -> Alert {
        serde_json::from_value(serde_json::json!({
            "labels": labels, "status": {"state": "active"}, "receivers": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_silence_hides_all_or_some_or_none() {
        let labels = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
        let known = Known {
            name: "Down",
            labels: &labels,
        };
        let silences = [
            silence("all", "active", "alertname", "Do.*", true),
            silence("over", "expired", "alertname", "Down", false),
            silence("some", "active", "instance", "db1", false),
            silence("other", "active", "team", "dev", false),
            silence("any", "active", "zone", ".*", true),
        ];
        let hidden = known.silenced(&silences, &mut Patterns::default());
        assert_eq!(hidden.wholly, ["all", "any"]);
        assert_eq!(hidden.partly, ["some"]);
    }

    #[test]
    fn a_silence_whose_pattern_is_not_understood_is_unknown() {
        let labels = BTreeMap::new();
        let known = Known {
            name: "Down",
            labels: &labels,
        };
        let odd = silence("odd", "active", "alertname", "[a&&b]", true);
        let hidden = known.silenced(&[odd], &mut Patterns::default());
        assert!(hidden.wholly().value().is_none(), "{hidden:?}");
        assert!(hidden.partly().value().is_none(), "{hidden:?}");
    }

    #[test]
    fn an_inhibition_needs_its_source_and_equal_labels() {
        let labels = BTreeMap::from([("severity".to_owned(), "warning".to_owned())]);
        let known = Known {
            name: "Slow",
            labels: &labels,
        };
        let rule = |equal: &[&str]| Inhibition {
            source: parse("severity=critical").unwrap(),
            target: parse("severity=~\"warning|info\"").unwrap(),
            equal: equal.iter().map(|label| (*label).to_owned()).collect(),
        };
        let down = || alert(&serde_json::json!({"alertname": "Down", "severity": "critical"}));
        let by = |equal: &[&str], alerts: &[Alert]| known.inhibited(&[rule(equal)], alerts);
        assert_eq!(by(&[], &[down()]).wholly.len(), 1);
        assert_eq!(by(&[], &[]), Hidden::default());
        assert_eq!(by(&["alertname"], &[down()]), Hidden::default());
        assert_eq!(by(&["cluster"], &[down()]).partly.len(), 1);
        let other = alert(&serde_json::json!({"alertname": "Down", "severity": "info"}));
        assert_eq!(by(&[], &[other]), Hidden::default());
    }

    #[test]
    fn two_sided_alerts_do_not_inhibit_one_another() {
        let labels = BTreeMap::new();
        let known = Known {
            name: "A",
            labels: &labels,
        };
        let rule = Inhibition {
            source: parse("alertname=~\"A|B\"").unwrap(),
            target: parse("alertname=~\"A|B\"").unwrap(),
            equal: Vec::new(),
        };
        let other = alert(&serde_json::json!({"alertname": "B"}));
        assert_eq!(known.inhibited(&[rule], &[other]), Hidden::default());
    }
}
