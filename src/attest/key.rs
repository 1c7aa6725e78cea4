//! Keys in PEM: Ed25519 and ECDSA P-256.
//!
//! No error names anything of a key's content: the caller says which file it is.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest as _, Sha256};
use x509_parser::asn1_rs::{Any, FromDer as _, Integer, Oid, oid};
use x509_parser::pem::Pem;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// Why a file holds no key that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There is no PEM in it.
    #[error("it holds no PEM: a key begins with `-----BEGIN {0}-----`")]
    NotPem(&'static str),
    /// There is more than one block of PEM in it.
    #[error("it holds more than one block of PEM: keep one key in a file of its own")]
    Several,
    /// It is encrypted.
    #[error(
        "the private key is encrypted, and there is nobody to ask for its password: decrypt it with `openssl pkcs8 -in OLD -out NEW`"
    )]
    Encrypted,
    /// It is in an older form.
    #[error(
        "the private key is not in PKCS#8: write it anew with `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW`"
    )]
    NotPkcs8,
    /// A private key was given where a public one is wanted.
    #[error(
        "it is a private key: who verifies needs the public one alone, which `openssl pkey -in PRIVATE -pubout` prints"
    )]
    Private,
    /// A public key was given where a private one is wanted.
    #[error("it is a public key: signing needs the private one")]
    Public,
    /// A certificate.
    #[error(
        "it is a certificate, not a key: `openssl x509 -in CERTIFICATE -noout -pubkey` prints the public key in it"
    )]
    Certificate,
    /// Some other block of PEM.
    #[error("it holds something else than a key in PKCS#8 or a public key")]
    OtherBlock,
    /// Another algorithm.
    #[error("the key is of another algorithm ({0}): use Ed25519 or ECDSA P-256")]
    Algorithm(String),
    /// It cannot be decoded, or its parts do not fit.
    #[error("the key in it is damaged")]
    Damaged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Ed25519,
    EcdsaP256,
}

impl Algorithm {
    fn of(identifier: &AlgorithmIdentifier<'_>) -> Result<Self, BadKey> {
        let curve = identifier.parameters.as_ref();
        let curve = curve.and_then(|any| Oid::try_from(any.clone()).ok());
        let other = |name: &str| Err(BadKey::Algorithm(name.to_owned()));
        let algorithm = &identifier.algorithm;
        if *algorithm == oid!(1.3.101.112) {
            return Ok(Self::Ed25519);
        }
        if *algorithm == oid!(1.2.840.113549.1.1.1) {
            return other("RSA");
        }
        if *algorithm != oid!(1.2.840.10045.2.1) {
            return other(&algorithm.to_id_string());
        }
        match curve {
            Some(curve) if curve == oid!(1.2.840.10045.3.1.7) => Ok(Self::EcdsaP256),
            Some(curve) if curve == oid!(1.3.132.0.34) => other("ECDSA P-384"),
            Some(curve) if curve == oid!(1.3.132.0.35) => other("ECDSA P-521"),
            Some(curve) => other(&format!("ECDSA over the curve {}", curve.to_id_string())),
            None => other("ECDSA over an unnamed curve"),
        }
    }
}

/// The one block of PEM in a file, of the label that is wanted.
fn block(pem: &[u8], wanted: &'static str) -> Result<Vec<u8>, BadKey> {
    let text = String::from_utf8_lossy(pem);
    let mut labels = text.lines().filter_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?;
        Some(label.split("-----").next().unwrap_or_default())
    });
    let label = labels.next().ok_or(BadKey::NotPem(wanted))?;
    if label != wanted {
        return Err(instead(label, wanted));
    }
    if labels.next().is_some() {
        return Err(BadKey::Several);
    }
    match Pem::iter_from_buffer(pem).next() {
        Some(Ok(block)) => Ok(block.contents),
        Some(Err(_)) | None => Err(BadKey::Damaged),
    }
}

/// What a block of another label is.
fn instead(label: &str, wanted: &'static str) -> BadKey {
    let private = label.ends_with("PRIVATE KEY") || label == "EC PARAMETERS";
    match (label.ends_with("CERTIFICATE"), wanted) {
        (true, _) => BadKey::Certificate,
        (_, "PRIVATE KEY") if label.starts_with("ENCRYPTED ") => BadKey::Encrypted,
        (_, "PRIVATE KEY") if private => BadKey::NotPkcs8,
        (_, "PRIVATE KEY") if label.ends_with("PUBLIC KEY") => BadKey::Public,
        (_, "PUBLIC KEY") if private => BadKey::Private,
        _ => BadKey::OtherBlock,
    }
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
}

/// A private key. It cannot be printed.
pub struct SigningKey {
    pair: Pair,
    id: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a private key: PEM, PKCS#8, not encrypted.
    ///
    /// # Errors
    /// What the file holds instead.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadKey> {
        let der = block(pem, "PRIVATE KEY")?;
        let pair = match pkcs8_algorithm(&der)? {
            Algorithm::Ed25519 => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(&der).map_err(|_| BadKey::Damaged)?)
            }
            Algorithm::EcdsaP256 => Pair::EcdsaP256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
                    .map_err(|_| BadKey::Damaged)?,
            ),
        };
        let public = match &pair {
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::EcdsaP256(pair) => pair.public_key().as_der(),
        };
        let id = key_id(public.map_err(|_| BadKey::Damaged)?.as_ref());
        Ok(Self { pair, id })
    }

    /// SHA-256 over the public key as `SubjectPublicKeyInfo`, in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs: 64 bytes for Ed25519, DER for ECDSA.
    pub(super) fn sign(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::EcdsaP256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        let signature = signature.map_err(|_| std::io::Error::other("the key cannot sign"))?;
        Ok(signature.as_ref().to_vec())
    }
}

/// The algorithm of a private key in PKCS#8.
fn pkcs8_algorithm(der: &[u8]) -> Result<Algorithm, BadKey> {
    let damaged = |_| BadKey::Damaged;
    let (_, outer) = Any::from_der(der).map_err(damaged)?;
    let (rest, _version) = Integer::from_der(outer.data).map_err(damaged)?;
    let parsed = <AlgorithmIdentifier<'_> as x509_parser::prelude::FromDer<_>>::from_der(rest);
    let (_, identifier) = parsed.map_err(|_| BadKey::Damaged)?;
    Algorithm::of(&identifier)
}

fn key_id(spki: &[u8]) -> String {
    format!("{:x}", Sha256::digest(spki))
}

/// A public key.
pub struct VerifyingKey {
    key: ParsedPublicKey,
    id: String,
}

impl VerifyingKey {
    /// Reads a public key: PEM, `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// What the file holds instead.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadKey> {
        let der = block(pem, "PUBLIC KEY")?;
        let parsed = <SubjectPublicKeyInfo<'_> as x509_parser::prelude::FromDer<_>>::from_der(&der);
        let (rest, spki) = parsed.map_err(|_| BadKey::Damaged)?;
        if !rest.is_empty() {
            return Err(BadKey::Damaged);
        }
        let algorithm: &'static dyn VerificationAlgorithm = match Algorithm::of(&spki.algorithm)? {
            Algorithm::Ed25519 => &ED25519,
            Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        };
        let key = ParsedPublicKey::new(algorithm, &*spki.subject_public_key.data)
            .map_err(|_| BadKey::Damaged)?;
        Ok(Self {
            key,
            id: key_id(&der),
        })
    }

    /// SHA-256 over the key as `SubjectPublicKeyInfo`, in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether this key has signed the message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}
