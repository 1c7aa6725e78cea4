//! What a probe of this kind observes.

use std::fmt;

use hickory_proto::op::ResponseCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::server::Transport;
use crate::evidence::Observed;

/// A response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rcode {
    /// No error: the name exists.
    NoError,
    /// The server could not read the question.
    FormErr,
    /// The server failed, for instance at validating the answer.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not know this kind of question.
    NotImp,
    /// The server does not answer us.
    Refused,
    /// A name exists that should not.
    YxDomain,
    /// A set of records exists that should not.
    YxRrSet,
    /// A set of records does not exist that should.
    NxRrSet,
    /// The server is not authoritative for the zone.
    NotAuth,
    /// The name is not in the zone.
    NotZone,
    /// The server does not know this version of EDNS.
    BadVers,
    /// The server wants another cookie.
    BadCookie,
    /// Any other code.
    Other,
}

impl From<ResponseCode> for Rcode {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::NoError => Self::NoError,
            ResponseCode::FormErr => Self::FormErr,
            ResponseCode::ServFail => Self::ServFail,
            ResponseCode::NXDomain => Self::NxDomain,
            ResponseCode::NotImp => Self::NotImp,
            ResponseCode::Refused => Self::Refused,
            ResponseCode::YXDomain => Self::YxDomain,
            ResponseCode::YXRRSet => Self::YxRrSet,
            ResponseCode::NXRRSet => Self::NxRrSet,
            ResponseCode::NotAuth => Self::NotAuth,
            ResponseCode::NotZone => Self::NotZone,
            ResponseCode::BADVERS | ResponseCode::BADSIG => Self::BadVers,
            ResponseCode::BADCOOKIE => Self::BadCookie,
            _ => Self::Other,
        }
    }
}

/// What became of a question to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Records of the asked type.
    NoError,
    /// The name exists and has no record of the asked type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server does not answer us.
    Refused,
    /// The server points to other servers.
    Referral,
    /// Another response code.
    #[serde(rename = "other_error")]
    OtherError,
    /// No answer in time.
    Timeout,
    /// No way to the server, or nothing listens there.
    Unreachable,
    /// What came back does not answer the question.
    Garbage,
    /// The answer was cut short, and the whole one could not be had.
    Truncated,
    /// The TLS connection failed, for instance because its certificate is not trusted.
    #[serde(rename = "tls_error")]
    TlsError,
    /// The HTTP server gave no DNS message.
    #[serde(rename = "http_error")]
    HttpError,
}

impl State {
    /// What went wrong, for people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "answered",
            Self::NoData => "has no record of this type",
            Self::NxDomain => "says that the name does not exist",
            Self::ServFail => "answered SERVFAIL",
            Self::Refused => "answered REFUSED",
            Self::Referral => "pointed to other servers",
            Self::OtherError => "answered with an error",
            Self::Timeout => "did not answer in time",
            Self::Unreachable => "cannot be reached",
            Self::Garbage => "sent something that does not answer the question",
            Self::Truncated => "sent a truncated answer",
            Self::TlsError => "offered no TLS that can be trusted",
            Self::HttpError => "gave no DNS message over HTTP",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The security of an answer, as a validating resolver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dnssec {
    /// Validated up to a trust anchor.
    Secure,
    /// Not signed.
    Insecure,
    /// Signed, and the signatures do not hold.
    Bogus,
}

/// What one resolver said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResolverAnswer {
    /// The resolver, as configured.
    pub resolver: String,
    /// The transport over which the last answer came; `tcp` after a truncated datagram.
    pub transport: Transport,
    /// What became of the question.
    pub state: State,
    /// The response code; unknown when it gave none.
    pub rcode: Observed<Rcode>,
    /// The records of the asked type, as in `answers`; unknown unless the response code is NOERROR or NXDOMAIN.
    pub answers: Observed<Vec<String>>,
    /// The targets of the aliases on the way to the answer, in order.
    pub cname_chain: Observed<Vec<String>>,
    /// Whether it answered from its own zones.
    pub aa: Observed<bool>,
    /// Whether it says that it validated the answer.
    pub ad: Observed<bool>,
    /// The security of the answer.
    pub dnssec: Observed<Dnssec>,
    /// Whether it withholds an answer because its signatures do not hold: SERVFAIL twice, and an answer in between when asked not to check.
    pub bogus: Observed<bool>,
    /// How many signatures came with the records.
    pub signatures: usize,
    /// The lowest TTL on the way to the answer, seconds; a cache counts down.
    pub ttl_min_seconds: Observed<u32>,
    /// From question to answer, milliseconds.
    pub rtt_ms: Observed<f64>,
    /// Whether nobody on the way could forge the answer: TLS, HTTPS, or a server on this host.
    pub trusted_path: bool,
    /// Whether it is one of the system's resolvers, silent while another of them answered: the system's resolvers stand in for one another.
    pub silent_fallback: bool,
    /// The server's own explanations (extended DNS errors): a number and a text.
    pub extended_errors: Vec<String>,
    /// What went wrong; empty when nothing did.
    pub error: String,
}

/// What one authoritative server said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuthorityAnswer {
    /// The server: its name in the NS set, or as configured.
    pub server: String,
    /// Its address and port; empty when it has none.
    pub address: String,
    /// What became of the question.
    pub state: State,
    /// The response code; unknown when it gave none.
    pub rcode: Observed<Rcode>,
    /// The records of the asked type, as in `answers`.
    pub answers: Observed<Vec<String>>,
    /// The targets of the aliases as far as it knows them, in order.
    pub cname_chain: Observed<Vec<String>>,
    /// Whether it answered from its own zones.
    pub aa: Observed<bool>,
    /// The lowest TTL, seconds: the one that was configured.
    pub ttl_min_seconds: Observed<u32>,
    /// Whether the resolvers say the same; where an alias leaves its zones, as far as it knows them.
    pub agrees: Observed<bool>,
    /// What went wrong; empty when nothing did.
    pub error: String,
}

/// The serial of the zone at one server over one transport.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SoaSerial {
    /// The server: its name in the NS set, or as configured.
    pub server: String,
    /// Its address and port; empty when it has none.
    pub address: String,
    /// The transport: `udp` or `tcp`.
    pub transport: Transport,
    /// The serial.
    pub serial: Observed<u32>,
    /// Whether it answered from its own zones.
    pub aa: Observed<bool>,
}

/// The certification authorities that may issue for the name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Caa {
    /// The name at which the records were found; empty when there are none up to the top.
    pub at: String,
    /// The records in presentation form, such as `0 issue "ca.example.net"`.
    pub records: Vec<String>,
}

/// Facts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// The name that was asked for, in lower case and without the trailing dot; for an address, its reverse name.
    pub asked_name: String,
    /// The response code; unknown when resolvers differ or one that was named did not answer.
    pub rcode: Observed<Rcode>,
    /// What became of the question; unknown when resolvers differ or one that was named did not answer.
    pub state: Observed<State>,
    /// Whether the name exists and has no record of the asked type.
    pub nodata: Observed<bool>,
    /// The records of the asked type in presentation form, sorted; names in lower case without the trailing dot, TXT joined and unquoted. Empty when there are none; unknown when resolvers differ.
    pub answers: Observed<Vec<String>>,
    /// The declared records (`expect`) in the same form, sorted.
    pub expected: Observed<Vec<String>>,
    /// How many different answers (response code and set of records) the resolvers gave.
    pub distinct_answers: Observed<usize>,
    /// The targets of the aliases on the way to the answer, in order.
    pub cname_chain: Observed<Vec<String>>,
    /// Whether the resolvers answered from their own zones.
    pub aa: Observed<bool>,
    /// Whether the resolvers say that they validated the answer.
    pub ad: Observed<bool>,
    /// The lowest TTL on the way to the answer at any resolver, seconds; a cache counts down.
    pub ttl_min_seconds: Observed<u32>,
    /// The security of the answer: `secure` when every resolver validated it, `bogus` when any withholds it, `insecure` when it is not signed; unknown when a resolver does not validate.
    pub dnssec: Observed<Dnssec>,
    /// How many signatures came with the records, at the resolver that sent the most.
    pub signatures: usize,
    /// When the first signature over the records expires.
    pub rrsig_expires_at: Observed<Timestamp>,
    /// Whole days until the first signature over the records expires, rounded down; negative once it has.
    pub rrsig_days_left: Observed<i64>,
    /// Every resolver by itself.
    pub by_resolver: Vec<ResolverAnswer>,
    /// The zone that holds the name, where authoritative servers or serials are asked for.
    pub zone: Observed<String>,
    /// Every authoritative server by itself, with `authoritative`.
    pub by_authority: Observed<Vec<AuthorityAnswer>>,
    /// The zone's serial at every authoritative server, address and transport, with `soa = true`.
    pub soa_serials: Observed<Vec<SoaSerial>>,
    /// The CAA records in force, found by climbing from the name towards the top, with `caa = true`.
    pub caa: Observed<Caa>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{FactSchema, FactType};

    #[test]
    fn rules_can_be_checked_against_the_facts() {
        let schema = FactSchema::of::<Facts>().unwrap();
        let FactType::Observed(rcode) = &schema.facts["rcode"].ty else {
            panic!("rcode may be unknown");
        };
        let FactType::String { values } = rcode.as_ref() else {
            panic!("rcode is text");
        };
        for value in ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "NOTIMP"] {
            assert!(
                values.iter().any(|known| known == value),
                "{value} in {values:?}"
            );
        }
        assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
    }
}
