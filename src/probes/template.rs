//! A kind with its parameters but without a target: a `[[module]]`, to which each request adds one.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table};

use super::kind::{BuildError, Built, KindEntry};
use super::{ParamError, Probe};

/// The longest target that a request may name, in bytes.
const MAX_TARGET_BYTES: usize = 4_096;

/// How the one target of a request becomes parameters of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetParams {
    /// This kind cannot be asked about any target: it has several, or none.
    None,
    /// A URL; without a scheme it has the one given.
    Url {
        /// The parameter.
        param: &'static str,
        /// The scheme of a target that has none.
        scheme: &'static str,
    },
    /// `host:port`.
    HostPort {
        /// The parameter of the host.
        host: &'static str,
        /// The parameter of the port.
        port: &'static str,
        /// The port of a target that has none; without it the target must have one.
        default_port: Option<u16>,
    },
    /// The only entry of a list.
    Entry {
        /// The parameter.
        param: &'static str,
    },
}

impl TargetParams {
    /// The parameters that a target becomes.
    pub fn params(self) -> Vec<&'static str> {
        match self {
            Self::None => Vec::new(),
            Self::Url { param, .. } | Self::Entry { param } => vec![param],
            Self::HostPort { host, port, .. } => vec![host, port],
        }
    }

    /// A target that stands for any, to check the other parameters with.
    fn placeholder(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Url { .. } => "host.invalid",
            Self::HostPort { .. } => "host.invalid:1",
            Self::Entry { .. } => "192.0.2.1",
        }
    }

    fn put(self, target: &str, params: &mut Table) -> Result<(), String> {
        if target.is_empty() || target.len() > MAX_TARGET_BYTES {
            return Err(format!("a target has 1 to {MAX_TARGET_BYTES} bytes"));
        }
        match self {
            Self::None => return Err("this kind takes no target from a request".to_owned()),
            Self::Url { param, scheme } => {
                let url = if target.contains("://") {
                    target.to_owned()
                } else {
                    format!("{scheme}://{target}")
                };
                params.insert(param.to_owned(), url.into());
            }
            Self::HostPort {
                host,
                port,
                default_port,
            } => {
                let (name, number) = split_authority(target, default_port)?;
                params.insert(host.to_owned(), name.into());
                params.insert(port.to_owned(), i64::from(number).into());
            }
            Self::Entry { param } => {
                let entry = toml::Value::from(target);
                params.insert(param.to_owned(), vec![entry].into());
            }
        }
        Ok(())
    }
}

fn split_authority(target: &str, default_port: Option<u16>) -> Result<(String, u16), String> {
    const EXAMPLE: &str = "write host:port, such as 10.0.0.5:443 or [::1]:443";
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0);
            (
                host,
                port.ok_or_else(|| format!("no port in it: {EXAMPLE}"))?,
            )
        }
        _ => (
            target,
            default_port.ok_or_else(|| format!("no port in it: {EXAMPLE}"))?,
        ),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() {
        return Err(format!("no host in it: {EXAMPLE}"));
    }
    Ok((host.to_owned(), port))
}

/// A number that a scrape of one target yields under the name that `blackbox_exporter` gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// A label and its value.
    pub label: Option<(&'static str, String)>,
    /// The value, in base units.
    pub value: f64,
}

impl Sample {
    /// Without a label.
    pub const fn new(name: &'static str, help: &'static str, value: f64) -> Self {
        Self {
            name,
            help,
            label: None,
            value,
        }
    }

    /// From a fact that is a number; what was not observed is no sample.
    pub fn of(
        name: &'static str,
        help: &'static str,
        facts: &Map<String, Value>,
        fact: &str,
        scale: f64,
    ) -> Option<Self> {
        let value = facts.get(fact)?.as_f64()?;
        Some(Self::new(name, help, value * scale))
    }

    /// From a fact that is a moment: seconds since 1970.
    pub fn of_time(
        name: &'static str,
        help: &'static str,
        facts: &Map<String, Value>,
        fact: &str,
    ) -> Option<Self> {
        let moment: jiff::Timestamp = facts.get(fact)?.as_str()?.parse().ok()?;
        let seconds = moment.as_duration().as_secs_f64();
        Some(Self::new(name, help, seconds))
    }

    /// With a label.
    #[must_use]
    pub fn labelled(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.label = Some((name, value.into()));
        self
    }
}

/// A kind and its parameters, all but the target.
pub struct Template {
    entry: &'static KindEntry,
    /// With variables put in; it may hold secrets.
    params: Table,
}

impl Template {
    /// From parameters that have the kind's shape.
    pub fn new(entry: &'static KindEntry, params: Table) -> Self {
        Self { entry, params }
    }

    /// The kind.
    pub fn kind(&self) -> &'static KindEntry {
        self.entry
    }

    /// A probe of a target that stands for any: whether the other parameters make sense.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Built {
        self.build(self.entry.target.placeholder())
    }

    /// A probe of `target`.
    ///
    /// # Errors
    /// Why `target` cannot be one; the texts quote no other parameter.
    pub fn probe(&self, target: &str) -> Result<Box<dyn Probe>, String> {
        self.build(target).map_err(|error| match error {
            BuildError::Shape(_) => "not a target of this kind".to_owned(),
            BuildError::Params(errors) => {
                let texts: Vec<String> = errors.into_iter().map(|error| error.message).collect();
                texts.join("; ")
            }
        })
    }

    fn build(&self, target: &str) -> Built {
        let mut params = self.params.clone();
        let bad = |message: String| BuildError::Params(vec![ParamError::new("", message)]);
        self.entry.target.put(target, &mut params).map_err(bad)?;
        let text = toml::to_string(&params).map_err(|error| bad(error.to_string()))?;
        let table = DeTable::parse(&text).map_err(BuildError::Shape)?;
        let value = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        (self.entry.build)(ValueDeserializer::from(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(kind: &str, params: &str) -> Template {
        Template::new(
            super::super::find(kind).unwrap(),
            params.parse::<Table>().unwrap(),
        )
    }

    fn target(kind: &str, params: &str, target: &str) -> Result<String, String> {
        let probe = template(kind, params).probe(target)?;
        Ok(probe.target())
    }

    #[test]
    fn a_target_becomes_the_parameters_of_its_kind() {
        for (kind, params, given, seen) in [
            ("http", "", "example.org/x", "http://example.org/x"),
            (
                "http",
                "method = \"POST\"",
                "https://example.org",
                "https://example.org/",
            ),
            ("tcp", "", "example.org:22", "example.org:22"),
            ("tcp", "", "[::1]:22", "[::1]:22"),
            ("tls", "", "example.org", "example.org:443"),
            ("tls", "", "::1", "[::1]:443"),
        ] {
            assert_eq!(target(kind, params, given).unwrap(), seen, "{kind} {given}");
        }
        assert!(target("dns", "name = \"example.org\"", "127.0.0.1:53").is_ok());
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for (kind, params, given) in [
            ("http", "", ""),
            ("http", "", "ftp://example.org"),
            ("http", "", "a b"),
            ("tcp", "", "example.org"),
            ("tcp", "", "example.org:0"),
            ("tcp", "", ":22"),
            ("tcp", "", "example.org:99999"),
            ("dns", "name = \"example.org\"", "nonsense::"),
            ("postgres", "", "example.org"),
        ] {
            assert!(target(kind, params, given).is_err(), "{kind} {given}");
        }
        let long = "a".repeat(MAX_TARGET_BYTES + 1);
        assert!(target("http", "", &long).is_err());
    }

    #[test]
    fn other_parameters_are_checked_without_a_target() {
        assert!(template("http", "method = \"GET\"").check().is_ok());
        assert!(template("http", "method = \"get\"").check().is_err());
        assert!(template("dns", "name = \"a..b\"").check().is_err());
    }

    #[test]
    fn every_parameter_of_a_target_exists() {
        for entry in super::super::KINDS {
            let schema = (entry.params)().to_value();
            for param in entry.target.params() {
                assert!(
                    schema["properties"].get(param).is_some(),
                    "{} {param}",
                    entry.info.name
                );
            }
        }
    }

    #[test]
    fn what_was_not_observed_is_no_sample() {
        let facts = serde_json::json!({ "a": 2, "b": { "unknown": "denied" } });
        let facts = facts.as_object().unwrap();
        let value = |fact: &str| Sample::of("m", "h", facts, fact, 0.5).map(|s| s.value);
        assert_eq!(
            (value("a"), value("b"), value("c")),
            (Some(1.0), None, None)
        );
    }
}
