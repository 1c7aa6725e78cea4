//! What a statement is about: an artifact by its digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An artifact, such as an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name, without a digest; empty where only the digest is wanted.
    pub name: String,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Text that names no artifact.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSubject {
    /// It has no name.
    #[error(
        "`{0}` names no artifact: write NAME@sha256:HEX, such as registry.example/app@sha256:2c26…"
    )]
    NoName(String),
    /// It has no digest, or a wrong one.
    #[error("`{0}` has no SHA-256 digest: write NAME@sha256: and 64 hexadecimal digits")]
    NoDigest(String),
}

impl Subject {
    /// Reads what a verifier looks for: `sha256:HEX`, or `NAME@sha256:HEX` where the name counts too.
    ///
    /// # Errors
    /// For anything else.
    pub fn wanted(text: &str) -> Result<Self, BadSubject> {
        match text.strip_prefix("sha256:") {
            Some(hex) => Ok(Self {
                name: String::new(),
                sha256: digest(hex).ok_or_else(|| BadSubject::NoDigest(text.to_owned()))?,
            }),
            None => text.parse(),
        }
    }
}

impl FromStr for Subject {
    type Err = BadSubject;

    fn from_str(text: &str) -> Result<Self, BadSubject> {
        let bad = || BadSubject::NoDigest(text.to_owned());
        let (name, hex) = text.rsplit_once("@sha256:").ok_or_else(|| {
            if text.starts_with("sha256:") {
                BadSubject::NoName(text.to_owned())
            } else {
                bad()
            }
        })?;
        if name.trim().is_empty() || name.contains(char::is_control) {
            return Err(BadSubject::NoName(text.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            sha256: digest(hex).ok_or_else(bad)?,
        })
    }
}

/// 64 hexadecimal digits, in lower case.
fn digest(hex: &str) -> Option<String> {
    let is_digest = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| hex.to_ascii_lowercase())
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "sha256:{}", self.sha256)
        } else {
            write!(f, "{}@sha256:{}", self.name, self.sha256)
        }
    }
}

/// A subject as statements have it. Other digests may stand beside ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descriptor {
    /// The artifact's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its digests by algorithm.
    #[serde(default)]
    pub digest: std::collections::BTreeMap<String, String>,
}

impl Descriptor {
    /// Whether this is the artifact that is wanted.
    pub fn is(&self, wanted: &Subject) -> bool {
        let named = wanted.name.is_empty() || self.name.as_ref() == Some(&wanted.name);
        let digest = self.digest.get("sha256");
        named && digest.is_some_and(|digest| digest.eq_ignore_ascii_case(&wanted.sha256))
    }
}

impl From<&Subject> for Descriptor {
    fn from(subject: &Subject) -> Self {
        Self {
            name: Some(subject.name.clone()),
            digest: [("sha256".to_owned(), subject.sha256.clone())].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_has_a_name_and_a_whole_digest() {
        let hex = "Ab".repeat(32);
        let subject: Subject = format!("registry.example:5000/app@sha256:{hex}")
            .parse()
            .expect("a subject");
        assert_eq!(subject.name, "registry.example:5000/app");
        assert_eq!(subject.sha256, "ab".repeat(32));
        for bad in [
            String::new(),
            "app".to_owned(),
            "app@sha256:".to_owned(),
            format!("app@sha256:{}", "a".repeat(63)),
            format!("app@sha256:{}", "g".repeat(64)),
            format!("app@sha512:{}", "a".repeat(64)),
            format!("@sha256:{hex}"),
            format!("sha256:{hex}"),
            format!("a\nb@sha256:{hex}"),
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_verifier_may_look_for_the_digest_alone() {
        let hex = "ab".repeat(32);
        let descriptor = Descriptor::from(&Subject {
            name: "app".to_owned(),
            sha256: hex.clone(),
        });
        let is = |text: &str| descriptor.is(&Subject::wanted(text).expect("a subject"));
        assert!(is(&format!("sha256:{hex}")));
        assert!(is(&format!("app@sha256:{hex}")));
        assert!(!is(&format!("other@sha256:{hex}")));
        assert!(!is(&format!("sha256:{}", "cd".repeat(32))));
    }
}
