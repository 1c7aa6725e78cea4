//! The parameters, and the plan that they make.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::name::{parse_name, reverse_name};
use super::present::normalise;
use super::server::Server;
use crate::net::{Roots, load_roots};
use crate::params::FilePath;
use crate::probes::ParamError;

/// The type of the records that are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The alias itself.
    Cname,
    /// Mail exchangers.
    Mx,
    /// Name servers.
    Ns,
    /// Texts.
    Txt,
    /// The start of authority.
    Soa,
    /// Who may issue certificates.
    Caa,
    /// The place of a service.
    Srv,
    /// The name of an address.
    Ptr,
}

impl From<Kind> for RecordType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::A => Self::A,
            Kind::Aaaa => Self::AAAA,
            Kind::Cname => Self::CNAME,
            Kind::Mx => Self::MX,
            Kind::Ns => Self::NS,
            Kind::Txt => Self::TXT,
            Kind::Soa => Self::SOA,
            Kind::Caa => Self::CAA,
            Kind::Srv => Self::SRV,
            Kind::Ptr => Self::PTR,
        }
    }
}

/// What is demanded of DNSSEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DnssecDemand {
    /// Every resolver says that it validated the answer.
    Secure,
}

/// Which authoritative servers are compared with the resolvers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authoritative {
    /// None (`false`) or those of the zone's NS set (`true`).
    NsSet(bool),
    /// These.
    Servers(Vec<String>),
}

impl Default for Authoritative {
    fn default() -> Self {
        Self::NsSet(false)
    }
}

impl<'de> Deserialize<'de> for Authoritative {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Authoritative;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, or a list of servers such as [\"192.0.2.53\"]")
            }

            fn visit_bool<E>(self, follow: bool) -> Result<Authoritative, E> {
                Ok(Authoritative::NsSet(follow))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Authoritative, A::Error> {
                let mut servers = Vec::new();
                while let Some(server) = seq.next_element()? {
                    servers.push(server);
                }
                Ok(Authoritative::Servers(servers))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Authoritative {
    fn schema_name() -> Cow<'static, str> {
        "Authoritative".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "boolean" },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    }
}

/// Parameters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Config {
    /// The name to ask for; with type `PTR` also an address, which stands for its reverse name.
    pub name: String,
    /// The type of the records.
    #[serde(rename = "type", default)]
    pub kind: Kind,
    /// The resolvers: an address with an optional port, `tcp://…`, `tls://ADDRESS#NAME` (DNS over TLS, its certificate must have that name) or `https://NAME/dns-query#ADDRESS` (DNS over HTTPS; the address is optional). Every one of them must answer. None: the system's, of which one must.
    #[serde(default)]
    pub resolvers: Vec<String>,
    /// The CA certificates, PEM, that resolvers over TLS and HTTPS are verified against. None: the system's.
    pub ca_file: Option<FilePath>,
    /// The records that must be there, all of them and no other, in presentation form.
    pub expect: Option<Vec<String>>,
    /// `secure`: the resolvers must validate the answer.
    pub dnssec: Option<DnssecDemand>,
    /// Authoritative servers, addresses or names with an optional port, that must say the same as the resolvers; `true`: those of the zone's NS set.
    #[serde(default)]
    pub authoritative: Authoritative,
    /// The port at which servers of the NS set are asked. Default 53.
    pub ns_port: Option<u16>,
    /// Whether the zone's serial is compared over all its servers: those in `authoritative`, or the NS set.
    #[serde(default)]
    pub soa: bool,
    /// Whether the CAA records in force are looked up.
    #[serde(default)]
    pub caa: bool,
}

impl Config {
    /// Whether any authoritative server is compared with the resolvers.
    pub(super) fn asks_authorities(&self) -> bool {
        match &self.authoritative {
            Authoritative::NsSet(follow) => *follow,
            Authoritative::Servers(_) => true,
        }
    }
}

/// Where the authoritative servers come from.
#[derive(Debug)]
pub(super) enum Authorities {
    NsSet { port: u16 },
    Servers(Vec<Server>),
}

/// What the parameters ask for.
#[derive(Debug)]
pub(super) struct Plan {
    pub name: Name,
    pub kind: RecordType,
    /// Empty: the system's.
    pub resolvers: Vec<Server>,
    pub roots: Roots,
    /// Normalised and sorted.
    pub expected: Option<Vec<String>>,
    pub authorities: Authorities,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Self, Vec<ParamError>> {
        let mut errors = Errors::default();
        let kind = config.kind.into();
        let name = errors.keep("name", asked_name(config));
        let resolvers = errors.servers("resolvers", &config.resolvers, Server::parse);
        let roots = match &config.ca_file {
            None => Some(Roots::System),
            Some(path) => errors.keep("ca_file", load_roots(path.as_path())),
        };
        let expected = config
            .expect
            .as_ref()
            .map(|records| expected(&mut errors, kind, records));
        let authorities = authorities(&mut errors, config);
        match (name, roots) {
            (Some(name), Some(roots)) if errors.0.is_empty() => Ok(Self {
                name,
                kind,
                resolvers,
                roots,
                expected,
                authorities,
            }),
            _ => Err(errors.0),
        }
    }
}

#[derive(Default)]
struct Errors(Vec<ParamError>);

impl Errors {
    fn add(&mut self, param: impl Into<String>, message: impl Into<String>) {
        self.0.push(ParamError::new(param, message));
    }

    fn keep<T>(&mut self, param: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(param, message)).ok()
    }

    fn servers(
        &mut self,
        param: &str,
        texts: &[String],
        parse: fn(&str) -> Result<Server, String>,
    ) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let path = format!("{param}.{index}");
            let Some(server) = self.keep(&path, parse(text)) else {
                continue;
            };
            if texts[..index].contains(text) {
                self.add(path, format!("`{text}` is listed twice"));
            }
            servers.push(server);
        }
        servers
    }
}

fn asked_name(config: &Config) -> Result<Name, String> {
    match (config.name.parse::<IpAddr>(), config.kind) {
        (Ok(address), Kind::Ptr) => Ok(reverse_name(address)),
        (Ok(_), _) => Err(format!(
            "`{}` is an address: with `type = \"PTR\"` its name is asked for; else write a name",
            config.name
        )),
        (Err(_), _) => parse_name(&config.name),
    }
}

fn expected(errors: &mut Errors, kind: RecordType, records: &[String]) -> Vec<String> {
    if records.is_empty() {
        errors.add(
            "expect",
            "no record is listed: list the records that must be there, or leave `expect` out",
        );
    }
    let mut expected = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        expected.extend(errors.keep(&format!("expect.{index}"), normalise(kind, record)));
    }
    expected.sort();
    expected.dedup();
    expected
}

fn authorities(errors: &mut Errors, config: &Config) -> Authorities {
    let follows_ns_set = match &config.authoritative {
        Authoritative::NsSet(follow) => *follow || config.soa,
        Authoritative::Servers(_) => false,
    };
    match config.ns_port {
        Some(0) => errors.add("ns_port", "there is no port 0"),
        Some(_) if !follows_ns_set => errors.add(
            "ns_port",
            "it says where the servers of the NS set are asked: set `authoritative = true` or `soa = true`",
        ),
        _ => {}
    }
    match &config.authoritative {
        Authoritative::NsSet(_) => Authorities::NsSet {
            port: config.ns_port.unwrap_or(53),
        },
        Authoritative::Servers(texts) => {
            if texts.is_empty() {
                errors.add(
                    "authoritative",
                    "no server is listed: list some, write `true` for the NS set, or leave it out",
                );
            }
            Authorities::Servers(errors.servers("authoritative", texts, Server::parse_authority))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Config {
        toml::from_str(toml).unwrap()
    }

    fn wrong(toml: &str) -> Vec<String> {
        Plan::new(&read(toml))
            .unwrap_err()
            .into_iter()
            .map(|error| error.param)
            .collect()
    }

    #[test]
    fn all_that_is_wrong_is_reported_at_once() {
        let params = wrong(
            "name = \"a..b\"\nresolvers = [\"127.0.0.1:0\", \"127.0.0.1\", \"127.0.0.1\"]\n\
             ca_file = \"/nonexistent\"\nexpect = [\"::1\"]\nauthoritative = []\nns_port = 0",
        );
        assert_eq!(
            params,
            [
                "name",
                "resolvers.0",
                "resolvers.2",
                "ca_file",
                "expect.0",
                "ns_port",
                "authoritative"
            ]
        );
    }

    #[test]
    fn an_address_is_a_name_for_ptr_alone() {
        let plan = Plan::new(&read("name = \"192.0.2.7\"\ntype = \"PTR\"")).unwrap();
        assert_eq!(plan.name.to_ascii(), "7.2.0.192.in-addr.arpa.");
        assert_eq!(wrong("name = \"192.0.2.7\""), ["name"]);
    }

    #[test]
    fn the_ns_port_needs_an_ns_set() {
        assert_eq!(wrong("name = \"a.example\"\nns_port = 5353"), ["ns_port"]);
        let plan = Plan::new(&read("name = \"a.example\"\nsoa = true\nns_port = 5353")).unwrap();
        assert!(matches!(
            plan.authorities,
            Authorities::NsSet { port: 5353 }
        ));
    }

    #[test]
    fn types_and_demands_have_fixed_words() {
        assert!(toml::from_str::<Config>("name = \"a\"\ntype = \"ANY\"").is_err());
        assert!(toml::from_str::<Config>("name = \"a\"\ndnssec = \"maybe\"").is_err());
        assert!(toml::from_str::<Config>("name = \"a\"\nauthoritative = 1").is_err());
        let config = read("name = \"a\"\nauthoritative = true");
        assert!(config.asks_authorities());
    }
}
