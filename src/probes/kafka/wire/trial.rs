//! Clients that are tried: whether a listener serves one without credentials or with a wrong
//! password, and why it does not serve the probe's own. That a connection ends is no refusal: a
//! listener has refused somebody only if it has shown that it wants a login.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::security::Mechanism;
use super::access::Access;
use super::codec::{Body, Malformed};
use super::link::{Kind, Link, Problem};
use super::login::{Offer, no_such_login};
use super::visit::connect;
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::Dialler;

const METADATA: i16 = 3;

/// What a broker did.
enum Met {
    Served,
    Refused,
    /// Nobody listens there: it serves nobody.
    Dead(Unknown),
    Unknown(Unknown),
}

impl Met {
    fn of(broker: &str, problem: &Problem) -> Self {
        let why = match problem.kind {
            Kind::Silent => UnknownWhy::TimedOut,
            _ => UnknownWhy::NotObserved,
        };
        let unknown = Unknown {
            why,
            detail: format!("{broker}: {}", problem.text),
        };
        match problem.kind {
            Kind::Dead => Self::Dead(unknown),
            _ => Self::Unknown(unknown),
        }
    }
}

/// Whether any broker served; known to be none only where each that listens refused.
fn sum(met: Vec<Met>) -> Observed<bool> {
    let (mut refused, mut dead, mut unknown) = (false, None, None);
    for one in met {
        match one {
            Met::Served => return Observed::Value(true),
            Met::Refused => refused = true,
            Met::Dead(why) => dead = Some(why),
            Met::Unknown(why) => unknown = Some(why),
        }
    }
    match unknown.or(dead.filter(|_| !refused)) {
        Some(why) => why.into(),
        None => Observed::Value(false),
    }
}

/// The host and the port of one of the declared brokers.
fn place(broker: &str) -> Option<(&str, u16)> {
    let (host, port) = broker.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

async fn open(net: &Dialler, access: &Access, broker: &str, end: Instant) -> Result<Link, Problem> {
    let (host, port) =
        place(broker).ok_or_else(|| Problem::new(Kind::Ours, format!("{broker} is no address")))?;
    Link::open(net, access, host, port, end).await
}

/// Whether any of the brokers serves a client without credentials.
pub(in super::super) async fn anonymous(
    net: &Dialler,
    access: &Access,
    brokers: &[String],
    end: Instant,
) -> Observed<bool> {
    let access = access.anonymous();
    let met =
        brokers.iter().map(
            async |broker| match without_login(net, &access, broker, end).await {
                Ok(met) => met,
                Err(problem) if problem.kind == Kind::Certificate => Met::Refused,
                Err(problem) => Met::of(broker, &problem),
            },
        );
    sum(join_all(met).await)
}

/// Asks what only clients that are let in are told.
async fn without_login(
    net: &Dialler,
    access: &Access,
    broker: &str,
    end: Instant,
) -> Result<Met, Problem> {
    let mut link = open(net, access, broker, end).await?;
    let Err(problem) = metadata(&mut link, end).await else {
        return Ok(Met::Served);
    };
    if problem.kind != Kind::Broken {
        return Err(problem);
    }
    let mut link = open(net, access, broker, end).await?;
    match link.offer(Mechanism::Plain, end).await? {
        Offer::Taken | Offer::Others(_) => Ok(Met::Refused),
        Offer::None => Err(Problem::new(
            Kind::Broken,
            "it hung up, and it is no listener that wants a login",
        )),
    }
}

/// Asks for the brokers, and for no topic; none is made.
async fn metadata(link: &mut Link, end: Instant) -> Result<(), Problem> {
    let mut body = Body::new(false);
    body.length(0);
    body.i8(0);
    let answer = link.ask(METADATA, 4, false, body, end).await?;
    let told = answer.read(|it| {
        it.i32()?;
        let mut brokers = 0_usize;
        it.each(|it| {
            brokers += 1;
            it.i32()?;
            it.text()?;
            it.i32()?;
            it.text().map(drop)
        })?;
        if brokers > 0 { Ok(()) } else { Err(Malformed) }
    });
    Ok(told?)
}

/// Whether any of the brokers takes the login of `access`.
pub(in super::super) async fn served(
    net: &Dialler,
    access: &Access,
    brokers: &[String],
    end: Instant,
) -> Observed<bool> {
    let met = brokers.iter().map(async |broker| {
        let Some((host, port)) = place(broker) else {
            return Met::of(broker, &Problem::nonsense());
        };
        match connect(net, access, host, port, end).await {
            Ok(mut link) => match metadata(&mut link, end).await {
                Ok(()) => Met::Served,
                Err(problem) => Met::of(broker, &problem),
            },
            Err(problem) if problem.kind == Kind::LoginRefused => Met::Refused,
            Err(problem) => Met::of(broker, &problem),
        }
    });
    sum(join_all(met).await)
}

/// Why nothing was seen, where it is that listener and `security` do not fit.
pub(in super::super) async fn diagnosis(
    net: &Dialler,
    access: &Access,
    brokers: &[String],
    end: Instant,
) -> Option<Failure> {
    let reasons = brokers
        .iter()
        .map(|broker| misfit(net, access, broker, end));
    let mut reasons = join_all(reasons).await.into_iter().flatten();
    reasons
        .next()
        .map(|text| Failure::denied(format!("the login was refused: {text}")))
}

async fn misfit(net: &Dialler, access: &Access, broker: &str, end: Instant) -> Option<String> {
    // The question comes before any login: nothing secret is sent.
    let mut link = open(net, &access.anonymous(), broker, end).await.ok()?;
    let mechanism = access.login.as_ref().map(|login| login.mechanism);
    let offer = link.offer(mechanism.unwrap_or(Mechanism::Plain), end).await;
    let offered = match (offer.ok()?, mechanism) {
        (Offer::Taken, Some(_)) | (Offer::None, None) => return None,
        (offer, Some(mechanism)) => return Some(no_such_login(mechanism, &offer).text),
        (Offer::Taken, None) => Mechanism::Plain.as_str().to_owned(),
        (Offer::Others(others), None) => others.into_iter().take(10).collect::<Vec<_>>().join(", "),
    };
    Some(format!(
        "the listener wants a login ({offered}), and the probe has none: write protocol \
         `SASL_PLAINTEXT` or `SASL_SSL` and a login in `security`"
    ))
}

/// The brokers that the client library may be let loose on: all but those that have shown that they
/// are none. A malformed greeting ends the whole process there.
///
/// # Errors
/// When none is left.
pub(in super::super) async fn no_impostors(
    net: &Dialler,
    access: &Access,
    brokers: &[String],
    end: Instant,
) -> Result<Vec<String>, Failure> {
    let access = access.anonymous();
    let greeted = brokers.iter().map(|broker| open(net, &access, broker, end));
    let greeted = join_all(greeted).await;
    let mut impostor = None;
    let mut left = Vec::new();
    for (broker, link) in brokers.iter().zip(greeted) {
        match link {
            Err(problem) if problem.kind == Kind::Nonsense => {
                impostor.get_or_insert(format!("{broker}: {}", problem.text));
            }
            _ => left.push(broker.clone()),
        }
    }
    match impostor {
        Some(text) if left.is_empty() => Err(Failure::target(text)),
        _ => Ok(left),
    }
}
