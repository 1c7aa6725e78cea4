//! Keys and signatures of certificates, by their object identifiers.

use x509_parser::asn1_rs::{Integer, Oid, Sequence, oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::certificate::{printable, unparseable};
use super::facts::{KeyAlgorithm, SignatureHash};
use crate::evidence::{Observed, UnknownWhy};

/// The type and size of a key.
pub fn key(spki: &SubjectPublicKeyInfo<'_>) -> (Observed<KeyAlgorithm>, Observed<i64>) {
    const RSA: Oid<'static> = oid!(1.2.840.113549.1.1.1);
    const RSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);
    const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
    const DSA: Oid<'static> = oid!(1.2.840.10040.4.1);
    const ED25519: Oid<'static> = oid!(1.3.101.112);
    const ED448: Oid<'static> = oid!(1.3.101.113);

    let id = &spki.algorithm.algorithm;
    let known = Observed::Value;
    if *id == RSA || *id == RSA_PSS {
        (known(KeyAlgorithm::Rsa), rsa_bits(spki))
    } else if *id == EC {
        (known(KeyAlgorithm::Ec), curve_bits(&spki.algorithm))
    } else if *id == DSA {
        (known(KeyAlgorithm::Dsa), dsa_bits(&spki.algorithm))
    } else if *id == ED25519 {
        (known(KeyAlgorithm::Ed25519), Observed::Value(256))
    } else if *id == ED448 {
        (known(KeyAlgorithm::Ed448), Observed::Value(456))
    } else {
        let detail = printable(format!("a key of an unknown type, {id}"));
        (
            Observed::unknown(UnknownWhy::Unsupported, detail.clone()),
            Observed::unknown(UnknownWhy::Unsupported, detail),
        )
    }
}

/// A key that is restricted to PSS has the same form as any RSA key.
fn rsa_bits(spki: &SubjectPublicKeyInfo<'_>) -> Observed<i64> {
    RSAPublicKey::from_der(&spki.subject_public_key.data).map_or_else(
        |_| unparseable("the RSA key cannot be read"),
        |(_, key)| Observed::Value(bit_length(key.modulus)),
    )
}

fn dsa_bits(algorithm: &AlgorithmIdentifier<'_>) -> Observed<i64> {
    let prime = algorithm
        .parameters
        .as_ref()
        .and_then(|any| Sequence::try_from(any.clone()).ok())
        .and_then(|sequence| {
            let (_, prime) = Integer::from_der(&sequence.content).ok()?;
            Some(bit_length(prime.as_ref()))
        });
    prime.map_or_else(
        || unparseable("the DSA parameters cannot be read"),
        Observed::Value,
    )
}

/// The number of bits without leading zeros.
fn bit_length(big_endian: &[u8]) -> i64 {
    let mut digits = big_endian.iter().skip_while(|byte| **byte == 0);
    let Some(first) = digits.next() else {
        return 0;
    };
    let rest = i64::try_from(digits.count()).unwrap_or(i64::MAX / 16);
    rest * 8 + i64::from(8 - first.leading_zeros())
}

fn curve_bits(algorithm: &AlgorithmIdentifier<'_>) -> Observed<i64> {
    let curves: [(Oid<'static>, i64); 10] = [
        (oid!(1.2.840.10045.3.1.7), 256),
        (oid!(1.3.132.0.34), 384),
        (oid!(1.3.132.0.35), 521),
        (oid!(1.2.840.10045.3.1.1), 192),
        (oid!(1.3.132.0.33), 224),
        (oid!(1.3.132.0.10), 256),
        (oid!(1.3.36.3.3.2.8.1.1.7), 256),
        (oid!(1.3.36.3.3.2.8.1.1.11), 384),
        (oid!(1.3.36.3.3.2.8.1.1.13), 512),
        (oid!(1.3.132.0.8), 160),
    ];
    let curve = algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok());
    let Some(curve) = curve else {
        return unparseable("the key names no curve");
    };
    curves.iter().find(|(id, _)| *id == curve).map_or_else(
        || {
            Observed::unknown(
                UnknownWhy::Unsupported,
                printable(format!("an unknown curve, {curve}")),
            )
        },
        |(_, bits)| Observed::Value(*bits),
    )
}

/// The name of a signature's algorithm and the hash under it.
pub fn signature(
    algorithm: &AlgorithmIdentifier<'_>,
) -> (Observed<String>, Observed<SignatureHash>) {
    use SignatureHash::{Intrinsic, Md2, Md5, Sha1, Sha224, Sha256, Sha384, Sha512};
    const RSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);
    let known: [(Oid<'static>, &str, SignatureHash); 18] = [
        (oid!(1.2.840.113549.1.1.2), "md2WithRSAEncryption", Md2),
        (oid!(1.2.840.113549.1.1.4), "md5WithRSAEncryption", Md5),
        (oid!(1.2.840.113549.1.1.5), "sha1WithRSAEncryption", Sha1),
        (oid!(1.3.14.3.2.29), "sha1WithRSA", Sha1),
        (
            oid!(1.2.840.113549.1.1.14),
            "sha224WithRSAEncryption",
            Sha224,
        ),
        (
            oid!(1.2.840.113549.1.1.11),
            "sha256WithRSAEncryption",
            Sha256,
        ),
        (
            oid!(1.2.840.113549.1.1.12),
            "sha384WithRSAEncryption",
            Sha384,
        ),
        (
            oid!(1.2.840.113549.1.1.13),
            "sha512WithRSAEncryption",
            Sha512,
        ),
        (oid!(1.2.840.10045.4.1), "ecdsa-with-SHA1", Sha1),
        (oid!(1.2.840.10045.4.3.1), "ecdsa-with-SHA224", Sha224),
        (oid!(1.2.840.10045.4.3.2), "ecdsa-with-SHA256", Sha256),
        (oid!(1.2.840.10045.4.3.3), "ecdsa-with-SHA384", Sha384),
        (oid!(1.2.840.10045.4.3.4), "ecdsa-with-SHA512", Sha512),
        (oid!(1.2.840.10040.4.3), "dsa-with-SHA1", Sha1),
        (oid!(2.16.840.1.101.3.4.3.1), "dsa-with-SHA224", Sha224),
        (oid!(2.16.840.1.101.3.4.3.2), "dsa-with-SHA256", Sha256),
        (oid!(1.3.101.112), "ed25519", Intrinsic),
        (oid!(1.3.101.113), "ed448", Intrinsic),
    ];
    let id = &algorithm.algorithm;
    if *id == RSA_PSS {
        return (Observed::Value("rsassaPss".to_owned()), pss_hash(algorithm));
    }
    if let Some((_, name, hash)) = known.iter().find(|(known, ..)| known == id) {
        return (Observed::Value((*name).to_owned()), Observed::Value(*hash));
    }
    let detail = printable(format!("an unknown signature algorithm, {id}"));
    (
        Observed::Value(printable(id.to_string())),
        Observed::unknown(UnknownWhy::Unsupported, detail),
    )
}

fn pss_hash(algorithm: &AlgorithmIdentifier<'_>) -> Observed<SignatureHash> {
    let hashes: [(Oid<'static>, SignatureHash); 5] = [
        (oid!(1.3.14.3.2.26), SignatureHash::Sha1),
        (oid!(2.16.840.1.101.3.4.2.4), SignatureHash::Sha224),
        (oid!(2.16.840.1.101.3.4.2.1), SignatureHash::Sha256),
        (oid!(2.16.840.1.101.3.4.2.2), SignatureHash::Sha384),
        (oid!(2.16.840.1.101.3.4.2.3), SignatureHash::Sha512),
    ];
    let Some(parameters) = &algorithm.parameters else {
        return unparseable("the signature names no parameters");
    };
    let Ok(parameters) = RsaSsaPssParams::try_from(parameters) else {
        return unparseable("the parameters of the signature cannot be read");
    };
    let id = parameters.hash_algorithm_oid();
    hashes.iter().find(|(hash, _)| hash == id).map_or_else(
        || {
            Observed::unknown(
                UnknownWhy::Unsupported,
                printable(format!("an unknown hash, {id}")),
            )
        },
        |(_, hash)| Observed::Value(*hash),
    )
}
