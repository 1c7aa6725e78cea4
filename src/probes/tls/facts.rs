//! The facts of the `tls` kind.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;

/// What was seen of the target's TLS.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// Every address of the name and what was met there, in the order of the resolver.
    pub addresses: Vec<Address>,
    /// Whether the chain, as sent, leads to a trusted root, is valid now, and belongs to a key
    /// that the server proved to hold; on every address that answered. The name is judged apart,
    /// by `hostname_matches`.
    pub trusted: Observed<bool>,
    /// Why the chain is not trusted; empty when it is.
    pub trust_error: Observed<String>,
    /// Whether the leaf's subject alternative names hold the expected name, on every address that
    /// answered. The common name does not count.
    pub hostname_matches: Observed<bool>,
    /// Why the leaf is not for the expected name; empty when it is.
    pub hostname_error: Observed<String>,
    /// Whole days, rounded down, until the first certificate of the chain expires (leaf and
    /// intermediates as sent, over all addresses; a root does not count); negative once expired.
    pub min_days_left: Observed<i64>,
    /// When that first certificate expires. A certificate without an end (the year 9999) has
    /// the last moment that a timestamp can hold.
    pub not_after: Observed<Timestamp>,
    /// When the leaf expires; the earliest, where addresses have different ones.
    pub leaf_not_after: Observed<Timestamp>,
    /// The leaf's lifetime, from its first to its last second, in days.
    pub lifetime_days: Observed<f64>,
    /// The leaf's subject.
    pub subject: Observed<String>,
    /// The leaf's issuer.
    pub issuer: Observed<String>,
    /// The leaf's subject alternative names: DNS names and addresses as they are, others with
    /// their type in front (`email:`, `uri:`).
    pub sans: Observed<Vec<String>>,
    /// Every certificate as sent, leaf first; of several addresses each certificate once.
    pub chain: Observed<Vec<Certificate>>,
    /// The SHA-256 fingerprints of the leaves, each once: one, unless addresses disagree.
    pub leaf_fingerprints: Vec<String>,
    /// Whether the leaf demands a stapled OCSP response (RFC 7633).
    pub must_staple: Observed<bool>,
    /// Whether every address that answered stapled an OCSP response.
    pub ocsp_stapled: Observed<bool>,
    /// The protocol version that was negotiated with everything on offer.
    pub protocol: Observed<Protocol>,
    /// The cipher suite that was negotiated, by its IANA name.
    pub cipher_suite: Observed<String>,
    /// The protocol that the server chose from `alpn`; empty when it chose none.
    pub alpn: Observed<String>,
    /// What the server made of client certificates.
    pub client_certificate: Observed<ClientCertificate>,
    /// Which protocol versions are accepted.
    pub versions: Versions,
    /// With `starttls = "smtp"`: whether any address offers AUTH before the connection is
    /// encrypted.
    pub plaintext_auth_offered: Observed<bool>,
}

/// One address of the name.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "these are the names of facts")]
pub struct Address {
    /// The address with its port.
    pub address: String,
    /// What was met there.
    pub state: Observed<State>,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// The protocol version that was negotiated.
    pub protocol: Observed<Protocol>,
    /// The leaf's SHA-256 fingerprint.
    pub leaf_sha256: Observed<String>,
    /// Whether this address's chain is trusted.
    pub trusted: Observed<bool>,
    /// What this address answered to a hello of TLS 1.0, 1.1, 1.2 and 1.3, in words.
    pub version_answers: Vec<String>,
}

/// What was met at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It presented a certificate and proved that it holds the key.
    Ok,
    /// It refused the connection.
    Refused,
    /// Nothing came back to our connection attempt.
    Filtered,
    /// This host has no way there, such as IPv6 where there is none.
    NoRoute,
    /// It reset the connection.
    Reset,
    /// It closed the connection before the handshake was over.
    Closed,
    /// It accepted the connection and then said nothing.
    Silent,
    /// It answered something that is not TLS.
    NotTls,
    /// It did not get as far as TLS: STARTTLS was refused or not understood.
    StarttlsFailed,
    /// The handshake failed.
    HandshakeFailed,
}

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Protocol {
    /// TLS 1.0.
    #[serde(rename = "TLSv1.0")]
    Tls10,
    /// TLS 1.1.
    #[serde(rename = "TLSv1.1")]
    Tls11,
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl Protocol {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// Whether a protocol version is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// The server answered a hello of this version with its own.
    Accepted,
    /// The server turned a hello of this version down: by an alert, by choosing an older version,
    /// or, where it took a modern hello on the same address, by ending the connection.
    Refused,
}

/// Which protocol versions are accepted. Silence, or anything that is not TLS, is unknown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "these are the names of facts")]
pub struct Versions {
    /// TLS 1.0, deprecated by RFC 8996; accepted, when any address accepts it.
    pub tls1_0: Observed<Support>,
    /// TLS 1.1, deprecated by RFC 8996; accepted, when any address accepts it.
    pub tls1_1: Observed<Support>,
    /// TLS 1.2.
    pub tls1_2: Observed<Support>,
    /// TLS 1.3.
    pub tls1_3: Observed<Support>,
}

/// What the server made of client certificates, as far as TLS shows it: a server that turns a
/// client away in its application protocol (nginx does, with HTTP 400) has only `requested` one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// It did not ask for one.
    NotRequested,
    /// It asked for one and went on with what we have.
    Requested,
    /// It asked for one and ended the connection for want of one that it accepts.
    Refused,
}

/// One certificate of the chain.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Certificate {
    /// Its place: the first one is the leaf, a self-signed one after it a root.
    pub role: Role,
    /// SHA-256 over its DER, lower-case hexadecimal.
    pub sha256: String,
    /// Whom it names.
    pub subject: Observed<String>,
    /// Who issued it.
    pub issuer: Observed<String>,
    /// Its serial number, hexadecimal with colons.
    pub serial: Observed<String>,
    /// Its first second.
    pub not_before: Observed<Timestamp>,
    /// Its last second; where it has no end, the last moment that a timestamp can hold.
    pub not_after: Observed<Timestamp>,
    /// Days until it expires, with a fraction; negative once expired.
    pub days_left: Observed<f64>,
    /// Days from its first to its last second; 0 when the last comes before the first.
    pub lifetime_days: Observed<f64>,
    /// The type of its key.
    pub key_algorithm: Observed<KeyAlgorithm>,
    /// The size of its key in bits: the modulus of RSA and DSA, the field of a curve; 256 for
    /// Ed25519 and 456 for Ed448.
    pub key_bits: Observed<i64>,
    /// The algorithm of its signature, such as `ecdsa-with-SHA256`.
    pub signature_algorithm: Observed<String>,
    /// The hash under its signature.
    pub signature_hash: Observed<SignatureHash>,
    /// Whether it may issue certificates.
    pub is_ca: Observed<bool>,
    /// Whether it names itself as its issuer and its key identifiers do not speak against that.
    pub self_signed: Observed<bool>,
}

/// The place of a certificate in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The first one.
    Leaf,
    /// One between leaf and root.
    Intermediate,
    /// A self-signed one that is not the first.
    Root,
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyAlgorithm {
    /// RSA, also when restricted to PSS.
    Rsa,
    /// An elliptic curve with ECDSA.
    Ec,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// DSA.
    Dsa,
}

/// The hash under a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureHash {
    /// MD2.
    Md2,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// The algorithm brings its own, as Ed25519 does.
    Intrinsic,
}
