//! Is a chain trusted, and is it for this name: two verdicts, so that one being wrong does not
//! hide the other.

use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::certificate;
use super::facts::{Certificate, Role};
use crate::evidence::{Observed, UnknownWhy};
use crate::net::{describe_certificate, is_own_root};

/// What a chain is verified against.
pub struct Expected<'a> {
    /// The roots.
    pub roots: &'a RootCertStore,
    /// Whether the roots are a bundle of the user's own, in which a server's certificate may
    /// itself be named as trusted.
    pub private: bool,
    /// The name.
    pub name: &'a ServerName<'static>,
    /// The moment.
    pub now: Timestamp,
}

/// The two verdicts.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Why the chain is not trusted; empty when it is.
    pub trust_error: String,
    /// Why the leaf is not for the expected name; empty when it is.
    pub hostname_error: Observed<String>,
}

/// Judges a chain as it was sent, leaf first.
pub fn verify(
    chain: &[CertificateDer<'_>],
    read: &[Certificate],
    expected: &Expected<'_>,
) -> Verdict {
    let Some((leaf_der, intermediates)) = chain.split_first() else {
        return Verdict {
            trust_error: "no certificate was presented".to_owned(),
            hostname_error: Observed::unknown(UnknownWhy::NotObserved, "no certificate"),
        };
    };
    let leaf = match ParsedCertificate::try_from(leaf_der) {
        Ok(leaf) => leaf,
        Err(error) => {
            let detail = format!("the certificate cannot be read: {error}");
            return Verdict {
                trust_error: detail.clone(),
                hostname_error: Observed::unknown(UnknownWhy::Unparseable, detail),
            };
        }
    };
    Verdict {
        trust_error: trust_error(&leaf, leaf_der, intermediates, read, expected),
        hostname_error: Observed::Value(hostname_error(&leaf, leaf_der, expected.name)),
    }
}

fn hostname_error(
    leaf: &ParsedCertificate<'_>,
    leaf_der: &CertificateDer<'_>,
    name: &ServerName<'static>,
) -> String {
    const MAX_SHOWN: usize = 8;
    if verify_server_name(leaf, name).is_ok() {
        return String::new();
    }
    let name = name.to_str();
    match certificate::read_leaf(leaf_der).sans {
        Observed::Value(names) if names.is_empty() => {
            format!("`{name}` is not among its alternative names: it has none")
        }
        Observed::Value(names) => {
            let more = if names.len() > MAX_SHOWN { ", …" } else { "" };
            let shown = names
                .into_iter()
                .take(MAX_SHOWN)
                .collect::<Vec<_>>()
                .join(", ");
            format!("`{name}` is not among its alternative names: {shown}{more}")
        }
        Observed::Unknown(unknown) => {
            format!("`{name}` is not among its alternative names ({unknown})")
        }
    }
}

fn trust_error(
    leaf: &ParsedCertificate<'_>,
    leaf_der: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    read: &[Certificate],
    expected: &Expected<'_>,
) -> String {
    let at = |second: i64| verify_at(leaf, intermediates, expected.roots, second);
    let Err(error) = at(expected.now.as_second()) else {
        return String::new();
    };
    let mut problems = out_of_date(read, expected.now);
    if names_itself(leaf_der, read, expected) {
        return problems.join("; ");
    }
    let beside_time = if is_about_time(&error) {
        // Expired or not, the chain may be wrong in other ways: ask again for its best moment.
        best_moment(read)
            .and_then(|second| at(second).err())
            .filter(|error| !is_about_time(error))
    } else {
        Some(error.clone())
    };
    if let Some(other) = beside_time {
        problems.push(describe(&other, read));
    }
    if problems.is_empty() {
        problems.push(describe(&error, read));
    }
    problems.join("; ")
}

fn verify_at(
    leaf: &ParsedCertificate<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    second: i64,
) -> Result<(), Error> {
    let provider = CryptoProvider::get_default()
        .ok_or_else(|| Error::General("no TLS provider is installed".to_owned()))?;
    let second = u64::try_from(second).unwrap_or(0);
    verify_server_cert_signed_by_trust_anchor(
        leaf,
        roots,
        intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(second)),
        provider.signature_verification_algorithms.all,
    )
}

/// Every certificate whose time is not now, in words.
fn out_of_date(read: &[Certificate], now: Timestamp) -> Vec<String> {
    let mut problems = Vec::new();
    for certificate in read.iter().filter(|one| one.role != Role::Root) {
        let subject = certificate.subject.value().map_or("?", String::as_str);
        match certificate.not_after.value() {
            Some(end) if *end < now => problems.push(format!("`{subject}` expired on {end}")),
            _ => {}
        }
        match certificate.not_before.value() {
            Some(begin) if *begin > now => {
                problems.push(format!("`{subject}` is not valid before {begin}"));
            }
            _ => {}
        }
    }
    problems
}

/// The last second at which no certificate of the chain had expired.
fn best_moment(read: &[Certificate]) -> Option<i64> {
    read.iter()
        .filter(|one| one.role != Role::Root)
        .filter_map(|one| one.not_after.value().map(|end| end.as_second()))
        .min()
}

fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
        )
    )
}

/// Whether the server's own certificate is one of the user's roots. The verifier wants no CA in
/// the place of a leaf, yet this is what trusting one self-signed certificate looks like. Name and
/// key are compared; the handshake proves the key.
fn names_itself(leaf: &CertificateDer<'_>, read: &[Certificate], expected: &Expected<'_>) -> bool {
    let is_ca = read
        .first()
        .is_some_and(|leaf| leaf.is_ca == Observed::Value(true));
    expected.private && is_ca && is_own_root(leaf, expected.roots)
}

fn describe(error: &Error, read: &[Certificate]) -> String {
    use CertificateError as Bad;
    let Error::InvalidCertificate(bad) = error else {
        return error.to_string();
    };
    match bad {
        Bad::UnknownIssuer => unknown_issuer(read),
        other => describe_certificate(other),
    }
}

/// The usual causes of an unknown issuer, told apart.
fn unknown_issuer(read: &[Certificate]) -> String {
    let Some(last) = read.last() else {
        return "the chain is empty".to_owned();
    };
    let issuer = last.issuer.value().map_or("?", String::as_str);
    if last.self_signed == Observed::Value(true) {
        return match last.role {
            Role::Leaf => "the certificate is self-signed".to_owned(),
            _ => format!("the chain ends at `{issuer}`, which is not a trusted root"),
        };
    }
    format!(
        "no path to a trusted root: `{issuer}`, the issuer of the last certificate, was not sent and is no trusted root"
    )
}
