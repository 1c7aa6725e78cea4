//! A connection of our own to one broker: opened, greeted and logged in, every step with a deadline
//! and every answer with a cap.

use std::collections::BTreeMap;
use std::future::pending;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::Instant;

use super::access::Access;
use super::codec::{Body, Malformed, Read, Reader};
use super::tls::secure;
use crate::net::{Dialler, NetError, within};

/// The largest answer that is read, and the most that the answers of one batch may take together.
const MAX_ANSWER_BYTES: usize = 16 << 20;
const MAX_BATCH_BYTES: usize = 32 << 20;

const STEP: &str = "kafka";
const API_VERSIONS: i16 = 18;
const UNSUPPORTED_VERSION: i16 = 35;

/// Why a broker does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) kind: Kind,
    pub(in super::super) text: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// This host has no way there, or no name for it.
    Ours,
    /// Nobody listens there.
    Dead,
    /// No answer came in time.
    Silent,
    /// The connection ended.
    Broken,
    /// What came is no answer of a Kafka broker.
    Nonsense,
    /// TLS did not come about; another library may see that otherwise.
    Tls,
    /// It wants another client certificate, or one at all.
    Certificate,
    /// The login was refused.
    LoginRefused,
    /// The listener takes no login, or none of this mechanism.
    NoSuchLogin,
    /// It cannot be asked this.
    Unsupported,
}

impl Problem {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    pub(super) fn nonsense() -> Self {
        Self::new(Kind::Nonsense, "not the answer of a Kafka broker")
    }
}

impl From<NetError> for Problem {
    fn from(error: NetError) -> Self {
        let kind = match &error {
            NetError::Resolve { .. } | NetError::NoRoute { .. } | NetError::Exhausted(_) => {
                Kind::Ours
            }
            NetError::Refused(_) => Kind::Dead,
            NetError::Filtered { .. } | NetError::Silent { .. } => Kind::Silent,
            NetError::Broken { detail, .. } if wants_certificate(detail) => Kind::Certificate,
            NetError::Broken {
                step: "tls handshake",
                ..
            } => Kind::Tls,
            NetError::Broken { .. } => Kind::Broken,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Self {
        Self::nonsense()
    }
}

/// An alert that says that a client certificate is missing, or is not taken.
fn wants_certificate(detail: &str) -> bool {
    [
        "CertificateRequired",
        "BadCertificate",
        "AccessDenied",
        "UnknownCA",
    ]
    .iter()
    .any(|alert| detail.contains(&format!("fatal alert: {alert}")))
}

/// A request.
pub(super) struct Request {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) flexible: bool,
    pub(super) body: Body,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Answer {
    /// Reads it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> Read<T> {
        read(&mut Reader::new(&self.bytes, self.flexible))
    }
}

/// Bytes to and fro.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection.
pub(in super::super) struct Link {
    stream: Box<dyn Stream>,
    client_id: String,
    /// By key, the versions of each request that the broker takes.
    versions: BTreeMap<i16, (i16, i16)>,
    next_id: i32,
    broken: Option<Problem>,
}

impl Link {
    /// Connects and greets; there is no login yet.
    pub(super) async fn open(
        net: &Dialler,
        access: &Access,
        host: &str,
        port: u16,
        end: Instant,
    ) -> Result<Self, Problem> {
        let addresses = net.resolve(host, end).await?;
        let mut last = Problem::new(Kind::Ours, format!("{host} has no address"));
        for (index, address) in addresses.iter().enumerate() {
            let parts = u32::try_from(addresses.len() - index).unwrap_or(1);
            let share = Instant::now() + end.saturating_duration_since(Instant::now()) / parts;
            let stream = match net.connect((*address, port).into(), share).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = error.into();
                    continue;
                }
            };
            let stream = match &access.tls {
                None => Box::new(stream) as Box<dyn Stream>,
                Some(tls) => secure(net, tls, stream, host, end).await?,
            };
            let mut link = Self {
                stream,
                client_id: access.client_id.clone(),
                versions: BTreeMap::new(),
                next_id: 1,
                broken: None,
            };
            link.greet(end).await?;
            return Ok(link);
        }
        Err(last)
    }

    /// Whether nothing more can be asked over it.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Asks what the broker understands; every broker tells everybody. It is asked as the client
    /// library asks, which an answer in another form may bring down.
    async fn greet(&mut self, end: Instant) -> Result<(), Problem> {
        let mut body = Body::new(true);
        body.text(env!("CARGO_PKG_NAME"));
        body.text(env!("CARGO_PKG_VERSION"));
        body.end();
        let answer = self.ask(API_VERSIONS, 3, true, body, end).await?;
        // Whoever is too old says so in the oldest form, and only that.
        let versions = if answer.read(code)? == UNSUPPORTED_VERSION {
            let body = Body::new(false);
            let answer = self.ask(API_VERSIONS, 0, false, body, end).await?;
            answer.read(versions)?
        } else {
            answer.read(versions)?
        };
        self.versions = versions.into_iter().collect();
        Ok(())
    }

    /// The newest version of a request, up to `most`, that the broker takes.
    pub(super) fn version(&self, key: i16, most: i16) -> Option<i16> {
        let (oldest, newest) = self.versions.get(&key)?;
        let version = most.min(*newest);
        (version >= *oldest).then_some(version)
    }

    /// One request and its answer.
    pub(super) async fn ask(
        &mut self,
        key: i16,
        version: i16,
        flexible: bool,
        body: Body,
        end: Instant,
    ) -> Result<Answer, Problem> {
        let request = Request {
            key,
            version,
            flexible,
            body,
        };
        let answers = self.ask_all(vec![request], end).await;
        let none = || Err(Problem::nonsense());
        answers.into_iter().next().unwrap_or_else(none)
    }

    /// Requests one after the other, without waiting for answers in between; the answers in their
    /// order. After the first that does not come there is none.
    pub(super) async fn ask_all(
        &mut self,
        requests: Vec<Request>,
        end: Instant,
    ) -> Vec<Result<Answer, Problem>> {
        let count = requests.len();
        if let Some(problem) = &self.broken {
            return (0..count).map(|_| Err(problem.clone())).collect();
        }
        let mut message = Vec::new();
        let mut forms = Vec::with_capacity(count);
        for request in requests {
            // The first answer has no header to speak of, so that whoever is too old can give it.
            let header = request.flexible && request.key != API_VERSIONS;
            forms.push((self.next_id, request.flexible, header));
            frame(&mut message, &self.client_id, self.next_id, request);
            self.next_id = self.next_id.wrapping_add(1);
        }
        // Until all are there: whoever stops waiting leaves a connection that is of no use.
        self.broken = Some(Problem::new(Kind::Broken, "the conversation was left"));
        let (mut reader, mut writer) = split(&mut self.stream);
        let write = async {
            let written = within(end, STEP, async {
                writer.write_all(&message).await?;
                writer.flush().await
            });
            match written.await {
                Ok(Ok(())) => pending().await,
                Ok(Err(error)) => Problem::from(NetError::from_io(STEP, &error)),
                Err(silent) => silent.into(),
            }
        };
        let mut answers = Vec::with_capacity(count);
        let read = async {
            let mut left = MAX_BATCH_BYTES;
            for (id, flexible, header) in forms {
                let bytes = receive(&mut reader, id, left, end).await?;
                left = left.saturating_sub(bytes.len());
                answers.push(Ok(unframe(bytes, flexible, header)?));
            }
            Ok(())
        };
        let problem = tokio::select! {
            read = read => read.err(),
            problem = write => Some(problem),
        };
        if let Some(problem) = &problem {
            answers.resize_with(count, || Err(problem.clone()));
        }
        self.broken = problem;
        answers
    }
}

type Versions = Vec<(i16, (i16, i16))>;

fn code(it: &mut Reader<'_>) -> Read<i16> {
    it.i16()
}

fn versions(it: &mut Reader<'_>) -> Read<Versions> {
    let code = it.i16()?;
    let list = it.list(|it| {
        let versions = (it.i16()?, (it.i16()?, it.i16()?));
        it.end()?;
        Ok(versions)
    })?;
    if code == 0 && !list.is_empty() {
        Ok(list)
    } else {
        Err(Malformed)
    }
}

fn frame(message: &mut Vec<u8>, client_id: &str, id: i32, request: Request) {
    let mut header = Body::new(false);
    header.i16(request.key);
    header.i16(request.version);
    header.i32(id);
    header.text(client_id);
    let mut header = header.into_bytes();
    if request.flexible {
        header.push(0);
    }
    let body = request.body.into_bytes();
    let length = u32::try_from(header.len() + body.len()).unwrap_or(u32::MAX);
    message.extend(length.to_be_bytes());
    message.extend(header);
    message.extend(body);
}

async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    id: i32,
    left: usize,
    end: Instant,
) -> Result<Vec<u8>, Problem> {
    let io = |error: std::io::Error| Problem::from(NetError::from_io(STEP, &error));
    let length = within(end, STEP, reader.read_u32()).await?.map_err(io)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(4..=MAX_ANSWER_BYTES).contains(&length) {
        return Err(Problem::nonsense());
    }
    if length > left {
        let text = format!("the answers take more than {MAX_BATCH_BYTES} bytes");
        return Err(Problem::new(Kind::Unsupported, text));
    }
    let answered = within(end, STEP, reader.read_i32()).await?.map_err(io)?;
    if answered != id {
        return Err(Problem::nonsense());
    }
    // It grows with what comes, not with what is announced.
    let mut bytes = Vec::new();
    let mut rest = reader.take(length as u64 - 4);
    while bytes.len() + 4 < length {
        let read = within(end, STEP, rest.read_buf(&mut bytes)).await?;
        if read.map_err(io)? == 0 {
            return Err(Problem::new(
                Kind::Broken,
                "the target closed the connection",
            ));
        }
    }
    Ok(bytes)
}

fn unframe(mut bytes: Vec<u8>, flexible: bool, header: bool) -> Result<Answer, Problem> {
    if header {
        // Tagged fields of the header; no broker sends any.
        if bytes.first() != Some(&0) {
            return Err(Problem::nonsense());
        }
        bytes.remove(0);
    }
    Ok(Answer { bytes, flexible })
}
