//! Others read what we sign, and we read what others sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Bench, DIGEST, encoding};
use crate::lab::run_python;

const TYPE: &str = "application/vnd.in-toto+json";

#[test]
fn the_in_toto_library_accepts_what_we_sign() {
    let bench = Bench::new();
    for key in ["ed25519", "p256"] {
        assert_eq!(bench.sign(key, &[]), 0);
        let public = format!("{key}.pub.pem");
        let payload = run_python(
            "attest/interop.py",
            &["verify", "signed.json", &public],
            bench.dir(),
        );
        let payload: Value = serde_json::from_str(&payload).expect("a statement");
        assert_eq!(payload, bench.statement());
    }
}

#[test]
fn we_accept_what_the_dsse_library_signs() {
    let bench = Bench::new();
    for key in ["ed25519", "p256"] {
        assert_eq!(bench.sign(key, &[]), 0);
        bench.write("payload.json", bench.statement().to_string());
        let private = format!("{key}.pem");
        let signed = run_python(
            "attest/interop.py",
            &["sign", "payload.json", &private],
            bench.dir(),
        );
        assert_ne!(signed.as_bytes(), bench.read("signed.json"));
        bench.write("signed.json", signed);
        let (code, text) = bench.verify(key, &["--subject", DIGEST]);
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
fn openssl_accepts_our_signature_and_knows_the_key_by_its_id() {
    let bench = Bench::new();
    for key in ["ed25519", "p256"] {
        assert_eq!(bench.sign(key, &[]), 0);
        let envelope = bench.envelope();
        let decode = |value: &Value| {
            STANDARD
                .decode(value.as_str().expect("text"))
                .expect("base64")
        };
        let signature = &envelope["signatures"][0];
        bench.write("message", encoding(TYPE, &decode(&envelope["payload"])));
        bench.write("signature", decode(&signature["sig"]));
        let public = format!("{key}.pub.pem");
        if key == "ed25519" {
            bench.openssl(&[
                "pkeyutl",
                "-verify",
                "-rawin",
                "-pubin",
                "-inkey",
                &public,
                "-in",
                "message",
                "-sigfile",
                "signature",
            ]);
        } else {
            bench.openssl(&[
                "dgst",
                "-sha256",
                "-verify",
                &public,
                "-signature",
                "signature",
                "message",
            ]);
        }
        bench.openssl(&[
            "pkey", "-pubin", "-in", &public, "-outform", "DER", "-out", "spki",
        ]);
        let digest = bench.openssl(&["dgst", "-sha256", "-r", "spki"]);
        let digest = String::from_utf8(digest).expect("text");
        let digest = digest.split_whitespace().next().expect("a digest");
        assert_eq!(signature["keyid"], digest);
    }
}
