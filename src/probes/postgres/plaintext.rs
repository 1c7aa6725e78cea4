//! Whether a server takes an unencrypted startup. Asked with a startup packet of our own, without
//! `SSLRequest`, for the same user and database as the login; no password is ever sent.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::evidence::{Observed, UnknownWhy};
use crate::net::postgres::Target;
use crate::net::postgres::tcp;
use crate::net::{NetError, within};
use crate::probes::Context;

/// What an unencrypted startup comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plain {
    /// SQLSTATE 28000, before any authentication: no line of `pg_hba.conf` takes it, or one rejects
    /// it.
    Refused,
    /// The server goes on: it asks for a password, or for nothing at all, or has tried an
    /// authentication method that failed.
    Accepted,
}

/// Protocol 3.0.
const PROTOCOL: i32 = 3 << 16;
/// The longest answer that is read.
const MAX_ANSWER_BYTES: u32 = 16 * 1024;
const STEP: &str = "unencrypted startup";

/// Asks one server. Its answer counts as a refusal only where the login over TLS of the same run
/// got through: the control is the caller's.
pub(super) async fn read(ctx: &Context, target: &Target, deadline: Instant) -> Observed<Plain> {
    let mut stream = match tcp(ctx.net(), &|at| ctx.address(at), target, deadline).await {
        Ok(stream) => stream,
        Err(failure) => {
            return Observed::unknown(UnknownWhy::NotObserved, failure.detail());
        }
    };
    let packet = startup(&target.dsn.user, &target.dsn.dbname);
    match within(deadline, STEP, exchange(&mut stream, &packet)).await {
        Ok(Ok((tag, body))) => judge(tag, &body),
        Ok(Err(error)) => {
            let error = NetError::from_io(STEP, &error);
            Observed::unknown(UnknownWhy::NotObserved, error.to_string())
        }
        Err(silent) => Observed::unknown(UnknownWhy::TimedOut, silent.to_string()),
    }
}

fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for text in [
        "user",
        user,
        "database",
        database,
        "application_name",
        "probe",
    ] {
        // A zero byte would end the text, and it cannot be in a name.
        body.extend(text.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

async fn exchange(stream: &mut TcpStream, packet: &[u8]) -> std::io::Result<(u8, Vec<u8>)> {
    stream.write_all(packet).await?;
    let tag = stream.read_u8().await?;
    let length = stream.read_u32().await?.saturating_sub(4);
    if length > MAX_ANSWER_BYTES {
        return Err(std::io::Error::other("what answers is not PostgreSQL"));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok((tag, body))
}

fn judge(tag: u8, body: &[u8]) -> Observed<Plain> {
    match tag {
        // An authentication request: whatever it asks for, it asks for it in the clear.
        b'R' => Observed::Value(Plain::Accepted),
        b'E' => {
            let field = |wanted: u8| {
                body.split(|byte| *byte == 0)
                    .find_map(|field| match field.split_first() {
                        Some((kind, text)) if *kind == wanted => {
                            Some(String::from_utf8_lossy(text).into_owned())
                        }
                        _ => None,
                    })
                    .unwrap_or_default()
            };
            let (code, message, routine) = (field(b'C'), field(b'M'), field(b'R'));
            // Poolers that demand TLS say so with a protocol violation.
            let pooler = code == "08P01" && message.to_ascii_lowercase().contains("ssl required");
            // The code is the same where an authentication method was reached and failed (`ident`);
            // where the server says it from is not, and it is not translated.
            match (code.as_str(), routine.as_str()) {
                _ if pooler => Observed::Value(Plain::Refused),
                ("28000", "ClientAuthentication") => Observed::Value(Plain::Refused),
                (_, "auth_failed") => Observed::Value(Plain::Accepted),
                _ => Observed::unknown(
                    UnknownWhy::NotObserved,
                    format!("refused for another reason, SQLSTATE {code}: {message}"),
                ),
            }
        }
        _ => Observed::unknown(UnknownWhy::Unparseable, "what answers is not PostgreSQL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_for_want_of_encryption_is_one() {
        let refused =
            b"SFATAL\0C28000\0Mno pg_hba.conf entry, no encryption\0RClientAuthentication\0\0";
        assert_eq!(judge(b'E', refused), Observed::Value(Plain::Refused));
        assert_eq!(
            judge(b'R', &[0, 0, 0, 10]),
            Observed::Value(Plain::Accepted)
        );
        let failed = b"SFATAL\0C28000\0MIdent authentication failed\0Rauth_failed\0\0";
        assert_eq!(judge(b'E', failed), Observed::Value(Plain::Accepted));
        for (tag, body) in [
            (b'E', &b"SFATAL\0C53300\0Mtoo many clients\0\0"[..]),
            (b'E', &b"SFATAL\0C28000\0Mwho knows\0\0"[..]),
            (b'E', b""),
            (b'H', b"TTP"),
        ] {
            assert!(judge(tag, body).value().is_none());
        }
    }
}
