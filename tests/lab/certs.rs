//! Certificates of every kind, good and bad. `rcgen` makes them in code; what it refuses to make
//! (RSA-1024 keys, SHA-1 signatures) comes from `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    IsCa, KeyPair, KeyUsagePurpose, SubjectPublicKeyInfo,
};

use super::require;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A moment so many days and an hour from now, so that whole days are the same for a while;
/// negative: ago.
fn days_from_now(days: i32) -> SystemTime {
    let distance = DAY * days.unsigned_abs();
    let now = SystemTime::now() + HOUR;
    if days < 0 {
        now - distance
    } else {
        now + distance
    }
}

/// A certificate chain and its key, PEM.
pub struct Identity {
    /// Leaf first.
    pub chain: String,
    /// The leaf's key.
    pub key: String,
}

impl Identity {
    /// Writes both into `dir` and returns their paths.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let chain = dir.join(format!("{name}.pem"));
        let key = dir.join(format!("{name}.key"));
        std::fs::write(&chain, &self.chain).expect("write the chain");
        std::fs::write(&key, &self.key).expect("write the key");
        (chain, key)
    }
}

/// What a leaf is to be.
#[derive(Clone)]
pub struct Leaf {
    /// Names and addresses.
    pub names: Vec<String>,
    /// Days from now at which it begins.
    pub from_day: i32,
    /// Days from now at which it ends.
    pub to_day: i32,
    /// Whether it demands a stapled OCSP response.
    pub must_staple: bool,
}

impl Leaf {
    /// A sound one for localhost, 10 of 90 days old.
    pub fn sound() -> Self {
        Self {
            names: vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
            from_day: -10,
            to_day: 80,
            must_staple: false,
        }
    }

    /// For other names.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// With another validity, in days from now.
    pub fn days(mut self, from: i32, to: i32) -> Self {
        (self.from_day, self.to_day) = (from, to);
        self
    }

    /// With the demand for a stapled OCSP response.
    pub fn must_staple(mut self) -> Self {
        self.must_staple = true;
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).expect("names");
        params.not_before = days_from_now(self.from_day).into();
        params.not_after = days_from_now(self.to_day).into();
        params.use_authority_key_identifier_extension = true;
        let name = self.names.first().map_or("nobody", String::as_str);
        params.distinguished_name.push(DnType::CommonName, name);
        if self.must_staple {
            const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
            let status_request = vec![0x30, 0x03, 0x02, 0x01, 0x05];
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(
                    TLS_FEATURE,
                    status_request,
                ));
        }
        params
    }

    /// Signed by itself.
    pub fn self_signed(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = self.params().self_signed(&key).expect("sign");
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What it sends along with a leaf: nothing for a root, itself for an intermediate.
    sent: String,
}

impl Authority {
    /// A root.
    pub fn root(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(ca_params(name, 3650), key).expect("sign");
        Self {
            issuer,
            sent: String::new(),
        }
    }

    /// An authority below this one that ends in so many days.
    pub fn intermediate(&self, name: &str, to_day: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = ca_params(name, to_day);
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).expect("sign");
        let sent = format!("{}{}", issuer.pem(), self.sent);
        Self { issuer, sent }
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A leaf with a key of its own, and the intermediates.
    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = leaf.params().signed_by(&key, &self.issuer).expect("sign");
        self.identity(&certificate, key.serialize_pem())
    }

    /// A leaf with an RSA key of so many bits.
    pub fn issue_rsa(&self, leaf: &Leaf, bits: u32, dir: &Path) -> Identity {
        let key = dir.join("rsa.key");
        let public = dir.join("rsa.pub");
        openssl(&["genrsa", "-out", path(&key), &bits.to_string()]);
        openssl(&["rsa", "-in", path(&key), "-pubout", "-out", path(&public)]);
        let public = std::fs::read_to_string(&public).expect("read the public key");
        let public = SubjectPublicKeyInfo::from_pem(&public).expect("a public key");
        let certificate = leaf
            .params()
            .signed_by(&public, &self.issuer)
            .expect("sign");
        let key = std::fs::read_to_string(&key).expect("read the key");
        self.identity(&certificate, key)
    }

    /// A leaf for localhost whose signature uses SHA-1.
    pub fn issue_sha1(&self, dir: &Path) -> Identity {
        let [ca, ca_key, key, request, extensions, out] = [
            "ca.pem", "ca.key", "sha1.key", "sha1.csr", "sha1.ext", "sha1.pem",
        ]
        .map(|name| dir.join(name));
        std::fs::write(&ca, self.pem()).expect("write the authority");
        std::fs::write(&ca_key, self.issuer.key().serialize_pem()).expect("write its key");
        std::fs::write(&extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .expect("write the extensions");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            path(&key),
            "-out",
            path(&request),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-sha1",
            "-days",
            "80",
            "-in",
            path(&request),
            "-CA",
            path(&ca),
            "-CAkey",
            path(&ca_key),
            "-extfile",
            path(&extensions),
            "-out",
            path(&out),
        ]);
        Identity {
            chain: std::fs::read_to_string(&out).expect("read the certificate") + &self.sent,
            key: std::fs::read_to_string(&key).expect("read the key"),
        }
    }

    /// An OCSP response that says that the leaf of `identity` is good, DER in a file.
    pub fn ocsp_response(&self, identity: &Identity, dir: &Path) -> PathBuf {
        let [ca, ca_key, index, response] =
            ["ocsp-ca.pem", "ocsp-ca.key", "index.txt", "ocsp.der"].map(|name| dir.join(name));
        let (leaf, _) = identity.write(dir, "ocsp-leaf");
        std::fs::write(&ca, self.pem()).expect("write the authority");
        std::fs::write(&ca_key, self.issuer.key().serialize_pem()).expect("write its key");
        let serial = openssl(&["x509", "-in", path(&leaf), "-noout", "-serial"]);
        let serial = serial.trim().trim_start_matches("serial=").to_owned();
        let entry = format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=localhost\n");
        std::fs::write(&index, entry).expect("write the index");
        openssl(&[
            "ocsp",
            "-index",
            path(&index),
            "-rsigner",
            path(&ca),
            "-rkey",
            path(&ca_key),
            "-CA",
            path(&ca),
            "-issuer",
            path(&ca),
            "-cert",
            path(&leaf),
            "-ndays",
            "7",
            "-noverify",
            "-respout",
            path(&response),
        ]);
        response
    }

    fn identity(&self, certificate: &Certificate, key: String) -> Identity {
        Identity {
            chain: certificate.pem() + &self.sent,
            key,
        }
    }
}

fn ca_params(name: &str, to_day: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.use_authority_key_identifier_extension = true;
    params.not_before = days_from_now(-365).into();
    params.not_after = days_from_now(to_day).into();
    params
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn openssl(args: &[&str]) -> String {
    let output = Command::new(require("openssl"))
        .args(args)
        .output()
        .expect("run openssl");
    assert!(
        output.status.success(),
        "openssl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
