//! Reads certificates that may be anything: what cannot be read is unknown.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::algorithms;
use super::facts::{Certificate, Role};
use crate::evidence::{Observed, UnknownWhy};

const SECONDS_PER_DAY: f64 = 86_400.0;
/// Names longer than this are not shown.
const MAX_TEXT_BYTES: usize = 4 * 1024;
/// Certificates with more names than this do not have them shown.
const MAX_NAMES: usize = 1_000;

/// What only the leaf tells.
#[derive(Debug, Clone, PartialEq)]
pub struct LeafDetails {
    /// The subject alternative names.
    pub sans: Observed<Vec<String>>,
    /// Whether it demands a stapled OCSP response.
    pub must_staple: Observed<bool>,
}

/// Reads the certificate at `position` of a chain.
pub fn read(der: &[u8], position: usize, now: Timestamp) -> Certificate {
    let sha256 = format!("{:x}", Sha256::digest(der));
    match parse(der) {
        Ok(certificate) => describe(&certificate, position, now, sha256),
        Err(detail) => unreadable(position, sha256, &detail),
    }
}

/// Reads what only the leaf tells.
pub fn read_leaf(der: &[u8]) -> LeafDetails {
    match parse(der) {
        Ok(certificate) => LeafDetails {
            sans: sans(&certificate),
            must_staple: Observed::Value(must_staple(&certificate)),
        },
        Err(detail) => LeafDetails {
            sans: unparseable(&detail),
            must_staple: unparseable(&detail),
        },
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow the certificate".to_owned()),
        Err(error) => Err(format!("not a certificate: {error}")),
    }
}

pub(super) fn unparseable<T>(detail: &str) -> Observed<T> {
    Observed::unknown(UnknownWhy::Unparseable, detail)
}

fn unreadable(position: usize, sha256: String, detail: &str) -> Certificate {
    Certificate {
        role: if position == 0 {
            Role::Leaf
        } else {
            Role::Intermediate
        },
        sha256,
        subject: unparseable(detail),
        issuer: unparseable(detail),
        serial: unparseable(detail),
        not_before: unparseable(detail),
        not_after: unparseable(detail),
        days_left: unparseable(detail),
        lifetime_days: unparseable(detail),
        key_algorithm: unparseable(detail),
        key_bits: unparseable(detail),
        signature_algorithm: unparseable(detail),
        signature_hash: unparseable(detail),
        is_ca: unparseable(detail),
        self_signed: unparseable(detail),
    }
}

fn describe(
    certificate: &X509Certificate<'_>,
    position: usize,
    now: Timestamp,
    sha256: String,
) -> Certificate {
    let self_signed = self_signed(certificate);
    let first_second = certificate.validity().not_before.timestamp();
    let last_second = certificate.validity().not_after.timestamp();
    // RFC 5280: the period includes both its first and its last second.
    let lifetime_seconds = last_second
        .saturating_sub(first_second)
        .saturating_add(1)
        .max(0);
    let (key_algorithm, key_bits) = algorithms::key(certificate.public_key());
    let (signature_algorithm, signature_hash) =
        algorithms::signature(&certificate.signature_algorithm);
    Certificate {
        role: match (position, self_signed) {
            (0, _) => Role::Leaf,
            (_, true) => Role::Root,
            (_, false) => Role::Intermediate,
        },
        sha256,
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        serial: text(certificate.raw_serial_as_string()),
        not_before: Observed::Value(timestamp(first_second)),
        not_after: Observed::Value(timestamp(last_second)),
        days_left: Observed::Value(days(last_second.saturating_sub(now.as_second()))),
        lifetime_days: Observed::Value(days(lifetime_seconds)),
        key_algorithm,
        key_bits,
        signature_algorithm,
        signature_hash,
        is_ca: is_ca(certificate),
        self_signed: Observed::Value(self_signed),
    }
}

/// Days with three decimals, rounded down, so that what has expired never reads as zero.
#[expect(
    clippy::cast_precision_loss,
    reason = "certificates span at most 10,000 years"
)]
fn days(seconds: i64) -> f64 {
    (seconds as f64 / SECONDS_PER_DAY * 1_000.0).floor() / 1_000.0
}

/// A certificate's second; years beyond what a timestamp holds become its bounds.
fn timestamp(second: i64) -> Timestamp {
    let bound = if second < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(second).unwrap_or(bound)
}

fn name(name: &X509Name<'_>) -> Observed<String> {
    text(name.to_string())
}

/// Text from outside without control characters, which could drive a terminal.
fn text(raw: String) -> Observed<String> {
    if raw.len() > MAX_TEXT_BYTES {
        let detail = format!("longer than {MAX_TEXT_BYTES} bytes");
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    Observed::Value(printable(raw))
}

pub(super) fn printable(raw: String) -> String {
    if raw.chars().any(char::is_control) {
        raw.chars()
            .map(|c| {
                if c.is_control() {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect()
    } else {
        raw
    }
}

fn is_ca(certificate: &X509Certificate<'_>) -> Observed<bool> {
    match certificate.basic_constraints() {
        Ok(constraints) => Observed::Value(constraints.is_some_and(|found| found.value.ca)),
        Err(error) => unparseable(&format!("basic constraints: {error}")),
    }
}

/// By names and key identifiers: the signature of a root may use what is no longer verified.
fn self_signed(certificate: &X509Certificate<'_>) -> bool {
    if certificate.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    let mut own_key = None;
    let mut issuer_key = None;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own_key = Some(id.0),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer_key = id.key_identifier.as_ref().map(|id| id.0);
            }
            _ => {}
        }
    }
    match (own_key, issuer_key) {
        (Some(own), Some(issuer)) => own == issuer,
        _ => true,
    }
}

fn sans(certificate: &X509Certificate<'_>) -> Observed<Vec<String>> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => &extension.value.general_names,
        Ok(None) => return Observed::Value(Vec::new()),
        Err(error) => return unparseable(&format!("subject alternative names: {error}")),
    };
    if names.len() > MAX_NAMES {
        let detail = format!("{} names, at most {MAX_NAMES} are shown", names.len());
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    Observed::Value(names.iter().map(|name| printable(san(name))).collect())
}

fn san(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => ip(bytes),
        GeneralName::RFC822Name(mail) => format!("email:{mail}"),
        GeneralName::URI(uri) => format!("uri:{uri}"),
        GeneralName::DirectoryName(name) => format!("dirname:{name}"),
        GeneralName::RegisteredID(id) => format!("rid:{id}"),
        GeneralName::OtherName(id, _) => format!("othername:{id}"),
        GeneralName::X400Address(_) => "x400".to_owned(),
        GeneralName::EDIPartyName(_) => "ediparty".to_owned(),
        GeneralName::Invalid(tag, _) => format!("invalid:{}", tag.0),
    }
}

fn ip(bytes: &[u8]) -> String {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(v4).to_string()
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ipv6Addr::from(v6).to_string()
    } else {
        format!("invalid:{} bytes", bytes.len())
    }
}

/// The TLS feature extension (RFC 7633) is a sequence of integers; 5 is `status_request`.
fn must_staple(certificate: &X509Certificate<'_>) -> bool {
    const TLS_FEATURE: Oid<'static> = oid!(1.3.6.1.5.5.7.1.24);
    const STATUS_REQUEST: &[u8] = &[0x02, 0x01, 0x05];
    certificate
        .extensions()
        .iter()
        .filter(|extension| extension.oid == TLS_FEATURE)
        .any(|extension| {
            extension
                .value
                .get(2..)
                .is_some_and(|features| features.chunks(3).any(|one| one == STATUS_REQUEST))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;
    use crate::probes::tls::facts::{KeyAlgorithm, SignatureHash};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    fn sample(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["a.example".to_owned()]).expect("names");
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
        change(&mut params);
        params.self_signed(&key).expect("sign").der().to_vec()
    }

    #[test]
    fn a_certificate_tells_its_names_times_and_algorithms() {
        let der = sample(|params| {
            params
                .subject_alt_names
                .push(SanType::IpAddress("192.0.2.1".parse().expect("address")));
            params
                .distinguished_name
                .push(DnType::CommonName, "bell\u{7}");
        });
        let read = read(&der, 0, at("2026-03-30T12:00:00Z"));
        assert_eq!(read.role, Role::Leaf);
        assert_eq!(read.not_after, Observed::Value(at("2026-04-01T00:00:00Z")));
        assert_eq!(read.days_left, Observed::Value(1.5));
        assert_eq!(read.lifetime_days, Observed::Value(90.0));
        assert_eq!(read.key_algorithm, Observed::Value(KeyAlgorithm::Ec));
        assert_eq!(read.key_bits, Observed::Value(256));
        assert_eq!(
            read.signature_algorithm,
            Observed::Value("ecdsa-with-SHA256".into())
        );
        assert_eq!(read.signature_hash, Observed::Value(SignatureHash::Sha256));
        assert_eq!(read.self_signed, Observed::Value(true));
        let subject = read.subject.value().expect("a subject");
        assert!(!subject.contains('\u{7}'), "{subject:?}");
        assert_eq!(
            read_leaf(&der).sans,
            Observed::Value(vec!["a.example".into(), "192.0.2.1".into()])
        );
    }

    #[test]
    fn what_expired_a_second_ago_is_negative() {
        let read = read(&sample(|_| {}), 0, at("2026-04-01T00:00:01Z"));
        assert!(*read.days_left.value().expect("days") < 0.0);
    }

    #[test]
    fn times_without_end_and_turned_around_do_not_overflow() {
        let endless = sample(|params| {
            params.not_before = date_time_ymd(1, 1, 1);
            params.not_after = date_time_ymd(9999, 12, 31);
        });
        let read_endless = read(&endless, 0, at("2026-01-01T00:00:00Z"));
        assert_eq!(read_endless.not_after, Observed::Value(Timestamp::MAX));
        assert!(*read_endless.days_left.value().expect("days") > 2_900_000.0);
        let turned = sample(|params| {
            params.not_before = date_time_ymd(2030, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        let read_turned = read(&turned, 0, at("2026-01-01T00:00:00Z"));
        assert_eq!(read_turned.lifetime_days, Observed::Value(0.0));
    }

    #[test]
    fn must_staple_is_read_from_the_tls_feature_extension() {
        const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
        let with = |content: Vec<u8>| {
            sample(|params| {
                params
                    .custom_extensions
                    .push(CustomExtension::from_oid_content(TLS_FEATURE, content));
            })
        };
        let demands = |der: &[u8]| read_leaf(der).must_staple;
        assert_eq!(demands(&sample(|_| {})), Observed::Value(false));
        assert_eq!(demands(&with(vec![48, 3, 2, 1, 5])), Observed::Value(true));
        assert_eq!(
            demands(&with(vec![48, 6, 2, 1, 17, 2, 1, 5])),
            Observed::Value(true)
        );
        assert_eq!(
            demands(&with(vec![48, 3, 2, 1, 17])),
            Observed::Value(false)
        );
        assert_eq!(demands(&with(vec![])), Observed::Value(false));
    }

    #[test]
    fn garbage_is_unknown_and_keeps_its_fingerprint() {
        let read = read(b"garbage", 1, at("2026-01-01T00:00:00Z"));
        assert_eq!(read.role, Role::Intermediate);
        assert_eq!(read.sha256.len(), 64);
        assert!(read.days_left.value().is_none());
        let mut trailing = sample(|_| {});
        trailing.push(0);
        assert!(read_leaf(&trailing).sans.value().is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(&bytes, 0, Timestamp::UNIX_EPOCH);
            read_leaf(&bytes);
        }

        #[test]
        fn damaged_certificates_are_read_without_panic(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            static SOUND: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut der = SOUND.get_or_init(|| sample(|_| {})).clone();
            for (at, value) in damage {
                let at = at.index(der.len());
                der[at] = value;
            }
            read(&der, 0, Timestamp::UNIX_EPOCH);
            read_leaf(&der);
            der.truncate(cut.index(der.len()));
            read(&der, 1, Timestamp::MAX);
            read_leaf(&der);
        }
    }
}
