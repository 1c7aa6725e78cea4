//! How a client connects and logs in: the parameter `security`, its checks, and what librdkafka is
//! told.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::limits::read_file;
use crate::net::{load_identity, load_roots};
use crate::params::{FilePath, Secret};
use crate::probes::ParamError;

/// The largest file of certificates that is read.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// How to connect and log in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Security {
    /// What the listener speaks.
    pub(super) protocol: Protocol,
    /// How to log in, for `SASL_PLAINTEXT` and `SASL_SSL`.
    pub(super) mechanism: Option<Mechanism>,
    /// The user name, for `PLAIN` and `SCRAM-…`.
    pub(super) username: Option<String>,
    /// The password, for `PLAIN` and `SCRAM-…`.
    pub(super) password: Option<Secret>,
    /// A signed JSON Web Token, for `OAUTHBEARER`.
    pub(super) token: Option<Secret>,
    /// A PEM file with the roots to trust; without it the system's.
    pub(super) ca_file: Option<FilePath>,
    /// A PEM file with the client certificate to present, followed by its chain.
    pub(super) client_cert_file: Option<FilePath>,
    /// A PEM file with the key of that certificate, without a password.
    pub(super) client_key_file: Option<FilePath>,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Protocol {
    /// Neither encrypted nor logged in.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    /// TLS, without a login.
    #[serde(rename = "SSL")]
    Ssl,
    /// A login that is not encrypted.
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// A login over TLS.
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

impl Protocol {
    /// As librdkafka calls it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether it is TLS.
    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether there is a login.
    pub(super) const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// User name and password as they are.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted challenge and response over SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Scram256,
    /// Salted challenge and response over SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Scram512,
    /// A bearer token.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl Mechanism {
    /// As SASL calls it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram256 => "SCRAM-SHA-256",
            Self::Scram512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The feature of librdkafka that it needs.
    const fn feature(self) -> &'static str {
        match self {
            Self::Plain => "sasl_plain",
            Self::Scram256 | Self::Scram512 => "sasl_scram",
            Self::OauthBearer => "sasl_oauthbearer",
        }
    }
}

/// Settings of librdkafka, in the order in which they are set.
pub(super) type Settings = Vec<(&'static str, String)>;

impl Security {
    /// Checks it, reads the files that it names, and says what librdkafka is to be told.
    pub(super) fn settings(&self, features: &str, errors: &mut Vec<ParamError>) -> Settings {
        let mut settings = vec![("security.protocol", self.protocol.as_str().to_owned())];
        self.check_features(features, errors);
        self.tls(&mut settings, errors);
        self.login(&mut settings, errors);
        settings
    }

    /// What this build of librdkafka cannot do is said when the configuration is read, not at night.
    fn check_features(&self, features: &str, errors: &mut Vec<ParamError>) {
        let has = |feature: &str| features.split(',').any(|known| known.trim() == feature);
        if self.protocol.is_tls() && !has("ssl") {
            errors.push(ParamError::new(
                "security.protocol",
                format!(
                    "`{}` needs TLS, and this build has a Kafka client without it: build with the \
                     `ssl` feature of rdkafka",
                    self.protocol.as_str()
                ),
            ));
        }
        if let Some(mechanism) = self.mechanism
            && !has(mechanism.feature())
        {
            errors.push(ParamError::new(
                "security.mechanism",
                format!(
                    "`{}` is not in the Kafka client of this build ({} is missing): build with \
                     the `ssl` feature of rdkafka",
                    mechanism.as_str(),
                    mechanism.feature()
                ),
            ));
        }
    }

    fn tls(&self, settings: &mut Settings, errors: &mut Vec<ParamError>) {
        let files = [
            ("security.ca_file", &self.ca_file),
            ("security.client_cert_file", &self.client_cert_file),
            ("security.client_key_file", &self.client_key_file),
        ];
        if !self.protocol.is_tls() {
            for (param, file) in files {
                if file.is_some() {
                    let message = format!(
                        "has no use with protocol `{}`: write `SSL` or `SASL_SSL`, or leave it out",
                        self.protocol.as_str()
                    );
                    errors.push(ParamError::new(param, message));
                }
            }
            return;
        }
        if let Some(file) = &self.ca_file {
            match load_roots(file.as_path()).and_then(|_| pem(file)) {
                Ok(pem) => settings.push(("ssl.ca.pem", pem)),
                Err(message) => errors.push(ParamError::new("security.ca_file", message)),
            }
        }
        match (&self.client_cert_file, &self.client_key_file) {
            (None, None) => {}
            (Some(chain), Some(key)) => match load_identity(chain.as_path(), key.as_path()) {
                Ok(_) => {
                    let path = |file: &FilePath| file.as_path().to_string_lossy().into_owned();
                    settings.push(("ssl.certificate.location", path(chain)));
                    settings.push(("ssl.key.location", path(key)));
                }
                Err(message) => errors.push(ParamError::new("security.client_cert_file", message)),
            },
            (Some(_), None) => errors.push(ParamError::new(
                "security.client_key_file",
                "is missing: a client certificate needs its key",
            )),
            (None, Some(_)) => errors.push(ParamError::new(
                "security.client_cert_file",
                "is missing: a client key needs its certificate",
            )),
        }
    }

    fn login(&self, settings: &mut Settings, errors: &mut Vec<ParamError>) {
        let mut unused = |param: &str, set: bool, why: &str| {
            if set {
                errors.push(ParamError::new(format!("security.{param}"), why));
            }
        };
        if !self.protocol.is_sasl() {
            let why = "has no use without a login: write protocol `SASL_SSL`, or leave it out";
            unused("mechanism", self.mechanism.is_some(), why);
            unused("username", self.username.is_some(), why);
            unused("password", self.password.is_some(), why);
            unused("token", self.token.is_some(), why);
            return;
        }
        let Some(mechanism) = self.mechanism else {
            errors.push(ParamError::new(
                "security.mechanism",
                "is missing: write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
            ));
            return;
        };
        settings.push(("sasl.mechanism", mechanism.as_str().to_owned()));
        let missing =
            |what: &str| format!("is missing: {} logs in with {what}", mechanism.as_str());
        if mechanism == Mechanism::OauthBearer {
            let why = "has no use with OAUTHBEARER: it logs in with a `token`";
            unused("username", self.username.is_some(), why);
            unused("password", self.password.is_some(), why);
            if self.token.is_none() {
                errors.push(ParamError::new("security.token", missing("a token")));
            }
            return;
        }
        unused("token", self.token.is_some(), "is for OAUTHBEARER alone");
        match &self.username {
            Some(name) => settings.push(("sasl.username", name.clone())),
            None => errors.push(ParamError::new("security.username", missing("a user name"))),
        }
        match &self.password {
            Some(password) => settings.push(("sasl.password", password.expose().to_owned())),
            None => errors.push(ParamError::new("security.password", missing("a password"))),
        }
    }
}

fn pem(file: &FilePath) -> Result<String, String> {
    let path = file.as_path();
    let bytes = read_file(path, MAX_PEM_BYTES)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not PEM", path.display()))
}
