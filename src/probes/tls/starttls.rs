//! What has to be said in the clear before TLS can begin.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::smtp::{MAX_REPLY_BYTES, Parsed, Reply, parse_reply};
use crate::net::{NetError, within};

/// A protocol that switches to TLS after a few words in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Starttls {
    /// PostgreSQL's `SSLRequest`.
    Postgres,
    /// SMTP's EHLO and STARTTLS.
    Smtp,
}

/// What was learnt on the way to TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preamble {
    /// Whether SMTP offered AUTH in the clear.
    pub plaintext_auth: Option<bool>,
}

/// Why TLS could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StarttlsError {
    /// The connection broke or stayed silent.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The server speaks and does not want TLS, or speaks something else.
    #[error("{0}")]
    Refused(String),
}

/// `SSLRequest`: its length and the number that PostgreSQL gave it.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl Starttls {
    /// Speaks the preamble; afterwards the next byte on `stream` belongs to TLS.
    pub async fn negotiate(
        self,
        stream: &mut TcpStream,
        deadline: Instant,
    ) -> Result<Preamble, StarttlsError> {
        match self {
            Self::Postgres => postgres(stream, deadline).await,
            Self::Smtp => smtp(stream, deadline).await,
        }
    }
}

async fn postgres(stream: &mut TcpStream, deadline: Instant) -> Result<Preamble, StarttlsError> {
    const STEP: &str = "PostgreSQL SSLRequest";
    write(stream, STEP, &SSL_REQUEST, deadline).await?;
    // One byte and no more: whatever follows must already be protected.
    let answer = within(deadline, STEP, stream.read_u8())
        .await?
        .map_err(|error| NetError::from_io(STEP, &error))?;
    match answer {
        b'S' => Ok(Preamble::default()),
        b'N' => Err(refused(
            "the PostgreSQL server does not offer TLS (ssl = off)",
        )),
        b'E' => Err(refused(
            "the PostgreSQL server answered SSLRequest with an error",
        )),
        _ => Err(refused("what answers SSLRequest is not PostgreSQL")),
    }
}

async fn smtp(stream: &mut TcpStream, deadline: Instant) -> Result<Preamble, StarttlsError> {
    let mut unread = Vec::new();
    let greeting = read_reply(stream, "SMTP greeting", &mut unread, deadline).await?;
    expect(&greeting, 220, "greeting")?;

    let name = address_literal(stream.local_addr().ok());
    write(
        stream,
        "SMTP EHLO",
        format!("EHLO {name}\r\n").as_bytes(),
        deadline,
    )
    .await?;
    let ehlo = read_reply(stream, "SMTP EHLO", &mut unread, deadline).await?;
    expect(&ehlo, 250, "EHLO")?;
    if !ehlo.offers("STARTTLS") {
        return Err(refused("the SMTP server does not offer STARTTLS"));
    }

    write(stream, "SMTP STARTTLS", b"STARTTLS\r\n", deadline).await?;
    let ready = read_reply(stream, "SMTP STARTTLS", &mut unread, deadline).await?;
    expect(&ready, 220, "STARTTLS")?;
    if !unread.is_empty() {
        return Err(refused(
            "the SMTP server sent unprotected bytes after its answer to STARTTLS",
        ));
    }
    Ok(Preamble {
        plaintext_auth: Some(ehlo.offers("AUTH")),
    })
}

/// How a client without a name of its own introduces itself (RFC 5321 section 4.1.3).
fn address_literal(local: Option<SocketAddr>) -> String {
    match local.map(|local| local.ip().to_canonical()) {
        Some(IpAddr::V4(v4)) => format!("[{v4}]"),
        Some(IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}

fn expect(reply: &Reply, code: u16, step: &str) -> Result<(), StarttlsError> {
    if reply.code == code {
        return Ok(());
    }
    Err(refused(format!(
        "the SMTP server answered {step} with {}",
        reply.shown()
    )))
}

fn refused(detail: impl Into<String>) -> StarttlsError {
    StarttlsError::Refused(detail.into())
}

async fn write(
    stream: &mut TcpStream,
    step: &'static str,
    bytes: &[u8],
    deadline: Instant,
) -> Result<(), NetError> {
    within(deadline, step, stream.write_all(bytes))
        .await?
        .map_err(|error| NetError::from_io(step, &error))
}

async fn read_reply(
    stream: &mut TcpStream,
    step: &'static str,
    unread: &mut Vec<u8>,
    deadline: Instant,
) -> Result<Reply, StarttlsError> {
    loop {
        match parse_reply(unread) {
            Parsed::Reply(reply, used) => {
                unread.drain(..used);
                return Ok(reply);
            }
            Parsed::NotSmtp(detail) => return Err(refused(format!("{step}: {detail}"))),
            Parsed::Incomplete => {}
        }
        let mut piece = [0; 1024];
        let room = MAX_REPLY_BYTES
            .saturating_sub(unread.len())
            .min(piece.len());
        let count = within(deadline, step, stream.read(&mut piece[..room]))
            .await?
            .map_err(|error| NetError::from_io(step, &error))?;
        if count == 0 {
            return Err(refused(format!("{step}: the target closed the connection")));
        }
        unread.extend(&piece[..count]);
    }
}
