//! Connects to every address of a host at once, and reads the first line of what answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::Address;
use crate::evidence::{Failure, Observed, UnknownWhy, millis};
use crate::net::NetError;
use crate::probes::Context;

/// More addresses than this are not dialled; what is said about all of them is then unknown.
const MAX_ADDRESSES: usize = 8;
const MAX_BANNER_BYTES: usize = 1024;

/// What connecting met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The connection was accepted.
    Open,
    /// The connection was refused.
    Refused,
    /// Nothing came back in time.
    Filtered,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
        }
    }
}

/// What connecting to one address met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressState {
    /// The connection was accepted.
    Open,
    /// The connection was refused.
    Refused,
    /// Nothing came back in time.
    Filtered,
    /// There is no way there from this host: nothing was learnt.
    Unreachable,
}

/// Any connected stream.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// All addresses of a host.
pub struct Reached {
    pub state: State,
    pub addresses: Vec<Address>,
    /// The first connection that opened.
    pub stream: Option<Box<dyn Duplex>>,
    /// Why nothing is known about one of the addresses.
    pub unreachable: Option<String>,
}

/// The most descriptors that [`reach`] has open at once.
pub fn descriptors(host: &str) -> usize {
    if host.parse::<IpAddr>().is_ok() {
        1
    } else {
        MAX_ADDRESSES
    }
}

/// Dials every address of `host` at once.
///
/// # Errors
/// Ours, when nothing could be learnt: no address, no route, no descriptors.
pub async fn reach(
    ctx: &Context,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Reached, Failure> {
    let begun = Instant::now();
    // A slow resolver must not leave so little time that an open port looks filtered.
    let resolve_by = begun + deadline.saturating_duration_since(begun) / 2;
    let mut found = ctx.net().resolve(host, resolve_by).await?;
    if host.parse::<IpAddr>().is_err() {
        ctx.phase("dns", begun.elapsed());
    }
    let left_out = found.len().saturating_sub(MAX_ADDRESSES);
    found.truncate(MAX_ADDRESSES);
    let dials = found
        .into_iter()
        .map(|ip| dial(ctx, SocketAddr::new(ip, port), deadline));
    let mut reached = gather(join_all(dials).await)?;
    if left_out > 0 {
        let detail = format!("{left_out} more addresses of {host} were not dialled");
        reached.unreachable.get_or_insert(detail);
    }
    Ok(reached)
}

/// One address, how it answered, and the connection or the error.
struct Dialled {
    address: Address,
    outcome: Result<Box<dyn Duplex>, Failure>,
    is_exhausted: bool,
}

async fn dial(ctx: &Context, address: SocketAddr, deadline: Instant) -> Dialled {
    ctx.address(address);
    let begun = Instant::now();
    let connected = ctx.net().connect(address, deadline).await;
    let took = begun.elapsed();
    ctx.phase("connect", took);
    match connected {
        Ok(stream) => Dialled::open(address.to_string(), took, Box::new(stream)),
        Err(error) => Dialled::closed(address.to_string(), error),
    }
}

impl Dialled {
    fn open(address: String, took: Duration, stream: Box<dyn Duplex>) -> Self {
        Self {
            address: Address {
                address,
                state: AddressState::Open,
                connect_ms: Observed::Value(millis(took)),
            },
            outcome: Ok(stream),
            is_exhausted: false,
        }
    }

    fn closed(address: String, error: NetError) -> Self {
        let (state, why) = match error {
            NetError::Filtered { .. } | NetError::Silent { .. } => {
                (AddressState::Filtered, UnknownWhy::TimedOut)
            }
            // A reset in the middle of the handshake is a refusal by somebody on the way.
            NetError::Refused(_) | NetError::Broken { .. } => {
                (AddressState::Refused, UnknownWhy::NotObserved)
            }
            NetError::NoRoute { .. } | NetError::Exhausted(_) | NetError::Resolve { .. } => {
                (AddressState::Unreachable, UnknownWhy::NotObserved)
            }
        };
        let is_exhausted = matches!(error, NetError::Exhausted(_));
        let failure = Failure::from(error);
        Self {
            address: Address {
                address,
                state,
                connect_ms: Observed::unknown(why, failure.detail()),
            },
            outcome: Err(failure),
            is_exhausted,
        }
    }
}

fn gather(dialled: Vec<Dialled>) -> Result<Reached, Failure> {
    let any = |state| dialled.iter().any(|one| one.address.state == state);
    let exhausted = dialled.iter().any(|one| one.is_exhausted);
    let state = if any(AddressState::Open) {
        Some(State::Open)
    } else if exhausted {
        None
    } else if any(AddressState::Refused) {
        Some(State::Refused)
    } else if any(AddressState::Filtered) {
        Some(State::Filtered)
    } else {
        None
    };
    let mut addresses = Vec::with_capacity(dialled.len());
    let mut stream = None;
    let mut unreachable: Vec<String> = Vec::new();
    for one in dialled {
        match one.outcome {
            Ok(connected) => stream = stream.or(Some(connected)),
            Err(failure) if one.address.state == AddressState::Unreachable => {
                unreachable.push(failure.detail().to_owned());
            }
            Err(_) => {}
        }
        addresses.push(one.address);
    }
    let unreachable = (!unreachable.is_empty()).then(|| unreachable.join("; "));
    let Some(state) = state else {
        let detail = unreachable.unwrap_or_else(|| "there is no address to connect to".to_owned());
        return Err(Failure::probe(detail));
    };
    Ok(Reached {
        state,
        addresses,
        stream,
        unreachable,
    })
}

/// Connects to a unix socket.
///
/// # Errors
/// Ours, when this user may not connect to it.
pub async fn reach_unix(ctx: &Context, path: &Path, deadline: Instant) -> Result<Reached, Failure> {
    let begun = Instant::now();
    let connected = connect_unix(path, deadline).await;
    let took = begun.elapsed();
    ctx.phase("connect", took);
    let shown = path.display().to_string();
    let closed = |state, why| Address {
        address: shown.clone(),
        state,
        connect_ms: why,
    };
    let (state, address, stream): (_, _, Option<Box<dyn Duplex>>) = match connected {
        Ok(stream) => {
            let address = closed(AddressState::Open, Observed::Value(millis(took)));
            (State::Open, address, Some(Box::new(stream)))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                let why = Observed::unknown(UnknownWhy::NotObserved, format!("{shown}: {error}"));
                (State::Refused, closed(AddressState::Refused, why), None)
            }
            io::ErrorKind::TimedOut => {
                let why = Observed::unknown(UnknownWhy::TimedOut, format!("{shown}: {error}"));
                (State::Filtered, closed(AddressState::Filtered, why), None)
            }
            io::ErrorKind::PermissionDenied => {
                let detail = format!("{shown}: this user may not connect to it: {error}");
                return Err(Failure::denied(detail));
            }
            _ => return Err(Failure::probe(format!("{shown}: {error}"))),
        },
    };
    Ok(Reached {
        state,
        addresses: vec![address],
        stream,
        unreachable: None,
    })
}

/// A listener whose backlog is full does not refuse: it is asked again until the deadline.
async fn connect_unix(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    const PAUSE: Duration = Duration::from_millis(20);
    let attempts = async {
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
                other => return other,
            }
        }
    };
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "its backlog stays full");
    timeout_at(deadline, attempts).await.map_err(silent)?
}

/// Sends `text` and reads the first line of what comes.
pub async fn banner(
    mut stream: Box<dyn Duplex>,
    text: &[u8],
    deadline: Instant,
) -> Observed<String> {
    let mut line = Vec::new();
    let reading = async {
        if !text.is_empty() {
            stream.write_all(text).await?;
            stream.flush().await?;
        }
        read_line(&mut stream, &mut line).await
    };
    let end = timeout_at(deadline, reading).await;
    let detail = |count: usize| format!("no line ended before the timeout ({count} bytes came)");
    match end {
        Err(_) => Observed::unknown(UnknownWhy::TimedOut, detail(line.len())),
        Ok(Err(error)) => Observed::unknown(UnknownWhy::NotObserved, error.to_string()),
        Ok(Ok(Line::TooLong)) => Observed::unknown(
            UnknownWhy::TooLarge,
            format!("the first line is longer than {MAX_BANNER_BYTES} bytes"),
        ),
        Ok(Ok(Line::Closed)) if line.is_empty() => {
            Observed::unknown(UnknownWhy::NotObserved, "the target closed without a word")
        }
        Ok(Ok(Line::Closed | Line::Ended)) => as_text(line),
    }
}

enum Line {
    Ended,
    Closed,
    TooLong,
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin), line: &mut Vec<u8>) -> io::Result<Line> {
    let mut buffer = [0; 256];
    loop {
        let count = stream.read(&mut buffer).await?;
        let received = &buffer[..count];
        if received.is_empty() {
            return Ok(Line::Closed);
        }
        let end = received.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&received[..end.unwrap_or(count)]);
        if line.len() > MAX_BANNER_BYTES {
            return Ok(Line::TooLong);
        }
        if end.is_some() {
            return Ok(Line::Ended);
        }
    }
}

fn as_text(mut line: Vec<u8>) -> Observed<String> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match String::from_utf8(line) {
        Ok(text) => Observed::Value(text),
        Err(error) => Observed::unknown(
            UnknownWhy::Unparseable,
            format!("the first line is not UTF-8: {}", error.utf8_error()),
        ),
    }
}
