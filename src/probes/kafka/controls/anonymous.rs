//! A client without credentials, spoken by hand: that a broker takes the first question of the
//! protocol and hangs up on the second is a refusal that can be told from a broken network.

use std::sync::Arc;

use futures_util::future::join_all;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::{NetError, Roots, TlsProfile, within};
use crate::probes::Context;

/// Nothing that is asked here has an answer of this size.
const MAX_ANSWER_BYTES: u32 = 1 << 20;
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
/// The brokers, and no topic; none is made.
const NO_TOPIC: &[u8] = &[0, 0, 0, 0, 0];

/// What a broker did.
enum Met {
    Served,
    Refused,
    /// Nobody listens there: it serves nobody.
    Dead(Unknown),
    Unknown(Unknown),
}

/// Whether any of the brokers serves a client without credentials; known to be none only where each
/// that listens refused.
pub(super) async fn served(
    ctx: &Context,
    brokers: &[String],
    tls: Option<&Roots>,
    end: Instant,
) -> Observed<bool> {
    let tls = match tls.map(|roots| unverified(ctx, roots)).transpose() {
        Ok(tls) => tls,
        Err(failure) => return Observed::unknown(UnknownWhy::NotObserved, failure.detail()),
    };
    let met = join_all((brokers.iter()).map(|broker| meet(ctx, broker, tls.clone(), end))).await;
    let (mut refused, mut dead) = (false, None);
    let mut unknown = None;
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

/// Whatever certificate the broker has: nothing secret is sent.
fn unverified(ctx: &Context, roots: &Roots) -> Result<Arc<ClientConfig>, Failure> {
    let profile = TlsProfile {
        roots: roots.clone(),
        ..TlsProfile::default()
    };
    Ok(ctx.net().recording_tls_config(&profile)?.0)
}

async fn meet(ctx: &Context, broker: &str, tls: Option<Arc<ClientConfig>>, end: Instant) -> Met {
    match talk(ctx, broker, tls, end).await {
        Ok(met) => met,
        Err(NetError::Broken { detail, .. }) if wants_certificate(&detail) => Met::Refused,
        Err(error) => {
            let why = match error {
                NetError::Silent { .. } | NetError::Filtered { .. } => UnknownWhy::TimedOut,
                _ => UnknownWhy::NotObserved,
            };
            let unknown = Unknown {
                why,
                detail: format!("{broker}: {error}"),
            };
            match error {
                NetError::Refused(_) => Met::Dead(unknown),
                _ => Met::Unknown(unknown),
            }
        }
    }
}

/// An alert that says that a client certificate is missing.
fn wants_certificate(detail: &str) -> bool {
    ["CertificateRequired", "BadCertificate", "AccessDenied"]
        .iter()
        .any(|alert| detail.contains(&format!("fatal alert: {alert}")))
}

async fn talk(
    ctx: &Context,
    broker: &str,
    tls: Option<Arc<ClientConfig>>,
    end: Instant,
) -> Result<Met, NetError> {
    let broken = |detail: &str| NetError::Broken {
        step: "kafka",
        detail: detail.to_owned(),
    };
    let (host, port) = broker
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| broken("no address"))?;
    let addresses = ctx.net().resolve(host, end).await?;
    let mut last = broken("its name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let parts = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = Instant::now() + end.saturating_duration_since(Instant::now()) / parts;
        let stream = match ctx.net().connect((*address, port).into(), share).await {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        let Some(config) = tls else {
            return ask(stream, end).await;
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host).map_err(|_| broken("its name is none"))?;
        let stream = ctx.net().handshake(stream, name, config, end).await?;
        return ask(stream, end).await;
    }
    Err(last)
}

/// Asks what everybody may ask, and then what only clients that are let in may.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    end: Instant,
) -> Result<Met, NetError> {
    exchange(&mut stream, API_VERSIONS, 0, &[], end).await?;
    match exchange(&mut stream, METADATA, 4, NO_TOPIC, end).await {
        // Correlation id, throttle time, number of brokers.
        Ok(answer) => match answer.get(8..12) {
            Some(count) if count[0] < 0x80 && count != [0; 4] => Ok(Met::Served),
            _ => Err(NetError::Broken {
                step: "kafka",
                detail: "an answer that lists no broker".to_owned(),
            }),
        },
        Err(NetError::Broken { detail, .. }) if !detail.starts_with(NONSENSE) => Ok(Met::Refused),
        Err(error) => Err(error),
    }
}

const NONSENSE: &str = "not the answer";

/// One request and its answer.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    key: i16,
    version: i16,
    body: &[u8],
    end: Instant,
) -> Result<Vec<u8>, NetError> {
    const STEP: &str = "kafka";
    const CLIENT: &[u8] = b"probe";
    let mut message = Vec::new();
    message.extend(key.to_be_bytes());
    message.extend(version.to_be_bytes());
    let id = i32::from(key).to_be_bytes();
    message.extend(id);
    message.extend([0, 5]);
    message.extend(CLIENT);
    message.extend(body);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message);
    let io = |error: std::io::Error| NetError::from_io(STEP, &error);
    within(end, STEP, stream.write_all(&framed))
        .await?
        .map_err(io)?;
    within(end, STEP, stream.flush()).await?.map_err(io)?;
    let length = within(end, STEP, stream.read_u32()).await?.map_err(io)?;
    if !(4..=MAX_ANSWER_BYTES).contains(&length) {
        return Err(nonsense(&format!("{length} bytes")));
    }
    let mut answer = vec![0; length as usize];
    let read = within(end, STEP, stream.read_exact(&mut answer)).await?;
    read.map_err(io)?;
    if answer[..4] != id {
        return Err(nonsense("another request's"));
    }
    Ok(answer)
}

fn nonsense(detail: &str) -> NetError {
    NetError::Broken {
        step: "kafka",
        detail: format!("{NONSENSE} of a Kafka broker: {detail}"),
    }
}
