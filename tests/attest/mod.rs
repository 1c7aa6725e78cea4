//! Signed statements: what is signed, who else can read it, and what a verifier refuses.

mod interop;
mod keys;
mod signing;
mod verifying;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::require;

pub const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
pub const OTHER: &str = "sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9";

/// A directory with a configuration, something to look at, and keys that OpenSSL has made.
pub struct Bench {
    dir: TempDir,
    open: TcpListener,
}

impl Bench {
    pub fn new() -> Self {
        let bench = Self {
            dir: TempDir::new().expect("temporary directory"),
            open: TcpListener::bind("127.0.0.1:0").expect("bind"),
        };
        bench.configure("");
        bench.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "ed25519.pem"]);
        bench.openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "p256.pem",
        ]);
        for key in ["ed25519", "p256"] {
            let (private, public) = (format!("{key}.pem"), format!("{key}.pub.pem"));
            bench.openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        }
        bench
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the configuration: a probe that sees an open port, and what else is wanted.
    pub fn configure(&self, more: &str) {
        let port = self.open.local_addr().expect("an address").port();
        self.write(
            "probes.toml",
            format!(
                "[agent]\ndigests = [\"registry.example/app@{DIGEST}\"]\n\
                 [[probe]]\nid = \"a\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n{more}"
            ),
        );
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.dir().join(name), content).expect("write a file");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir().join(name)).expect("read a file")
    }

    pub fn openssl(&self, args: &[&str]) -> Vec<u8> {
        let output = Command::new(require("openssl"))
            .args(args)
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .output()
            .expect("run openssl");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    pub fn probe(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(args)
            .current_dir(self.dir())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .expect("run probe")
    }

    /// Runs and signs as `signed.json`; returns the exit code.
    pub fn sign(&self, key: &str, more: &[&str]) -> i32 {
        let key = format!("{key}.pem");
        let args = [
            "--once",
            "--output",
            "intoto=signed.json",
            "--sign-key",
            &key,
        ];
        let output = self.probe(&[&args[..], more].concat());
        assert!(
            self.dir().join("signed.json").exists(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.status.code().expect("an exit code")
    }

    /// Verifies `signed.json`; returns the exit code and what was printed.
    pub fn verify(&self, key: &str, more: &[&str]) -> (i32, String) {
        let key = format!("{key}.pub.pem");
        let args = ["verify", "signed.json", "--key", &key];
        let output = self.probe(&[&args[..], more].concat());
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().expect("an exit code"),
            String::from_utf8(text).expect("UTF-8"),
        )
    }

    pub fn envelope(&self) -> Value {
        serde_json::from_slice(&self.read("signed.json")).expect("an envelope")
    }

    /// The statement in `signed.json`.
    pub fn statement(&self) -> Value {
        let payload = self.envelope()["payload"]
            .as_str()
            .map(|text| STANDARD.decode(text));
        let payload = payload.expect("a payload").expect("base64");
        serde_json::from_slice(&payload).expect("a statement")
    }

    /// Signs a payload of ours by other means: OpenSSL over the encoding that DSSE wants.
    pub fn sign_payload(&self, payload_type: &str, payload: &[u8]) {
        self.write("message", encoding(payload_type, payload));
        let args = [
            "pkeyutl",
            "-sign",
            "-rawin",
            "-inkey",
            "ed25519.pem",
            "-in",
            "message",
        ];
        let signature = self.openssl(&args);
        let envelope = serde_json::json!({
            "payloadType": payload_type,
            "payload": STANDARD.encode(payload),
            "signatures": [{ "sig": STANDARD.encode(signature) }],
        });
        self.write("signed.json", envelope.to_string());
    }
}

/// What DSSE signs.
pub fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (one, two) = (payload_type.len(), payload.len());
    [
        format!("DSSEv1 {one} {payload_type} {two} ").as_bytes(),
        payload,
    ]
    .concat()
}
