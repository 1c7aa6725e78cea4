//! From reports about addresses to the facts about the name.
//!
//! What has to hold everywhere is false as soon as one address says so; what has one value is
//! unknown where addresses disagree. Addresses that answered are counted; those that did not are the
//! business of `addresses`. An address that we could not look at makes unknown what it might change.

use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};

use super::examine::{Report, Seen};
use super::facts::{
    Address, Certificate, ClientCertificate, Facts, Protocol, Role, State, Support, Versions,
};
use super::versions::Finding;

/// The facts, or why there are none.
///
/// # Errors
/// When no address presented a certificate: the target's fault, unless no address could be tried.
pub fn summarise(reports: &[Report]) -> Result<Facts, Failure> {
    let seen: Vec<&Seen> = reports.iter().filter_map(|one| one.seen.as_ref()).collect();
    if seen.is_empty() {
        return Err(nothing_seen(reports));
    }
    let blind = reports.iter().find_map(|report| match &report.state {
        Observed::Unknown(unknown) => Some(unknown.clone()),
        Observed::Value(_) => None,
    });
    let over = Over { seen, blind };
    let chain = over.chain();
    let first_to_expire = chain.clone().and_then(|chain| first_to_expire(&chain));
    Ok(Facts {
        addresses: reports.iter().map(address).collect(),
        trusted: over.all(|seen| Observed::Value(seen.verdict.trust_error.is_empty())),
        trust_error: over.errors(|seen| Observed::Value(seen.verdict.trust_error.clone())),
        hostname_matches: over.all(|seen| {
            let error = seen.verdict.hostname_error.clone();
            error.map(|error| error.is_empty())
        }),
        hostname_error: over.errors(|seen| seen.verdict.hostname_error.clone()),
        min_days_left: first_to_expire
            .clone()
            .and_then(|one| one.days_left.map(whole_days)),
        not_after: first_to_expire.and_then(|one| one.not_after),
        leaf_not_after: over.least(|seen| seen.leaf.not_after.clone()),
        lifetime_days: over.same("lifetimes", |seen| seen.leaf.lifetime_days.clone()),
        subject: over.same("subjects", |seen| seen.leaf.subject.clone()),
        issuer: over.same("issuers", |seen| seen.leaf.issuer.clone()),
        sans: over.same("names", |seen| seen.details.sans.clone()),
        leaf_fingerprints: over.fingerprints(),
        must_staple: over.any(|seen| seen.details.must_staple.clone()),
        ocsp_stapled: over.all(|seen| Observed::Value(seen.ocsp_stapled)),
        protocol: over.same("versions", |seen| {
            seen.negotiated.clone().and_then(|one| one.protocol)
        }),
        cipher_suite: over.same("cipher suites", |seen| {
            seen.negotiated.clone().map(|one| one.cipher_suite)
        }),
        alpn: over.same("protocols", |seen| {
            seen.negotiated.clone().map(|one| one.alpn)
        }),
        client_certificate: over.client_certificate(),
        versions: versions(reports),
        plaintext_auth_offered: plaintext_auth(reports),
        chain,
    })
}

/// The reports that have something to say, and the reason why others have not.
struct Over<'a> {
    seen: Vec<&'a Seen>,
    blind: Option<Unknown>,
}

impl Over<'_> {
    /// False where any is false; true where all are and none was hidden.
    fn all(&self, of: impl Fn(&Seen) -> Observed<bool>) -> Observed<bool> {
        self.decided_by(false, of)
    }

    /// True where any is true; false where none is and none was hidden.
    fn any(&self, of: impl Fn(&Seen) -> Observed<bool>) -> Observed<bool> {
        self.decided_by(true, of)
    }

    fn decided_by(&self, decisive: bool, of: impl Fn(&Seen) -> Observed<bool>) -> Observed<bool> {
        let mut unknown = self.blind.clone();
        for seen in &self.seen {
            match of(seen) {
                Observed::Value(value) if value == decisive => return Observed::Value(decisive),
                Observed::Value(_) => {}
                Observed::Unknown(why) => unknown = Some(why),
            }
        }
        unknown.map_or(Observed::Value(!decisive), Observed::Unknown)
    }

    /// The value that all share.
    fn same<T: PartialEq>(&self, what: &str, of: impl Fn(&Seen) -> Observed<T>) -> Observed<T> {
        let mut shared: Option<T> = None;
        for seen in &self.seen {
            match (of(seen), &shared) {
                (Observed::Unknown(unknown), _) => return unknown.into(),
                (Observed::Value(value), None) => shared = Some(value),
                (Observed::Value(value), Some(first)) if value == *first => {}
                (Observed::Value(_), Some(_)) => {
                    let detail = format!("the addresses have different {what}");
                    return Observed::unknown(UnknownWhy::Inconsistent, detail);
                }
            }
        }
        self.unless_blind(shared)
    }

    fn least<T: Ord>(&self, of: impl Fn(&Seen) -> Observed<T>) -> Observed<T> {
        let mut least: Option<T> = None;
        for seen in &self.seen {
            match of(seen) {
                Observed::Unknown(unknown) => return unknown.into(),
                Observed::Value(value) => {
                    least = Some(match least {
                        Some(before) => before.min(value),
                        None => value,
                    });
                }
            }
        }
        self.unless_blind(least)
    }

    fn unless_blind<T>(&self, value: Option<T>) -> Observed<T> {
        match (&self.blind, value) {
            (Some(unknown), _) => unknown.clone().into(),
            (None, Some(value)) => Observed::Value(value),
            (None, None) => Observed::unknown(UnknownWhy::NotObserved, "no certificate"),
        }
    }

    /// Every certificate once, in the order in which they came.
    fn chain(&self) -> Observed<Vec<Certificate>> {
        let mut all: Vec<Certificate> = Vec::new();
        for seen in &self.seen {
            match &seen.chain {
                Observed::Unknown(unknown) => return unknown.clone().into(),
                Observed::Value(chain) => {
                    for certificate in chain {
                        if !all.contains(certificate) {
                            all.push(certificate.clone());
                        }
                    }
                }
            }
        }
        self.unless_blind(Some(all))
    }

    /// What is wrong, each thing once; empty where nothing is and nothing was hidden.
    fn errors(&self, of: impl Fn(&Seen) -> Observed<String>) -> Observed<String> {
        let mut errors: Vec<String> = Vec::new();
        let mut unknown = self.blind.clone();
        for seen in &self.seen {
            match of(seen) {
                Observed::Value(error) if error.is_empty() || errors.contains(&error) => {}
                Observed::Value(error) => errors.push(error),
                Observed::Unknown(why) => unknown = Some(why),
            }
        }
        match unknown {
            Some(unknown) if errors.is_empty() => unknown.into(),
            _ => Observed::Value(errors.join("; ")),
        }
    }

    fn fingerprints(&self) -> Vec<String> {
        let mut all = Vec::new();
        for seen in &self.seen {
            if !all.contains(&seen.leaf.sha256) {
                all.push(seen.leaf.sha256.clone());
            }
        }
        all
    }

    fn client_certificate(&self) -> Observed<ClientCertificate> {
        let refused = Observed::Value(ClientCertificate::Refused);
        if self
            .seen
            .iter()
            .any(|one| one.client_certificate == refused)
        {
            return refused;
        }
        self.same("demands", |seen| seen.client_certificate.clone())
    }
}

/// The certificate below the root with the least time left.
fn first_to_expire(chain: &[Certificate]) -> Observed<Certificate> {
    let mut first: Option<(f64, &Certificate)> = None;
    for certificate in chain.iter().filter(|one| one.role != Role::Root) {
        match &certificate.days_left {
            Observed::Unknown(unknown) => return unknown.clone().into(),
            Observed::Value(days) => {
                if first.is_none_or(|(least, _)| *days < least) {
                    first = Some((*days, certificate));
                }
            }
        }
    }
    first.map_or_else(
        || Observed::unknown(UnknownWhy::NotObserved, "no certificate"),
        |(_, certificate)| Observed::Value(certificate.clone()),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "ten thousand years have fewer than four million days"
)]
fn whole_days(days: f64) -> i64 {
    days.floor() as i64
}

fn address(report: &Report) -> Address {
    let missing = || Unknown {
        why: UnknownWhy::NotObserved,
        detail: report.error.clone(),
    };
    let seen = report.seen.as_ref();
    let of = |value: Option<String>| value.map_or_else(|| missing().into(), Observed::Value);
    Address {
        address: report.address.to_string(),
        state: report.state.clone(),
        error: report.error.clone(),
        protocol: seen.map_or_else(
            || missing().into(),
            |seen| seen.negotiated.clone().and_then(|one| one.protocol),
        ),
        leaf_sha256: of(seen.map(|seen| seen.leaf.sha256.clone())),
        trusted: seen.map_or_else(
            || missing().into(),
            |seen| Observed::Value(seen.verdict.trust_error.is_empty()),
        ),
        version_answers: Protocol::ALL
            .iter()
            .zip(&report.versions)
            .map(|(version, finding)| format!("{}: {}", version.name(), finding.answer))
            .collect(),
    }
}

fn versions(reports: &[Report]) -> Versions {
    Versions {
        tls1_0: deprecated(reports, |[oldest, ..]| oldest),
        tls1_1: deprecated(reports, |[_, older, ..]| older),
        tls1_2: agreed(reports, |[_, _, old, _]| old),
        tls1_3: agreed(reports, |[.., new]| new),
    }
}

/// Addresses that could tell, or that we could not ask.
fn asked(reports: &[Report]) -> impl Iterator<Item = &Report> {
    reports
        .iter()
        .filter(|report| report.seen.is_some() || report.state.value().is_none())
}

fn deprecated(reports: &[Report], of: impl Fn(&[Finding; 4]) -> &Finding) -> Observed<Support> {
    let accepted = Observed::Value(Support::Accepted);
    if reports
        .iter()
        .any(|report| of(&report.versions).support == accepted)
    {
        return accepted;
    }
    agreed(reports, of)
}

fn agreed(reports: &[Report], of: impl Fn(&[Finding; 4]) -> &Finding) -> Observed<Support> {
    let mut shared: Option<Support> = None;
    for report in asked(reports) {
        match (&of(&report.versions).support, shared) {
            (Observed::Unknown(unknown), _) => return unknown.clone().into(),
            (Observed::Value(one), None) => shared = Some(*one),
            (Observed::Value(one), Some(first)) if *one == first => {}
            (Observed::Value(_), Some(_)) => {
                let detail = "some addresses accept it, others do not";
                return Observed::unknown(UnknownWhy::Inconsistent, detail);
            }
        }
    }
    shared.map_or_else(
        || Observed::unknown(UnknownWhy::NotObserved, "no address was asked"),
        Observed::Value,
    )
}

fn plaintext_auth(reports: &[Report]) -> Observed<bool> {
    let mut offers = reports.iter().filter_map(|report| report.plaintext_auth);
    let unheard = reports.iter().find(|report| {
        report.plaintext_auth.is_none() && report.state == Observed::Value(State::StarttlsFailed)
    });
    match (offers.next(), unheard) {
        (Some(first), _) if first || offers.any(|offered| offered) => Observed::Value(true),
        (_, Some(report)) => Observed::unknown(
            UnknownWhy::NotObserved,
            format!("{} did not get as far as STARTTLS", report.address),
        ),
        (Some(_), None) => Observed::Value(false),
        (None, None) => {
            Observed::unknown(UnknownWhy::NotApplicable, "only with starttls = \"smtp\"")
        }
    }
}

fn nothing_seen(reports: &[Report]) -> Failure {
    let mut details: Vec<String> = Vec::new();
    for report in reports {
        details.push(format!(
            "{}: {}{}",
            report.address,
            report.error,
            only_older(report)
        ));
    }
    let detail = details.join("; ");
    let ours = reports.iter().all(|report| {
        matches!(
            report.state,
            Observed::Unknown(_) | Observed::Value(State::NoRoute)
        )
    });
    if ours {
        Failure::probe(detail)
    } else {
        Failure::target(detail)
    }
}

/// What an address without a handshake accepts nevertheless.
fn only_older(report: &Report) -> String {
    let accepted: Vec<&str> = Protocol::ALL
        .into_iter()
        .zip(&report.versions)
        .filter(|(_, finding)| finding.support == Observed::Value(Support::Accepted))
        .map(|(version, _)| version.name())
        .collect();
    if accepted.is_empty() {
        return String::new();
    }
    let newest_is_deprecated = !accepted.contains(&"TLS 1.2") && !accepted.contains(&"TLS 1.3");
    let accepted = accepted.join(" and ");
    if newest_is_deprecated {
        format!(" (it only offers {accepted}, which must not be used: RFC 8996)")
    } else {
        format!(" (a hello with every old cipher suite and without ALPN is accepted: {accepted})")
    }
}
