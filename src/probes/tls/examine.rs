//! Everything about one address.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::time::Instant;

use super::certificate::{self, LeafDetails};
use super::facts::{Certificate, ClientCertificate, Protocol, State};
use super::handshake::{Attempt, Client, Negotiated};
use super::problem::Problem;
use super::verify::{self, Expected, Verdict};
use super::versions::{self, Finding};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::{PeerChain, Roots};

/// More certificates than this are no chain.
const MAX_CERTIFICATES: usize = 32;

/// When the parts of an examination must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// The main handshake.
    pub handshake: Instant,
    /// The questions about versions, which come after it.
    pub versions: Instant,
}

/// What was found at one address.
#[derive(Debug, Clone)]
pub struct Report {
    /// The address.
    pub address: SocketAddr,
    /// What was met.
    pub state: Observed<State>,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// What a certificate told, when one was presented.
    pub seen: Option<Seen>,
    /// TLS 1.0 to 1.3.
    pub versions: [Finding; 4],
    /// Whether SMTP offered AUTH in the clear.
    pub plaintext_auth: Option<bool>,
    /// The steps of the main handshake and how long they took.
    pub phases: Vec<(&'static str, Duration)>,
}

/// What a handshake that got as far as a certificate showed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The chain as sent.
    pub chain: Observed<Vec<Certificate>>,
    /// The first certificate.
    pub leaf: Certificate,
    /// What only the leaf tells.
    pub details: LeafDetails,
    /// Trust and name.
    pub verdict: Verdict,
    /// Whether an OCSP response was stapled.
    pub ocsp_stapled: bool,
    /// What was negotiated.
    pub negotiated: Observed<Negotiated>,
    /// What the server made of client certificates.
    pub client_certificate: Observed<ClientCertificate>,
}

impl Report {
    /// An address beyond the number of those that are examined.
    pub fn not_examined(address: SocketAddr, why: &str) -> Self {
        Self {
            address,
            state: Observed::unknown(UnknownWhy::TooLarge, why),
            error: why.to_owned(),
            seen: None,
            versions: [(); 4].map(|()| Finding::not_asked(why)),
            plaintext_auth: None,
            phases: Vec::new(),
        }
    }
}

/// Examines one address: a handshake with everything on offer, then the single versions.
///
/// # Errors
/// A probe error when we cannot offer TLS at all.
pub async fn examine(
    client: &Client<'_>,
    address: SocketAddr,
    deadlines: Deadlines,
) -> Result<Report, Failure> {
    client.ctx.address(address);
    let attempt = client
        .handshake(address, rustls::ALL_VERSIONS, deadlines.handshake)
        .await?;
    let versions = Box::pin(ask_versions(client, address, &attempt, deadlines.versions)).await?;
    let roots = client.ctx.net().root_store(&client.profile.roots)?;
    Ok(report(client, &roots, address, attempt, versions))
}

async fn ask_versions(
    client: &Client<'_>,
    address: SocketAddr,
    attempt: &Attempt,
    deadline: Instant,
) -> Result<[Finding; 4], Failure> {
    let state = attempt
        .problem
        .as_ref()
        .map_or(Some(State::Ok), |problem| problem.state.value().copied());
    let speaks_tls = attempt.chain.is_some()
        || matches!(
            state,
            Some(State::Ok | State::HandshakeFailed | State::Closed | State::Reset)
        );
    if !speaks_tls {
        let why = attempt
            .problem
            .as_ref()
            .map_or("no handshake", |problem| problem.detail.as_str());
        return Ok([(); 4].map(|()| Finding::not_asked(why)));
    }
    let control = proven(attempt);
    let ask = |version| async move {
        let already = attempt
            .negotiated
            .as_ref()
            .is_some_and(|negotiated| negotiated.protocol == Observed::Value(version));
        if already {
            return Ok(Finding::negotiated());
        }
        versions::ask(client, address, version, control, deadline).await
    };
    let [oldest, older, old, new] = Protocol::ALL.map(ask);
    let (oldest, older, old, new) = tokio::join!(oldest, older, old, new);
    Ok([oldest?, older?, old?, new?])
}

fn proven(attempt: &Attempt) -> bool {
    attempt.chain.as_ref().is_some_and(|chain| chain.key_proven)
}

fn report(
    client: &Client<'_>,
    roots: &RootCertStore,
    address: SocketAddr,
    attempt: Attempt,
    versions: [Finding; 4],
) -> Report {
    let state = match &attempt.problem {
        _ if proven(&attempt) => Observed::Value(State::Ok),
        Some(problem) => problem.state.clone(),
        None => Observed::Value(State::Ok),
    };
    let error = attempt
        .problem
        .as_ref()
        .map(|problem| problem.detail.clone())
        .unwrap_or_default();
    let plaintext_auth = attempt.preamble.plaintext_auth;
    let Attempt {
        chain,
        negotiated,
        problem,
        client_certificate,
        phases,
        ..
    } = attempt;
    let seen = chain.map(|chain| {
        let expected = Expected {
            roots,
            private: matches!(client.profile.roots, Roots::Bundle(_)),
            name: client.name,
            now: client.ctx.now(),
        };
        let unfinished = problem.as_ref().map(unfinished);
        let missing = || {
            unfinished
                .clone()
                .unwrap_or_else(|| "the handshake was not completed".to_owned())
        };
        let mut seen = read_chain(&chain, &expected);
        if !chain.key_proven && seen.verdict.trust_error.is_empty() {
            seen.verdict.trust_error = format!(
                "the server did not prove that it holds the key: {}",
                missing()
            );
        }
        seen.negotiated = negotiated.map_or_else(
            || Observed::unknown(UnknownWhy::NotObserved, missing()),
            Observed::Value,
        );
        seen.client_certificate = client_certificate
            .unwrap_or_else(|| Observed::unknown(UnknownWhy::NotObserved, missing()));
        seen
    });
    Report {
        address,
        state,
        error,
        seen,
        versions,
        plaintext_auth,
        phases,
    }
}

fn unfinished(problem: &Problem) -> String {
    format!("the handshake was not completed: {}", problem.detail)
}

fn read_chain(chain: &PeerChain, expected: &Expected<'_>) -> Seen {
    let leaf_der = chain.certificates.first().map_or(&[][..], |leaf| leaf);
    // Reading is bounded; verifying is bounded by the verifier's own budgets.
    let read: Vec<Certificate> = chain
        .certificates
        .iter()
        .take(MAX_CERTIFICATES)
        .enumerate()
        .map(|(position, der)| certificate::read(der, position, expected.now))
        .collect();
    let verdict = verify::verify(&chain.certificates, &read, expected);
    let leaf = read
        .first()
        .cloned()
        .unwrap_or_else(|| certificate::read(leaf_der, 0, expected.now));
    let count = chain.certificates.len();
    let entries = if count > MAX_CERTIFICATES {
        let detail = format!("{count} certificates, at most {MAX_CERTIFICATES} are read");
        Observed::unknown(UnknownWhy::TooLarge, detail)
    } else {
        Observed::Value(read)
    };
    Seen {
        chain: entries,
        leaf,
        details: certificate::read_leaf(leaf_der),
        verdict,
        ocsp_stapled: !chain.ocsp_response.is_empty(),
        negotiated: Observed::unknown(UnknownWhy::NotObserved, ""),
        client_certificate: Observed::unknown(UnknownWhy::NotObserved, ""),
    }
}
