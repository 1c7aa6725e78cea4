//! `[[probe]]` tables → planned probes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::diagnostics::Diagnostics;
use super::rules::KindRules;
use super::shape::{Shaper, check_id, take};
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::{DefaultsTable, ProbeTable, RetryOn};
use crate::judge::{Rule, Soft};
use crate::params::DurationText;
use crate::plan::{PlannedProbe, SourceRef};
use crate::probes::{self, BuildError, KINDS, ParamError};

/// Without `timeout` anywhere.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without `interval` anywhere.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// Whoever asks more often measures the probe itself.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// A probe whose dependencies are still names.
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) id_place: Place,
    pub(super) depends_on: Vec<(String, Place)>,
    /// Where it says whose history it reads.
    pub(super) history_of: Option<Place>,
    /// None: it has errors, which were reported; its name can still be referred to.
    pub(super) probe: Option<PlannedProbe>,
}

/// Reads `[[probe]]` tables; keeps what is the same for every probe of a kind.
pub(super) struct ProbeReader {
    kinds: HashMap<&'static str, KindState>,
    pub(super) defaults: DefaultsTable,
}

pub(super) struct KindState {
    pub(super) rules: KindRules,
    schema: serde_json::Value,
}

impl ProbeReader {
    pub(super) fn new(defaults: DefaultsTable) -> Self {
        Self {
            kinds: HashMap::new(),
            defaults,
        }
    }

    /// One `[[probe]]`; its errors go to the shaper's diagnostics.
    pub(super) fn read(
        &mut self,
        entry: &mut Spanned<DeValue<'_>>,
        shaper: &mut Shaper<'_>,
    ) -> Option<Draft> {
        let span = entry.span();
        let place = Place {
            file: shaper.file,
            span: span.clone(),
        };
        let DeValue::Table(table) = entry.get_mut() else {
            shaper
                .diagnostics
                .error(place, "a probe is a table: write [[probe]]");
            return None;
        };
        let names = read_names(table, shaper);
        let Some(state) = self.kind_of(table, &place, shaper, "probe") else {
            return names.map(|names| names.draft(None));
        };
        let mut rules = table.remove("rules");
        // What is absent is no part of the question that the evidence answers.
        shaper.drop_absent(table);
        let kind = state.rules.entry.info.name;
        let params_digest = hex(&digest(kind, table, &COMMON));
        let fits = shaper.table(table, span.clone(), &state.schema, "this probe");
        // Variables are in now.
        let question = digest(kind, table, &COMMON);
        let common = split_common(table, &state.schema);
        let good = names
            .as_ref()
            .is_some_and(|names| check_id(&names.id, &names.id_place, shaper.diagnostics));
        let common = take::<ProbeTable>(common, span.clone(), shaper);
        if let Some(interval) = common.as_ref().and_then(|common| common.interval.as_ref()) {
            check_interval(interval, shaper.file, shaper.diagnostics);
        }
        let probe = if fits {
            build(state.rules.entry, table, &span, shaper)
        } else {
            None
        };
        // Rules are checked even when the parameters are wrong: all errors in one go.
        let enabled = probe
            .as_ref()
            .map(|probe| probe.enabled())
            .unwrap_or_default();
        let rules = state.rules.assemble(&enabled, rules.as_mut(), shaper);
        let mut names = names?;
        let history_of = probe.as_ref().and_then(|probe| probe.history_of());
        names.history_of = history_of.map(|of| Place {
            file: shaper.file,
            span: find(table, of.param).unwrap_or(span),
        });
        let probe = match (common, probe) {
            (Some(common), Some(probe)) if good => {
                let common = Common::from(common);
                let place = &names.id_place;
                let planned = common.planned(kind, probe, rules, &self.defaults, place, shaper);
                Some(PlannedProbe {
                    params_digest,
                    question,
                    ..planned
                })
            }
            _ => None,
        };
        Some(names.draft(probe))
    }

    /// The kind that a table names; `what` the table is: a probe, a module.
    pub(super) fn kind_of(
        &mut self,
        table: &DeTable<'_>,
        place: &Place,
        shaper: &mut Shaper<'_>,
        what: &str,
    ) -> Option<&mut KindState> {
        let names = || KINDS.iter().map(|kind| kind.info.name);
        let Some(kind) = table.get("kind") else {
            let listed: Vec<&str> = names().collect();
            shaper
                .diagnostics
                .error(place.clone(), format!("this {what} has no `kind`"))
                .help(format!("there are `{}`", listed.join("`, `")));
            return None;
        };
        let kind_place = Place {
            file: place.file,
            span: kind.span(),
        };
        let Some(name) = kind.get_ref().as_str() else {
            shaper.diagnostics.error(kind_place, "`kind` is a string");
            return None;
        };
        let Some(entry) = probes::find(name) else {
            shaper
                .diagnostics
                .error(kind_place, format!("there is no kind `{name}`"))
                .help(did_you_mean(name, names().collect::<Vec<_>>()));
            return None;
        };
        if !self.kinds.contains_key(entry.info.name) {
            match KindRules::new(entry) {
                Ok(rules) => {
                    let schema = super::schema::of_probe(entry);
                    self.kinds
                        .insert(entry.info.name, KindState { rules, schema });
                }
                Err(message) => {
                    shaper.diagnostics.error(kind_place, message);
                    return None;
                }
            }
        }
        self.kinds.get_mut(entry.info.name)
    }
}

/// The keys that every probe has and that may be read whatever its kind.
const COMMON: [&str; 9] = [
    "id",
    "kind",
    "timeout",
    "interval",
    "soft",
    "retries",
    "retry_on",
    "tags",
    "depends_on",
];

/// What every probe has, whatever its kind.
#[derive(Default)]
pub(super) struct Common {
    pub(super) id: String,
    pub(super) timeout: Option<DurationText>,
    pub(super) interval: Option<DurationText>,
    pub(super) soft: Option<Soft>,
    pub(super) retries: Option<u32>,
    pub(super) retry_on: Option<RetryOn>,
    pub(super) tags: Vec<String>,
}

impl From<ProbeTable> for Common {
    fn from(table: ProbeTable) -> Self {
        Self {
            id: table.id,
            timeout: table.timeout,
            interval: table.interval.map(Spanned::into_inner),
            soft: table.soft,
            retries: table.retries,
            retry_on: table.retry_on,
            tags: table.tags,
        }
    }
}

impl Common {
    /// With what the defaults say where the probe does not; its dependencies are still names.
    pub(super) fn planned(
        self,
        kind: &'static str,
        probe: Box<dyn probes::Probe>,
        rules: Vec<Rule>,
        defaults: &DefaultsTable,
        id_place: &Place,
        shaper: &Shaper<'_>,
    ) -> PlannedProbe {
        let timeout = self.timeout.or(defaults.timeout);
        let retry_on = self.retry_on.or(defaults.retry_on);
        let interval = self
            .interval
            .or_else(|| Some(*defaults.interval.as_ref()?.get_ref()));
        PlannedProbe {
            id: self.id,
            kind,
            target: probe.target(),
            probe,
            params_digest: String::new(),
            question: [0; 32],
            interval: interval.map_or(DEFAULT_INTERVAL, |interval| interval.0),
            soft: self.soft,
            timeout: timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0),
            retries: self.retries.or(defaults.retries).unwrap_or(0),
            retry_on_fail: retry_on == Some(RetryOn::Fail),
            tags: self.tags,
            depends_on: Vec::new(),
            rules,
            source: SourceRef {
                file: shaper.sources.file(shaper.file).path.display().to_string(),
                line: shaper.sources.line(id_place),
            },
        }
    }
}

/// SHA-256 over the kind and its own parameters as written: before variables are put in, so that it
/// holds no secret. The keys in `others` are no parameters of the kind.
pub(super) fn digest(kind: &str, table: &DeTable<'_>, others: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind);
    for (key, value) in table {
        if !others.contains(&key.get_ref().as_ref()) {
            hash.update(key.get_ref().as_bytes());
            digest_value(value.get_ref(), &mut hash);
        }
    }
    hash.finalize().into()
}

pub(super) fn hex(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// An interval that is too short is an error at its place.
pub(super) fn check_interval(
    interval: &Spanned<DurationText>,
    file: usize,
    diagnostics: &mut Diagnostics,
) {
    if interval.get_ref().0 < SHORTEST_INTERVAL {
        let span = interval.span();
        diagnostics.error(
            Place { file, span },
            format!("an interval is at least {SHORTEST_INTERVAL:?}"),
        );
    }
}

pub(super) fn digest_value(value: &DeValue<'_>, hash: &mut Sha256) {
    // Each value with its type and length, so that no two tables read alike.
    hash.update(value.type_str());
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(list) => {
            hash.update(list.len().to_be_bytes());
            list.iter()
                .for_each(|item| digest_value(item.get_ref(), hash));
            return;
        }
        DeValue::Table(table) => {
            hash.update(table.len().to_be_bytes());
            for (key, value) in table {
                hash.update(key.get_ref().as_bytes());
                digest_value(value.get_ref(), hash);
            }
            return;
        }
    };
    hash.update(text.len().to_be_bytes());
    hash.update(text);
}

/// Moves the keys that every probe has out of `table`; what stays is the kind's own.
fn split_common<'i>(table: &mut DeTable<'i>, schema: &serde_json::Value) -> DeTable<'i> {
    debug_assert!(
        COMMON
            .iter()
            .all(|key| schema["properties"].get(key).is_some())
    );
    COMMON
        .iter()
        .filter_map(|key| table.remove_entry(*key))
        .collect()
}

/// What other tables refer to a probe by.
struct Names {
    id: String,
    id_place: Place,
    depends_on: Vec<(String, Place)>,
    history_of: Option<Place>,
}

impl Names {
    fn draft(self, probe: Option<PlannedProbe>) -> Draft {
        Draft {
            id: self.id,
            id_place: self.id_place,
            depends_on: self.depends_on,
            history_of: self.history_of,
            probe,
        }
    }
}

/// The id and the dependencies of a table, as far as they can be read: other tables refer to them
/// even when the rest of this one is wrong.
fn read_names(table: &DeTable<'_>, shaper: &Shaper<'_>) -> Option<Names> {
    let place = |value: &Spanned<DeValue<'_>>| Place {
        file: shaper.file,
        span: value.span(),
    };
    let id = table.get("id")?;
    let depends_on = table
        .get("depends_on")
        .and_then(|list| list.get_ref().as_array())
        .into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|name| Some((name.get_ref().as_str()?.to_owned(), place(name))))
        .collect();
    Some(Names {
        id: id.get_ref().as_str()?.to_owned(),
        id_place: place(id),
        depends_on,
        history_of: None,
    })
}

pub(super) fn build(
    entry: &'static probes::KindEntry,
    table: &DeTable<'_>,
    span: &std::ops::Range<usize>,
    shaper: &mut Shaper<'_>,
) -> Option<Box<dyn probes::Probe>> {
    let value = Spanned::new(span.clone(), DeValue::Table(table.clone()));
    match (entry.build)(ValueDeserializer::from(value)) {
        Ok(probe) => Some(probe),
        Err(error) => {
            report(error, table, span, shaper);
            None
        }
    }
}

/// Says what is wrong with parameters, each at its place.
pub(super) fn report(
    error: BuildError,
    table: &DeTable<'_>,
    span: &std::ops::Range<usize>,
    shaper: &mut Shaper<'_>,
) {
    let mut say = |span, message: String| {
        let place = Place {
            file: shaper.file,
            span,
        };
        shaper.diagnostics.error(place, message);
    };
    match error {
        BuildError::Shape(error) => {
            let span = error.span().unwrap_or_else(|| span.clone());
            say(span, error.message().trim().to_owned());
        }
        BuildError::Params(errors) => {
            for ParamError { param, message } in errors {
                say(find(table, &param).unwrap_or_else(|| span.clone()), message);
            }
        }
    }
}

/// The place of a parameter by its dotted path, as deep as the file goes; an element of a list
/// goes by its index.
fn find(table: &DeTable<'_>, path: &str) -> Option<std::ops::Range<usize>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    table.get(first).map(|value| deepest(value, rest))
}

fn deepest(value: &Spanned<DeValue<'_>>, path: &str) -> std::ops::Range<usize> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let inner = match value.get_ref() {
        DeValue::Table(table) => table.get(first),
        DeValue::Array(items) => first.parse::<usize>().ok().and_then(|at| items.get(at)),
        _ => None,
    };
    inner.map_or_else(|| value.span(), |inner| deepest(inner, rest))
}
