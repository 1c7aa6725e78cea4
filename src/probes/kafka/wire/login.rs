//! Logging in over a connection of our own.

use tokio::time::Instant;

use super::super::security::Mechanism;
use super::access::Login;
use super::codec::Body;
use super::link::{Kind, Link, Problem};
use super::scram::{Hash, Scram, is_server};
use crate::net::api::short;

const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const UNSUPPORTED_MECHANISM: i16 = 33;
const NO_LOGIN_HERE: i16 = 34;
/// Mechanisms that are told to people.
const MOST_NAMED: usize = 10;

/// What a listener says to a login before there is one.
pub(super) enum Offer {
    /// It takes this mechanism.
    Taken,
    /// It takes others.
    Others(Vec<String>),
    /// It takes none.
    None,
}

impl Link {
    /// Asks whether the listener takes logins, and this one.
    pub(super) async fn offer(
        &mut self,
        mechanism: Mechanism,
        end: Instant,
    ) -> Result<Offer, Problem> {
        let Some(version) = self.version(SASL_HANDSHAKE, 1) else {
            return Ok(Offer::None);
        };
        let mut body = Body::new(false);
        body.text(mechanism.as_str());
        let answer = self.ask(SASL_HANDSHAKE, version, false, body, end).await?;
        let (code, offered) = answer.read(|it| {
            let code = it.i16()?;
            Ok((code, it.list(|it| it.text().map(|name| short(name, 40)))?))
        })?;
        match code {
            0 => Ok(Offer::Taken),
            UNSUPPORTED_MECHANISM if !offered.is_empty() => Ok(Offer::Others(offered)),
            NO_LOGIN_HERE | UNSUPPORTED_MECHANISM => Ok(Offer::None),
            code => Err(Problem::new(
                Kind::Broken,
                format!("asked for its logins, the broker said error {code}"),
            )),
        }
    }

    /// Logs in.
    pub(super) async fn log_in(&mut self, login: &Login, end: Instant) -> Result<(), Problem> {
        match self.offer(login.mechanism, end).await? {
            Offer::Taken => {}
            offer => return Err(no_such_login(login.mechanism, &offer)),
        }
        let secret = login.secret.expose();
        match login.mechanism {
            Mechanism::Plain => {
                let message = format!("\0{}\0{secret}", login.username);
                self.authenticate(message.as_bytes(), end).await.map(drop)
            }
            Mechanism::OauthBearer => {
                let message = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", secret.trim());
                let said = self.authenticate(message.as_bytes(), end).await?;
                if said.is_empty() {
                    return Ok(());
                }
                // What is wrong with the token; the server then waits for one byte.
                let refused = self.authenticate(&[1], end).await;
                Err(match refused {
                    Err(problem) if problem.kind == Kind::LoginRefused => problem,
                    _ => Problem::new(Kind::LoginRefused, "the token was refused"),
                })
            }
            Mechanism::Scram256 => self.scram(Hash::Sha256, login, end).await,
            Mechanism::Scram512 => self.scram(Hash::Sha512, login, end).await,
        }
    }

    async fn scram(&mut self, hash: Hash, login: &Login, end: Instant) -> Result<(), Problem> {
        let scram = Scram::begin(hash, &login.username)
            .ok_or_else(|| Problem::new(Kind::Ours, "this agent has no random numbers"))?;
        let said = self.authenticate(scram.first().as_bytes(), end).await?;
        let challenge = String::from_utf8(said).map_err(|_| Problem::nonsense())?;
        let proven = scram.prove(login.secret.expose(), &challenge);
        let (proof, server) = proven.map_err(|text| Problem::new(Kind::Nonsense, text))?;
        let said = self.authenticate(proof.as_bytes(), end).await?;
        let said = String::from_utf8(said).map_err(|_| Problem::nonsense())?;
        if is_server(&server, &said) {
            Ok(())
        } else {
            let text = "the broker has not shown that it knows the password";
            Err(Problem::new(Kind::Nonsense, text))
        }
    }

    /// One message of a mechanism, and what the broker says to it.
    async fn authenticate(&mut self, message: &[u8], end: Instant) -> Result<Vec<u8>, Problem> {
        let version = self.version(SASL_AUTHENTICATE, 1).ok_or_else(|| {
            Problem::new(Kind::Unsupported, "the broker is too old for this login")
        })?;
        let mut body = Body::new(false);
        body.blob(message);
        let answer = self.ask(SASL_AUTHENTICATE, version, false, body, end);
        let (code, text, said) = answer.await?.read(|it| {
            let code = it.i16()?;
            let text = it.text()?.to_owned();
            Ok((code, text, it.blob()?.to_vec()))
        })?;
        match code {
            0 => Ok(said),
            _ => Err(Problem::new(
                Kind::LoginRefused,
                format!("the login was refused: error {code}: {}", short(&text, 300)),
            )),
        }
    }
}

/// Why a login of this mechanism is none here.
pub(super) fn no_such_login(mechanism: Mechanism, offer: &Offer) -> Problem {
    let text = match offer {
        Offer::Others(others) => format!(
            "the listener takes no login with {}: it offers {}",
            mechanism.as_str(),
            others[..others.len().min(MOST_NAMED)].join(", ")
        ),
        _ => "the listener takes no login: write protocol `PLAINTEXT` or `SSL`".to_owned(),
    };
    Problem::new(Kind::NoSuchLogin, text)
}
