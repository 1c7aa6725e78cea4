//! The client's side of SCRAM (RFC 5802), with SHA-256 and SHA-512.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Rounds that a server may ask for; more would keep a processor busy.
const MAX_ROUNDS: u32 = 200_000;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }

    fn stretch(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, digest::SHA256_OUTPUT_LEN),
            Self::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, digest::SHA512_OUTPUT_LEN),
        };
        let mut key = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut key);
        key
    }

    fn sign(self, key: &[u8], bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hmac(), key), bytes)
    }
}

/// A login that has begun.
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    bare: String,
}

impl Scram {
    /// Begins; none: this agent has no random numbers.
    pub(super) fn begin(hash: Hash, username: &str) -> Option<Self> {
        let mut bytes = [0; 24];
        rand::fill(&mut bytes).ok()?;
        Some(Self::with_nonce(hash, username, STANDARD.encode(bytes)))
    }

    fn with_nonce(hash: Hash, username: &str, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            bare: format!("n={username},r={nonce}"),
            nonce,
        }
    }

    /// What the client says first.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// What it says to the server's challenge, and what the server must then say.
    pub(super) fn prove(
        &self,
        password: &str,
        challenge: &str,
    ) -> Result<(String, String), &'static str> {
        let (mut nonce, mut salt, mut rounds) = (None, None, None);
        for part in challenge.split(',') {
            match part.split_once('=') {
                Some(("r", value)) => nonce = Some(value),
                Some(("s", value)) => salt = STANDARD.decode(value).ok(),
                Some(("i", value)) => rounds = value.parse::<NonZeroU32>().ok(),
                _ => {}
            }
        }
        let (Some(nonce), Some(salt), Some(rounds)) = (nonce, salt, rounds) else {
            return Err("the challenge of SCRAM lacks a nonce, a salt or a number of rounds");
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the challenge of SCRAM answers another login");
        }
        if rounds.get() > MAX_ROUNDS {
            return Err("the challenge of SCRAM wants too many rounds");
        }
        let salted = self.hash.stretch(password, &salt, rounds);
        let unproven = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{unproven}", self.bare);
        let client_key = self.hash.sign(&salted, b"Client Key");
        let stored_key = self.hash.digest(client_key.as_ref());
        let signature = self.hash.sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = (client_key.as_ref().iter().zip(signature.as_ref()))
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = self.hash.sign(&salted, b"Server Key");
        let server = self.hash.sign(server_key.as_ref(), message.as_bytes());
        Ok((
            format!("{unproven},p={}", STANDARD.encode(proof)),
            format!("v={}", STANDARD.encode(server.as_ref())),
        ))
    }
}

/// Whether the server has shown that it knows the password too.
pub(super) fn is_server(expected: &str, said: &str) -> bool {
    let said = said.split(',').next().unwrap_or_default();
    constant_time::verify_slices_are_equal(expected.as_bytes(), said.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn the_example_of_its_standard() {
        let login = Scram::with_nonce(Hash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(login.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (proof, server) = login.prove("pencil", challenge).expect("a proof");
        assert!(proof.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert!(is_server(
            &server,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        ));
        assert!(!is_server(&server, "v=AAAA"));
    }

    #[test]
    fn a_challenge_of_somebody_else_or_without_end_is_not_answered() {
        let login = Scram::begin(Hash::Sha512, "a,b=c").expect("random numbers");
        assert!(login.first().starts_with("n,,n=a=2Cb=3Dc,r="));
        for challenge in [
            "",
            "r=other,s=AAAA,i=1",
            &format!("r={}x,s=AAAA,i=4000000000", login.nonce),
            &format!("r={}x,s=AAAA,i=0", login.nonce),
            &format!("r={},s=AAAA,i=1", login.nonce),
        ] {
            assert!(login.prove("p", challenge).is_err(), "{challenge}");
        }
    }
}
